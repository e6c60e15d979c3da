"""Whether near neighbours in feature space share a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.metrics.classification import (
    accuracy,
    accuracy_score,
    balanced_accuracy_score,
)
from astrojepa_bench.evaluators.probes.reading import LabelledGalaxies, read_labelled
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation

CHUNK = 1024


class KNN(Evaluator):
    """Weighted vote of the nearest train galaxies by cosine similarity.

    Measures whether a galaxy's neighbourhood holds its class, with nothing trained on top. The k nearest of
    train vote with weight exp(similarity / temperature); the tap is the one of the best validation accuracy
    (the first of equals). Fewer train galaxies than k: all of them vote.

    Chance: accuracy, the test share of the most frequent train class; balanced accuracy, 1 / classes. Golden
    number: equal to scikit-learn's `KNeighborsClassifier` with the same weights and the cosine metric.
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
    version = 1

    def __init__(self, *, k: int = 20, temperature: float = 0.07) -> None:
        if k < 1 or temperature <= 0:
            raise ConfigError(
                f"knn.k={k} and knn.temperature={temperature} must be positive; 20 and 0.07 are usual"
            )
        self.k, self.temperature = k, temperature

    def evaluate(self, answers: Features) -> Evaluation:
        """Choose the tap on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: a split has no labelled galaxy.
        """
        voters = max(self._voters(answers), key=lambda voters: voters.validation)  # the first of equals
        test = read_labelled(answers, "test", voters.tap)
        predicted = voters.predict(test.features, self.k, self.temperature)
        scores = (
            accuracy_score("knn", test.label, predicted, voters.label.cpu().numpy()),
            balanced_accuracy_score("knn", test.label, predicted),
        )
        selection: dict[str, float | str] = {"tap": voters.tap, "val_accuracy": voters.validation}
        return Evaluation(scores, {"class": predicted}, test.ids, selection, voters.warnings(self.k))

    def _voters(self, answers: Features) -> Iterator[_Voters]:
        for tap in answers.taps:
            train, val = read_labelled(answers, "train", tap), read_labelled(answers, "val", tap)
            yield _Voters.validated(tap, train, val, self.k, self.temperature)


@dataclass(frozen=True)
class _Voters:
    """The train galaxies of one tap, ready to vote."""

    tap: str
    mean: Float[Tensor, " dim"]
    directions: Float[Tensor, "voter dim"]
    label: Int[Tensor, " voter"]
    validation: float = 0.0

    @classmethod
    def validated(
        cls, tap: str, train: LabelledGalaxies, val: LabelledGalaxies, k: int, temperature: float
    ) -> _Voters:
        mean = train.features.mean(dim=0)
        directions = F.normalize(train.features - mean, dim=1)
        label = torch.as_tensor(train.label, device=mean.device).long()
        voters = cls(tap, mean, directions, label)
        found = accuracy(val.label, voters.predict(val.features, k, temperature))
        return cls(tap, mean, directions, label, found)

    def predict(
        self, features: Float[Tensor, "galaxy dim"], k: int, temperature: float
    ) -> Int[np.ndarray, " galaxy"]:
        """Let the k nearest vote; equal votes go to the lowest class."""
        votes = [self._votes(part, min(k, len(self.label)), temperature) for part in features.split(CHUNK)]
        predicted: Int[np.ndarray, " galaxy"] = torch.cat(votes).argmax(dim=1).cpu().numpy()
        return predicted

    def _votes(
        self, features: Float[Tensor, "galaxy dim"], k: int, temperature: float
    ) -> Float[Tensor, "galaxy class"]:
        similarity = F.normalize(features - self.mean, dim=1) @ self.directions.T
        nearest, voter = similarity.topk(k, dim=1)
        weight = ((nearest - nearest[:, :1]) / temperature).exp()  # relative to the nearest: no overflow
        votes = weight.new_zeros((len(features), int(self.label.max()) + 1))
        return votes.scatter_add_(1, self.label[voter], weight)

    def warnings(self, k: int) -> tuple[str, ...]:
        found = []
        if len(self.label) < k:
            found.append(f"only {len(self.label)} train galaxies for k = {k}; all of them vote")
        if not bool(self.directions.any()):
            found.append(f"tap '{self.tap}' is constant; neighbours are arbitrary")
        return tuple(found)
