"""Which galaxies there are: class, redshift, luminosity and size, as a survey with a limit finds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.synthetic.photometry import distance_modulus, k_correction, kpc_per_arcsec

CLASS_NAMES = (
    "Disturbed",
    "Merging",
    "Round Smooth",
    "In-between Round Smooth",
    "Cigar Shaped Smooth",
    "Barred Spiral",
    "Unbarred Tight Spiral",
    "Unbarred Loose Spiral",
    "Edge-on without Bulge",
    "Edge-on with Bulge",
)
GALAXY10_COUNTS = (1081, 1853, 2645, 2027, 334, 2043, 1829, 2628, 1423, 1873)

BRIGHTEST = 14.2  # mag in r; nearer galaxies outgrow the frame
LARGEST_ARCSEC = 7.5
SIZE_SCATTER = 0.3  # standard deviation of ln R at fixed luminosity
COLOUR_SCATTER = 0.03  # mag, in each colour
_GOLDEN = (5**0.5 - 1) / 2
_PARTS = 8  # in which candidates are examined


@dataclass(frozen=True)
class Population:
    """One class as the survey sees it.

    Attributes:
        luminosity: mean of the absolute r magnitude.
        scatter: its standard deviation [mag].
        faintest: limit of the apparent r magnitude.
        smallest_arcsec: least half-light radius.
        spectral_type: type of the bulk of the light (for the K-correction).
        early: whether sizes follow the relation of early-type galaxies.
        stretch: factor on the size.
        redshifts: least and greatest redshift.
    """

    luminosity: float
    scatter: float
    faintest: float
    smallest_arcsec: float
    spectral_type: float
    early: bool = False
    stretch: float = 1.0
    redshifts: tuple[float, float] = (0.005, 0.26)


POPULATIONS = (
    Population(-20.3, 0.9, 16.6, 3.4, 1.6),
    Population(-21.9, 0.7, 16.6, 3.0, 0.6),
    Population(-21.7, 0.7, 17.4, 1.5, 0.15, early=True),
    Population(-21.3, 0.8, 17.3, 1.8, 0.25, early=True),
    Population(-20.6, 0.7, 17.2, 2.2, 0.30, early=True, stretch=1.25),
    Population(-21.4, 0.6, 16.5, 3.8, 0.9),
    Population(-21.6, 0.6, 16.4, 3.8, 0.9),
    Population(-20.9, 0.7, 16.4, 3.6, 1.4),
    Population(-20.2, 0.8, 16.9, 3.8, 1.6),
    Population(-21.3, 0.7, 16.6, 3.3, 0.5),
)
# Of every class where populations are matched: bright and large enough for the faintest arm and bar to show.
SHARED = Population(-21.4, 0.8, 16.5, 4.0, 0.9)


@dataclass(frozen=True)
class Galaxy:
    """A galaxy before it gets a shape.

    Attributes:
        redshift: its redshift.
        magnitude: apparent r magnitude of all its light.
        absolute: absolute r magnitude, after the K-correction of its population.
        radius: half-light radius the size relation gives it [arcsec].
        colour_offset: its own deviation in g - r and r - z [mag].
    """

    redshift: float
    magnitude: float
    absolute: float
    radius: float
    colour_offset: tuple[float, float]


def class_of(index: int, balance: str) -> int:
    """Return the class of galaxy `index`, however many galaxies there are.

    `uniform` deals the classes in turn, within each eighth of the table that shares a split; `galaxy10`
    follows the class shares of Galaxy10 DECaLS with a low-discrepancy sequence, so that every split holds
    them closely.
    """
    if balance == "uniform":
        return (index // 8 + index) % len(CLASS_NAMES)
    shares = np.cumsum(GALAXY10_COUNTS) / sum(GALAXY10_COUNTS)
    return int(np.searchsorted(shares, (index + 0.5) * _GOLDEN % 1.0, side="right"))


def half_light_kpc(magnitude: Float[np.ndarray, " row"], early: bool) -> Float[np.ndarray, " row"]:
    """Median half-light radius [kpc] at an absolute r magnitude.

    Source: Shen et al. 2003, MNRAS 343, 978, equations 14 and 15 (3.6 kpc at -21 for late types, 3.4 kpc
    at -21.5 for early types). Deviation: one scatter for all luminosities.
    """
    if early:
        return 10 ** (-0.4 * 0.60 * magnitude - 4.63)
    bright = 0.25 * np.log10(1 + 10 ** (-0.4 * (magnitude + 20.91)))
    return 10 ** (-0.4 * 0.26 * magnitude + bright - 1.71)


def draw_galaxy(population: Population, rng: np.random.Generator) -> Galaxy:
    """Draw redshift, magnitude and size: uniform in volume, kept if bright and large enough to classify."""
    while True:
        for deviates in np.split(_deviates(population, rng), _PARTS, axis=1):  # the first part often suffices
            candidates = _candidates(population, deviates)
            _, magnitudes, _, radii = candidates
            bright = (magnitudes > BRIGHTEST) & (magnitudes < population.faintest)
            large = (radii > population.smallest_arcsec) & (radii < LARGEST_ARCSEC)
            kept = np.flatnonzero(bright & large)
            if kept.size:
                redshift, magnitude, absolute, radius = candidates[:, kept[0]].tolist()
                offsets = rng.normal(0.0, COLOUR_SCATTER, 2)
                return Galaxy(redshift, magnitude, absolute, radius, (float(offsets[0]), float(offsets[1])))


def _deviates(
    population: Population, rng: np.random.Generator, rows: int = 1024
) -> Float[np.ndarray, "3 row"]:
    """Draw the cube of the redshift, the absolute magnitude, and the deviation in size."""
    near, far = (limit**3 for limit in population.redshifts)
    cubes = near + (far - near) * rng.random(rows)
    absolute = rng.normal(population.luminosity, population.scatter, rows)
    return np.stack([cubes, absolute, rng.standard_normal(rows)])


def _candidates(population: Population, deviates: Float[np.ndarray, "3 row"]) -> Float[np.ndarray, "4 row"]:
    redshift, absolute = np.cbrt(deviates[0]), deviates[1]
    apparent = absolute + distance_modulus(redshift) + k_correction(redshift, population.spectral_type)
    kpc = half_light_kpc(absolute, population.early) * np.exp(SIZE_SCATTER * deviates[2])
    return np.stack([redshift, apparent, absolute, population.stretch * kpc / kpc_per_arcsec(redshift)])
