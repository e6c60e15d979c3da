"""Numbers from features by ridge regression, with its penalty chosen on validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.evaluators.probes.standardise import Standardisation

version = 1  # raise it whenever a number changes
ALPHAS = (1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6)


@dataclass(frozen=True)
class Ridge:
    """Ridge regressions of several targets on standardised features, one penalty each.

    Attributes:
        scaling: of the features.
        centre: mean of each target over train.
        weights: of each target.
        alpha: the penalty of each target.
        loss: its mean squared error on validation.
    """

    scaling: Standardisation
    centre: Float[Tensor, " target"]
    weights: Float[Tensor, "dim target"]
    alpha: Float[Tensor, " target"]
    loss: Float[Tensor, " target"]

    @classmethod
    def fit(
        cls,
        train: tuple[Float[Tensor, "train_galaxy dim"], Float[Tensor, "train_galaxy target"]],
        val: tuple[Float[Tensor, "val_galaxy dim"], Float[Tensor, "val_galaxy target"]],
        alphas: tuple[float, ...] = ALPHAS,
    ) -> Ridge:
        """Fit on train, and choose for each target the penalty of the least squared error on val.

        The penalty is scikit-learn's: |y - Xw|² + alpha |w|². Of equals, the strongest wins.
        """
        scaling = Standardisation.fit(train[0])
        x, centre = scaling(train[0]).double(), train[1].double().mean(dim=0)
        gram, moment = x.T @ x, x.T @ (train[1].double() - centre)
        penalties = sorted(alphas, reverse=True)
        identity = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
        roots = (torch.linalg.cholesky(gram + alpha * identity) for alpha in penalties)
        paths = torch.stack([torch.cholesky_solve(moment, root) for root in roots])
        missed = (scaling(val[0]).double() @ paths + centre - val[1].double()).square().mean(dim=1)
        choice = missed.argmin(dim=0)  # the first of equals
        target = torch.arange(len(centre), device=choice.device)
        alpha = torch.tensor(penalties, dtype=torch.float64, device=choice.device)[choice]
        return cls(scaling, centre, paths[choice, :, target].T, alpha, missed[choice, target])

    def predict(self, features: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "galaxy target"]:
        """Predict the targets of each galaxy."""
        return self.scaling(features).double() @ self.weights + self.centre


def r_squared(truth: Float[np.ndarray, "*shape"], predicted: Float[np.ndarray, "*shape"]) -> float:
    """Return the explained share of the variance over these galaxies: 1 - sum of squared errors / sum of squares.

    Several columns (the sine and cosine of one angle) count together.
    """
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return 1 - float(((truth - predicted) ** 2).sum()) / spread
