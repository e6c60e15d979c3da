"""What the survey does to the sky: seeing, noise, and what else lies in the field.

Distributions follow the DECam Legacy Survey's catalogues.
Source: noise from Stein et al. 2021 (arXiv 2110.00023), fits to the sweep catalogues; sizes of the
point-spread function are theirs times 0.9, because a catalogue's sizes include the wings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy.fft import irfft2, rfft2

from astrojepa_bench.data.synthetic.canvas import splat
from astrojepa_bench.data.synthetic.photometry import band_fluxes, colours, nanomaggies
from astrojepa_bench.data.synthetic.profiles import Light, Plane, sersic

NATIVE_ARCSEC = 0.262  # the survey's pixel; images hold nmgy per native pixel
MOFFAT_BETA = 3.5
ELECTRONS_PER_NMGY = 1e4

# Rows: z, r, g.
_NOISE = ((0.1335, -0.01434, 0.02608), (0.2431, -0.00237, 0.00674), (0.2265, -0.00067, 0.00376))
_SEEING = (
    (1.24 * 0.9, 0.144),
    (1.33 * 0.9, 0.128),
    (1.48 * 0.9, 0.115),
)  # median ["], scatter of the logarithm

# Objects besides the target, per square arcminute of a real field, and how near to the target they may lie.
_FIELD_GALAXIES = 9.0 / (67 / 60) ** 2
_STARS = 2.5 / (67 / 60) ** 2
_CLEAR_ARCSEC = 6.0
_FIELD_ARCSEC = 67.0  # always populated this far, so that a wider frame shows the same objects


@dataclass(frozen=True)
class Conditions:
    """How one image was taken, in the bands z, r, g.

    Attributes:
        seeing: full width at half maximum of the point-spread function [arcsec].
        noise: standard deviation of the sky [nmgy per native pixel].
    """

    seeing: tuple[float, ...]
    noise: tuple[float, ...]


def draw_conditions(rng: np.random.Generator) -> Conditions:
    """Draw seeing and noise; half of the variance of the seeing is common to the three bands."""
    common, own = rng.standard_normal(), rng.standard_normal(3)
    seeing = [m * np.exp(s * (common + w) / np.sqrt(2)) for (m, s), w in zip(_SEEING, own, strict=True)]
    deviates = np.clip(rng.standard_normal(3), -2.3, 2.3)
    noise = [loc + scale * np.exp(s * w) for (s, loc, scale), w in zip(_NOISE, deviates, strict=True)]
    return Conditions(tuple(float(v) for v in seeing), tuple(float(v) for v in noise))


def moffat_transfer(side: int, step: float, fwhm: float) -> Float[np.ndarray, "height frequency"]:
    """Fourier transform of a Moffat profile (β = 3.5) on a grid of `side` pixels of `step` arcsec.

    With β = 3.5 the transform x^{5/2} K_{5/2}(x) is elementary: e^-x (1 + x + x²/3), x = 2π f a.

    Source: Moffat 1969, A&A 3, 455; its transform, Trujillo et al. 2001, MNRAS 328, 977.
    """
    core = fwhm / (2 * (2 ** (1 / MOFFAT_BETA) - 1) ** 0.5)
    x = _frequencies(side, step) * np.float32(2 * np.pi * core)
    return np.exp(-x) * (1 + x + x * x / 3)


@lru_cache(maxsize=4)
def _frequencies(side: int, step: float) -> Float[np.ndarray, "height frequency"]:
    along, across = np.fft.fftfreq(side, step), np.fft.rfftfreq(side, step)
    return np.hypot(along[:, None], across[None, :]).astype(np.float32)


def blurred(light: Light, transfer: Float[np.ndarray, "height frequency"]) -> Light:
    """Convolve light with a point-spread function (periodic: keep a margin)."""
    waves: Complex[np.ndarray, "height frequency"] = rfft2(light)
    return np.asarray(irfft2(waves * transfer, s=light.shape), dtype=np.float32)


def draw_field(rng: np.random.Generator, plane: Plane) -> Float[np.ndarray, "band height width"]:
    """Draw faint galaxies and stars around a target that stands alone [nmgy per pixel]."""
    side = max(_FIELD_ARCSEC, float(np.ptp(plane.x)))
    light = np.zeros((3, *plane.x.shape), dtype=np.float32)
    for x, y, magnitude in _placed(rng, _FIELD_GALAXIES, side, (20.0, 23.3), 0.4):
        _add_galaxy(light, plane, x, y, magnitude, rng)
    stars = _placed(rng, _STARS, side, (14.8, 22.0), 0.15)
    redness = rng.random(len(stars))
    g_r, r_z = 0.25 + 1.2 * redness, 0.05 + 0.5 * redness + 0.7 * redness**4  # the locus of stars
    magnitudes = np.stack([stars[:, 2] - r_z, stars[:, 2], stars[:, 2] + g_r])
    for band, flux in enumerate(10 ** (0.4 * (22.5 - magnitudes))):
        light[band] += splat(plane, stars[:, 0], stars[:, 1], flux)
    return light


def _placed(
    rng: np.random.Generator, density: float, side: float, limits: tuple[float, float], slope: float
) -> Float[np.ndarray, "row 3"]:
    """Draw positions and magnitudes of a Poisson number of objects whose counts grow as 10^(slope·m)."""
    number = rng.poisson(density * (side / 60) ** 2)
    position = rng.uniform(-side / 2, side / 2, (number, 2))
    low, high = 10 ** (slope * limits[0]), 10 ** (slope * limits[1])
    magnitude = np.log10(low + (high - low) * rng.random(number)) / slope
    clear = np.hypot(*position.T) > _CLEAR_ARCSEC
    return np.column_stack([position, magnitude])[clear]


def _add_galaxy(
    light: Float[np.ndarray, "band height width"],
    plane: Plane, x: float, y: float, magnitude: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    size = float(np.exp(rng.normal(np.log(0.55), 0.35)))
    g_r, r_z = colours(float(rng.uniform(0.1, 0.3)), float(rng.uniform(0, 3)))
    ratio, angle = float(rng.uniform(0.35, 1)), float(rng.uniform(0, 180))
    stamp = _stamp(plane, x, y, 4 * size + 2)
    if stamp is None:
        return
    drawn = sersic(stamp[1].moved(x, y), 1.0, size, ratio, angle)
    for band, flux in enumerate(band_fluxes(nanomaggies(magnitude), g_r, r_z)):
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
