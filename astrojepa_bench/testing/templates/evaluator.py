"""Evaluator `template`: names the class whose mean is nearest.

Source: nothing to cite yet; name the paper, the equation and every deviation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.plugin import (
    DataError,
    Evaluation,
    Evaluator,
    Features,
    Metric,
    Score,
    binomial_se,
    hookimpl,
)


class TemplateEvaluator(Evaluator):
    """Accuracy of the nearest class mean in standardised features.

    Class means are those of train, the tap is the one with the best validation accuracy (the first of equals).

    Chance: the test share of the largest class.
    """

    version = 1

    requires = ("label",)
    metrics = (Metric("accuracy", "template %", scale=100, digits=1, level="headline"),)

    def evaluate(self, features: Features) -> Evaluation:
        """Choose the tap on val, report on test.

        Raises:
            DataError: a split has no labelled galaxy.
        """
        if min(int((part.label >= 0).sum()) for part in (features.train, features.val, features.test)) == 0:
            raise DataError("a split has no labelled galaxy; give labels, or leave evaluator 'template' out")
        tap = max(features.taps, key=lambda name: self._accuracy(features, name))
        tested, label, ids = features.test.labelled(tap)
        predicted = self._predict(features, tap, tested)
        right = predicted == label
        value, n = float(right.mean()), len(label)
        chance, error = float(np.bincount(label).max()) / n, binomial_se(value, n)
        score = Score("template", "accuracy", value, True, n, chance, item_se=error, correct=right)
        return Evaluation((score,), {"class": predicted}, ids, {"tap": tap})

    def _accuracy(self, features: Features, tap: str) -> float:
        validated, label, _ = features.val.labelled(tap)
        return float((self._predict(features, tap, validated) == label).mean())

    def _predict(
        self, features: Features, tap: str, galaxies: Float[Tensor, "galaxy dim"]
    ) -> Int[np.ndarray, " galaxy"]:
        known, label, _ = features.train.labelled(tap)
        spread = known.std(dim=0).clamp(min=1e-6)
        classes = np.unique(label)
        means = torch.stack([known[torch.from_numpy(label == each)].mean(dim=0) for each in classes])
        nearest = torch.cdist(galaxies / spread, means / spread).argmin(dim=1)
        predicted: Int[np.ndarray, " galaxy"] = classes[nearest.cpu().numpy()]
        return predicted


@hookimpl
def astrojepa_evaluators() -> Mapping[str, type[Evaluator]]:
    """Offer `template`."""
    return {"template": TemplateEvaluator}
