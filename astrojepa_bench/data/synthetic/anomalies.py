"""What does not belong: rare objects of the sky, and faults of the instrument.

Physical anomalies are drawn like galaxies; artefacts strike the finished image of an ordinary galaxy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, radians, sin
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.sources.stretch import DISPLAY_GAIN
from astrojepa_bench.data.synthetic.canvas import Canvas, Shape
from astrojepa_bench.data.synthetic.draws import between
from astrojepa_bench.data.synthetic.mergers import merger
from astrojepa_bench.data.synthetic.photometry import nanomaggies
from astrojepa_bench.data.synthetic.population import Population
from astrojepa_bench.data.synthetic.profiles import Light, Plane, sersic, unit_flux
from astrojepa_bench.data.synthetic.recipes import Recipe
from astrojepa_bench.data.synthetic.texture import Texture

Flux: TypeAlias = Float[np.ndarray, "band height width"]
Strike: TypeAlias = Callable[[Flux, Plane, np.random.Generator], None]


def lens(canvas: Canvas, rng: np.random.Generator) -> Shape:
    """Draw a red galaxy that bends the light of a blue one behind it into arcs or a ring.

    Source: singular isothermal sphere with external shear, Kormann et al. 1994, A&A 284, 285: a
    point θ of the image shows β = θ - θ_E θ/|θ| - Γθ of the source. Surface brightness is conserved.
    """
    ratio, angle = between(rng, (0.75, 1.0)), between(rng, (0, 180))
    canvas.add(sersic(canvas.plane, 4.0, canvas.galaxy.radius, ratio, angle), 1.0, between(rng, (0.0, 0.15)))
    own = canvas.magnitudes()
    einstein, offset, where = between(rng, (2.4, 4.0)), between(rng, (0.0, 0.6)), between(rng, (0, 2 * pi))
    behind = bent(canvas.plane, einstein, between(rng, (0.0, 0.08)), between(rng, (0, 180)))
    behind = behind.moved(offset * einstein * cos(where), offset * einstein * sin(where))
    source = sersic_unsampled(behind, between(rng, (0.3, 0.6)))
    share = nanomaggies(between(rng, (21.0, 21.8))) / canvas.flux
    canvas.add(source * np.float32(canvas.plane.step**2), share, between(rng, (2.7, 3.0)))
    return Shape(
        half_light=canvas.galaxy.radius, axis_ratio=ratio, angle=angle, arms=0, bar=0, sersic=4.0,
        magnitudes=own,
    )  # fmt: skip


def bent(plane: Plane, einstein: float, shear: float, angle: float) -> Plane:
    """Trace every pixel back to the source behind the lens."""
    radius = np.maximum(np.hypot(plane.x, plane.y), np.float32(1e-3))
    pull = 1 - np.float32(einstein) / radius
    c, s = np.float32(shear * cos(2 * radians(angle))), np.float32(shear * sin(2 * radians(angle)))
    return Plane(plane.x * (pull - c) - plane.y * s, plane.y * (pull + c) - plane.x * s, plane.step)


def sersic_unsampled(plane: Plane, radius: float) -> Light:
    """Surface brightness of an exponential disk of unit flux [per square arcsec] on any set of points."""
    length = radius / 1.678
    return np.exp(-np.hypot(plane.x, plane.y) / np.float32(length)) / np.float32(2 * pi * length**2)


def ring(canvas: Canvas, rng: np.random.Generator) -> Shape:
    """Draw a Hoag-type ring: a red core in a detached, clumpy blue ring."""
    plane, radius = canvas.plane, 1.45 * canvas.galaxy.radius
    ratio, angle = between(rng, (0.75, 1.0)), between(rng, (0, 180))
    core = between(rng, (0.35, 0.5))
    canvas.add(
        sersic(plane, between(rng, (2, 4)), 0.32 * radius, 0.95, angle), core, between(rng, (0.0, 0.3))
    )
    distance, _ = plane.disk(angle, ratio)
    band = np.exp(
        -0.5 * ((distance - np.float32(radius)) / np.float32(between(rng, (0.11, 0.19)) * radius)) ** 2
    )
    clumps = np.clip(1 + np.float32(0.55) * Texture.drawn(rng, 4 * radius, 1.0).at(plane.x, plane.y), 0.1, 3)
    canvas.add(unit_flux(band * clumps), 1 - core, between(rng, (2.2, 2.9)))
    return Shape(axis_ratio=ratio, angle=angle, arms=0, bar=0)


def shells(canvas: Canvas, rng: np.random.Generator) -> Shape:
    """Draw an elliptical galaxy with sharp-edged shells on alternating sides, left by a companion."""
    ratio, angle = between(rng, (0.7, 0.95)), between(rng, (0, 180))
    shells_share = between(rng, (0.22, 0.34))
    canvas.add(sersic(canvas.plane, 3.5, canvas.galaxy.radius, ratio, angle), 1 - shells_share, 0.15)
    radius, azimuth = canvas.plane.disk(angle, ratio)
    light = np.zeros_like(radius)
    edge = between(rng, (1.6, 2.2)) * canvas.galaxy.radius
    for number in range(int(rng.integers(2, 4))):
        side = np.cos(azimuth - np.float32(pi * number + rng.normal(0, 0.2)))
        wedge = 1 / (1 + np.exp(np.float32(-9) * (side - np.float32(between(rng, (0.2, 0.5))))))
        inside = np.clip((np.float32(edge) - radius) / np.float32(0.05 * edge), -20, 20)
        light += (
            wedge
            * np.exp(-np.abs(radius - np.float32(edge)) / np.float32(0.16 * edge))
            / (1 + np.exp(-inside))
        )
        edge *= between(rng, (1.3, 1.5))
    canvas.add(unit_flux(light), shells_share, between(rng, (0.2, 0.5)))
    return Shape(axis_ratio=ratio, angle=angle, arms=0, bar=0)


def satellite_trail(flux: Flux, plane: Plane, rng: np.random.Generator) -> None:
    """Draw a straight trail across one band: a satellite passed during one exposure."""
    _, across = plane.aligned(between(rng, (0, 180)))
    width = max(between(rng, (0.4, 0.6)), 0.5 * plane.step)
    profile = np.exp(-0.5 * ((across - np.float32(rng.normal(0, 5))) / np.float32(width)) ** 2)
    band = int(rng.integers(3))
    flux[band] += np.float32(between(rng, (0.15, 0.9)) / DISPLAY_GAIN[band]) * profile


def saturated_star(flux: Flux, plane: Plane, rng: np.random.Generator) -> None:
    """Draw a star too bright for the detector: broad wings, two spikes, a bleeding column."""
    away, where = between(rng, (7, 14)), between(rng, (0, 2 * pi))
    here = plane.moved(away * cos(where), away * sin(where))
    radius2 = here.x**2 + here.y**2
    bleed = np.exp(-0.5 * (here.x / np.float32(max(0.45, 0.5 * plane.step))) ** 2)
    spike = np.exp(
        -0.5 * (here.y / np.float32(max(0.3, 0.5 * plane.step))) ** 2 - np.abs(here.x) / np.float32(9)
    )
    power = between(rng, (6.0, 14.0))
    for band, (wings, column, streak) in enumerate(((0.8, 1.2, 0.25), (1.0, 0.05, 0.25), (1.0, 0.05, 0.25))):
        wing = np.float32(power * wings) * (1 + radius2 / np.float32(1.1)) ** np.float32(-1.8)
        flux[band] += wing + np.float32(column) * bleed + np.float32(streak) * spike


def missing_band(flux: Flux, plane: Plane, rng: np.random.Generator) -> None:
    """Blank one band over half of the frame: an exposure ended at a detector's edge."""
    along, _ = plane.aligned(90.0 * int(rng.integers(4)))
    flux[int(rng.integers(3))][along > np.float32(rng.normal(0, 3))] = 0.0


PHYSICAL: dict[str, tuple[Population, Recipe]] = {
    "lens": (Population(-22.6, 0.4, 19.2, 0.9, 0.1, early=True, stretch=0.6, redshifts=(0.22, 0.30)), lens),
    "ring": (Population(-21.0, 0.6, 16.6, 3.6, 1.4), ring),
    "shells": (Population(-22.2, 0.5, 16.2, 3.0, 0.15, early=True), shells),
    "merger": (Population(-21.9, 0.7, 16.6, 3.0, 0.6), merger),
}
ARTEFACTS: dict[str, Strike] = {
    "satellite_trail": satellite_trail,
    "saturated_star": saturated_star,
    "missing_band": missing_band,
}

MIXES: dict[str, dict[str, int]] = {
    "galaxy_zoo2": {"merger": 378, "ring": 69, "shells": 15, "lens": 6, **dict.fromkeys(ARTEFACTS, 156)},
    "rare": dict.fromkeys(("lens", "ring", "shells", *ARTEFACTS), 1),
}
"""How often each type occurs, relative to the others of its mix.

Source of `galaxy_zoo2`: the published classes (`gz2_class` of Hart et al. 2016, MNRAS 461, 3663) of the 189 odd
objects in `galaxy_zoo2_odd.h5`: merger 126, ring 23, disturbed 5, lens or arc 2. Shells stand for the disturbed;
other odd (17), irregular (13) and dust lane (3) have no counterpart here. Deviation: these objects come from a
sample that was drawn rich in mergers, so they are no shares of the sky. Artefacts, of which no frequencies are
published, are as many as the others together, equally many of each.
"""


def anomaly_types(mix: str, count: int) -> list[str]:
    """Deal so many anomalies out by type; the first of them are the same however many there are.

    Each goes to the type that lags most behind its share, of equals to the first, so that no count is ever off by
    more than one.
    """
    weights = MIXES[mix]
    total, dealt = sum(weights.values()), dict.fromkeys(weights, 0)
    types = list[str]()
    for number in range(1, count + 1):
        name = max(weights, key=lambda each: number * weights[each] - total * dealt[each])
        dealt[name] += 1
        types.append(name)
    return types
