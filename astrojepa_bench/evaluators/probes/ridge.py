"""Numbers from features: ridge regression, with its penalty chosen on validation, and nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.evaluators.probes.standardise import Standardisation

version = 1  # raise it whenever a number changes
Features = Float[Tensor, "galaxy dim"]
Targets = Float[Tensor, "galaxy target"]
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
        paths = torch.stack([_solved(gram, moment, alpha) for alpha in penalties])
        missed = (scaling(val[0]).double() @ paths + centre - val[1].double()).square().mean(dim=1)
        choice = missed.argmin(dim=0)  # the first of equals
        target = torch.arange(len(centre), device=choice.device)
        alpha = torch.tensor(penalties, dtype=torch.float64, device=choice.device)[choice]
        return cls(scaling, centre, paths[choice, :, target].T, alpha, missed[choice, target])

    def predict(self, features: Features) -> Targets:
        """Give the target of each galaxy."""
        return self.scaling(features).double() @ self.weights + self.centre


def _solved(
    gram: Float[Tensor, "dim dim"], moment: Float[Tensor, "dim target"], alpha: float
) -> Float[Tensor, "dim target"]:
    penalised = gram + alpha * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    return torch.cholesky_solve(moment, torch.linalg.cholesky(penalised))


def knn_mean(
    train: tuple[Float[Tensor, "train_galaxy dim"], Float[np.ndarray, " train_galaxy"]],
    features: Features,
    k: int,
) -> Float[np.ndarray, " galaxy"]:
    """Average a number over the k nearest train galaxies, found as the evaluator `knn` finds them."""
    mean = train[0].mean(dim=0)
    near = KNeighborsRegressor(min(k, len(train[0]))).fit(_directions(train[0], mean), train[1])
    predicted: Float[np.ndarray, " galaxy"] = near.predict(_directions(features, mean))
    return predicted


def _directions(features: Features, mean: Float[Tensor, " dim"]) -> Float[np.ndarray, "galaxy dim"]:
    directions: Float[np.ndarray, "galaxy dim"] = F.normalize(features - mean, dim=1).cpu().numpy()
    return directions


def r_squared(truth: Float[np.ndarray, "*shape"], predicted: Float[np.ndarray, "*shape"]) -> float:
    """Give the explained share of the variance over these galaxies: 1 - sum of squared errors / sum of squares.

    Several columns (the sine and cosine of one angle) count together.
    """
    spread = float(((truth - truth.mean(axis=0)) ** 2).sum())
    return 1 - float(((truth - predicted) ** 2).sum()) / spread
