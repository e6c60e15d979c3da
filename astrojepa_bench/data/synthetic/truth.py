"""What is true of a drawn galaxy: physical parameters, and which patches it covers."""

from __future__ import annotations

from math import isnan

import numpy as np
from jaxtyping import UInt8

from astrojepa_bench.data.synthetic.canvas import Canvas, Shape
from astrojepa_bench.data.synthetic.profiles import Light, half_light_radius
from astrojepa_bench.data.synthetic.survey import NATIVE_ARCSEC, Conditions

COVERAGE_CELLS = 16
ISOPHOTE = 10 ** (0.4 * (22.5 - 25.0))  # nmgy per square arcsec at 25 mag per square arcsec

TRUTHS = {
    "redshift": "of the galaxy; of the nearer one, for a lens, whose other truths are the nearer one's too",
    "magnitude_g": "apparent AB magnitude of all the galaxy's light",
    "magnitude_r": "likewise",
    "magnitude_z": "likewise",
    "absolute_magnitude_r": "in the rest frame, H0 = 70",
    "half_light_radius_arcsec": "semi-major axis of the ellipse of the galaxy's shape that holds half of its "
    "r light, above the atmosphere; a circle's radius where no shape is defined (disturbed, merging)",
    "axis_ratio": "minor over major axis: of the light, or of the inclined disk (cosine of its inclination)",
    "bulge_fraction": "share of the bulge in the r light; NaN for galaxies of one component",
    "sersic_index": "where one Sérsic profile is the galaxy",
    "arm_number": "number of spiral arms, 0 for smooth galaxies; NaN where arms cannot be counted",
    "pitch_angle_deg": "of the spiral arms",
    "bar_strength": "share of the bar in the r light, 0 without a bar",
    "position_angle_deg": "of the major axis, from north through east, 0 to 180",
    "psf_fwhm_g_arcsec": "full width at half maximum of the point-spread function",
    "psf_fwhm_r_arcsec": "likewise",
    "psf_fwhm_z_arcsec": "likewise",
    "noise_g_nmgy": "standard deviation of the sky in a pixel of 0.262 arcsec",
    "noise_r_nmgy": "likewise",
    "noise_z_nmgy": "likewise",
}
"""Columns of truth by name, and what they mean; NaN where a question makes no sense."""


def truth(canvas: Canvas, shape: Shape, conditions: Conditions) -> dict[str, float]:
    """Collect what is true of a galaxy, by the names in `TRUTHS`."""
    galaxy = canvas.galaxy
    z, r, g = shape.magnitudes or canvas.magnitudes()
    values = (
        galaxy.redshift, g, r, z, galaxy.absolute, half_light(canvas, shape), shape.axis_ratio, shape.bulge,
        shape.sersic, shape.arms, shape.pitch, shape.bar, shape.angle,
        *reversed(conditions.seeing), *reversed(conditions.noise),
    )  # fmt: skip
    return dict(zip(TRUTHS, values, strict=True))


def half_light(canvas: Canvas, shape: Shape) -> float:
    """Return the half-light radius [arcsec] that the shape states, or else measure it on the canvas."""
    if not isnan(shape.half_light):
        return shape.half_light
    tilt = (0.0, 1.0) if isnan(shape.axis_ratio) else (shape.angle, shape.axis_ratio)
    return half_light_radius(canvas.light[1], canvas.plane, *tilt)


def coverage(target: Light) -> UInt8[np.ndarray, "16 16"]:
    """Measure how much of each cell the galaxy covers [percent]."""
    inside = (target > ISOPHOTE * NATIVE_ARCSEC**2).astype(np.float32)
    edges = np.linspace(0, len(target), COVERAGE_CELLS + 1).astype(int)[:-1]
    counts = np.add.reduceat(np.add.reduceat(inside, edges, axis=0), edges, axis=1)
    areas = np.add.reduceat(np.add.reduceat(np.ones_like(inside), edges, axis=0), edges, axis=1)
    return np.rint(100 * counts / areas).astype(np.uint8)
