"""What a training step costs: tokens and floating-point operations, counted, not estimated."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on
from astrojepa_bench.errors import named
from astrojepa_bench.roles import Encoder, Objective
from astrojepa_bench.training.linear_layers import formulas
from astrojepa_bench.types import Loss, Tokens


class UncountedError(Exception):
    """Raised where arithmetic is to be matched and that of a step cannot be counted; carries the reason."""


@dataclass(frozen=True)
class StepCost:
    """Cost of one optimiser step.

    Attributes:
        flops: floating-point operations of loss and gradient (matrix products and attention).
        tokens: tokens that passed through encoders, teacher included.
    """

    flops: int
    tokens: int


def count_step(objective: Objective, step: Callable[[Objective], Loss], parts: int = 1) -> StepCost | None:
    """Run one step on a copy of the objective and count; the objective itself is left as it is.

    An objective that cannot be copied (it holds a lock, or a tensor with the graph that made it) is not counted,
    and a note says so: it trains all the same.

    Args:
        objective: what is trained.
        step: computes the loss of one typical batch, or of an equal part of one, with the objective it is given.
        parts: how many parts a batch has.
    """
    try:
        rehearsal = copy.deepcopy(objective)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        events.emit(
            "note",
            text=f"{type(objective).__name__} cannot be copied ({named(error)[:200]}); its operations, tokens and "
            "masks are not measured",
        )
        return None
    with _counted_tokens(rehearsal) as tokens, counted_flops() as counter:
        loss = step(rehearsal)
        with blamed_on(objective):
            loss.total.backward()
    return StepCost(counter.get_total_flops() * parts, sum(tokens) * parts)


def matched_steps(objective: Objective, flops: int, cost: StepCost | None) -> int:
    """Return the number of steps, one at least, whose arithmetic comes nearest to `flops`.

    Args:
        objective: whose steps they are.
        flops: to be spent.
        cost: of one of its steps; None where it could not be counted.

    Raises:
        UncountedError: nothing was counted.
    """
    if cost is None or cost.flops < 1:
        raise UncountedError(
            f"the arithmetic of a step of {type(objective).__name__} cannot be counted, so it cannot be matched; "
            "run it without --match flops"
        )
    return max(1, round(flops / cost.flops))


def count_image(encoder: Encoder) -> int:
    """Count the yardstick of budgets that are matched by arithmetic: one image, forward and backward, all patches.

    Nothing is computed: shapes alone are followed, so the count is the same on every machine. It is the least that
    training an encoder on whole images can cost, which is what a plain classifier spends.

    Args:
        encoder: the budget's own; its weights are lost.
    """
    spec, blank = encoder.spec, encoder.to("meta")
    image = torch.empty(1, len(spec.bands), spec.size_px, spec.size_px, device="meta")
    with counted_flops() as counter:
        blank(image).values.mean().backward()
    return counter.get_total_flops()


@contextmanager
def counted_flops() -> Iterator[FlopCounterMode]:
    """Count the operations of all that is done inside: matrix products and attention, whoever multiplies."""
    # the plain attention kernel is built of counted products; fused CPU kernels are invisible to the counter
    with (
        FlopCounterMode(display=False, custom_mapping=formulas()) as counter,
        sdpa_kernel(SDPBackend.MATH),
    ):
        yield counter


@contextmanager
def _counted_tokens(objective: Objective) -> Iterator[list[int]]:
    counts: list[int] = []

    def count(_module: nn.Module, _given: object, tokens: Tokens) -> None:
        counts.append(tokens.positions.numel())

    def counted(layers: Callable[..., Sequence[Tokens]]) -> Callable[..., Sequence[Tokens]]:
        def count_layers(images: Tensor, keep: Tensor | None = None) -> Sequence[Tokens]:
            before = len(counts)
            found = layers(images, keep)
            if len(counts) == before:  # it has not called `forward`, where tokens are counted already
                counts.append(found[-1].positions.numel())
            return found

        return count_layers

    encoders = [module for module in objective.modules() if isinstance(module, Encoder)]
    handles = [encoder.register_forward_hook(count) for encoder in encoders]
    for encoder in encoders:
        vars(encoder)["layers"] = counted(encoder.layers)
    try:
        yield counts
    finally:
        for encoder, handle in zip(encoders, handles, strict=True):
            handle.remove()
            del vars(encoder)["layers"]
