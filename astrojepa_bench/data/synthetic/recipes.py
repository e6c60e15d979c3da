"""How a galaxy of each class is built: components, their shares of the light, their stars.

Classes are those of Galaxy10 DECaLS. Edge-on disks have the intrinsic flattening of the local population
(0.12, arXiv 2409.06768). Deviation from nature: within a class, shapes are drawn from plain ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import cos, pi, sin
from typing import TypeAlias

import numpy as np

from astrojepa_bench.data.synthetic.canvas import Canvas, Shape
from astrojepa_bench.data.synthetic.draws import Range, between, near
from astrojepa_bench.data.synthetic.profiles import Arms, Plane, edge_on_disk, moments, sersic, unit_flux
from astrojepa_bench.data.synthetic.spirals import (
    DISK_SCALE,
    LOOSE,
    TIGHT,
    Disk,
    barred,
    draw_arms,
    paint_knots,
    spiral,
)
from astrojepa_bench.data.synthetic.texture import Texture

EDGE_ON_SCALE = 1.3 * DISK_SCALE  # seen from its edge, half of a disk's light lies nearer to the centre
Recipe: TypeAlias = Callable[[Canvas, np.random.Generator], Shape]


def smooth(canvas: Canvas, rng: np.random.Generator, *, n: Range, axis_ratio: Range, types: Range) -> Shape:
    """Draw a smooth galaxy: one Sérsic profile; `n` is mean and scatter of its index."""
    index = near(rng, n[0], n[1], (0.8, 5.5))
    ratio, angle = between(rng, axis_ratio), between(rng, (0, 180))
    light = sersic(canvas.plane, index, canvas.galaxy.radius, ratio, angle)
    canvas.add(light, 1.0, between(rng, types))
    return Shape(half_light=canvas.galaxy.radius, axis_ratio=ratio, angle=angle, arms=0, bar=0, sersic=index)


@dataclass(frozen=True)
class EdgeOnStyle:
    """Ranges that make one kind of edge-on disk.

    Attributes:
        thickness: mean and scatter of scale height over scale length.
        bulge_share: of the r light.
        dust: optical depth of the lane.
        disk_type: spectral type of the disk.
    """

    thickness: Range
    bulge_share: Range
    dust: Range
    disk_type: Range


def edge_on(canvas: Canvas, rng: np.random.Generator, *, style: EdgeOnStyle) -> Shape:
    """Draw a disk from its edge, with a dust lane and with or without a bulge."""
    plane, length, angle = canvas.plane, canvas.galaxy.radius * EDGE_ON_SCALE, between(rng, (0, 180))
    height = length * near(rng, *style.thickness, (0.06, 0.2))
    bulge, warp = between(rng, style.bulge_share), float(rng.normal(0, 0.06)) * length
    old, age = between(rng, (0.4, 0.6)), between(rng, style.disk_type)
    for reach, share, younger in (
        (0.85, old, -0.5),
        (1.15, 1 - old, 0.7),
    ):  # the rim is bluer than the middle
        disk = edge_on_disk(plane, reach * length, height, angle, warp)
        canvas.add(disk, (1 - bulge) * share, min(max(age + younger, 0.0), 3.0))
    along, across = plane.aligned(angle)
    lane = np.exp(-np.abs(across) / np.float32(0.55 * height) - np.abs(along) / np.float32(2.5 * length))
    canvas.dim(np.float32(between(rng, style.dust)) * lane)
    size, ratio = between(rng, (0.32, 0.6)) * length, between(rng, (0.62, 0.95))
    canvas.add(sersic(plane, between(rng, (1.6, 3.0)), size, ratio, angle), bulge, between(rng, (0.0, 0.2)))
    measured, _ = moments(canvas.light[1], plane)
    return Shape(axis_ratio=measured, angle=angle, bulge=bulge, bar=0)


def disturbed(canvas: Canvas, rng: np.random.Generator) -> Shape:
    """Draw a galaxy torn out of shape: everything lies on a warped sky, off centre, with a tail and knots."""
    length = canvas.galaxy.radius * DISK_SCALE
    plane = warped(canvas.plane, rng, canvas.galaxy.radius)
    disk = Disk(plane, length, between(rng, (0.45, 0.9)), between(rng, (0, 180)))
    core, tail, knots = between(rng, (0.05, 0.10)), between(rng, (0.12, 0.26)), between(rng, (0.06, 0.14))
    torn_disk(canvas, rng, disk, 1 - core - tail - knots, knots)
    tidal_tail(canvas, rng, disk, tail)
    off = plane.moved(*(float(v) for v in rng.normal(0, 0.5 * length, 2)))
    core_light = sersic(off, 1.0, 0.4 * length, 0.8, disk.angle)
    canvas.add(unit_flux(core_light), core, between(rng, (0.8, 1.6)))
    return Shape(bar=0)


def torn_disk(canvas: Canvas, rng: np.random.Generator, disk: Disk, share: float, knots: float) -> None:
    """Draw a lopsided disk with arms and knots; a warp keeps no flux, so its shapes are rescaled."""
    arm_share, length = 0.34, disk.length
    smooth_light = sersic(disk.plane, 1.0, 1.5 * length, disk.axis_ratio, disk.angle)
    canvas.add(unit_flux(smooth_light), share - arm_share, between(rng, (1.0, 1.9)))
    style = replace(LOOSE, arm_numbers=(1, 2), pitch=(18, 40))
    arms = draw_arms(rng, style, length, 0.5 * length, between(rng, (0, 2 * pi)))
    radius, azimuth = disk.plane.disk(disk.angle, disk.axis_ratio)
    side = 1 + np.float32(0.7) * np.cos(azimuth - np.float32(between(rng, (0, 2 * pi))))
    canvas.add(unit_flux(arms.light(radius, azimuth) * side), arm_share, between(rng, (1.8, 2.8)))
    paint_knots(canvas, rng, disk, arms, int(rng.integers(12, 40)), knots)


def warped(plane: Plane, rng: np.random.Generator, radius: float) -> Plane:
    """Bend the sky by a few random waves about as long as the galaxy is wide."""
    x, y = plane.x.copy(), plane.y.copy()
    for _ in range(4):
        direction, phase = between(rng, (0, 2 * pi)), between(rng, (0, 2 * pi))
        wave = 2 * pi / (radius * between(rng, (2.5, 5.0)))
        along = plane.x * np.float32(wave * cos(direction)) + plane.y * np.float32(wave * sin(direction))
        bend = np.float32(radius * between(rng, (0.12, 0.26))) * np.sin(along + np.float32(phase))
        push = between(rng, (0, 2 * pi))
        x += np.float32(cos(push)) * bend
        y += np.float32(sin(push)) * bend
    return Plane(x, y, plane.step)


def tidal_tail(
    canvas: Canvas, rng: np.random.Generator, disk: Disk, share: float, azimuth: float | None = None
) -> None:
    """Draw one long open arm leaving the disk at an azimuth [rad], as tides pull it out."""
    length = disk.length
    phase = between(rng, (0, 2 * pi)) if azimuth is None else azimuth
    arm = Arms(
        number=1, pitch=between(rng, (24, 44)), inner=1.3 * length, outer=between(rng, (4.0, 6.5)) * length,
        scale=between(rng, (2.4, 3.6)) * length, sharpness=between(rng, (6, 11)), phase=phase,
        sense=int(rng.choice((-1, 1))),
    )  # fmt: skip
    clumps = Texture.drawn(rng, 6 * length).at(disk.plane.x, disk.plane.y)
    light = arm.light(*disk.plane.disk(disk.angle, disk.axis_ratio)) * np.clip(
        1 + np.float32(0.3) * clumps, 0.2, 2
    )
    canvas.add(unit_flux(light), share, between(rng, (0.7, 1.6)))


def merging(canvas: Canvas, rng: np.random.Generator) -> Shape:
    """Draw two galaxies that pull tails out of one another; the heavier one is nearer the centre."""
    ratio = 10 ** between(rng, (-0.55, 0.0))
    shares = (1 / (1 + ratio), ratio / (1 + ratio))
    distance, where = between(rng, (1.5, 3.2)) * canvas.galaxy.radius, between(rng, (0, 2 * pi))
    old = rng.random() < 0.45
    for share, lever in zip(shares, (-0.35, 0.65), strict=True):
        plane = canvas.plane.moved(lever * distance * cos(where), lever * distance * sin(where))
        length = canvas.galaxy.radius * DISK_SCALE * (1.3 * share) ** 0.45
        disk = Disk(plane, length, between(rng, (0.5, 1.0)), between(rng, (0, 180)))
        merging_member(canvas, rng, disk, share, old)
    return Shape(bar=0)


def merging_member(canvas: Canvas, rng: np.random.Generator, disk: Disk, share: float, old: bool) -> None:
    """Draw one of two merging galaxies with its tail: a spheroid where both are old, else a spiral."""
    tail = share * between(rng, (0.18, 0.36))
    if old:
        light = sersic(disk.plane, 3.5, 1.1 * disk.length, max(disk.axis_ratio, 0.65), disk.angle)
        canvas.add(light, share - tail, between(rng, (0.0, 0.2)))
    else:
        style = replace(LOOSE, bulge_share=(0.15, 0.35), arm_share=(0.3, 0.45), disk_type=(0.6, 1.4))
        spiral(canvas, rng, style, disk, share - tail)
    tidal_tail(canvas, rng, disk, tail)


THIN = EdgeOnStyle(thickness=(0.10, 0.02), bulge_share=(0.0, 0.03), dust=(0.4, 2.2), disk_type=(1.0, 2.2))
BULGED = EdgeOnStyle(thickness=(0.13, 0.03), bulge_share=(0.22, 0.48), dust=(0.6, 2.6), disk_type=(0.25, 0.9))

RECIPES: tuple[Recipe, ...] = (
    disturbed,
    merging,
    partial(smooth, n=(4.0, 0.9), axis_ratio=(0.9, 1.0), types=(0.0, 0.3)),
    partial(smooth, n=(3.0, 0.9), axis_ratio=(0.5, 0.78), types=(0.1, 0.4)),
    partial(smooth, n=(1.6, 0.4), axis_ratio=(0.2, 0.36), types=(0.1, 0.5)),
    barred,
    partial(spiral, style=TIGHT),
    partial(spiral, style=LOOSE),
    partial(edge_on, style=THIN),
    partial(edge_on, style=BULGED),
)
