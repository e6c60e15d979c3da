"""What is left of the scores when the same galaxies are seen by another instrument."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from sklearn.metrics import roc_auc_score

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.anomaly import Anomaly
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.metrics.classification import accuracy
from astrojepa_bench.evaluators.probes.reading import read_features
from astrojepa_bench.evaluators.redshift import Redshift, sigma_nmad
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import ANOMALY_KINDS, Evaluation, Score

TWIN = "@twin"  # behind the ids of galaxies seen by the other instrument
Rows = Int[np.ndarray, " galaxy"]


class Robustness(Evaluator):
    """Scores on the shift twin: the same test galaxies under another PSF, noise and depth, with the same probes.

    Measures what a domain shift costs. Probes (`linear`, `knn`, `anomaly`, `redshift`, at their defaults) are
    fitted and chosen on the survey's train and val, and applied to both images of each test galaxy. Metrics: the
    score on the twin (`linear_accuracy`, `knn_accuracy`, `anomaly_auroc` of the physical anomalies,
    `redshift_sigma_nmad`); how much worse that is than on the survey (`linear_drop`, `knn_drop`, `anomaly_drop`,
    `redshift_drop`, each in its score's own unit; negative where the twin is easier); and `displacement`, the
    root-mean-square distance between the two images of a galaxy over that between two different galaxies (tap
    `last`).

    Chance: scores, as their evaluators say; drops 0, which is also what features that know nothing give: read them
    beside the scores; `displacement` 1, where the instrument decides as much as the galaxy does. Golden number: a
    twin equal to the survey drops 0 everywhere.
    Do not trust it for other shifts than this one, nor a drop below two of its standard errors, which are of
    paired differences.

    Source:
        The control of Galaxy-JEPA (the same objects, seen again) with simulated galaxies; displacement is the
        alignment of Wang & Isola 2020 (arXiv 2005.10242) over the mean squared distance of different galaxies.
    """

    requires = ("shifted_test",)
    requests = ("shifted_test",)
    metrics = SHOWN["robustness"]
    version = 1

    def evaluate(self, features: Features) -> Evaluation:
        """Fit every probe on the survey, apply it to both images of the test galaxies.

        Raises:
            ContractError: a feature is not finite.
            DataError: there is no twin.
        """
        test, twin = features.test, features.shifted_test
        if twin is None:
            raise DataError("the features hold no shift twin; name `shifted_test` in `requests`")
        both = dataclasses.replace(features, test=_joined(test, twin))
        scores, warnings = _displacement(test, twin, features.taps[0]), []
        labelled = test.ids[test.label >= 0]  # in the order in which probes of classes answer
        for name, probe in _PROBES.items():
            try:
                scores += probe.scores(name, probe.make().evaluate(both), test)
            except DataError as error:
                warnings.append(f"{name} left out: {error}")
        return Evaluation(tuple(scores), ids=labelled, warnings=tuple(warnings))


@dataclass(frozen=True)
class _ShiftProbe:
    """One score on both sets of images.

    Attributes:
        make: the evaluator that predicts.
        prediction: which of its predictions is read.
        metric: the score, as the twin's value is named.
        source: the evaluator's metric that says what chance is.
        better: whether higher is better.
        of: the score, from predictions and the galaxies they are of.
        shares: whether it is a mean over galaxies of right or wrong, whose paired differences have an error.
    """

    make: Callable[[], Evaluator]
    prediction: str
    metric: str
    source: str
    better: bool
    of: Callable[[np.ndarray, SplitFeatures, Rows], float]
    shares: bool = False

    def scores(self, name: str, found: Evaluation, test: SplitFeatures) -> list[Score]:
        here, there = np.split(found.predictions[self.prediction], 2)
        row = {name: index for index, name in enumerate(test.ids.tolist())}
        rows = np.array([row[name] for name in found.ids[: len(here)].tolist()])
        before, after = self.of(here, test, rows), self.of(there, test, rows)
        chance = {score.metric: score.chance for score in found}.get(self.source)
        drop = before - after if self.better else after - before
        right = there == test.label[rows] if self.shares else None
        error = _paired_error(here, there, test.label[rows]) if self.shares else None
        return [
            Score(
                "robustness", f"{name}_{self.metric}", after, self.better, len(rows), chance, correct=right
            ),
            Score("robustness", f"{name}_drop", drop, False, len(rows), 0.0, error),
        ]


def _class_accuracy(predicted: np.ndarray, test: SplitFeatures, rows: Rows) -> float:
    return accuracy(test.label[rows], predicted)


def _anomaly_auroc(found: np.ndarray, test: SplitFeatures, rows: Rows) -> float:
    kind = test.anomaly[rows]
    ranked = np.isin(kind, [0, ANOMALY_KINDS.index("physical")])
    if not 0 < (kind[ranked] > 0).sum() < ranked.sum():
        raise DataError("test holds no physical anomaly")
    return float(roc_auc_score(kind[ranked] > 0, found[ranked]))


def _redshift_scatter(predicted: np.ndarray, test: SplitFeatures, rows: Rows) -> float:
    truth = test.columns["redshift"][rows]
    return sigma_nmad((predicted - truth) / (1 + truth))


_PROBES: Mapping[str, _ShiftProbe] = {
    "linear": _ShiftProbe(Linear, "class", "accuracy", "accuracy", True, _class_accuracy, shares=True),
    "knn": _ShiftProbe(KNN, "class", "accuracy", "accuracy", True, _class_accuracy, shares=True),
    "anomaly": _ShiftProbe(Anomaly, "anomaly_score", "auroc", "auroc_physical", True, _anomaly_auroc),
    "redshift": _ShiftProbe(Redshift, "ridge", "sigma_nmad", "sigma_nmad", False, _redshift_scatter),
}


def _paired_error(here: np.ndarray, there: np.ndarray, label: Rows) -> float:
    """Return the standard error of a difference of accuracies on the same galaxies.

    Where no galaxy changes sides it is that of the share which does: the drop cannot be larger. So where all do.
    """
    difference = (here == label).astype(float) - (there == label)
    if np.ptp(difference) == 0:
        return binomial_se(0.0, len(difference))
    return float(difference.std(ddof=1)) / math.sqrt(len(difference))


def _joined(test: SplitFeatures, twin: SplitFeatures) -> SplitFeatures:
    """Put both sets of test galaxies into one split, the survey's first; facts are the survey's for both."""
    return SplitFeatures(
        np.concatenate([test.ids, np.char.add(test.ids.astype(str), TWIN)]),
        {tap: torch.cat([values, twin.features[tap]]) for tap, values in test.features.items()},
        np.tile(test.label, 2),
        np.tile(test.anomaly, 2),
        redshift=None if test.redshift is None else np.tile(test.redshift, 2),
    )


def _displacement(test: SplitFeatures, twin: SplitFeatures, tap: str) -> list[Score]:
    rows = np.flatnonzero(test.anomaly == 0)
    here, there = (read_features(part, "test", tap, rows).double() for part in (test, twin))
    apart = 2 * float((here - here.mean(dim=0)).square().sum(dim=1).mean())  # of two galaxies, squared
    if apart == 0:
        return []  # constant features are displaced by nothing over nothing
    moved = float((here - there).square().sum(dim=1).mean())
    return [Score("robustness", "displacement", math.sqrt(moved / apart), False, len(rows), 1.0)]
