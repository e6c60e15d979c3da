"""Multinomial logistic regression for many fits at once, by preconditioned L-BFGS.

For every inverse penalty C, and every draw of galaxies, it minimises scikit-learn's objective

    mean_i cross_entropy(W x_i + b, y_i) + ||W||^2 / (2 C N),        b unpenalised.

Fits on the same galaxies share one matrix product. Rotating the features onto their principal axes makes the
curvature almost diagonal, whatever the collinearity: dividing each axis by the root of its curvature turns some
thousand steps into some hundred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.evaluators.probes.lbfgs import minimise

version = 1  # raise it whenever a number changes

ROUGH = 30.0
TOLERANCE = 1e-4
MAX_STEPS = 1000
SUREST = 1e-6


@dataclass(frozen=True)
class LogisticFits:
    """Classifiers: one per inverse penalty or, with draws, one per draw and inverse penalty in this order.

    Attributes:
        weights, bias: in the units of the features that were given.
        converged: whether the gradient fell below the tolerance.
    """

    weights: Float[Tensor, "fit class dim"]
    bias: Float[Tensor, "fit class"]
    converged: Bool[Tensor, " fit"]

    def logits(self, features: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "fit galaxy class"]:
        """Return the unnormalised log-probability of each class."""
        features = features.to(self.weights.dtype)
        return torch.einsum("nd,fkd->fnk", features, self.weights) + self.bias[:, None]

    def predict(self, features: Float[Tensor, "galaxy dim"]) -> Int[Tensor, "fit galaxy"]:
        """Return the most probable class of each galaxy, for each fit."""
        return self.logits(features).argmax(dim=-1)

    def log_probability(self, features: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "fit galaxy class"]:
        """Return the log-probability of each class, in double precision: sums of it depend on no order."""
        logits = torch.einsum("nd,fkd->fnk", features.double(), self.weights.double())
        return (logits + self.bias.double()[:, None]).log_softmax(dim=-1)

    def only(self, chosen: slice) -> LogisticFits:
        """Return some of the fits."""
        return LogisticFits(self.weights[chosen], self.bias[chosen], self.converged[chosen])


def fit_logistic(
    features: Float[Tensor, "galaxy dim"],
    target: Int[Tensor, " galaxy"],
    inverse_penalties: tuple[float, ...],
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
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
    return fit_logistic_draws(
        features[None], target[None], inverse_penalties, tolerance=tolerance, max_steps=max_steps
    )


def fit_logistic_draws(
    features: Float[Tensor, "draw galaxy dim"],
    target: Int[Tensor, "draw galaxy"],
    inverse_penalties: tuple[float, ...],
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> LogisticFits:
    """Fit one classifier per draw of galaxies and inverse penalty, all at once; see `fit_logistic`.

    Args:
        features: the galaxies of each draw.
        target: class index 0 to K - 1, each class present in each draw.
        inverse_penalties: tried on every draw.
        tolerance: as in `fit_logistic`.
        max_steps: as in `fit_logistic`.
    """
    problem = _Problem.build(_Galaxies.read(features, target), inverse_penalties)
    rough, _ = problem.solved(problem.start(), ROUGH * tolerance, max_steps)
    return problem.in_given_units(
        *problem.solved(rough, tolerance, max_steps)
    )  # curvature has fallen by then


def climb_logistic(
    features: Float[Tensor, "galaxy dim"],
    target: Int[Tensor, " galaxy"],
    inverse_penalties: tuple[float, ...],
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> Iterator[LogisticFits]:
    """Fit two penalties at a time, from the strongest to the weakest, each pair from the solution before.

    The weaker the penalty the longer the way, so a caller who stops in time saves most of it.

    Args:
        features: as in `fit_logistic`.
        target: as in `fit_logistic`.
        inverse_penalties: in any order.
        tolerance: as in `fit_logistic`.
        max_steps: as in `fit_logistic`.

    Yields:
        Fits of the next two inverse penalties in ascending order; the last may stand alone.
    """
    galaxies, grid = _Galaxies.read(features[None], target[None]), sorted(inverse_penalties)
    del features  # a generator would keep them until it ends
    before: Tensor | None = None
    for at in range(0, len(grid), 2):
        problem = _Problem.build(galaxies, tuple(grid[at : at + 2]))
        weights = problem.start() if before is None else before.expand_as(problem.scale)
        weights, converged = problem.solved(weights, tolerance, max_steps)
        yield problem.in_given_units(weights, converged)
        before = weights[-1:]


@dataclass(frozen=True)
class _Galaxies:
    """Draws of galaxies on their own principal axes; the last input is the intercept's."""

    inputs: Float[Tensor, "draw galaxy axis"]
    target: Int[Tensor, "draw galaxy"]
    classes: int
    variance: Float[Tensor, "draw axis"]
    axes: Float[Tensor, "draw dim rank"]
    mean: Float[Tensor, "draw dim"]

    @classmethod
    def read(
        cls, features: Float[Tensor, "draw galaxy dim"], target: Int[Tensor, "draw galaxy"]
    ) -> _Galaxies:
        mean = features.mean(dim=1)
        centred = features - mean[:, None]
        axes, variance = _principal_axes(centred)
        rotated = centred @ axes
        del centred  # as large as the features
        inputs = torch.cat([rotated, torch.ones_like(features[..., :1])], dim=2)
        variance = torch.cat([variance, torch.ones_like(variance[:, :1])], dim=1)
        return cls(inputs, target, int(target.max()) + 1, variance, axes, mean)


@dataclass(frozen=True)
class _Problem:
    """The objectives, one per draw and penalty.

    Points are weights divided by `scale`, in which the curvature is nearly the same in every direction.
    """

    galaxies: _Galaxies
    draw: Int[Tensor, " fit"]
    penalty: Float[Tensor, "fit 1 axis"]
    scale: Float[Tensor, "fit class axis"]

    @classmethod
    def build(cls, galaxies: _Galaxies, inverse_penalties: tuple[float, ...]) -> _Problem:
        draws, count, _ = galaxies.inputs.shape
        grid = galaxies.inputs.new_tensor(inverse_penalties).repeat(draws)
        ridge = (2.0 if galaxies.classes == 2 else 1.0) / (grid * count)
        penalty = ridge[:, None, None] * torch.ones_like(galaxies.inputs[0, 0])
        penalty[..., -1] = 0
        draw = torch.arange(draws, device=grid.device).repeat_interleave(len(inverse_penalties))
        return cls(galaxies, draw, penalty, torch.ones_like(penalty).repeat(1, galaxies.classes, 1))

    def start(self) -> Float[Tensor, "fit class axis"]:
        """Start from no weights and the class frequencies."""
        weights = torch.zeros_like(self.scale)
        counts = F.one_hot(self.galaxies.target, self.galaxies.classes).sum(dim=1).to(weights.dtype)
        weights[..., -1] = (counts / counts.sum(dim=1, keepdim=True)).log()[self.draw]
        return weights

    def solved(
        self, weights: Float[Tensor, "fit class axis"], tolerance: float, max_steps: int
    ) -> tuple[Float[Tensor, "fit class axis"], Bool[Tensor, " fit"]]:
        """Minimise from `weights`, scaled by the curvature there."""
        problem = self._rescaled(weights)
        start = (weights / problem.scale).flatten(1)
        found = minimise(problem.value_and_gradient, start, tolerance=tolerance, max_steps=max_steps)
        return found.point.view_as(weights) * problem.scale, found.converged

    def _rescaled(self, weights: Float[Tensor, "fit class axis"]) -> _Problem:
        """Scale by the curvature as if every galaxy had the mean p (1 - p) of a class."""
        p = self._log_probability(weights, self._fits_per_draw(self.draw)).exp()
        sureness = (p * (1 - p)).mean(dim=-1).clamp_min(SUREST)
        curvature = sureness[..., None] * self.galaxies.variance[self.draw][:, None] + self.penalty
        return replace(self, scale=curvature.rsqrt())

    def _fits_per_draw(self, draw: Int[Tensor, " active"]) -> list[int]:
        counts: list[int] = torch.bincount(draw, minlength=len(self.galaxies.inputs)).tolist()
        return counts

    def _log_probability(
        self, weights: Float[Tensor, "active class axis"], counts: list[int]
    ) -> Float[Tensor, "active class galaxy"]:
        # Galaxies last: a softmax over ten neighbouring numbers takes 17 times as long as over ten long rows.
        parts = zip(self.galaxies.inputs, weights.split(counts), strict=True)
        logits = torch.cat([own.flatten(0, 1) @ inputs.T for inputs, own in parts])
        return logits.unflatten(0, weights.shape[:2]).log_softmax(dim=1)

    def value_and_gradient(
        self, point: Float[Tensor, "active size"], fits: Int[Tensor, " active"]
    ) -> tuple[Float[Tensor, " active"], Float[Tensor, "active size"]]:
        scale, penalty, draw = self.scale[fits], self.penalty[fits], self.draw[fits]
        counts, weights = self._fits_per_draw(draw), point.view_as(scale) * scale
        log_p = self._log_probability(weights, counts)
        truth = self.galaxies.target[draw][:, None]
        loss = -log_p.gather(1, truth).mean(dim=-1)[:, 0] + (penalty * weights**2).sum(dim=(1, 2)) / 2
        residual = log_p.exp_().scatter_add_(1, truth, log_p.new_full((), -1.0).expand(truth.shape))
        parts = zip(residual.split(counts), self.galaxies.inputs, strict=True)
        slopes = torch.cat([own.flatten(0, 1) @ inputs for own, inputs in parts]) / residual.shape[-1]
        slope = slopes.view_as(weights)
        return loss, ((slope + penalty * weights) * scale).flatten(1)

    def in_given_units(
        self, weights: Float[Tensor, "fit class axis"], converged: Bool[Tensor, " fit"]
    ) -> LogisticFits:
        given = weights[..., :-1] @ self.galaxies.axes.mT[self.draw]
        offset = (given @ self.galaxies.mean[self.draw][..., None])[..., 0]
        return LogisticFits(given, weights[..., -1] - offset, converged)


def _principal_axes(
    centred: Float[Tensor, "draw galaxy dim"],
) -> tuple[Float[Tensor, "draw dim rank"], Float[Tensor, "draw rank"]]:
    """Return orthonormal axes that span the rows of each draw, and the variance along each.

    With fewer galaxies than dimensions the axes come from the smaller Gram matrix; directions that no galaxy
    points to carry no weight in a penalised fit, so the axes that rounding alone spans are set to zero.
    """
    wide, count = centred.to(torch.float64), centred.shape[1]
    if count >= centred.shape[2]:
        variance, axes = torch.linalg.eigh(wide.mT @ wide / count)
        return axes.to(centred.dtype), variance.clamp_min(0).to(centred.dtype)
    variance, left = torch.linalg.eigh(wide @ wide.mT / count)
    used = variance > variance[:, -1:] * count * torch.finfo(torch.float64).eps
    axes = wide.mT @ left * torch.where(used, (variance * count).rsqrt(), 0.0)[:, None]
    return axes.to(centred.dtype), torch.where(used, variance, 0.0).to(centred.dtype)
