"""L-BFGS for many independent convex problems at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

version = 1  # raise it whenever a number changes

Objective: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
MEMORY = 10
HALVINGS = 30
ARMIJO = 1e-4


@dataclass(frozen=True)
class Minimum:
    """Where each problem ended.

    Attributes:
        point: the solutions.
        converged: whether the gradient norm fell below the tolerance.
    """

    point: Float[Tensor, "problem size"]
    converged: Bool[Tensor, " problem"]


class _Pair(NamedTuple):
    """A step and how the gradient changed along it, with their product and its inverse."""

    step: Float[Tensor, "active size"]
    change: Float[Tensor, "active size"]
    product: Float[Tensor, "active 1"]
    share: Float[Tensor, "active 1"]

    @classmethod
    def of(cls, step: Float[Tensor, "active size"], change: Float[Tensor, "active size"]) -> _Pair:
        product = _dot(step, change)
        return cls(step, change, product, _inverse(product))


@dataclass(frozen=True)
class _State:
    """The problems still being solved, by their numbers, with what L-BFGS remembers of each."""

    problem: Int[Tensor, " active"]
    point: Float[Tensor, "active size"]
    value: Float[Tensor, " active"]
    gradient: Float[Tensor, "active size"]
    pairs: tuple[_Pair, ...] = ()

    def keep(self, mask: Bool[Tensor, " active"]) -> _State:
        if bool(mask.all()):
            return self
        return _State(
            self.problem[mask], self.point[mask], self.value[mask], self.gradient[mask],
            tuple(_Pair.of(pair.step[mask], pair.change[mask]) for pair in self.pairs),
        )  # fmt: skip


def minimise(
    objective: Objective, start: Float[Tensor, "problem size"], *, tolerance: float, max_steps: int
) -> Minimum:
    """Minimise convex problems together; a problem that has converged costs nothing more.

    Args:
        objective: takes points (active, size) and the numbers of their problems (active,), returns values
            (active,) and gradients (active, size).
        start: where each problem starts.
        tolerance: gradient norm at which a problem is solved.
        max_steps: steps after which the rest is given back as not converged.

    Source:
        Nocedal & Wright, Numerical Optimization, algorithm 7.4. Deviation: no search for the curvature
        condition, which convexity grants; a step is taken where it lowers the value or where the slope along
        it is still downward, a test that rounding of the value cannot fool.
    """
    numbers = torch.arange(len(start), device=start.device)
    point, converged = start.clone(), torch.zeros(len(start), dtype=torch.bool, device=start.device)
    state = _State(numbers, start, *objective(start, numbers))
    for _ in range(max_steps + 1):
        done = state.gradient.norm(dim=1) <= tolerance
        point[state.problem], converged[state.problem] = state.point, done
        state = state.keep(~done)
        if not len(state.problem):
            break
        state = _step(objective, state)
    return Minimum(point, converged)


def _step(objective: Objective, state: _State) -> _State:
    direction = _direction(state)
    moved = _search(objective, state, direction)
    newest = _Pair.of(moved.point - state.point, moved.gradient - state.gradient)
    return replace(moved, pairs=(*state.pairs, newest)[-MEMORY:])


def _direction(state: _State) -> Float[Tensor, "active size"]:
    """Apply the inverse curvature remembered from the last steps to the gradient (two-loop recursion)."""
    q, shares = state.gradient, []
    for pair in reversed(state.pairs):
        shares.append(pair.share * _dot(pair.step, q))
        q = q - shares[-1] * pair.change
    if state.pairs:
        last = state.pairs[-1]
        scale = last.product * _inverse(_dot(last.change, last.change))
        q = q * torch.where(scale > 0, scale, 1.0)
    for pair, share in zip(state.pairs, reversed(shares), strict=True):
        q = q + (share - pair.share * _dot(pair.change, q)) * pair.step
    return -q


def _search(objective: Objective, state: _State, direction: Float[Tensor, "active size"]) -> _State:
    """Shorten the step of each problem until it descends; a problem that cannot descend stays in place."""
    slope = _dot(state.gradient, direction)
    length = torch.ones_like(slope)
    point, value, gradient = state.point.clone(), state.value.clone(), state.gradient.clone()
    pending = torch.arange(len(slope), device=slope.device)
    for _ in range(HALVINGS):
        trial = state.point[pending] + length[pending] * direction[pending]
        found, tilt = objective(trial, state.problem[pending])
        end_slope = _dot(tilt, direction[pending])
        lower = found <= state.value[pending] + ARMIJO * (length * slope)[pending, 0]
        taken = (lower | (end_slope[:, 0] <= 0)) & found.isfinite()
        if len(pending) == len(slope) and bool(taken.all()):  # most often; nothing is to be put together
            return _State(state.problem, trial, found, tilt)
        at = pending[taken]
        point[at], value[at], gradient[at] = trial[taken], found[taken], tilt[taken]
        length[pending] *= _secant(slope[pending], end_slope)
        pending = pending[~taken]
        if not len(pending):
            break
    return _State(state.problem, point, value, gradient)


def _secant(
    slope: Float[Tensor, "active 1"], end_slope: Float[Tensor, "active 1"]
) -> Float[Tensor, "active 1"]:
    """Where the slope would vanish if it changed evenly, as a share of the step, kept within [.1, .5]."""
    return (slope / (slope - end_slope)).nan_to_num(nan=0.1).clamp(0.1, 0.5)


def _dot(a: Float[Tensor, "active size"], b: Float[Tensor, "active size"]) -> Float[Tensor, "active 1"]:
    return (a * b).sum(dim=1, keepdim=True)


def _inverse(values: Float[Tensor, "active 1"]) -> Float[Tensor, "active 1"]:
    """1/x, and 0 where rounding left nothing positive to divide by (that pair is then ignored)."""
    return torch.where(values > 0, 1 / values, 0.0)
