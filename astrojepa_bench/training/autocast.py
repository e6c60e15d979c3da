"""The scope in which a loss is computed: in float32, or in bfloat16 where that is faster.

On a CPU two things are left in float32. Attention: its kernels there are slower in bfloat16, above all backward,
and would undo what matrix products gain (`benchmarks/bench_precision.py` compares with plain autocast). And
convolutions: the gradient of one of small maps came out as NaN there now and then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.training.substitution import Function, Substitution


@contextmanager
def autocast_to(precision: str, device_class: str) -> Iterator[None]:
    """Compute in that precision; what is float32 goes on being float32 between matrix products.

    Args:
        precision: `float32` or `bf16`.
        device_class: `cpu` or `cuda`.
    """
    if precision != "bf16":
        with torch.autocast(device_class, enabled=False):
            yield
        return
    with torch.autocast(device_class, torch.bfloat16):
        if device_class != "cpu":
            yield
            return
        with Substitution(_KEPT):
            yield


def _in_float32(function: Function) -> Function:
    """Derive a function that is given float32; its answer goes on in the type of what it was given first."""

    def compute(*given: object, **named: object) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            answer: Tensor = function(
                *map(_wide, given), **{name: _wide(each) for name, each in named.items()}
            )
        first = cast(Tensor, next(iter((*given, *named.values()))))
        return answer.to(first.dtype)

    return compute


def _wide(value: object) -> object:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value


_KEPT = {function: _in_float32(function) for function in (F.scaled_dot_product_attention, F.conv2d)}
