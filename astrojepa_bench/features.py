"""What an evaluator may know of a run: frozen features, the facts that go with them, and what it requested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.errors import ContractError
from astrojepa_bench.types import Split

Request: TypeAlias = Literal["views", "twin", "errors", "fluxes"]
"""What the ruler computes for evaluators that ask: augmented views, the shift twin, prediction errors, fluxes."""


@dataclass(frozen=True)
class SplitFeatures:
    """Features and facts of one split, row by row.

    Attributes:
        ids: galaxy ids.
        features: tap name to features.
        label: class index, -1 unknown.
        anomaly: index into `ANOMALY_KINDS`, 0 for ordinary galaxies (only test has others).
        redshift: NaN where unknown; None if nobody knows any.
        factors: numeric columns by name (physical truth, vote fractions), NaN where undefined.
        fluxes: mean of each band of the image, in [0, 1]; None unless requested.
        errors: how badly the objective predicts each galaxy, by name; only in test, and only if requested.
            Averages over 16 draws of masks of `mean_squared`, `max_squared` (over a draw's tokens),
            `mean_cosine` and `min_cosine`.
    """

    ids: np.ndarray
    features: Mapping[str, Float[Tensor, "galaxy dim"]]
    label: Int[np.ndarray, " galaxy"]
    anomaly: Int[np.ndarray, " galaxy"]
    redshift: Float[np.ndarray, " galaxy"] | None = None
    factors: Mapping[str, Float[np.ndarray, " galaxy"]] = field(default_factory=dict)
    fluxes: Float[np.ndarray, "galaxy band"] | None = None
    errors: Mapping[str, Float[np.ndarray, " galaxy"]] = field(default_factory=dict)

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

    @property
    def columns(self) -> Mapping[str, Float[np.ndarray, " galaxy"]]:
        """Numeric columns that features may be asked about: `redshift` and the factors, by name."""
        known = {} if self.redshift is None else {"redshift": self.redshift}
        return {**known, **self.factors}


@dataclass(frozen=True)
class Features:
    """Everything evaluators read; computed once per run and kept.

    Attributes:
        train, val, test: the labelled splits (test holds the anomalies too, unlabelled).
        classes: number of classes of the dataset.
        seed: names the evaluator's random streams (k-means starts, label permutations).
        views: features (tap `last`) of several augmented views of a fixed sample of ordinary test galaxies;
            None unless requested.
        twin: the test galaxies, row by row, seen by another instrument; None unless requested and there is one.
    """

    train: SplitFeatures
    val: SplitFeatures
    test: SplitFeatures
    classes: int
    seed: int = 0
    views: Float[Tensor, "galaxy view dim"] | None = None
    twin: SplitFeatures | None = None

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the feature taps, `last` (pooled last layer) first."""
        return tuple(self.train.features)

    def split(self, name: Split) -> SplitFeatures:
        """Look a split up by name."""
        return {"train": self.train, "val": self.val, "test": self.test}[name]
