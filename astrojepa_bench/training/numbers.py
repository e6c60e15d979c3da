"""What steps leave on the device, read together every few steps: each reading holds a GPU up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from astrojepa_bench.errors import DivergedError

NORM = "gradient norm"


@dataclass(frozen=True)
class StepNumbers:
    """What a step left on the device: its terms, `total` first, and behind them the gradient norm."""

    step: int
    terms: tuple[str, ...]
    values: torch.Tensor


def read_numbers(unread: Sequence[StepNumbers]) -> dict[int, dict[str, float]]:
    """Read the loss terms of some steps at once, by the number of steps that are done then.

    Raises:
        DivergedError: something is not finite; names the first step, and the term before the total it spoilt.
    """
    if not unread:
        return {}
    values = iter(torch.cat([each.values for each in unread]).tolist())
    found = {}
    for each in unread:
        terms = {name: next(values) for name in each.terms}
        ordered = {**{k: v for k, v in terms.items() if k != "total"}, "total": terms["total"]}
        for name, value in {**ordered, NORM: next(values)}.items():
            if not math.isfinite(value):
                raise DivergedError(each.step, name)
        found[each.step + 1] = terms
    return found
