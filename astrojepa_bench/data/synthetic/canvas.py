"""What a recipe draws a galaxy on: light in three bands, component by component, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from jaxtyping import Float

from astrojepa_bench.data.synthetic.photometry import band_fluxes, colours, nanomaggies
from astrojepa_bench.data.synthetic.population import Galaxy
from astrojepa_bench.data.synthetic.profiles import Light, Plane

EXTINCTION = (0.45, 0.80, 1.15)  # optical depth of dust in z, r, g for one unit of dust


@dataclass(frozen=True)
class Shape:
    """What is true of a galaxy's shape; NaN where the question makes no sense.

    Attributes:
        half_light: half-light radius along the major axis [arcsec]; NaN asks for a measurement.
        axis_ratio: minor over major axis.
        angle: position angle [deg].
        bulge: share of the light in the bulge.
        arms: number of spiral arms.
        pitch: their pitch angle [deg].
        bar: share of the light in the bar.
        sersic: Sérsic index, where one profile describes the galaxy.
        magnitudes: of the galaxy in z, r, g, where light that is not its own is drawn with it.
    """

    half_light: float = nan
    axis_ratio: float = nan
    angle: float = nan
    bulge: float = nan
    arms: float = nan
    pitch: float = nan
    bar: float = nan
    sersic: float = nan
    magnitudes: tuple[float, ...] = ()


class Canvas:
    """Light of one galaxy in the bands z, r, g [nmgy per pixel], before the atmosphere.

    Attributes:
        plane: positions of the pixels relative to the galaxy.
        galaxy: whose light it is.
        light: what has been drawn so far.
    """

    def __init__(self, plane: Plane, galaxy: Galaxy) -> None:
        self.plane = plane
        self.galaxy = galaxy
        self.flux = nanomaggies(galaxy.magnitude)
        self.light: Float[np.ndarray, "band height width"] = np.zeros((3, *plane.x.shape), dtype=np.float32)

    def add(self, shape: Light, share: float, spectral_type: float) -> None:
        """Add a component of unit flux that holds `share` of the galaxy's r light."""
        g_r, r_z = colours(self.galaxy.redshift, spectral_type)
        offset = self.galaxy.colour_offset
        fluxes = band_fluxes(self.flux * share, g_r + offset[0], r_z + offset[1])
        for band, flux in enumerate(fluxes):
            self.light[band] += np.float32(flux) * shape

    def add_points(
        self,
        x: Float[np.ndarray, " row"],
        y: Float[np.ndarray, " row"],
        weights: Float[np.ndarray, " row"],
        share: float,
        spectral_type: float,
    ) -> None:
        """Add points of light at positions [arcsec], `share` of the r light between them by weight."""
        points = splat(self.plane, x, y, weights / weights.sum())
        self.add(points, share, spectral_type)

    def dim(self, dust: Light) -> None:
        """Redden what has been drawn by a sheet of dust; its r flux is kept, as magnitudes are observed."""
        before = float(self.light[1].sum())
        for band, depth in enumerate(EXTINCTION):
            self.light[band] *= np.exp(np.float32(-depth) * dust)
        self.light *= np.float32(before / float(self.light[1].sum()))

    def magnitudes(self) -> tuple[float, ...]:
        """Apparent magnitudes in z, r, g: the galaxy's own in r, and the colours of what has been drawn."""
        sums = self.light.sum(axis=(1, 2), dtype=np.float64)
        return tuple((self.galaxy.magnitude - 2.5 * np.log10(sums / sums[1])).tolist())


def splat(
    plane: Plane,
    x: Float[np.ndarray, " row"],
    y: Float[np.ndarray, " row"],
    flux: Float[np.ndarray, " row"],
) -> Light:
    """Put points of light on a grid, shared among the four nearest pixels; points off the grid are lost."""
    image = np.zeros(plane.x.shape, dtype=np.float32)
    column = (x - float(plane.x[0, 0])) / plane.step
    row = (float(plane.y[0, 0]) - y) / plane.step
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    height, width = plane.x.shape
    inside = (left >= 0) & (top >= 0) & (left < width - 1) & (top < height - 1)
    left, top, flux = left[inside], top[inside], flux[inside]
    right_share, low_share = column[inside] - left, row[inside] - top
    for down, vertical in ((0, 1 - low_share), (1, low_share)):
        for right, horizontal in ((0, 1 - right_share), (1, right_share)):
            np.add.at(image, (top + down, left + right), flux * vertical * horizontal)
    return image
