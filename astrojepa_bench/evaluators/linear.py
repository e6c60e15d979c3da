"""How much of the classes a linear classifier finds in frozen features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.answers import Answers
from astrojepa_bench.evaluators.classification import (
    accuracy,
    accuracy_score,
    balanced_accuracy_score,
    macro_f1_score,
)
from astrojepa_bench.evaluators.logistic import LogisticFits, fit_logistic
from astrojepa_bench.evaluators.reading import LabelledGalaxies, read_labelled
from astrojepa_bench.evaluators.standardise import Standardisation
from astrojepa_bench.events import track
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4)


class Linear(Evaluator):
    """Multinomial logistic regression on standardised frozen features.

    Measures how linearly the classes lie in the features. Fitted on train only; the inverse penalty C and the
    tap are those of the least validation log-loss (the strongest penalty, then the first tap, of equals).
    Log-loss and not accuracy: on a few hundred galaxies accuracy has a standard error of 2 points, and the
    best of many candidates is then the luckiest one; a proper score moves smoothly with C.
    There is no refit on train + val: the classifier that was chosen is the classifier that is reported.
    Classes are those of the train labels; a test galaxy of any other class counts as an error.

    Chance: accuracy, the test share of the most frequent train class; balanced accuracy and macro F1,
    1 / classes. Golden number: equal to `sklearn.linear_model.LogisticRegression` within .1 point at every C.
    Do not trust it to compare encoders of very different width on few labels (a wider tap overfits sooner),
    nor differences below two standard errors of one test set; it says nothing about classes that need a
    curved boundary, for which see `knn`.

    Args:
        c_grid: inverse penalties to choose from, in scikit-learn's sense.

    Source:
        The logistic-regression protocol of DINOv2 (Oquab et al. 2024, arXiv 2304.07193; its released
        evaluation code). Deviations: 9 values of C instead of 45, chosen by log-loss, features standardised,
        no refit.
    """

    requires = ("label",)
    version = 2

    def __init__(self, *, c_grid: tuple[float, ...] = C_GRID) -> None:
        if not c_grid or min(c_grid) <= 0:
            raise ConfigError(
                f"linear.c_grid={c_grid} must hold positive inverse penalties, e.g. 0.01, 1, 100"
            )
        self.c_grid = tuple(sorted(c_grid))

    def evaluate(self, answers: Answers) -> Evaluation:
        """Fit on train, choose C and tap on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no labelled galaxy.
        """
        probe = min(self._probes(answers), key=lambda probe: probe.log_loss)  # the first of equals
        test, train = read_labelled(answers, "test", probe.tap), read_labelled(answers, "train", probe.tap)
        truth, predicted = test.label, probe.predict(test)[probe.choice]
        scores = (
            accuracy_score("linear", truth, predicted, train.label),
            balanced_accuracy_score("linear", truth, predicted),
            macro_f1_score("linear", truth, predicted),
        )
        selection: dict[str, float | str] = {
            "C": self.c_grid[probe.choice],
            "tap": probe.tap,
            "val_log_loss": probe.log_loss,
            "val_accuracy": probe.accuracy,
        }
        warnings = probe.warnings(self.c_grid)
        return Evaluation(scores, {"class": predicted}, test.ids, selection, warnings)

    def _probes(self, answers: Answers) -> Iterator[_Probe]:
        for tap in track(answers.taps, task="linear probe", total=len(answers.taps), unit="taps"):
            train, val = read_labelled(answers, "train", tap), read_labelled(answers, "val", tap)
            yield _Probe.fit(tap, train, val, self.c_grid)


@dataclass(frozen=True)
class _Probe:
    """Classifiers of the whole grid on one tap, and which of them validation prefers."""

    tap: str
    classes: Int[np.ndarray, " class"]
    scaling: Standardisation
    fits: LogisticFits
    choice: int = 0
    log_loss: float = 0.0
    accuracy: float = 0.0

    @classmethod
    def fit(
        cls, tap: str, train: LabelledGalaxies, val: LabelledGalaxies, c_grid: tuple[float, ...]
    ) -> _Probe:
        classes, target = np.unique(train.label, return_inverse=True)
        scaling = Standardisation.fit(train.features)
        target_there = torch.as_tensor(target, device=train.features.device)
        fits = fit_logistic(scaling(train.features), target_there, c_grid)
        probe = cls(tap, classes, scaling, fits)
        losses = probe.log_losses(val)
        choice = int(np.argmin(losses))
        right = accuracy(val.label, probe.predict(val)[choice])
        return cls(tap, classes, scaling, fits, choice, float(losses[choice]), right)

    def log_losses(self, galaxies: LabelledGalaxies) -> Float[np.ndarray, " fit"]:
        """Give the mean log-loss of each fit; a class that train lacks says nothing about C and is left out."""
        known = np.flatnonzero(np.isin(galaxies.label, self.classes))
        logits = self.fits.logits(self.scaling(galaxies.features))[:, known]
        if not len(known):
            return np.zeros(len(logits))
        target = torch.from_numpy(np.searchsorted(self.classes, galaxies.label[known])).to(logits.device)
        losses = [float(F.cross_entropy(fit, target)) for fit in logits]
        return np.asarray(losses)

    def predict(self, galaxies: LabelledGalaxies) -> Int[np.ndarray, "fit galaxy"]:
        index: Tensor = self.fits.predict(self.scaling(galaxies.features))
        predicted: Int[np.ndarray, "fit galaxy"] = self.classes[index.cpu().numpy()]
        return predicted

    def warnings(self, c_grid: tuple[float, ...]) -> tuple[str, ...]:
        found = []
        if not bool(self.fits.converged[self.choice]):
            found.append(f"the fit with C = {c_grid[self.choice]:g} on tap '{self.tap}' did not converge")
        if len(self.classes) == 1:
            found.append(f"train holds only class {self.classes[0]}, which is the answer for every galaxy")
        return tuple(found)
