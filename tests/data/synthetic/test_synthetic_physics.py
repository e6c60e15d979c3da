"""The simulated light against independent integrations, published values and measurements on pixels."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from astrojepa_bench.data.sources.stretch import viewer_stretch
from astrojepa_bench.data.synthetic.anomalies import bent
from astrojepa_bench.data.synthetic.photometry import (
    MATTER,
    colours,
    comoving_distance,
    distance_modulus,
    k_correction,
    nanomaggies,
)
from astrojepa_bench.data.synthetic.population import class_of, half_light_kpc
from astrojepa_bench.data.synthetic.profiles import (
    Arms,
    Plane,
    edge_on_disk,
    half_light_radius,
    moments,
    sersic,
    sersic_b,
)
from astrojepa_bench.data.synthetic.scene import Purpose, SceneSubject, Survey, draw, expose, paint
from astrojepa_bench.data.synthetic.survey import Conditions, blurred, draw_conditions, moffat_transfer
from astrojepa_bench.data.synthetic.truth import coverage, truth

SURVEY = Survey(seed=3, balance="uniform", size_px=64, fov_arcsec=40.0)
SKY = 32


def of_class(kind, number):
    """Return the first galaxies of a class."""
    return [SceneSubject(i) for i in range(20 * number) if class_of(i, "uniform") == kind][:number]


@pytest.fixture(scope="module")
def drawn():
    """Images and truths of some galaxies of the classes that measurements need."""
    return {kind: [draw(SURVEY, subject) for subject in of_class(kind, 24)] for kind in (2, 3, 4, 5, 6)}


def sky_subtracted(one):
    """Mean of the bands above the sky, of everything connected to the central object."""
    from scipy.ndimage import gaussian_filter, label

    image = one.image.mean(axis=0) - SKY
    objects, _ = label(gaussian_filter(image, 1) > 12)
    return np.where(objects == objects[32, 32], image, 0).astype(np.float32)


# --- profiles against integrals --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0.8, 1.0, 2.5, 4.0])
def test_sersic_holds_half_of_its_light_within_the_effective_radius(n):
    """Quadrature of the formula gives one half at r_e, and the drawn light agrees within 2 %."""
    b = sersic_b(n)
    ring = lambda r: r * np.exp(-b * r ** (1 / n))  # noqa: E731
    whole = quad(ring, 0, 1, epsabs=1e-12)[0] + quad(ring, 1, np.inf, epsabs=1e-12)[0]
    assert quad(ring, 0, 1)[0] / whole == pytest.approx(0.5, abs=1e-6)
    plane = Plane.framed(401, 0.25)
    light = sersic(plane, n, 4.0, 0.6, 30.0)
    along, across = plane.aligned(30.0)
    inside = light[np.hypot(along, across / 0.6) < 4.0].sum()
    assert inside == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(("n", "radius"), [(1.0, 2.0), (2.5, 3.0), (4.0, 3.0), (5.5, 2.0)])
def test_central_pixel_of_a_cuspy_profile_is_integrated(n, radius):
    """The central pixel, before any blur, agrees within 4 % with an adaptive integral of the formula."""
    step, b = 0.3125, sersic_b(n)
    shape = lambda y, x: np.exp(-b * (np.hypot(x, y / 0.7) / radius) ** (1 / n))  # noqa: E731
    pixel = 4 * dblquad(shape, 0, step / 2, 0, step / 2, epsabs=1e-10, epsrel=1e-6)[0]
    whole = (
        2 * np.pi * 0.7 * quad(lambda r: r * np.exp(-b * (r / radius) ** (1 / n)), 0, np.inf, limit=400)[0]
    )
    middle = sersic(Plane.framed(33, step), n, radius, 0.7, 90.0)[16, 16]
    assert middle == pytest.approx(pixel / whole, rel=0.04)


def test_edge_on_disk_is_the_integral_of_an_exponential_disk():
    """Along the midplane, light falls as the line-of-sight integral of exp(-R); all of it is one."""
    plane = Plane.framed(241, 0.25)
    light = edge_on_disk(plane, 4.0, 0.8, 90.0)
    profile = light.sum(axis=0)
    depth = lambda x: 2 * quad(lambda s: np.exp(-np.hypot(x, s)), 0, 40)[0]  # noqa: E731
    for lengths in (0.5, 1.0, 2.0, 3.0):
        expected = depth(lengths) / depth(0.25)
        here, reference = (profile[120 + round(x * 4 / 0.25)] for x in (lengths, 0.25))
        assert here / reference == pytest.approx(expected, rel=0.01)
    assert light.sum() == pytest.approx(1.0, rel=0.01)


def test_moments_and_half_light_radius_measure_a_known_ellipse():
    """On a noiseless ellipse, axis ratio, position angle and half-light radius come out within 2 %."""
    plane = Plane.framed(321, 0.25)
    light = sersic(plane, 1.0, 4.0, 0.5, 25.0)
    ratio, angle = moments(light, plane)
    assert ratio == pytest.approx(0.5, rel=0.02)
    assert angle == pytest.approx(25.0, abs=0.5)
    assert half_light_radius(light, plane, 25.0, 0.5) == pytest.approx(4.0, rel=0.02)


def test_position_angle_runs_from_north_through_east():
    """An ellipse at 30° leans to the left of up: it is bright at the upper left, not at the upper right."""
    light = sersic(Plane.framed(65, 0.5), 1.0, 4.0, 0.3, 30.0)
    assert light[32 - 14, 32 - 8] > 3 * light[32 - 14, 32 + 8]


def test_arms_have_their_pitch():
    """Along a crest, d ln r / dφ is the tangent of the pitch angle."""
    arms = Arms(number=2, pitch=17.0, inner=1.0, outer=9.0, scale=3.0, sharpness=3.0, phase=0.4)
    azimuth = arms.crest(np.array([2.0, 2.2], dtype=np.float32)).astype(float)
    assert np.degrees(np.arctan(np.log(1.1) / (azimuth[1] - azimuth[0]))) == pytest.approx(17.0, abs=0.1)


# --- the survey ------------------------------------------------------------------------------------------


def test_point_source_is_blurred_to_a_moffat_profile():
    """A star's image follows (1 + (r/a)²)^-3.5 and has the width asked for."""
    side, step, fwhm = 257, 0.1, 1.3
    star = np.zeros((side, side), dtype=np.float32)
    star[128, 128] = 1
    image = blurred(star, moffat_transfer(side, step, fwhm))
    core = fwhm / 2 / np.sqrt(2 ** (1 / 3.5) - 1)
    radius = step * np.arange(40)
    expected = (1 + (radius / core) ** 2) ** -3.5
    assert image[128, 128:168] / image[128, 128] == pytest.approx(expected, abs=2e-3)
    half = brentq(lambda r: np.interp(r, radius, image[128, 128:168]) - image[128, 128] / 2, 0, 3)
    assert 2 * half == pytest.approx(fwhm, rel=0.01)
    assert image.sum() == pytest.approx(1.0, abs=1e-4)


def test_empty_sky_lands_at_32():
    """The stretch maps zero flux to arcsinh(0.6)/√20 = 0.127, which is 32 of 255."""
    assert np.arcsinh(0.6) / np.sqrt(20) == pytest.approx(0.127, abs=5e-4)
    assert (viewer_stretch(np.zeros((3, 4, 4), dtype=np.float32)) == SKY).all()


def test_stretch_keeps_the_order_of_brightness_and_of_colours():
    """Brighter flux gives brighter pixels, and a red source stays red whatever its brightness."""
    flux = np.geomspace(0.001, 0.08, 50, dtype=np.float32).reshape(1, 5, 10) * np.ones((3, 1, 1), np.float32)
    red = viewer_stretch(flux * np.array([2.0, 1.0, 0.4], dtype=np.float32)[:, None, None]).astype(int)
    assert (np.diff(red[0].ravel()) >= 0).all()
    assert (red[0] >= red[1]).all()
    assert (red[1] >= red[2]).all()


def test_blank_frame_has_the_noise_of_its_conditions():
    """With no light, pixels scatter as the noise says, less where they average several of the survey's."""
    conditions = Conditions(seeing=(1.1, 1.2, 1.3), noise=(0.011, 0.004, 0.003))
    frame = expose(SURVEY, np.zeros((3, 64, 64), dtype=np.float32), conditions, SceneSubject(5))
    expected = np.array(conditions.noise) * 0.262 / (40 / 64)
    assert frame.std(axis=(1, 2)) == pytest.approx(expected, rel=0.05)


def test_median_of_a_drawn_frame_is_the_sky(drawn):
    """Corners of the frames, where there is nothing, lie at the sky level."""
    corners = [one.image[:, :8, :8] for one in drawn[3]]
    assert np.median(corners) == pytest.approx(SKY, abs=2)


def test_seeing_and_noise_follow_the_survey():
    """Medians of many draws are the survey's: 1.12, 1.20, 1.33 arcsec in z, r, g; .0044 nmgy in r."""
    many = [draw_conditions(np.random.default_rng([7, number])) for number in range(1500)]
    assert np.median([one.seeing for one in many], axis=0) == pytest.approx([1.116, 1.197, 1.332], rel=0.02)
    assert np.median([one.noise[1] for one in many]) == pytest.approx(0.0044, rel=0.03)
    assert np.corrcoef(np.array([one.seeing for one in many]).T)[0, 1] == pytest.approx(0.5, abs=0.07)


# --- distances, magnitudes, colours ----------------------------------------------------------------------


def test_distances_agree_with_quadrature_and_a_published_value():
    """Comoving distances agree with scipy's integral, and with astropy's 418.45 Mpc at z = 0.1."""
    for z in (0.02, 0.1, 0.3):
        exact = 299792.458 / 70 * quad(lambda t: (MATTER * (1 + t) ** 3 + 1 - MATTER) ** -0.5, 0, z)[0]
        assert comoving_distance(np.array([z]))[0] == pytest.approx(exact, rel=1e-5)
    assert comoving_distance(np.array([0.1]))[0] == pytest.approx(418.454, abs=0.01)


def test_sizes_follow_the_published_relation():
    """Half-light radii are 3.6 kpc at M = -21 for late types and 3.4 kpc at -21.5 for early types."""
    assert half_light_kpc(np.array([-21.0]), False)[0] == pytest.approx(3.6, abs=0.05)
    assert half_light_kpc(np.array([-21.5]), True)[0] == pytest.approx(3.4, abs=0.05)


def test_ellipticals_redden_with_redshift():
    """An elliptical's g - r grows by 0.18 to z = 0.1 and by 0.49 to z = 0.2; an irregular's grows less."""
    local, nearby, far = (colours(z, 0.0)[0] for z in (0.0, 0.1, 0.2))
    assert nearby - local == pytest.approx(0.18)
    assert far - local == pytest.approx(0.49)
    assert colours(0.2, 3.0)[0] - colours(0.0, 3.0)[0] < far - local
    assert k_correction(np.array([0.1]), 0.0)[0] == pytest.approx(0.13)


@pytest.mark.parametrize("kind", range(10))
def test_drawn_light_has_the_stated_magnitude(kind):
    """The r light on the grid adds up to the stated magnitude, apart from what falls outside the frame."""
    wide = Survey(seed=3, balance="uniform", size_px=64, fov_arcsec=120.0)
    for subject in of_class(kind, 2):
        canvas, _ = paint(wide, subject)
        assert canvas.light[1].sum() == pytest.approx(nanomaggies(canvas.galaxy.magnitude), rel=0.08)


def test_magnitudes_follow_from_luminosity_and_distance():
    """Absolute magnitudes recovered from the truth of tight spirals average near the population's -21.6."""
    galaxies = [paint(SURVEY, subject)[0].galaxy for subject in of_class(6, 40)]
    z, m = np.array([g.redshift for g in galaxies]), np.array([g.magnitude for g in galaxies])
    absolute = m - distance_modulus(z) - k_correction(z, 0.9)
    assert absolute.mean() == pytest.approx(-21.7, abs=0.5)


# --- what can be measured on the images ------------------------------------------------------------------


def test_axis_ratio_can_be_measured(drawn):
    """Axis ratios from second moments of the display images rank as the truth does."""
    smooth = [one for kind in (2, 3, 4) for one in drawn[kind]]
    plane = Plane.framed(64, 40 / 64)
    measured = [moments(sky_subtracted(one), plane)[0] for one in smooth]
    assert spearmanr(measured, [one.truth["axis_ratio"] for one in smooth]).statistic > 0.85


def test_position_angle_can_be_measured(drawn):
    """Position angles of elongated galaxies come out within a few degrees."""
    plane = Plane.framed(64, 40 / 64)
    off = [moments(sky_subtracted(one), plane)[1] - one.truth["position_angle_deg"] for one in drawn[4]]
    assert np.median(np.abs((np.array(off) + 90) % 180 - 90)) < 3


def test_size_can_be_measured(drawn):
    """The radius holding half of the light above the sky ranks as the true half-light radius does."""
    plane = Plane.framed(64, 40 / 64)
    smooth = drawn[2] + drawn[3]
    tilts = [(one.truth["position_angle_deg"], one.truth["axis_ratio"]) for one in smooth]
    measured = [
        half_light_radius(sky_subtracted(one), plane, *tilt) for one, tilt in zip(smooth, tilts, strict=True)
    ]
    assert spearmanr(measured, [one.truth["half_light_radius_arcsec"] for one in smooth]).statistic > 0.75


def bar_amplitude(one):
    """Strength of the two-fold pattern inside the half-light radius, seen face-on."""
    radius, azimuth = Plane.framed(64, 40 / 64).disk(one.truth["position_angle_deg"], one.truth["axis_ratio"])
    half = one.truth["half_light_radius_arcsec"]
    light = sky_subtracted(one) * ((radius > 0.2 * half) & (radius < 0.8 * half))
    return abs((light * np.exp(2j * azimuth)).sum()) / light.sum()


def test_bars_can_be_measured(drawn):
    """The two-fold amplitude of the inner light separates barred from unbarred spirals (AUC above 0.9)."""
    spirals = drawn[5] + drawn[6]
    amplitudes = [bar_amplitude(one) for one in spirals]
    assert roc_auc_score([one.truth["bar_strength"] > 0 for one in spirals], amplitudes) > 0.9


def threefold_share(one):
    """How much of the two- and three-fold pattern, ring by ring and seen face-on, is three-fold."""
    radius, azimuth = Plane.framed(64, 40 / 64).disk(one.truth["position_angle_deg"], one.truth["axis_ratio"])
    light, edges = sky_subtracted(one), np.linspace(0.4, 2.6, 12) * one.truth["half_light_radius_arcsec"]
    rings = [(radius >= low) & (radius < high) for low, high in pairwise(edges)]
    two, three = (sum(abs((light * np.exp(1j * m * azimuth))[ring].sum()) for ring in rings) for m in (2, 3))
    return three / (two + three)


def test_arms_can_be_counted():
    """The three-fold share of the pattern tells three arms from two: always in loose spirals, often in tight."""
    for kind, least in ((7, 0.95), (6, 0.6)):
        spirals = [draw(SURVEY, subject) for subject in of_class(kind, 48)]
        shares = [threefold_share(one) for one in spirals]
        assert roc_auc_score([one.truth["arm_number"] == 3 for one in spirals], shares) > least


def test_colour_on_the_image_follows_redshift(drawn):
    """Round galaxies at higher redshift are redder on the display image: R over B ranks with z."""
    middles = [one.image[:, 29:35, 29:35].astype(float).mean(axis=(1, 2)) - SKY for one in drawn[2]]
    redness = [np.log(middle[0] / middle[2]) for middle in middles]
    assert spearmanr(redness, [one.truth["redshift"] for one in drawn[2]]).statistic > 0.6


def test_brightness_on_the_image_follows_magnitude(drawn):
    """Brighter galaxies leave more light on the image."""
    smooth = drawn[2] + drawn[3]
    light = [sky_subtracted(one).sum() for one in smooth]
    assert spearmanr(light, [-one.truth["magnitude_r"] for one in smooth]).statistic > 0.8


def test_disk_galaxies_state_the_half_light_radius_that_the_frame_shows():
    """For composite galaxies the stated radius holds half of the noiseless light, whatever was drawn."""
    canvas, shape = paint(SURVEY, of_class(7, 1)[0])
    stated = truth(canvas, shape, draw_conditions(np.random.default_rng(0)))["half_light_radius_arcsec"]
    along, across = canvas.plane.aligned(shape.angle)
    inside = np.hypot(along, across / shape.axis_ratio) < stated
    assert canvas.light[1][inside].sum() / canvas.light[1].sum() == pytest.approx(0.5, abs=0.03)


def test_lens_images_a_source_behind_it_as_a_ring():
    """Light from straight behind an unsheared lens arrives at the Einstein radius, from all sides."""
    plane = Plane.framed(200, 0.1)
    behind = bent(plane, 3.0, 0.0, 0.0)
    distance = np.hypot(behind.x, behind.y)
    radius = np.hypot(plane.x, plane.y)
    assert radius[distance < 0.1].min() == pytest.approx(3.0, abs=0.15)
    assert radius[distance < 0.1].max() == pytest.approx(3.0, abs=0.15)


def test_coverage_counts_pixels_inside_the_isophote():
    """Cells are 100 % where the light lies above 25 mag per square arcsec and 0 % elsewhere."""
    target = np.zeros((64, 64), dtype=np.float32)
    target[:32] = 2 * 0.1 * 0.262**2  # 25 mag per square arcsec is 0.1 nmgy per square arcsec
    covered = coverage(target)
    assert (covered[:8] == 100).all()
    assert (covered[8:] == 0).all()


def test_streams_of_different_purposes_are_independent():
    """No two purposes of a galaxy, and no galaxy and anomaly of one number, share their random numbers."""
    firsts = [
        subject.stream(0, purpose).random()
        for subject in (SceneSubject(4), SceneSubject(4, "lens"))
        for purpose in Purpose
    ]
    assert len(set(firsts)) == 2 * len(Purpose)
