"""Multinomial logistic regression for a whole grid of penalties at once, by preconditioned L-BFGS.

For every inverse penalty C it minimises scikit-learn's objective

    mean_i cross_entropy(W x_i + b, y_i) + ||W||^2 / (2 C N),        b unpenalised.

All fits share the features, so one matrix product serves the grid. Rotating the features onto their principal
axes makes the curvature almost diagonal, whatever the collinearity: dividing each axis by the root of its
curvature turns some thousand steps into some hundred.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from astrojepa_bench.evaluators.lbfgs import minimise

ROUGH = 30.0
SUREST = 1e-6


@dataclass(frozen=True)
class LogisticFits:
    """One fitted classifier per inverse penalty.

    Attributes:
        weights, bias: in the units of the features that were given.
        converged: whether the gradient fell below the tolerance.
    """

    weights: Float[Tensor, "fit class dim"]
    bias: Float[Tensor, "fit class"]
    converged: Bool[Tensor, " fit"]

    def logits(self, features: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "fit galaxy class"]:
        """Give the unnormalised log-probability of each class."""
        features = features.to(self.weights.dtype)
        return torch.einsum("nd,fkd->fnk", features, self.weights) + self.bias[:, None]

    def predict(self, features: Float[Tensor, "galaxy dim"]) -> Int[Tensor, "fit galaxy"]:
        """Give the most probable class of each galaxy, for each fit."""
        return self.logits(features).argmax(dim=-1)


def fit_logistic(
    features: Float[Tensor, "galaxy dim"],
    target: Int[Tensor, " galaxy"],
    inverse_penalties: tuple[float, ...],
    *,
    tolerance: float = 1e-4,
    max_steps: int = 1000,
) -> LogisticFits:
    """Fit one classifier per inverse penalty, all at once, on the features' device.

    Args:
        features: float32 or float64 (which is also the precision of the fit).
        target: class index 0 to K - 1, each class present.
        inverse_penalties: scikit-learn's `C`, larger is weaker regularisation.
        tolerance: largest norm of the rescaled gradient at a solution. At 1e-4 the objective was within 1e-5
            nat per galaxy of its minimum on every problem of the tests.
        max_steps: L-BFGS steps after which a fit is given back as not converged.

    Source:
        The objective of `sklearn.linear_model.LogisticRegression`; two classes included, where scikit-learn
        penalises one weight vector instead of two opposite ones (twice the penalty of a softmax).
        The scaling is the curvature bound of Böhning (1992, Ann. Inst. Stat. Math. 44, 197) with the class
        factor 1/2 replaced by the mean p (1 - p) of each class: first of the class frequencies, then of a
        rough solution.
    """
    grid = torch.tensor(inverse_penalties, dtype=features.dtype, device=features.device)
    problem = _Problem.build(features, target, grid)
    weights = problem.start()
    for precision in (ROUGH * tolerance, tolerance):
        problem = problem.rescaled(weights)  # curvature falls as the answers become sure
        start = (weights / problem.scale).flatten(1)
        solution = minimise(problem.value_and_gradient, start, tolerance=precision, max_steps=max_steps)
        weights = solution.point.view_as(weights) * problem.scale
    return LogisticFits(*problem.in_given_units(weights), solution.converged)


@dataclass(frozen=True)
class _Problem:
    """The grid of objectives on rotated features; the last column is the intercept's.

    Points are weights divided by `scale`, in which the curvature is nearly the same in every direction.
    """

    inputs: Float[Tensor, "galaxy axis"]
    target: Int[Tensor, " galaxy"]
    variance: Float[Tensor, " axis"]
    penalty: Float[Tensor, "fit 1 axis"]
    scale: Float[Tensor, "fit class axis"]
    axes: Float[Tensor, "dim rank"]
    mean: Float[Tensor, " dim"]

    @classmethod
    def build(
        cls,
        features: Float[Tensor, "galaxy dim"],
        target: Int[Tensor, " galaxy"],
        grid: Float[Tensor, " fit"],
    ) -> _Problem:
        mean, classes = features.mean(dim=0), int(target.max()) + 1
        axes, variance = _principal_axes(features - mean)
        inputs = torch.cat([(features - mean) @ axes, torch.ones_like(features[:, :1])], dim=1)
        ridge = (2.0 if classes == 2 else 1.0) / (grid * len(features))
        penalty = ridge[:, None, None] * torch.ones_like(inputs[0])
        penalty[..., -1] = 0
        scale = torch.ones_like(penalty).repeat(1, classes, 1)
        variance = torch.cat([variance, torch.ones_like(variance[:1])])
        return cls(inputs, target, variance, penalty, scale, axes, mean)

    def start(self) -> Float[Tensor, "fit class axis"]:
        """Start from no weights and the class frequencies."""
        weights = torch.zeros_like(self.scale)
        counts = torch.bincount(self.target, minlength=weights.shape[1]).to(weights.dtype)
        weights[..., -1] = (counts / counts.sum()).log()
        return weights

    def rescaled(self, weights: Float[Tensor, "fit class axis"]) -> _Problem:
        """Scale by the curvature at `weights`, as if every galaxy had the mean p (1 - p) of a class."""
        p = self.log_probability(weights).exp()
        sureness = (p * (1 - p)).mean(dim=0).clamp_min(SUREST)
        curvature = sureness[..., None] * self.variance + self.penalty
        return replace(self, scale=curvature.rsqrt())

    def log_probability(
        self, weights: Float[Tensor, "active class axis"]
    ) -> Float[Tensor, "galaxy active class"]:
        logits = self.inputs @ weights.flatten(0, 1).T
        return logits.unflatten(1, weights.shape[:2]).log_softmax(dim=-1)

    def value_and_gradient(
        self, point: Float[Tensor, "active size"], fits: Int[Tensor, " active"]
    ) -> tuple[Float[Tensor, " active"], Float[Tensor, "active size"]]:
        scale, penalty = self.scale[fits], self.penalty[fits]
        weights = point.view_as(scale) * scale
        log_p = self.log_probability(weights)
        truth = self.target[:, None, None].expand(-1, len(fits), 1)
        loss = -log_p.gather(-1, truth).mean(dim=0)[:, 0] + (penalty * weights**2).sum(dim=(1, 2)) / 2
        residual = log_p.exp_().scatter_add_(-1, truth, log_p.new_full((), -1.0).expand(truth.shape))
        slope = (residual.flatten(1).T @ self.inputs / len(self.inputs)).view_as(weights)
        return loss, ((slope + penalty * weights) * scale).flatten(1)

    def in_given_units(
        self, weights: Float[Tensor, "fit class axis"]
    ) -> tuple[Float[Tensor, "fit class dim"], Float[Tensor, "fit class"]]:
        given = weights[..., :-1] @ self.axes.T
        return given, weights[..., -1] - given @ self.mean


def _principal_axes(
    centred: Float[Tensor, "galaxy dim"],
) -> tuple[Float[Tensor, "dim rank"], Float[Tensor, " rank"]]:
    """Give orthonormal axes that span the rows, and the variance along each.

    With fewer galaxies than dimensions the axes come from the smaller Gram matrix; directions that no galaxy
    points to carry no weight in a penalised fit, so leaving them out changes nothing.
    """
    wide = centred.to(torch.float64)
    if len(centred) >= centred.shape[1]:
        variance, axes = torch.linalg.eigh(wide.T @ wide / len(wide))
        return axes.to(centred.dtype), variance.clamp_min(0).to(centred.dtype)
    variance, left = torch.linalg.eigh(wide @ wide.T / len(wide))
    used = variance > variance[-1] * len(wide) * torch.finfo(torch.float64).eps
    axes = wide.T @ left[:, used] / (variance[used] * len(wide)).sqrt()
    return axes.to(centred.dtype), variance[used].to(centred.dtype)
