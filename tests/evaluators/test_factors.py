"""Physical truths in features: known shares of variance, angles, undefined rows, nuisances."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.factors import Factors, targets

COUNTS = {"train": 600, "val": 200, "test": 400}


def sky(make_answers, *, noise=1.0, seed=0, turned=False):
    """Features that hold a magnitude under noise, an axis through a double angle, and nothing of the PSF."""
    stream, parts, factors = np.random.default_rng(seed), {}, {}
    for name, count in COUNTS.items():
        magnitude, angle = stream.normal(size=count), stream.uniform(0, 180, count)
        pitch = np.where(stream.random(count) < 0.4, stream.normal(20, 5, count), np.nan)
        double = np.radians(angle) * 2
        features = np.column_stack(
            [
                magnitude + noise * stream.normal(size=count), np.sin(double), np.cos(double),
                np.nan_to_num(pitch), stream.normal(size=(count, 3)),
            ]
        )  # fmt: skip
        columns = {
            "magnitude_r": magnitude, "position_angle_deg": (angle + 180) % 360 if turned else angle,
            "pitch_angle_deg": pitch, "psf_fwhm_r_arcsec": stream.uniform(1, 2, count),
            "sersic_index": np.full(count, np.nan), "bar_strength": np.zeros(count),
        }  # fmt: skip
        parts[name], factors[name] = (features, stream.integers(0, 3, count)), columns
    answers = make_answers(*parts.values())
    return replace(answers, **{name: replace(answers.split(name), factors=factors[name]) for name in COUNTS})


def by_metric(found):
    """Index scores by metric."""
    return {score.metric: score for score in found}


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0, 3.0])
def test_explained_share_is_one_minus_the_share_of_noise(make_answers, noise):
    """X = m + noise of variance s² lets a line explain 1 / (1 + s²) of m."""
    found = by_metric(Factors().evaluate(sky(make_answers, noise=noise)))

    assert found["r2_magnitude_r"].value == pytest.approx(1 / (1 + noise**2), abs=0.07)


def test_ridge_agrees_with_scikit_learn(make_answers):
    """The same penalties, chosen by its own cross-validation, explain as much."""
    answers = sky(make_answers)
    found = by_metric(Factors().evaluate(answers))["r2_magnitude_r"].value
    scaler = StandardScaler().fit(answers.train.features["last"])
    fitted = RidgeCV(np.logspace(-2, 6, 9)).fit(
        scaler.transform(answers.train.features["last"]), answers.train.factors["magnitude_r"]
    )
    theirs = fitted.score(
        scaler.transform(answers.test.features["last"]), answers.test.factors["magnitude_r"]
    )

    assert found == pytest.approx(theirs, abs=0.01)


def test_an_axis_is_the_same_after_half_a_turn(make_answers):
    """A position angle is found through its double angle, and 10° equals 190°."""
    plain, turned = (Factors().evaluate(sky(make_answers, turned=each)) for each in (False, True))

    assert by_metric(plain)["r2_position_angle_deg"].value > 0.999
    assert by_metric(turned)["r2_position_angle_deg"].value == pytest.approx(
        by_metric(plain)["r2_position_angle_deg"].value
    )
    assert targets("position_angle_deg", np.array([10.0])) == pytest.approx(
        targets("position_angle_deg", np.array([190.0]))
    )


def test_predicted_angles_are_angles(make_answers):
    """Kept predictions are in degrees, 0 to 180, and near the truth."""
    answers = sky(make_answers)
    predicted = Factors().evaluate(answers).predictions["position_angle_deg"]
    apart = np.abs(predicted - answers.test.factors["position_angle_deg"])

    assert ((predicted >= 0) & (predicted < 180)).all()
    assert np.minimum(apart, 180 - apart).max() < 3


def test_rows_without_a_truth_are_left_out(make_answers):
    """Only spirals have a pitch angle; the others neither train nor test it."""
    answers = sky(make_answers)
    found = by_metric(Factors().evaluate(answers))["r2_pitch_angle_deg"]

    assert found.n == np.isfinite(answers.test.factors["pitch_angle_deg"]).sum()
    assert found.value > 0.99


def test_what_does_not_vary_or_is_never_known_has_no_score(make_answers):
    """A constant has no variance to explain, an empty column nothing at all."""
    found = by_metric(Factors().evaluate(sky(make_answers)))

    assert {"r2_sersic_index", "r2_bar_strength"}.isdisjoint(found)


def test_nuisances_are_better_low_and_averaged_apart(make_answers):
    """PSF and orientation say how a galaxy was seen, not what it is."""
    found = by_metric(Factors().evaluate(sky(make_answers)))
    physical = [found["r2_magnitude_r"].value, found["r2_pitch_angle_deg"].value]
    nuisance = [found["r2_psf_fwhm_r_arcsec"].value, found["r2_position_angle_deg"].value]

    assert not found["r2_psf_fwhm_r_arcsec"].higher_is_better
    assert found["r2_magnitude_r"].higher_is_better
    assert found["mean_r2"].value == pytest.approx(np.mean(physical))
    assert found["mean_r2_nuisance"].value == pytest.approx(np.mean(nuisance))


def test_features_that_know_nothing_explain_nothing(make_answers):
    """Chance is 0: over many skies noise explains nothing, or a little less."""
    found = [by_metric(Factors().evaluate(sky(make_answers, seed=seed)))["r2_psf_fwhm_r_arcsec"].value
             for seed in range(8)]  # fmt: skip

    assert -0.03 < np.mean(found) < 0.01


def test_test_truths_influence_no_prediction(make_answers):
    """Planted error: a fit that saw them would predict otherwise once they are shuffled."""
    answers, stream = sky(make_answers), np.random.default_rng(3)
    order = stream.permutation(COUNTS["test"])
    shuffled = {name: column[order] for name, column in answers.test.factors.items()}
    before = Factors().evaluate(answers)
    after = Factors().evaluate(replace(answers, test=replace(answers.test, factors=shuffled)))

    assert all(
        np.array_equal(before.predictions[name], after.predictions[name]) for name in before.predictions
    )
    assert by_metric(after)["r2_magnitude_r"].value < 0.1


def test_order_of_the_table_is_irrelevant(make_answers):
    """Train rows in another order give the same numbers."""
    answers, order = sky(make_answers), np.random.default_rng(2).permutation(COUNTS["train"])
    part = answers.train
    turned = replace(
        part, ids=part.ids[order], features={"last": part.features["last"][order]},
        factors={name: column[order] for name, column in part.factors.items()},
    )  # fmt: skip
    before, after = (
        by_metric(Factors().evaluate(each)) for each in (answers, replace(answers, train=turned))
    )

    assert {name: score.value for name, score in before.items()} == pytest.approx(
        {name: score.value for name, score in after.items()}, abs=1e-9
    )


def test_without_any_factor_there_is_a_reason(make_answers):
    """Galaxies that carry no truth are told so."""
    answers = make_answers(*[(np.zeros((40, 2)), np.zeros(40))] * 3)
    with pytest.raises(DataError, match="no factor is known"):
        Factors().evaluate(answers)
