"""Labels are names: which numbers they are, and which numbers nobody uses, moves no score."""

import re
from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.evaluators.few_shot import FewShot
from astrojepa_bench.evaluators.kmeans import KMeans
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.mlp import MLP
from astrojepa_bench.evaluators.robustness import Robustness

SPARSE = np.array([0, 5, 9])
PROBES = {
    "linear": lambda: Linear(c_grid=(0.1, 1.0)),  # and what it says of its own certainty
    "few-shot": lambda: FewShot(draws=2),
    "knn": KNN,
    "kmeans": lambda: KMeans(n_init=2),
    "robustness": Robustness,
    "mlp": MLP,
}
SLOW = ("few-shot", "mlp", "robustness")


def galaxies(make_answers, clouds, numbers):
    """Three classes under some numbers; the last of them never in train, as a rare one may be."""
    parts = [clouds(count, spread=0.8, classes=3, seed=at) for at, count in enumerate((90, 60, 60))]
    label = [numbers[found] for _, found in parts]
    label[0] = np.where(label[0] == numbers[2], -1, label[0])
    known = [(x, found) for (x, _), found in zip(parts, label, strict=True)]
    features = make_answers(*known, classes=len(numbers), seed=3)
    return replace(features, shifted_test=features.test)


def scores(evaluation, numbers):
    """Scores by metric, recalls under the place of their class."""
    place = {str(number): str(at) for at, number in enumerate(numbers)}
    named = {re.sub(r"(?<=^recall_)\d+$", lambda m: place[m[0]], s.metric): s for s in evaluation}
    return {
        name: tuple(np.nan if told is None else told for told in (s.value, s.chance, s.n, s.item_se))
        for name, s in named.items()
    }


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in PROBES]
)
def test_numbers_that_nobody_uses_move_no_score(make_answers, clouds, name):
    """Labels 0, 5 and 9 are three classes, answered by these numbers."""
    found = {}
    for numbers in (np.arange(3), SPARSE):
        evaluation = PROBES[name]().evaluate(galaxies(make_answers, clouds, numbers))
        found[numbers[-1]] = scores(evaluation, numbers), evaluation.predictions.get("class")
    (dense, answers), (sparse, sparsely) = found.values()

    assert len(dense) > 1
    assert sparse.keys() == dense.keys()
    for metric, told in dense.items():
        assert sparse[metric] == pytest.approx(told, rel=1e-12, nan_ok=True), (
            metric
        )  # empty columns round sums otherwise
    if answers is not None:
        assert np.array_equal(SPARSE[answers], sparsely)
