"""Which test galaxies were right, and the standard errors of scores at which all of them are or none is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, roc_auc_score
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.proportion import proportion_confint

from astrojepa_bench.evaluators.anomaly import Anomaly
from astrojepa_bench.evaluators.few_shot import curve_point
from astrojepa_bench.evaluators.kmeans import KMeans
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.metrics.calibration import nll_score
from astrojepa_bench.evaluators.metrics.classification import (
    accuracy_score,
    balanced_accuracy_score,
    recall_scores,
)
from astrojepa_bench.evaluators.metrics.ranking import auroc_standard_error
from astrojepa_bench.evaluators.robustness import Robustness
from astrojepa_bench.metric import binomial_se


def by_metric(found):
    """Index scores by metric."""
    return {score.metric: score for score in found}


def by_id(found, metric):
    """Index what is said of single galaxies by id."""
    return dict(zip(found.ids.tolist(), by_metric(found)[metric].correct.tolist(), strict=True))


@pytest.fixture
def sky(make_answers, clouds):
    """Mixed clouds; every seventh test galaxy has no label, and all were seen by another instrument too."""
    parts = [clouds(count, spread=1.3, seed=seed) for seed, count in enumerate((200, 100, 90))]
    features, label = parts[2]
    answers = make_answers(*parts[:2], (features, np.where(np.arange(90) % 7 == 0, -1, label)), classes=4)
    moved = features + np.random.default_rng(5).normal(size=features.shape)
    other = replace(answers.test, features={"last": torch.as_tensor(moved).float()})
    return replace(answers, shifted_test=other)


def in_another_order(answers):
    """Permute the rows of the test galaxies."""
    order = np.random.default_rng(1).permutation(len(answers.test.ids))

    def permuted(part):
        features = {tap: values[torch.as_tensor(order)] for tap, values in part.features.items()}
        return replace(
            part, ids=part.ids[order], features=features, label=part.label[order], anomaly=part.anomaly[order]
        )

    return replace(answers, test=permuted(answers.test), shifted_test=permuted(answers.shifted_test))


def test_bits_of_the_linear_probe_are_scikit_learns(sky):
    """Galaxy by galaxy, at the penalty that was chosen."""
    found = Linear().evaluate(sky)
    scaler = StandardScaler().fit(sky.train.features["last"].numpy())
    classifier = LogisticRegression(C=found.selection["C"], max_iter=5000, tol=1e-8)
    classifier.fit(scaler.transform(sky.train.features["last"].numpy()), sky.train.label)
    known = sky.test.label >= 0
    predicted = classifier.predict(scaler.transform(sky.test.features["last"].numpy()))
    right = (predicted == sky.test.label)[known].tolist()

    assert 0.5 < np.mean(right) < 1
    assert by_id(found, "accuracy") == dict(zip(sky.test.ids[known].tolist(), right, strict=True))


CASES = [
    (Linear, "accuracy"), (KNN, "accuracy"), (KMeans, "hungarian_accuracy"), (Robustness, "linear_accuracy"),
    (Robustness, "knn_accuracy"),
]  # fmt: skip


@pytest.mark.parametrize(("evaluator", "metric"), CASES)
def test_bits_go_with_ids_and_sum_to_the_score(sky, evaluator, metric):
    """Labelled galaxies only; another order of the table changes what is said of no galaxy."""
    found = evaluator().evaluate(sky)
    score = by_metric(found)[metric]

    assert set(found.ids.tolist()) == set(sky.test.ids[sky.test.label >= 0].tolist())
    assert score.correct.mean() == pytest.approx(score.value, abs=1e-9)
    assert 0 < score.correct.sum() < score.n == len(score.correct)
    assert by_id(evaluator().evaluate(in_another_order(sky)), metric) == by_id(found, metric)


def test_bits_of_the_twin_are_those_of_its_own_images(sky):
    """The probe reads the other instrument's features, so the bits are what it says of them."""
    swapped = replace(sky, test=sky.shifted_test)

    assert by_id(Robustness().evaluate(sky), "linear_accuracy") == by_id(
        Linear().evaluate(swapped), "accuracy"
    )


def test_bits_of_clusters_are_those_of_the_best_matching(sky):
    """The diagonal of scikit-learn's confusion matrix, once clusters bear the names of their classes."""
    found = KMeans().evaluate(sky)
    known = sky.test.label >= 0
    table = confusion_matrix(sky.test.label[known], found.predictions["cluster"])
    right = by_metric(found)["hungarian_accuracy"].correct
    named = [np.unique(sky.test.label[known][right & (found.predictions["cluster"] == c)]) for c in range(4)]

    assert all(len(classes) <= 1 for classes in named)
    assert right.sum() == sum(table[classes[0], c] for c, classes in enumerate(named) if len(classes))


# --- standard errors where all are right, or none -------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 7, 28, 1054])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_certainty_has_the_error_of_wilsons_interval(share, n):
    """1.96 standard errors reach as far as statsmodels' Wilson interval: 28 of 28 leave room for 88 %."""
    low, high = proportion_confint(round(share * n), n, alpha=0.05, method="wilson")

    assert 1.959964 * binomial_se(share, n) == pytest.approx(high - low, abs=1e-6)
    assert binomial_se(0.3, 100) == pytest.approx(np.sqrt(0.3 * 0.7 / 100))


def test_no_share_of_few_galaxies_is_certain():
    """Accuracy, recalls and their mean, of perfect answers and of answers that are all wrong."""
    truth = np.array([0, 0, 0, 1, 1, 2])
    for predicted in (truth, (truth + 1) % 3):
        accuracy = accuracy_score("x", truth, predicted, truth)
        recalls = recall_scores("x", truth, predicted)
        balanced = balanced_accuracy_score("x", truth, predicted)

        assert accuracy.item_se == binomial_se(accuracy.value, 6)
        assert [score.item_se for score in recalls] == [binomial_se(1.0, n) for n in (3, 2, 1)]
        assert balanced.item_se == pytest.approx(np.hypot.reduce([s.item_se for s in recalls]) / 3)
        assert accuracy.correct.tolist() == (truth == predicted).tolist()


def test_few_shot_probes_that_are_always_right_are_not_certain():
    """Where every draw is right of every galaxy, Wilson's error of as many galaxies."""
    found = by_metric(curve_point(5, np.ones((4, 30), dtype=bool), np.repeat([0, 1], 15), np.arange(2)))

    assert found["accuracy_5"].item_se == binomial_se(1.0, 30)
    assert found["balanced_accuracy_5"].item_se == pytest.approx(np.sqrt(2) * binomial_se(1.0, 15) / 2)


def test_few_shot_probes_of_a_single_galaxy_are_not_certain():
    """A galaxy that half of the draws find tells of no other; nor does the log-loss of one tell its error."""
    hits = np.array([[True] * 2, [False] * 2])
    found = by_metric(curve_point(5, hits, np.arange(2), np.arange(2)))

    assert found["accuracy_5"].item_se == binomial_se(0.5, 2)
    assert nll_score("x", np.array([0]), np.log([[0.5, 0.5]]), np.array([0, 1])).item_se is None


@pytest.mark.parametrize("shift", [50.0, -50.0])
def test_perfect_ranking_is_not_certain(make_answers, shift):
    """Every anomaly above every ordinary galaxy, or below: wider than any AUROC just short of that."""
    odd = np.arange(60) < 20
    score = np.random.default_rng(0).normal(size=60) + shift * odd
    worse = score.copy()
    worse[np.argsort(score)[[19, 20, 39, 40]]] = worse[np.argsort(score)[[20, 19, 40, 39]]]

    assert roc_auc_score(odd, score) in (0.0, 1.0)
    assert roc_auc_score(odd, worse) not in (0.0, 1.0)
    assert auroc_standard_error(odd, score) > auroc_standard_error(odd, worse) > 0


def test_anomalies_that_anybody_sees_have_errors(make_answers, clouds):
    """The whole evaluator on anomalies far from everything: no error of a 100 % is 0."""
    features, label = clouds(100, spread=0.3)
    kind = np.repeat([0, 1], [90, 10])
    test = (features + 100 * kind[:, None], np.where(kind > 0, -1, label), kind)
    found = by_metric(Anomaly().evaluate(make_answers((features, label), (features, label), test, classes=4)))

    assert min(found[name].value for name in ("auroc", "average_precision", "recall_at_k")) > 1 - 1e-12
    assert min(score.item_se for score in found.values()) > 0.01


def test_instrument_that_changes_no_answer_may_still_cost_something(make_answers, clouds):
    """No galaxy of few changed sides: the drop is 0, not certainly 0."""
    parts = [clouds(60, spread=0.1, seed=seed) for seed in range(3)]
    answers = make_answers(*parts)
    found = by_metric(Robustness().evaluate(replace(answers, shifted_test=answers.test)))

    assert (found["linear_drop"].value, found["linear_drop"].item_se) == (0.0, binomial_se(0.0, 60))
