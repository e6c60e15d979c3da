"""What else lies in the frame: faint galaxies and stars."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.synthetic.canvas import splat
from astrojepa_bench.data.synthetic.photometry import band_fluxes, colours, nanomaggies
from astrojepa_bench.data.synthetic.profiles import Plane, sersic

# Objects besides the target, per square arcminute of a real field, and how near to the target they may lie.
_GALAXIES = 9.0 / (67 / 60) ** 2
_STARS = 2.5 / (67 / 60) ** 2
_CLEAR_ARCSEC = 6.0
FIELD_ARCSEC = 67.0  # side of the square that is populated in every frame, however narrow
_GROWTH = 1.5  # each further ring is this much wider than the last


def draw_field(rng: np.random.Generator, plane: Plane) -> Float[np.ndarray, "band height width"]:
    """Draw faint galaxies and stars around a target that stands alone [nmgy per pixel].

    What lies near the target is the same in every frame: wider ones add rings, each with its own stream.
    """
    light = np.zeros((3, *plane.x.shape), dtype=np.float32)
    frame = 2 * max(float(np.abs(plane.x).max()), float(np.abs(plane.y).max()))  # as seen from the target
    inner, outer = 0.0, FIELD_ARCSEC
    _populate(light, plane, rng, inner, outer)
    while outer < frame:
        inner, outer, rng = outer, _GROWTH * outer, rng.spawn(1)[0]
        _populate(light, plane, rng, inner, outer)
    return light


def _populate(
    light: Float[np.ndarray, "band height width"],
    plane: Plane, rng: np.random.Generator, inner: float, outer: float,
) -> None:  # fmt: skip
    """Add what lies between two squares around the target, of given sides [arcsec]."""
    for x, y, magnitude in _placed(rng, _GALAXIES, inner, outer, (20.0, 23.3), 0.4):
        _add_galaxy(light, plane, x, y, magnitude, rng)
    stars = _placed(rng, _STARS, inner, outer, (14.8, 22.0), 0.15)
    redness = rng.random(len(stars))
    g_r, r_z = 0.25 + 1.2 * redness, 0.05 + 0.5 * redness + 0.7 * redness**4  # the locus of stars
    magnitudes = np.stack([stars[:, 2] - r_z, stars[:, 2], stars[:, 2] + g_r])
    for band, flux in enumerate(10 ** (0.4 * (22.5 - magnitudes))):
        light[band] += splat(plane, stars[:, 0], stars[:, 1], flux)


def _placed(
    rng: np.random.Generator,
    density: float, inner: float, outer: float, limits: tuple[float, float], slope: float,
) -> Float[np.ndarray, "row 3"]:  # fmt: skip
    """Draw positions and magnitudes of a Poisson number of objects whose counts grow as 10^(slope·m)."""
    number = rng.poisson(density * (outer / 60) ** 2)
    position = rng.uniform(-outer / 2, outer / 2, (number, 2))
    low, high = 10 ** (slope * limits[0]), 10 ** (slope * limits[1])
    magnitude = np.log10(low + (high - low) * rng.random(number)) / slope
    kept = (np.hypot(*position.T) > _CLEAR_ARCSEC) & (np.abs(position).max(axis=1) >= inner / 2)
    return np.column_stack([position, magnitude])[kept]


def _add_galaxy(
    light: Float[np.ndarray, "band height width"],
    plane: Plane, x: float, y: float, magnitude: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    size = float(np.exp(rng.normal(np.log(0.55), 0.35)))
    redshift, spectral_type = float(rng.uniform(0.1, 0.3)), float(rng.uniform(0, 3))
    ratio, angle = float(rng.uniform(0.35, 1)), float(rng.uniform(0, 180))
    stamp = _stamp(plane, x, y, 4 * size + 2)
    if stamp is None:
        return
    drawn = sersic(stamp[1].moved(x, y), 1.0, size, ratio, angle)
    fluxes = band_fluxes(nanomaggies(magnitude), *colours(redshift, spectral_type))
    for band, flux in enumerate(fluxes):
        light[band][stamp[0]] += np.float32(flux) * drawn


def _stamp(plane: Plane, x: float, y: float, reach: float) -> tuple[tuple[slice, slice], Plane] | None:
    """Cut the part of the grid within `reach` of a position, or None if that lies outside."""
    column, row = (x - float(plane.x[0, 0])) / plane.step, (float(plane.y[0, 0]) - y) / plane.step
    half, (height, width) = reach / plane.step, plane.x.shape
    rows = slice(max(int(row - half), 0), min(int(row + half) + 1, height))
    columns = slice(max(int(column - half), 0), min(int(column + half) + 1, width))
    if not (0 <= row < height and 0 <= column < width):
        return None
    return (rows, columns), Plane(plane.x[rows, columns], plane.y[rows, columns], plane.step)
