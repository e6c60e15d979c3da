"""How well a number is read from frozen features: redshift, or any numeric column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.probes.neighbours import Directions
from astrojepa_bench.evaluators.probes.reading import by_id, read_features
from astrojepa_bench.evaluators.probes.ridge import ALPHAS, Ridge, r_squared
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.features import Features
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score, Split

Values = Float[np.ndarray, " galaxy"]
FEWEST = 10
OUTLYING = {"outliers_05": 0.05, "outliers_15": 0.15}


class Redshift(Evaluator):
    """Redshift, or another numeric column, from frozen features by ridge regression and nearest neighbours.

    Measures how much of the number lies linearly in the features (ridge; metrics without a prefix) and in their
    neighbourhoods (mean of the k nearest by cosine; prefix `knn_`). With D = (predicted - true) / (1 + true) for
    the column `redshift`, and D = predicted - true for any other: `sigma_nmad` = 1.4826 median |D - median D|,
    `absolute_bias` = |median D|, `r2`; for redshifts `outliers_05` and `outliers_15`, the shares with |D| above
    .05 (usual for nearby galaxies) and .15 (usual for deep surveys). Ordinary galaxies whose number is known;
    penalty and tap are those with the least squared error on validation.

    Chance: what predicting the median of train for every galaxy scores. The prefix `class_only_` is a second null:
    the mean of train over the galaxy's true class. Features that do not beat it have learnt morphology and no
    more. Golden number: sigma_NMAD of a normal scatter of .03 is .030; ridge is scikit-learn's `Ridge`.
    Do not trust it as photometry: inputs are stretched 8-bit images; nor compare it across redshift ranges. At
    median redshifts near .1 `outliers_15` is near 0 for anything.

    Args:
        column: numeric column to predict: `redshift`, or the name of a factor.
        k: how many neighbours are averaged.

    Source:
        Metrics: Brammer et al. 2008 (ApJ 686, 1503) for sigma_NMAD, here about the median of D; Pasquet et al. 2019
        (A&A 621, A26) for outliers at .05. Deviation: bias is the absolute value of the median, not the mean.
    """

    metrics = SHOWN["redshift"]
    version = 1

    def __init__(self, *, column: str = "redshift", k: int = 20) -> None:
        if k < 1:
            raise ConfigError(f"redshift.k={k} must be at least 1; 20 is usual")
        self.column, self.k = column, k
        self.requires = (column,)

    def evaluate(self, features: Features) -> Evaluation:
        """Fit on train, choose penalty and tap on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: too few galaxies have a number.
        """
        return self.report(self.fit(features), features)

    def fit(self, features: Features) -> NumberProbe:
        """Fit on train, and choose penalty and tap on val; test is not looked at.

        Raises:
            ContractError: a feature is not finite.
            DataError: too few galaxies of train or val have a number.
        """
        probes = list[NumberProbe]()
        for tap in features.taps:
            train, val = self._read(features, "train", tap), self._read(features, "val", tap)
            ridge = Ridge.fit((train.features, train.target), (val.features, val.target), ALPHAS)
            probes.append(NumberProbe(tap, ridge, ridge.predict(val.features)[:, 0].cpu().numpy(), val.truth))
        return min(probes, key=lambda probe: float(probe.ridge.loss))  # the first of equals

    def report(self, probe: NumberProbe, features: Features) -> Evaluation:
        """Score a fitted probe on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: too few test galaxies have a number.
        """
        tap, ridge = probe.tap, probe.ridge
        train, test = self._read(features, "train", tap), self._read(features, "test", tap)
        predicted = {
            "": ridge.predict(test.features)[:, 0].cpu().numpy(),
            "knn_": Directions.of(train.features).average(test.features, train.truth, self.k),
            "class_only_": _class_means(train, test),
        }
        null = self._metrics(test.truth, np.full(len(test.truth), np.median(train.truth)))
        scores = [
            score
            for prefix, values in predicted.items()
            for score in self._scores(prefix, test, values, null)
        ]
        selection: dict[str, float | str] = {"tap": tap, "alpha": float(ridge.alpha), "column": self.column}
        answered = {
            {"": "ridge"}.get(prefix, prefix.rstrip("_")): values for prefix, values in predicted.items()
        }
        return Evaluation(tuple(scores), {**answered, "truth": test.truth}, test.ids, selection)

    def _read(self, features: Features, split: Split, tap: str) -> _Measured:
        """Read the ordinary galaxies whose number is known, sorted by id unless they are reported on."""
        found = features.split(split)
        column = found.columns.get(self.column, np.full(len(found.ids), np.nan))
        rows = np.flatnonzero(np.isfinite(column) & (found.anomaly == 0))
        if len(rows) < FEWEST:
            raise DataError(
                f"{len(rows)} ordinary {split} galaxies have a number in '{self.column}'; {FEWEST} are needed"
            )
        rows = rows if split == "test" else by_id(found, rows)
        values = column[rows].astype(float)
        return _Measured(read_features(found, split, tap, rows), values, found.label[rows], found.ids[rows])

    def _scores(self, prefix: str, test: _Measured, predicted: Values, null: dict[str, float]) -> list[Score]:
        n = len(test.truth)
        return [
            Score(
                "redshift", f"{prefix}{metric}", value, metric == "r2", n, null[metric],
                binomial_se(value, n) if metric in OUTLYING else None,
            )
            for metric, value in self._metrics(test.truth, predicted).items()
        ]  # fmt: skip

    def _metrics(self, truth: Values, predicted: Values) -> dict[str, float]:
        redshifts = self.column == "redshift"
        deviation = (predicted - truth) / (1 + truth if redshifts else 1.0)
        outlying = {name: float((np.abs(deviation) > limit).mean()) for name, limit in OUTLYING.items()}
        return {
            "sigma_nmad": sigma_nmad(deviation),
            "absolute_bias": abs(float(np.median(deviation))),
            **(outlying if redshifts else {}),
            "r2": r_squared(truth, predicted),
        }


@dataclass(frozen=True)
class NumberProbe:
    """The regression that validation prefers.

    Attributes:
        tap: whose features it reads.
        ridge: of one number.
        validated, truth: what it predicts of the validation galaxies, and what is true of them.
    """

    tap: str
    ridge: Ridge
    validated: Values
    truth: Values


@dataclass(frozen=True)
class _Measured:
    """Galaxies whose number is known."""

    features: Float[Tensor, "galaxy dim"]
    truth: Values
    label: Int[np.ndarray, " galaxy"]
    ids: np.ndarray

    @property
    def target(self) -> Float[Tensor, "galaxy target"]:
        """The number as the only target of a regression."""
        return torch.as_tensor(self.truth, device=self.features.device)[:, None]


def sigma_nmad(deviation: Values) -> float:
    """Return the normalised median absolute deviation about the median: the sigma of a normal scatter.

    Example:
        >>> sigma_nmad(np.array([-2.0, -1.0, 0.0, 1.0, 2.0]))
        1.4826
    """
    return float(1.4826 * np.median(np.abs(deviation - np.median(deviation))))


def _class_means(train: _Measured, test: _Measured) -> Values:
    """Predict the train mean of each galaxy's true class; of all train galaxies, where it has none."""
    means = {
        label: train.truth[train.label == label].mean() for label in np.unique(train.label) if label >= 0
    }
    overall = train.truth.mean()
    return np.array([means.get(label, overall) for label in test.label], dtype=float)
