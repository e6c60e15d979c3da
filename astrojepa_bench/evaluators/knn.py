"""Whether near neighbours in feature space share a class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.metrics.classification import (
    accuracy,
    accuracy_score,
    balanced_accuracy_score,
)
from astrojepa_bench.evaluators.probes.neighbours import Directions
from astrojepa_bench.evaluators.probes.reading import read_labelled
from astrojepa_bench.evaluators.probes.votes import vote
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation


class KNN(Evaluator):
    """Weighted vote of the nearest train galaxies by cosine similarity.

    Measures whether a galaxy's neighbourhood holds its class, with nothing trained on top. The k nearest of
    train vote with weight exp(similarity / temperature); the tap is the one with the best validation accuracy
    (the first of equals). Fewer train galaxies than k: all of them vote. Of galaxies exactly as near as the k-th
    neighbour each has its share of the votes that are left.

    Chance: accuracy, the test share of the most frequent train class; balanced accuracy, 1 / classes. Golden
    numbers: equal to scikit-learn's `KNeighborsClassifier` with the same weights and the cosine metric; features
    that are the same for all galaxies score chance exactly.
    Do not trust it across strongly unbalanced classes (the frequent one outvotes its neighbours: read the
    balanced accuracy), nor on features whose few large directions are nuisances: nothing is standardised.

    Args:
        k: how many neighbours vote.
        temperature: how much faster near ones count.

    Source:
        Wu et al. 2018 (arXiv 1805.01978, section 3.4), k = 20 and T = .07 as in DINO (Caron et al. 2021,
        arXiv 2104.14294). Deviation: the train mean is subtracted before the L2 normalisation, because
        mean-pooled tokens share a large common vector that leaves all cosines near 1.
    """

    requires = ("label",)
    metrics = SHOWN["knn"]
    version = 2

    def __init__(self, *, k: int = 20, temperature: float = 0.07) -> None:
        if k < 1 or temperature <= 0:
            raise ConfigError(
                f"knn.k={k} and knn.temperature={temperature} must be positive; 20 and 0.07 are usual"
            )
        self.k, self.temperature = k, temperature

    def evaluate(self, features: Features) -> Evaluation:
        """Choose the tap on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no labelled galaxy.
        """
        voters = [self._voters(features, tap) for tap in features.taps]
        best = max(voters, key=lambda one: one.validation)  # the first of equals
        test = read_labelled(features, "test", best.tap)
        predicted = vote(best.directions, test.features, best.label, self.k, self.temperature)
        scores = (
            accuracy_score("knn", test.label, predicted, best.label.cpu().numpy()),
            balanced_accuracy_score("knn", test.label, predicted),
        )
        warnings = {
            f"only {len(best.label)} train galaxies for k = {self.k}; all of them vote": len(best.label)
            < self.k,
            f"tap '{best.tap}' is constant; every galaxy is as near as any other": not bool(
                best.directions.unit.any()
            ),
        }
        selection: dict[str, float | str] = {"tap": best.tap, "val_accuracy": best.validation}
        held = tuple(warning for warning, holds in warnings.items() if holds)
        return Evaluation(scores, {"class": predicted}, test.ids, selection, held)

    def _voters(self, features: Features, tap: str) -> _Voters:
        train, val = read_labelled(features, "train", tap), read_labelled(features, "val", tap)
        directions = Directions.of(train.features)
        if bool((train.features == train.features[:1]).all()):  # their mean may differ from them by rounding
            directions = replace(directions, unit=torch.zeros_like(directions.unit))
        label = torch.as_tensor(train.label, device=train.features.device).long()
        del train  # a copy of all features
        predicted = vote(directions, val.features, label, self.k, self.temperature)
        return _Voters(tap, directions, label, accuracy(val.label, predicted))


@dataclass(frozen=True)
class _Voters:
    """The train galaxies of one tap, and the accuracy of their votes on validation."""

    tap: str
    directions: Directions
    label: Int[Tensor, " voter"]
    validation: float
