"""How much of the classes a linear classifier finds in frozen features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.metrics.calibration import ece_score, nll_score
from astrojepa_bench.evaluators.metrics.classification import (
    accuracy,
    accuracy_score,
    balanced_accuracy_score,
    macro_f1_score,
    recall_scores,
)
from astrojepa_bench.evaluators.probes.logistic import LogisticFits, climb_logistic
from astrojepa_bench.evaluators.probes.reading import read_labelled
from astrojepa_bench.evaluators.probes.standardise import Standardisation
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import track
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)


class Linear(Evaluator):
    """Multinomial logistic regression on standardised frozen features.

    Measures how linearly the classes lie in the features. Fitted on train only; the inverse penalty C and the
    tap are those with the least validation log-loss (the strongest penalty, then the first tap, of equals).
    Log-loss and not accuracy: on a few hundred galaxies accuracy has a standard error of 2 points, and the
    best of many candidates is then the luckiest one; a proper score moves smoothly with C.
    The grid is climbed from the strongest penalty, two values at a time, until the log-loss no longer falls:
    beyond its minimum it rises, and the weakest penalties take most of the time.
    There is no refit on train + val: the classifier that was chosen is the classifier that is reported.
    Classes are those of the train labels; a test galaxy of any other class counts as an error.

    Chance: accuracy, the test share of the most frequent train class; balanced accuracy and macro F1,
    1 / classes; `nll`, the log-loss of the class shares of train; recalls and `ece` have none. Golden number:
    equal to `sklearn.linear_model.LogisticRegression` within .1 point at every C.
    Do not trust it to compare encoders of very different width on few labels (a wider tap overfits sooner),
    nor differences below two standard errors of one test set, nor `ece` alone (a guess can have 0: read it
    beside the `nll`); it says nothing about classes that need a curved boundary, for which see `knn`.

    Args:
        c_grid: inverse penalties to choose from, in scikit-learn's sense.

    Source:
        The logistic-regression protocol of DINOv2 (Oquab et al. 2024, arXiv 2304.07193; its released
        evaluation code). Deviations: 9 values of C instead of 45, chosen by log-loss, climbed and not all
        fitted, features standardised, no refit.
    """

    requires = ("label",)
    metrics = SHOWN["linear"]
    version = 3

    def __init__(self, *, c_grid: tuple[float, ...] = C_GRID) -> None:
        if not c_grid or min(c_grid) <= 0:
            raise ConfigError(
                f"linear.c_grid={c_grid} must hold positive inverse penalties, e.g. 0.01, 1, 100"
            )
        self.c_grid = tuple(sorted(c_grid))

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on train, choose C and tap on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no labelled galaxy.
        """
        return self.report(self.fit(features), features)

    def fit(self, features: Features) -> LinearProbe:
        """Fit on train, and choose C and tap on val; test is not looked at.

        Raises:
            ContractError: a feature is not finite.
            DataError: train or val has no labelled galaxy.
        """
        taps = track(features.taps, task="linear probe", total=len(features.taps), unit="taps")
        probes = [LinearProbe.fit(tap, features, self.c_grid) for tap in taps]
        return min(probes, key=lambda probe: probe.log_loss)  # the first of equals

    def report(self, probe: LinearProbe, features: Features) -> Evaluation:
        """Score a fitted probe on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: test has no labelled galaxy.
        """
        test, train = read_labelled(features, "test", probe.tap), read_labelled(features, "train", probe.tap)
        log_p = probe.log_probability(test.features)
        predicted = probe.classes[log_p.argmax(axis=1)]
        selection: dict[str, float | str] = {
            "C": probe.c,
            "tap": probe.tap,
            "val_log_loss": probe.log_loss,
            "val_accuracy": probe.accuracy,
        }
        scores = (
            accuracy_score("linear", test.label, predicted, train.label),
            balanced_accuracy_score("linear", test.label, predicted),
            macro_f1_score("linear", test.label, predicted),
            *recall_scores("linear", test.label, predicted),
            *_nll(probe.classes, test.label, log_p, train.label),
            ece_score("linear", predicted == test.label, np.exp(log_p.max(axis=1))),
        )
        return Evaluation(scores, {"class": predicted}, test.ids, selection, probe.warnings())


def _nll(
    classes: Int[np.ndarray, " class"],
    truth: Int[np.ndarray, " galaxy"],
    log_p: Float[np.ndarray, "galaxy class"],
    train: Int[np.ndarray, " train_galaxy"],
) -> tuple[Score, ...]:
    """Score the stated probabilities; a class that train lacks has none, and is left out."""
    known = np.isin(truth, classes)
    if not known.any():
        return ()
    index, fitted = np.searchsorted(classes, truth[known]), np.searchsorted(classes, train)
    return (nll_score("linear", index, log_p[known], fitted),)


@dataclass(frozen=True)
class LinearProbe:
    """The classifier that validation prefers on one tap.

    Attributes:
        tap: whose features it reads.
        classes: index of each class that it knows, in the order of its probabilities.
        scaling: of the features.
        classifier: one fit, of standardised features.
        c: its inverse penalty.
        log_loss, accuracy: on validation.
    """

    tap: str
    classes: Int[np.ndarray, " class"]
    scaling: Standardisation
    classifier: LogisticFits
    c: float
    log_loss: float
    accuracy: float

    @classmethod
    def fit(cls, tap: str, features: Features, c_grid: tuple[float, ...]) -> LinearProbe:
        """Fit one tap on train, and choose C on val."""
        train, val = read_labelled(features, "train", tap), read_labelled(features, "val", tap)
        classes, target = np.unique(train.label, return_inverse=True)
        scaling = Standardisation.fit(train.features)
        there = torch.as_tensor(target, device=train.features.device)
        climb = climb_logistic(scaling(train.features), there, c_grid)
        best, found = 0, list[tuple[float, LogisticFits]]()
        del train  # a copy of all features
        for fits in climb:
            losses = _log_losses(fits.logits(scaling(val.features)), classes, val.label)
            found += [(loss, fits.only(slice(row, row + 1))) for row, loss in enumerate(losses)]
            best = min(range(len(found)), key=lambda at: found[at][0])  # the strongest penalty of equals
            if best < len(found) - 1:
                break
        loss, chosen = found[best]
        index = chosen.predict(scaling(val.features))[0].cpu().numpy()
        return cls(tap, classes, scaling, chosen, c_grid[best], loss, accuracy(val.label, classes[index]))

    def log_probability(self, features: Float[Tensor, "galaxy dim"]) -> Float[np.ndarray, "galaxy class"]:
        """Return the log-probability of each of `classes` for features of the tap."""
        found: Float[np.ndarray, "galaxy class"]
        found = self.classifier.log_probability(self.scaling(features))[0].cpu().numpy()
        return found

    def warnings(self) -> tuple[str, ...]:
        """List what a reader of its scores should know."""
        found = []
        if not bool(self.classifier.converged[0]):
            found.append(f"the fit with C = {self.c:g} on tap '{self.tap}' did not converge")
        if len(self.classes) == 1:
            found.append(f"train holds only class {self.classes[0]}, which is the answer for every galaxy")
        return tuple(found)


def _log_losses(
    logits: Float[Tensor, "fit galaxy class"],
    classes: Int[np.ndarray, " class"],
    label: Int[np.ndarray, " galaxy"],
) -> list[float]:
    """Return the mean log-loss of each fit; a class that train lacks says nothing about C and is left out."""
    known = np.flatnonzero(np.isin(label, classes))
    if not len(known):
        return [0.0] * len(logits)
    target = torch.from_numpy(np.searchsorted(classes, label[known])).to(logits.device)
    return [float(F.cross_entropy(fit[known], target)) for fit in logits]
