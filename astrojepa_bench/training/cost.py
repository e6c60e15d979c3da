"""What a training step costs: tokens and floating-point operations, counted, not estimated."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from astrojepa_bench.roles import Encoder, Objective
from astrojepa_bench.types import Loss, Tokens


@dataclass(frozen=True)
class StepCost:
    """Cost of one optimiser step.

    Attributes:
        flops: floating-point operations of loss and gradient (matrix products and attention).
        tokens: tokens that passed through encoders, teacher included.
    """

    flops: int
    tokens: int


def count_step(objective: Objective, step: Callable[[Objective], Loss]) -> StepCost:
    """Run one step on a copy of the objective and count; the objective itself is left as it is.

    Args:
        objective: what is trained.
        step: computes the loss of one typical batch with the objective it is given.
    """
    rehearsal = copy.deepcopy(objective)
    counter = FlopCounterMode(display=False)
    # the plain attention kernel is built of counted products; fused CPU kernels are invisible to the counter
    with _counted_tokens(rehearsal) as tokens, counter, sdpa_kernel(SDPBackend.MATH):
        step(rehearsal).total.backward()
    return StepCost(counter.get_total_flops(), sum(tokens))


@contextmanager
def _counted_tokens(objective: Objective) -> Iterator[list[int]]:
    counts: list[int] = []

    def count(_module: nn.Module, _given: object, tokens: Tokens) -> None:
        counts.append(tokens.positions.numel())

    encoders = [module for module in objective.modules() if isinstance(module, Encoder)]
    handles = [encoder.register_forward_hook(count) for encoder in encoders]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()
