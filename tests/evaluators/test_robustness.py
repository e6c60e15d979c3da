"""The same galaxies under another instrument: known drops, known displacements, fitted on the survey alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.robustness import Robustness


def sky(make_answers, clouds, twin=lambda x, stream: x, *, spread=0.35, anomalies=40, seed=0):
    """Clouds of classes with anomalies and redshifts in test; `twin(features, stream)` makes the other sight."""
    stream = np.random.default_rng(seed)
    parts = [clouds(count, spread=spread, seed=seed + i) for i, count in enumerate((400, 200, 400))]
    kind = np.repeat([0, 1], [400 - anomalies, anomalies])
    features, label = parts[2]
    features = features + 4 * (kind > 0)[:, None] * np.eye(features.shape[1])[0]
    answers = make_answers(*parts[:2], (features, np.where(kind > 0, -1, label), kind), classes=4)
    parts = {name: answers.split(name) for name in ("train", "val", "test")}
    redshift = {name: 1 + part.features["last"][:, 1].numpy() / 10 for name, part in parts.items()}
    answers = replace(
        answers, **{name: replace(part, redshift=redshift[name]) for name, part in parts.items()}
    )
    other = torch.as_tensor(twin(features, stream)).float()
    return replace(answers, shifted_test=replace(answers.test, features={"last": other}))


def by_metric(found):
    """Index scores by metric."""
    return {score.metric: score for score in found}


def test_a_twin_equal_to_the_survey_drops_nothing(make_answers, clouds):
    """No shift, no drop, no displacement: exactly."""
    found = by_metric(Robustness().evaluate(sky(make_answers, clouds)))

    assert {name: found[name].value for name in found if name.endswith("drop")} == dict.fromkeys(
        ("linear_drop", "knn_drop", "anomaly_drop", "redshift_drop"), 0.0
    )
    assert found["displacement"].value == 0


def test_scores_on_the_twin_are_those_of_evaluators_that_read_it(make_answers, clouds):
    """Swapping the twin in for the test split and asking the evaluators themselves gives the same."""
    answers = sky(make_answers, clouds, lambda x, stream: x + 1.5 * stream.normal(size=x.shape))
    found = by_metric(Robustness().evaluate(answers))
    swapped = replace(answers, test=answers.shifted_test)

    for name, evaluator in (("linear", Linear()), ("knn", KNN())):
        there, here = (by_metric(evaluator.evaluate(each))["accuracy"] for each in (swapped, answers))
        assert found[f"{name}_accuracy"].value == there.value
        assert found[f"{name}_accuracy"].chance == pytest.approx(there.chance)
        assert found[f"{name}_drop"].value == pytest.approx(here.value - there.value)
        assert found[f"{name}_drop"].value > 2 * found[f"{name}_drop"].item_se  # the noise is seen


def test_a_twin_of_noise_falls_to_chance(make_answers, clouds):
    """Features that lose the galaxy entirely: scores at chance, displacement about 1."""
    answers = sky(make_answers, clouds, lambda x, stream: stream.permutation(x, axis=0))
    found = by_metric(Robustness().evaluate(answers))

    assert found["linear_accuracy"].value == pytest.approx(0.25, abs=0.08)
    assert found["anomaly_auroc"].value == pytest.approx(0.5, abs=0.15)
    assert found["displacement"].value == pytest.approx(1.0, abs=0.05)
    assert found["redshift_drop"].value > 0.02


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_displacement_of_a_known_shift_is_its_size_over_the_spread(make_answers, share):
    """A shift of s in one of D unit directions: s / sqrt(2 D) of the distance between two galaxies."""
    stream = np.random.default_rng(0)
    x = stream.normal(size=(4000, 8))
    answers = make_answers((x, np.arange(4000) % 2), (x, np.arange(4000) % 2), (x, np.arange(4000) % 2))
    shifted = torch.as_tensor(x + share * np.eye(8)[0]).float()
    answers = replace(answers, shifted_test=replace(answers.test, features={"last": shifted}))
    found = by_metric(Robustness().evaluate(answers))

    assert found["displacement"].value == pytest.approx(share / np.sqrt(16), rel=0.02)


def test_paired_error_is_smaller_than_that_of_two_test_sets(make_answers, clouds):
    """Both sights err on the same galaxies, so their difference is known better than either score."""
    answers = sky(make_answers, clouds, lambda x, stream: x + 0.2 * stream.normal(size=x.shape), spread=0.9)
    found = by_metric(Robustness().evaluate(answers))
    accuracy, n = found["linear_accuracy"].value, found["linear_accuracy"].n

    assert 0 < found["linear_drop"].item_se < np.sqrt(2 * accuracy * (1 - accuracy) / n)


def test_probes_never_learn_from_the_twin(make_answers, clouds):
    """Planted error: a probe refitted on the twin would undo a mirrored axis; this one falls below chance."""
    answers = sky(make_answers, clouds, lambda x, stream: -x, anomalies=0)
    found = by_metric(Robustness().evaluate(answers))

    assert found["linear_accuracy"].value < 0.25


def test_what_the_galaxies_do_not_carry_is_left_out_with_a_warning(make_answers, clouds):
    """Without anomalies and redshifts the other probes still speak."""
    answers = sky(make_answers, clouds, anomalies=0)
    bare = {name: replace(answers.split(name), redshift=None) for name in ("train", "val", "test")}
    found = Robustness().evaluate(replace(answers, **bare))

    assert {score.metric for score in found} == {
        "displacement", "linear_accuracy", "linear_drop", "knn_accuracy", "knn_drop",
    }  # fmt: skip
    assert [warning.split()[0] for warning in found.warnings] == ["anomaly", "redshift"]


def test_constant_features_have_no_displacement(make_answers):
    """Nothing over nothing is left out instead of NaN."""
    part = (np.ones((60, 3)), np.arange(60) % 2)
    answers = make_answers(part, part, part)
    found = Robustness().evaluate(replace(answers, shifted_test=answers.test))

    assert "displacement" not in {score.metric for score in found}


def test_without_a_twin_there_is_a_reason(make_answers, clouds):
    """The ruler was not asked, or there is none."""
    with pytest.raises(DataError, match="no shift twin"):
        Robustness().evaluate(replace(sky(make_answers, clouds), shifted_test=None))
