"""The chain from a profile to pixels against frozen values of an independent integration.

The reference functions know only the formulas of Sérsic and Moffat and `scipy.integrate`: neither a grid, nor a
Fourier transform, nor a closed-form normalisation. `REFERENCE` holds what they gave, once.
"""

import itertools

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq

from astrojepa_bench.data.synthetic.profiles import sersic
from astrojepa_bench.data.synthetic.scene import Survey
from astrojepa_bench.data.synthetic.survey import blurred, moffat_transfer

NATIVE = Survey(seed=0, balance="uniform", size_px=224, fov_arcsec=224 * 0.262)
SMALL = Survey(seed=0, balance="uniform", size_px=64, fov_arcsec=40.0)
APERTURE = 3.0  # arcsec

# (index, half-light radius ["], axis ratio, FWHM ["]): mean surface brightness of the central pixel of 0.262" and
# of 0.625" [flux per square arcsec], flux within 3", half-light radius ["] of the blurred profile (round ones).
REFERENCE = {
    (1.0, 3.0, 1.0, 1.2): (0.0322487, 0.0317922, 0.474151, 3.14611),
    (4.0, 3.0, 1.0, 1.2): (0.0755008, 0.0717315, 0.480867, 3.1909),
    (2.5, 1.8, 1.0, 1.8): (0.0631068, 0.0616026, 0.610912, 2.3579),
    (1.6, 3.3, 0.3, 1.2): (0.0732019, 0.0706462, 0.605755, None),
    (4.0, 2.4, 0.7, 1.33): (0.0925581, 0.0882857, 0.579342, None),
}


def intrinsic(n, radius, ratio):
    """Surface brightness of unit flux by elliptical radius, normalised by quadrature alone."""
    ring = lambda r, b: r * np.exp(-b * r ** (1 / n))  # noqa: E731
    light = lambda b, *limits: quad(ring, *limits, args=(b,), epsabs=1e-13, limit=200)[0]  # noqa: E731
    b = brentq(lambda b: light(b, 0, 1) / (light(b, 0, 1) + light(b, 1, np.inf)) - 0.5, 0.5 * n, 2.5 * n)
    total = 2 * np.pi * ratio * radius**2 * (light(b, 0, 1) + light(b, 1, np.inf))
    return lambda r: np.exp(-b * (r / radius) ** (1 / n)) / total


def seen(x, y, case):
    """Surface brightness behind a Moffat profile: the light of every ring of the galaxy, spread by it."""
    n, radius, ratio, fwhm = case
    profile, core = intrinsic(n, radius, ratio), fwhm / 2 / np.sqrt(2 ** (1 / 3.5) - 1)

    def from_place(angle, t):
        r = t**3  # gathers the nodes where a cuspy profile is steep
        away = (x - r * np.cos(angle)) ** 2 + (y - ratio * r * np.sin(angle)) ** 2
        moffat = 2.5 / (np.pi * core**2) * (1 + away / core**2) ** -3.5
        return moffat * profile(r) * ratio * r * 3 * t**2

    pieces = (0, 0.8, 1.3, 2.2, 6.0)  # to 216 arcsec
    return sum(
        dblquad(from_place, low, high, 0, 2 * np.pi, epsabs=1e-9, epsrel=1e-7)[0]
        for low, high in itertools.pairwise(pieces)
    )


def central_pixel(side, case):
    """Mean surface brightness over the pixel in the middle."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    x, w = (nodes + 1) * side / 4, weights / 2  # a quarter of the pixel: the galaxy is symmetric
    return sum(w[i] * w[j] * seen(x[i], x[j], case) for i in range(4) for j in range(4))


def aperture_flux(case):
    """Flux within a circle."""
    nodes, weights = np.polynomial.legendre.leggauss(10)
    r, wr = (nodes + 1) * APERTURE / 2, weights * APERTURE / 2
    angle, wa = (nodes + 1) * np.pi / 4, weights * np.pi / 4
    places = [(i, j) for i in range(10) for j in range(10)]
    cells = (
        wr[i] * r[i] * wa[j] * seen(r[i] * np.cos(angle[j]), r[i] * np.sin(angle[j]), case) for i, j in places
    )
    return 4 * sum(cells)


def blurred_half_light_radius(case):
    """Radius of the circle that holds half of the flux of a round galaxy."""
    r = np.linspace(0, 3 * case[1], 60)
    growth = CubicSpline(r, [2 * np.pi * s * seen(s, 0.0, case) for s in r]).antiderivative()
    return brentq(lambda s: growth(s) - 0.5, 0.2 * case[1], 3 * case[1])


def drawn(survey, case):
    """Light of the same galaxy from the simulator's own chain, centred on a pixel; and its sampling grid."""
    n, radius, ratio, fwhm = case
    plane = survey.canvas_plane().moved(survey.pixel_arcsec / 2, survey.pixel_arcsec / 2)
    light = sersic(plane, n, radius, ratio, 90.0)
    return blurred(light, moffat_transfer(len(plane.x), plane.step, fwhm)), plane


@pytest.mark.parametrize(("survey", "place", "rel"), [(NATIVE, 0, 0.002), (SMALL, 1, 0.01)])
@pytest.mark.parametrize("case", REFERENCE)
def test_central_pixel_behind_the_atmosphere(case, survey, place, rel):
    """The central pixel agrees with the integral within 0.2 % on the survey's pixels, 1 % on 0.625 arcsec."""
    light, _ = drawn(survey, case)
    middle = survey.to_pixels(light)[survey.size_px // 2 - 1, survey.size_px // 2] / 0.262**2
    assert middle == pytest.approx(REFERENCE[case][place], rel=rel)


@pytest.mark.parametrize("case", REFERENCE)
def test_flux_in_an_aperture_behind_the_atmosphere(case):
    """The flux within 3 arcsec agrees with the integral within 1.5 % (whole pixels are in or out)."""
    light, plane = drawn(NATIVE, case)
    assert light[np.hypot(plane.x, plane.y) < APERTURE].sum() == pytest.approx(REFERENCE[case][2], rel=0.015)


@pytest.mark.parametrize("case", [case for case in REFERENCE if case[2] == 1])
def test_half_light_radius_behind_the_atmosphere(case):
    """Half of all flux lies within the radius that the integral says, to 1.5 %."""
    light, plane = drawn(NATIVE, case)
    order = np.argsort(np.hypot(plane.x, plane.y), axis=None)
    growth = np.cumsum(light.ravel()[order], dtype=float)
    radius = np.hypot(plane.x, plane.y).ravel()[order][np.searchsorted(growth, 0.5)]
    assert radius == pytest.approx(REFERENCE[case][3], rel=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFERENCE)
def test_reference_values_are_those_of_the_integration(case):
    """The frozen values come out of the functions above again, to a part in ten thousand."""
    again = [central_pixel(0.262, case), central_pixel(0.625, case), aperture_flux(case)]
    again += [blurred_half_light_radius(case)] if case[2] == 1 else []
    assert again == pytest.approx(REFERENCE[case][: len(again)], rel=1e-4)
