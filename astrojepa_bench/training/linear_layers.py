"""Linear layers on a CPU in float32, through oneDNN instead of the library that torch multiplies matrices with.

On a processor that it does not know, that library may run at less than half of oneDNN's rate
(`benchmarks/README.md` has both rates of its machine). Products are float32 throughout; sums are taken in another
order, so results differ in their last digits. Equal threads give equal results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F

from astrojepa_bench.training.substitution import Substitution

_PLAIN = (Tensor, nn.Parameter)
LEAST_OPERATIONS = 2**21  # of a layer that is worth the detour: about 20 microseconds of one thread


class LinearByOneDNN(Substitution):
    """Hands the linear layers that are large enough, on a CPU and in float32, to oneDNN."""

    def __init__(self) -> None:
        super().__init__({F.linear: _linear_where_it_suits})


def _linear_where_it_suits(*given: Any, **named: Any) -> Tensor:
    return (linear if _suits(*given, **named) else F.linear)(*given, **named)


def linear(
    input: Float[Tensor, "*row inside"],
    weight: Float[Tensor, "outside inside"],
    bias: Float[Tensor, " outside"] | None = None,
) -> Float[Tensor, "*row outside"]:
    """Compute what `torch.nn.functional.linear` does."""
    answer: Tensor = _Linear.apply(input, weight, bias)
    return answer


def _suits(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether oneDNN computes a layer, and differentiates it as torch would."""
    given = [each for each in (input, weight, bias) if each is not None]
    return (
        all(
            type(each) in _PLAIN and each.dtype == torch.float32 and each.device.type == "cpu"
            for each in given
        )
        and weight.ndim == 2
        and input.ndim >= 2
        and input.numel() * len(weight) >= LEAST_OPERATIONS
        and torch.backends.mkldnn.is_available()
        and bool(torch.backends.mkldnn.enabled)
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def formulas() -> dict[object, Callable[..., int]]:
    """Return how to count the operations of oneDNN's layers, which torch's counter does not know."""

    def operations(rows: Sequence[int], weight: Sequence[int], *_: object, **__: object) -> int:
        return 2 * math.prod(rows) * weight[0]

    return {torch.ops.mkldnn._linear_pointwise: operations} if torch.backends.mkldnn.is_available() else {}


class _Linear(torch.autograd.Function):
    """A linear layer whose products, forward and backward, are oneDNN's; it can be differentiated again."""

    @staticmethod
    def forward(
        context: Any,  # noqa: ANN401 torch's
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        context.save_for_backward(input, weight)
        context.has_bias = bias is not None
        return _product(input, weight, bias)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 torch's
        (gradient,) = gradients
        given, weight = context.saved_tensors
        of_input = of_weight = of_bias = None
        rows = gradient.flatten(0, -2)
        if context.needs_input_grad[0]:
            of_input = linear(gradient, weight.t())
        if context.needs_input_grad[1]:
            of_weight = _over_rows(rows, given.flatten(0, -2))
        if context.has_bias and context.needs_input_grad[2]:
            of_bias = rows.sum(dim=0)
        return of_input, of_weight, of_bias


def _over_rows(left: Float[Tensor, "row a"], right: Float[Tensor, "row b"]) -> Float[Tensor, "a b"]:
    """Compute `left.T @ right`; the one that oneDNN copies is the narrower one."""
    if left.shape[1] <= right.shape[1]:
        return linear(left.t(), right.t())
    return linear(right.t(), left.t()).t().contiguous()


def _product(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    compute = cast(Callable[..., Tensor], torch.ops.mkldnn._linear_pointwise)
    return compute(rows, weight, bias, "none", [], "")
