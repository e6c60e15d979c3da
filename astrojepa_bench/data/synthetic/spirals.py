"""Spiral galaxies, barred and unbarred: disk, arms, star-forming knots, dust, bulge, bar, ring.

Ranges follow the usual trends: pitch angles from about 10° (Sa) to 30° (Sc), bars of half a disk's radius,
bulges a sixth (S0) to a fifteenth (Sc) of the disk's size.
Source: Quilley & de Lapparent 2023 (arXiv 2305.02069) for bulges and disks. Deviation: ranges are rounded by
eye, so that arms can be told apart at 64 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, radians, sin, tan

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.synthetic.canvas import Canvas, Shape
from astrojepa_bench.data.synthetic.draws import Range, between
from astrojepa_bench.data.synthetic.profiles import Arms, Plane, bar, sersic, unit_flux
from astrojepa_bench.data.synthetic.texture import Texture

DISK_SCALE = 1 / 1.5  # exponential scale length over half-light radius of a disk galaxy
HALF_LIGHT_OF_EXPONENTIAL = 1.678


@dataclass(frozen=True)
class SpiralStyle:
    """Ranges that make one kind of spiral.

    Attributes:
        arm_numbers: numbers of arms, drawn evenly from this list.
        pitch: of the arms [deg].
        sharpness: concentration of light on their crests.
        arm_share, knot_share, bulge_share: of the r light.
        knots: how many star-forming regions.
        lopsided: greatest excess of light on one side.
        inner: where arms begin [scale lengths].
        turns: most radians an arm may wind before it fades.
        disk_type, arm_type, bulge_type: spectral types.
    """

    arm_numbers: tuple[int, ...]
    pitch: Range
    sharpness: Range
    arm_share: Range
    knot_share: Range
    bulge_share: Range
    knots: tuple[int, int]
    lopsided: float
    inner: Range
    turns: float
    disk_type: Range
    arm_type: Range
    bulge_type: Range


TIGHT = SpiralStyle(
    arm_numbers=(2, 2, 2, 3), pitch=(6.5, 12), sharpness=(1.3, 2.4), arm_share=(0.36, 0.50),
    knot_share=(0.02, 0.05), bulge_share=(0.15, 0.36), knots=(50, 120), lopsided=0.15, inner=(0.5, 0.8),
    turns=12.0, disk_type=(0.6, 1.1), arm_type=(1.6, 2.5), bulge_type=(0.05, 0.4),
)  # fmt: skip
LOOSE = SpiralStyle(
    arm_numbers=(2, 2, 2, 3), pitch=(20, 36), sharpness=(2.2, 4.0), arm_share=(0.46, 0.60),
    knot_share=(0.04, 0.09), bulge_share=(0.03, 0.13), knots=(20, 55), lopsided=0.35, inner=(0.35, 0.6),
    turns=4.5, disk_type=(0.9, 1.7), arm_type=(2.0, 2.8), bulge_type=(0.1, 0.6),
)  # fmt: skip
BARRED = SpiralStyle(
    arm_numbers=(2,), pitch=(13, 26), sharpness=(2.0, 3.6), arm_share=(0.26, 0.38),
    knot_share=(0.02, 0.05), bulge_share=(0.05, 0.14), knots=(20, 60), lopsided=0.2, inner=(1.0, 1.0),
    turns=4.0, disk_type=(0.5, 1.1), arm_type=(1.6, 2.4), bulge_type=(0.05, 0.4),
)  # fmt: skip


@dataclass(frozen=True)
class Disk:
    """An inclined disk: where it lies and how long it is.

    Attributes:
        plane: positions relative to its centre.
        length: exponential scale length [arcsec].
        axis_ratio, angle: its projection on the sky.
    """

    plane: Plane
    length: float
    axis_ratio: float
    angle: float

    def sky(
        self, radius: Float[np.ndarray, " row"], azimuth: Float[np.ndarray, " row"]
    ) -> tuple[Float[np.ndarray, " row"], Float[np.ndarray, " row"]]:
        """Project polar coordinates in the disk to positions on the sky [arcsec]."""
        along, across = radius * np.cos(azimuth), radius * np.sin(azimuth) * self.axis_ratio
        s, c = sin(radians(self.angle)), cos(radians(self.angle))
        return across * c - along * s, along * c + across * s


def draw_disk(canvas: Canvas, rng: np.random.Generator, axis_ratio: Range) -> Disk:
    """Draw the inclination and orientation of a disk as large as the galaxy."""
    length = canvas.galaxy.radius * DISK_SCALE
    return Disk(canvas.plane, length, between(rng, axis_ratio), between(rng, (0, 180)))


def spiral(
    canvas: Canvas, rng: np.random.Generator, style: SpiralStyle, disk: Disk | None = None, share: float = 1.0
) -> Shape:
    """Draw an unbarred spiral that holds `share` of the light, by default on a disk at the centre."""
    disk = disk or draw_disk(canvas, rng, (0.55, 1.0))
    inner = between(rng, style.inner) * disk.length
    arms = draw_arms(rng, style, disk.length, inner, between(rng, (0, 2 * pi)))
    bulge = between(rng, style.bulge_share)
    paint_disk(canvas, rng, style, disk, arms, share * (1 - bulge))
    paint_bulge(canvas, rng, style, disk, share * bulge)
    return Shape(
        axis_ratio=disk.axis_ratio, angle=disk.angle, bulge=bulge, arms=arms.number, pitch=arms.pitch, bar=0
    )


def paint_bulge(
    canvas: Canvas, rng: np.random.Generator, style: SpiralStyle, disk: Disk, share: float
) -> None:
    """Paint a bulge, rounder than its disk."""
    size, ratio = between(rng, (0.25, 0.45)) * disk.length, max(disk.axis_ratio, 0.75)
    light = sersic(disk.plane, between(rng, (1.5, 3.0)), size, ratio, disk.angle)
    canvas.add(light, share, between(rng, style.bulge_type))


def draw_arms(
    rng: np.random.Generator, style: SpiralStyle, length: float, inner: float, phase: float
) -> Arms:
    """Draw spiral arms for a disk of given scale length, beginning at a radius and azimuth."""
    pitch = between(rng, style.pitch)
    outer = min(between(rng, (3.2, 4.2)) * length, inner * float(np.exp(style.turns * tan(radians(pitch)))))
    return Arms(
        number=int(rng.choice(style.arm_numbers)), pitch=pitch, inner=inner, outer=max(outer, 2.6 * length),
        scale=1.6 * length, sharpness=between(rng, style.sharpness), phase=phase,
        sense=int(rng.choice((-1, 1))), wobble=between(rng, (0.0, 0.12)),
    )  # fmt: skip


def paint_disk(
    canvas: Canvas, rng: np.random.Generator, style: SpiralStyle, disk: Disk, arms: Arms, share: float
) -> None:
    """Paint disk, arms, knots and dust, `share` of the r light between them."""
    knots, arm_share = between(rng, style.knot_share), between(rng, style.arm_share)
    radius, azimuth = disk.plane.disk(disk.angle, disk.axis_ratio)
    smooth = sersic(disk.plane, 1.0, HALF_LIGHT_OF_EXPONENTIAL * disk.length, disk.axis_ratio, disk.angle)
    canvas.add(smooth, share * (1 - arm_share - knots), between(rng, style.disk_type))
    clumps = Texture.drawn(rng, 5 * disk.length).at(disk.plane.x, disk.plane.y)
    side = 1 + np.float32(style.lopsided) * np.cos(azimuth - np.float32(between(rng, (0, 2 * pi))))
    light = arms.light(radius, azimuth) * np.clip(1 + np.float32(0.4) * clumps, 0.1, 3) * side
    canvas.add(unit_flux(light), share * arm_share, between(rng, style.arm_type))
    paint_knots(canvas, rng, disk, arms, int(rng.integers(*style.knots)), share * knots)
    lane = arms.concentration(radius, azimuth, lead=-arms.sense * 0.45 / arms.number)
    canvas.dim(np.float32(between(rng, (0.15, 0.5))) * lane * arms.envelope(radius))


def paint_knots(
    canvas: Canvas, rng: np.random.Generator, disk: Disk, arms: Arms, number: int, share: float
) -> None:
    """Scatter star-forming regions along the arms, a few of them bright."""
    radius = np.clip(rng.gamma(2.5, 0.75 * disk.length, number), arms.inner, arms.outer)
    arm = 2 * pi * rng.integers(arms.number, size=number) / arms.number
    scatter = rng.normal(0, 0.6 / arms.sharpness**0.5 / arms.number, number)
    azimuth = arms.crest(radius.astype(np.float32)) + arms.phase + arm + scatter
    x, y = disk.sky(radius, azimuth)
    canvas.add_points(x, y, np.minimum(1 + rng.pareto(1.6, number), 12), share, 3.0)


def barred(canvas: Canvas, rng: np.random.Generator) -> Shape:
    """Draw a barred spiral: arms, and often a ring, start at the ends of a boxy bar."""
    disk = draw_disk(canvas, rng, (0.62, 1.0))
    half_length, where = between(rng, (1.3, 2.0)) * disk.length, between(rng, (0, pi))
    strength, bulge = between(rng, (0.20, 0.34)), between(rng, BARRED.bulge_share)
    arms = draw_arms(rng, BARRED, disk.length, half_length * 0.95, where)
    paint_disk(canvas, rng, BARRED, disk, arms, 1 - strength - bulge)
    hollow_centre(canvas, disk, half_length)
    if rng.random() < 0.35:
        paint_ring(canvas, rng, disk, half_length)
    shape = bar(canvas.plane, half_length, between(rng, (0.16, 0.26)), where, (disk.angle, disk.axis_ratio))
    canvas.add(shape, strength, between(rng, BARRED.bulge_type))
    paint_bulge(canvas, rng, BARRED, disk, bulge)
    return Shape(
        axis_ratio=disk.axis_ratio, angle=disk.angle, bulge=bulge, arms=2, pitch=arms.pitch, bar=strength
    )


def hollow_centre(canvas: Canvas, disk: Disk, half_length: float) -> None:
    """Take light from the disk that the bar has swept, and spread it over the rest."""
    radius, _ = disk.plane.disk(disk.angle, disk.axis_ratio)
    before = canvas.light.sum(axis=(1, 2), keepdims=True)
    canvas.light *= 1 - np.float32(0.7) * np.exp(
        -np.square(np.square(radius / np.float32(0.75 * half_length)))
    )
    canvas.light *= before / canvas.light.sum(axis=(1, 2), keepdims=True)


def paint_ring(canvas: Canvas, rng: np.random.Generator, disk: Disk, radius: float) -> None:
    """Turn a share of the disk's light into a ring at the ends of the bar."""
    distance, _ = disk.plane.disk(disk.angle, disk.axis_ratio)
    share = between(rng, (0.10, 0.20))
    drawn = float(canvas.light[1].sum()) / canvas.flux
    canvas.light *= np.float32(1 - share)
    ring = np.exp(-0.5 * ((distance - np.float32(radius)) / np.float32(0.16 * radius)) ** 2)
    canvas.add(unit_flux(ring), share * drawn, between(rng, (1.2, 2.0)))
