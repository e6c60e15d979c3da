"""Distances, magnitudes and colours of galaxies at a redshift.

A galaxy's stars are described by one number, the spectral type: 0 elliptical, 1 Sbc, 2 Scd, 3 irregular;
fractions lie between. Bands are in display order: z, r, g.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

HUBBLE = 70.0  # km/s/Mpc
MATTER = 0.3
LIGHT_SPEED = 299792.458  # km/s

# Columns are the four types. Colours at z = 0 follow the observed locus; the increments with redshift are
# those of the templates of Coleman, Wu & Weedman 1980 in the survey's filters (their own r - z is wrong
# for blue galaxies, whose arms would turn lavender).
REDSHIFTS = np.array([0.0, 0.05, 0.10, 0.15, 0.20, 0.30])
G_MINUS_R = np.array([0.76, 0.58, 0.43, 0.22]) + np.array(
    [[0, 0, 0, 0], [0.09, 0.04, 0.03, -0.01], [0.18, 0.08, 0.09, 0.04], [0.31, 0.16, 0.18, 0.16],
     [0.49, 0.26, 0.27, 0.23], [0.78, 0.46, 0.45, 0.37]]
)  # fmt: skip
R_MINUS_Z = np.array([0.62, 0.47, 0.30, 0.06]) + np.array(
    [[0, 0, 0, 0], [0, -0.01, 0.02, -0.01], [0.05, -0.02, 0.03, -0.05], [0.10, -0.02, 0.03, -0.11],
     [0.15, -0.03, 0.05, -0.13], [0.27, -0.01, 0.09, -0.17]]
)  # fmt: skip
K_R = np.array(
    [[0, 0, 0, 0], [0.06, 0.03, 0.01, 0], [0.13, 0.06, 0.02, -0.01], [0.20, 0.09, 0.01, -0.09],
     [0.26, 0.11, 0.02, -0.10], [0.45, 0.18, 0.06, -0.13]]
)  # fmt: skip

_Z = np.linspace(0.0, 0.6, 601)
_INVERSE_E = 1.0 / np.sqrt(MATTER * (1 + _Z) ** 3 + 1 - MATTER)
_COMOVING = (  # Mpc, trapezium rule
    LIGHT_SPEED
    / HUBBLE
    * np.concatenate([[0.0], np.cumsum((_INVERSE_E[1:] + _INVERSE_E[:-1]) / 2 * np.diff(_Z))])
)


def comoving_distance(redshift: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    """Comoving distance [Mpc] in a flat universe with H0 = 70 and Ωm = 0.3, up to redshift 0.6."""
    return np.interp(redshift, _Z, _COMOVING)


def distance_modulus(redshift: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    """Apparent minus absolute magnitude [mag], before the K-correction."""
    return 5 * np.log10(comoving_distance(redshift) * (1 + redshift)) + 25


def kpc_per_arcsec(redshift: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    """Proper size of one arcsecond [kpc] at a redshift."""
    return comoving_distance(redshift) / (1 + redshift) * 1000 * np.pi / (180 * 3600)


def k_correction(redshift: Float[np.ndarray, " row"], spectral_type: float) -> Float[np.ndarray, " row"]:
    """K-correction [mag] of the r band: how much fainter a galaxy looks than its distance alone makes it."""
    return _bilinear(K_R, redshift, spectral_type)


def colours(redshift: float, spectral_type: float) -> tuple[float, float]:
    """Observed colours g - r and r - z [mag] of stars of one type at a redshift."""
    z = np.array([redshift])
    return (
        float(_bilinear(G_MINUS_R, z, spectral_type)[0]),
        float(_bilinear(R_MINUS_Z, z, spectral_type)[0]),
    )


def _bilinear(
    table: Float[np.ndarray, "step token"], redshift: Float[np.ndarray, " row"], spectral_type: float
) -> Float[np.ndarray, " row"]:
    left = min(int(spectral_type), 2)
    share = spectral_type - left
    column = (1 - share) * table[:, left] + share * table[:, left + 1]
    return np.interp(redshift, REDSHIFTS, column)


def nanomaggies(magnitude: float) -> float:
    """Flux [nmgy] of an AB magnitude; 22.5 mag is one nanomaggy."""
    return float(10 ** (0.4 * (22.5 - magnitude)))


def band_fluxes(flux_r: float, g_minus_r: float, r_minus_z: float) -> tuple[float, float, float]:
    """Fluxes in z, r, g [unit of `flux_r`] of a source of given colours [mag]."""
    return flux_r * 10 ** (0.4 * r_minus_z), flux_r, flux_r * 10 ** (-0.4 * g_minus_r)
