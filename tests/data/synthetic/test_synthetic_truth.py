"""What the simulated dataset states about its galaxies, and how real the set as a whole looks."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.data.synthetic.photometry import colours, distance_modulus, k_correction
from astrojepa_bench.data.synthetic.population import COLOUR_SCATTER, POPULATIONS, SHARED, class_of
from astrojepa_bench.data.synthetic.scene import Purpose, SceneSubject, Survey, draw, paint
from astrojepa_bench.data.synthetic.survey import draw_conditions
from astrojepa_bench.data.synthetic.truth import TRUTHS, half_light

SURVEY = Survey(seed=2, balance="uniform", size_px=32, fov_arcsec=40.0)
ALWAYS = [
    name for name in TRUTHS if name.startswith(("redshift", "magnitude", "absolute", "half", "psf", "noise"))
]
SHAPES = ["axis_ratio", "position_angle_deg", "bar_strength"]
SPIRAL = [*SHAPES, "bulge_fraction", "arm_number", "pitch_angle_deg"]
SMOOTH = [*SHAPES, "arm_number", "sersic_index"]
DEFINED = {
    0: ["bar_strength"], 1: ["bar_strength"], 2: SMOOTH, 3: SMOOTH, 4: SMOOTH, 5: SPIRAL, 6: SPIRAL, 7: SPIRAL,
    8: [*SHAPES, "bulge_fraction"], 9: [*SHAPES, "bulge_fraction"],
}  # fmt: skip


@pytest.fixture(scope="module")
def truths():
    """Truth of eighty galaxies by class."""
    by_class = {kind: [] for kind in range(10)}
    for subject in map(SceneSubject, range(80)):
        by_class[class_of(subject.index, "uniform")].append(draw(SURVEY, subject).truth)
    return by_class


@pytest.mark.parametrize("kind", range(10))
def test_every_truth_is_stated_or_means_nothing(truths, kind):
    """Each class has exactly the truths that make sense for it; the others are NaN."""
    for one in truths[kind]:
        assert list(one) == list(TRUTHS)
        assert {name for name, value in one.items() if np.isfinite(value)} == {*ALWAYS, *DEFINED[kind]}


def test_truths_lie_where_they_can(truths):
    """Shares and ratios lie within 0 to 1, angles within half a turn, sizes and noise above zero."""
    for one in (one for kind in truths.values() for one in kind):
        for name, value in one.items():
            if np.isfinite(value):
                top = 1 if name in ("axis_ratio", "bulge_fraction", "bar_strength") else 180
                assert name.startswith("absolute") or 0 <= value <= top, name


def test_absolute_magnitudes_follow_from_distance_and_k_correction(truths):
    """Apparent minus absolute magnitude is the distance modulus plus the K-correction of the class."""
    for kind, members in truths.items():
        for one in members:
            z = np.array([one["redshift"]])
            expected = distance_modulus(z) + k_correction(z, POPULATIONS[kind].spectral_type)
            assert one["magnitude_r"] - one["absolute_magnitude_r"] == pytest.approx(expected[0], abs=1e-9)


def test_magnitudes_in_three_bands_have_the_colours_of_the_stars(truths):
    """A round galaxy's g - r and r - z are those of old stars at its redshift, apart from its own scatter."""
    for one in truths[2]:
        old, younger = colours(one["redshift"], 0.0), colours(one["redshift"], 0.3)
        stated = (one["magnitude_g"] - one["magnitude_r"], one["magnitude_r"] - one["magnitude_z"])
        for colour, limits in zip(stated, zip(younger, old, strict=True), strict=True):
            assert min(limits) - 4 * COLOUR_SCATTER < colour < max(limits) + 4 * COLOUR_SCATTER


def test_seeing_and_noise_are_stated_band_by_band(truths):
    """The truth of each band is that of the conditions drawn for the galaxy (bands are stored as z, r, g)."""
    taken = draw_conditions(SceneSubject(0).stream(SURVEY.seed, Purpose.CONDITIONS))
    one = truths[0][0]
    assert [one[f"psf_fwhm_{band}_arcsec"] for band in "zrg"] == list(taken.seeing)
    assert [one[f"noise_{band}_nmgy"] for band in "zrg"] == list(taken.noise)


def test_truth_of_a_lens_is_that_of_the_galaxy_in_front():
    """The arcs are somebody else's light: colours stay those of the red deflector."""
    one = draw(SURVEY, SceneSubject(0, "lens")).truth
    assert one["magnitude_g"] - one["magnitude_r"] == pytest.approx(
        colours(one["redshift"], 0.1)[0], abs=0.15
    )


def test_shells_count_for_the_size():
    """Shells hold a third of the light far out, so the stated radius is larger than the elliptical's alone."""
    canvas, shape = paint(SURVEY, SceneSubject(2, "shells"))
    assert half_light(canvas, shape) > 1.05 * canvas.galaxy.radius


def test_matched_absolute_magnitude_hides_the_class():
    """Matched galaxies share one K-correction: another, class by class, would give the class away."""
    for subject in map(SceneSubject, range(20)):
        galaxy = paint(Survey(0, "uniform", 16, 40.0, population="matched"), subject)[0].galaxy
        z = np.array([galaxy.redshift])
        expected = distance_modulus(z) + k_correction(z, SHARED.spectral_type)
        assert galaxy.magnitude - galaxy.absolute == pytest.approx(expected[0], abs=1e-9)


# --- the set as a whole -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_channel_means_are_those_of_galaxy10(tmp_path):
    """With Galaxy10's class shares and field, channel means lie within .01 of the published .1668 .1620 .1583."""
    mimic = Synthetic(galaxies=1200, balance="galaxy10", fov_arcsec=67.0, anomaly_fraction=0.0).load(
        64, tmp_path
    )
    means = np.asarray(mimic.images).mean(axis=(0, 2, 3)) / 255
    assert means == pytest.approx([0.1668, 0.1620, 0.1583], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("fov_arcsec", [67.0, 40.0])
def test_pixels_are_as_hard_as_the_prototypes(tmp_path, fov_arcsec):
    """50 principal components and logistic regression reach .52 to .72 on 120 galaxies a class (prototype: .62)."""
    table = Synthetic(galaxies=1200, fov_arcsec=fov_arcsec, anomaly_fraction=0.0).load(64, tmp_path)
    pixels = np.asarray(table.images).reshape(len(table), -1) / np.float32(255)
    order = np.random.default_rng(0).permutation(len(table))
    train, test = order[:840], order[840:]
    probe = make_pipeline(PCA(50, random_state=0), StandardScaler(), LogisticRegression(max_iter=2000)).fit(
        pixels[train], table.label[train]
    )
    assert 0.52 < probe.score(pixels[test], table.label[test]) < 0.72
