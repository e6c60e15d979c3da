"""Which physical truths of simulated galaxies lie in the features, and which nuisances of the observation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.probes.reading import by_id, read_features
from astrojepa_bench.evaluators.probes.ridge import Ridge, r_squared
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.events import track
from astrojepa_bench.features import Features
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score, Split

FEWEST = 30
NUISANCES = ("psf_", "noise_", "position_angle")
HALF_TURN = "position_angle"  # an axis points the same way after half a turn
Column = Float[np.ndarray, " galaxy"]


class Factors(Evaluator):
    """Explained share (R²) of each physical truth, by ridge regression on frozen features.

    Measures what the representation knows of a galaxy (axis ratio, bulge fraction, pitch angle, size, magnitude,
    redshift, ...: higher is better) and of how it was observed (PSF, noise, position angle: nuisances, lower is
    better). One metric `r2_NAME` a factor; `mean_r2` averages the physical ones and `mean_r2_nuisance` the others.
    Each is regressed over the ordinary galaxies for which it is defined (a smooth galaxy has no pitch angle), with
    a penalty of its own by validation, on tap `last`. Position angles are regressed as sin 2θ and cos 2θ, which
    count together: θ and θ + 180° are one axis.

    Chance: 0, the mean of train; a little below it where features are noise. Golden number: a factor that is a
    linear function of the features under noise of a share q of the variance has R² = 1 - q.
    Do not read a low R² as ignorance (only linear dependence counts), nor compare factors with one another: each
    has a noise floor of its own. A nuisance may be read off physics that goes with it: in a flux-limited survey,
    only differences between encoders on the same galaxies mean something. On real data, numeric columns are
    regressed likewise; vote fractions that few volunteers were asked for are noisy.

    Source:
        Nuisance probes after Galaxy-JEPA's controls; double angles as for the ellipticity of lensing (Bartelmann &
        Schneider 2001, Phys. Rep. 340, 291).
    """

    requires = ("factors",)
    metrics = SHOWN["factors"]
    version = 1

    def evaluate(self, features: Features) -> Evaluation:
        """Fit each factor on train, choose its penalty on val, report on test.

        Raises:
            ContractError: a feature is not finite.
            DataError: no factor is known for enough galaxies and varies.
        """
        read = _Reader(features)
        found: dict[str, tuple[float, int]] = {}
        predictions: dict[str, np.ndarray] = {}
        groups = read.groups()
        for names in track(groups, task="regressing factors", total=len(groups), unit="groups"):
            for name, predicted in read.regress(names).items():
                truth = read.truth(name)
                known = np.isfinite(truth).all(axis=1)
                found[name] = (r_squared(truth[known], predicted[known]), int(known.sum()))
                predictions[name] = _column(name, predicted)
        if not found:
            raise DataError(f"no factor is known for {FEWEST} galaxies of each split and varies among them")
        return Evaluation(_scores(found), predictions, read.test_ids, {"tap": features.taps[0]})


class _Reader:
    """Regresses columns on features, those known for the same galaxies at once."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self.tap = features.taps[0]
        self.test_rows = np.flatnonzero(features.test.anomaly == 0)
        self.test_ids = features.test.ids[self.test_rows]
        self._test = read_features(features.test, "test", self.tap, self.test_rows)

    def groups(self) -> list[list[str]]:
        """Group columns by the galaxies of train and val for which they are known.

        Columns of too few galaxies of a split, or constant in train or test, are left out.
        """
        groups: dict[bytes, list[str]] = {}
        splits: tuple[Split, ...] = ("train", "val", "test")
        for name in self.features.test.columns:
            known = [self._known(split, name) for split in splits]
            values = [self._values(split, name)[here] for split, here in zip(splits, known, strict=True)]
            if min(map(len, values)) >= FEWEST and all(np.ptp(part) > 0 for part in (values[0], values[2])):
                groups.setdefault(np.concatenate(known[:2]).tobytes(), []).append(name)
        return list(groups.values())

    def regress(self, names: list[str]) -> dict[str, Float[np.ndarray, "galaxy target"]]:
        """Predict some columns for all ordinary test galaxies."""
        fitted = Ridge.fit(self._pair("train", names), self._pair("val", names))
        predicted = fitted.predict(self._test).cpu().numpy()
        ends = np.cumsum([self.truth(name).shape[1] for name in names])
        return dict(zip(names, np.split(predicted, ends[:-1], axis=1), strict=True))

    def truth(self, name: str) -> Float[np.ndarray, "galaxy target"]:
        """Return what is to be predicted for all ordinary test galaxies, NaN where undefined."""
        return targets(name, self._values("test", name)[self.test_rows])

    def _pair(self, split: Split, names: list[str]) -> tuple[Tensor, Tensor]:
        found = self.features.split(split)
        rows = by_id(found, np.flatnonzero(self._known(split, names[0])))
        inputs = read_features(found, split, self.tap, rows)
        truth = np.concatenate([targets(name, self._values(split, name)[rows]) for name in names], axis=1)
        return inputs, torch.as_tensor(truth, device=inputs.device)

    def _values(self, split: Split, name: str) -> Column:
        found = self.features.split(split)
        return np.asarray(found.columns.get(name, np.full(len(found.ids), np.nan)), dtype=float)

    def _known(self, split: Split, name: str) -> Bool[np.ndarray, " galaxy"]:
        return np.isfinite(self._values(split, name)) & (self.features.split(split).anomaly == 0)


def targets(name: str, values: Column) -> Float[np.ndarray, "galaxy target"]:
    """Return what is regressed: the column itself, or sine and cosine of twice a position angle [deg]."""
    if not name.startswith(HALF_TURN):
        return values[:, None]
    return np.stack([np.sin(2 * np.radians(values)), np.cos(2 * np.radians(values))], axis=1)


def _column(name: str, predicted: Float[np.ndarray, "galaxy target"]) -> Column:
    """Turn regressed targets back into the column's own unit."""
    if not name.startswith(HALF_TURN):
        return predicted[:, 0]
    angle: Column = np.degrees(np.arctan2(predicted[:, 0], predicted[:, 1]) / 2) % 180
    return angle


def _scores(found: dict[str, tuple[float, int]]) -> tuple[Score, ...]:
    physical = {name: pair for name, pair in found.items() if not name.startswith(NUISANCES)}
    nuisances = {name: pair for name, pair in found.items() if name.startswith(NUISANCES)}
    means = [("mean_r2", physical, True), ("mean_r2_nuisance", nuisances, False)]
    scores = [_mean(metric, group.values(), better) for metric, group, better in means if group]
    return (*scores, *(_score(f"r2_{name}", *pair, name in physical) for name, pair in found.items()))


def _mean(metric: str, pairs: Iterable[tuple[float, int]], better: bool) -> Score:
    values, counts = zip(*pairs, strict=True)
    return _score(metric, float(np.mean(values)), max(counts), better)


def _score(metric: str, value: float, n: int, better: bool) -> Score:
    return Score("factors", metric, value, better, n, chance=0.0)
