"""What an evaluator may know of a run: frozen features and the facts that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.errors import ContractError
from astrojepa_bench.types import Split


@dataclass(frozen=True)
class SplitAnswers:
    """Features and facts of one split, row by row.

    Attributes:
        ids: galaxy ids.
        features: tap name to features.
        label: class index, -1 unknown.
        anomaly: index into `ANOMALY_KINDS`, 0 for ordinary galaxies (only test has others).
    """

    ids: np.ndarray
    features: Mapping[str, Float[Tensor, "galaxy dim"]]
    label: Int[np.ndarray, " galaxy"]
    anomaly: Int[np.ndarray, " galaxy"]

    def __post_init__(self) -> None:
        for tap, features in self.features.items():
            if len(features) != len(self.ids):
                raise ContractError(f"tap '{tap}' has {len(features)} rows for {len(self.ids)} galaxies")

    def labelled(
        self, tap: str
    ) -> tuple[Float[Tensor, "galaxy dim"], Int[np.ndarray, " galaxy"], np.ndarray]:
        """Give features, labels and ids of the galaxies that carry a label."""
        known = np.flatnonzero(self.label >= 0)
        return self.features[tap][known], self.label[known], self.ids[known]


@dataclass(frozen=True)
class Answers:
    """Everything evaluators read; computed once per run and kept.

    Attributes:
        train, val, test: the labelled splits (test holds the anomalies too, unlabelled).
        classes: number of classes of the dataset.
        seed: names the evaluator's random streams (k-means starts, label permutations).
    """

    train: SplitAnswers
    val: SplitAnswers
    test: SplitAnswers
    classes: int
    seed: int = 0

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the feature taps, `last` (pooled last layer) first."""
        return tuple(self.train.features)

    def split(self, name: Split) -> SplitAnswers:
        """Look a split up by name."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]
