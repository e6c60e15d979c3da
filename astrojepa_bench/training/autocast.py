"""The scope in which a loss is computed: in float32, or in bfloat16 where that is faster.

On a CPU two things are left in float32. Attention: its kernels there are slower in bfloat16, above all backward,
and would undo what matrix products gain (`benchmarks/bench_precision.py` compares with plain autocast). And
convolutions: the gradient of one of small maps came out as NaN there now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast, no_type_check

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


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
        with _InFloat32():
            yield


_KEPT = (F.scaled_dot_product_attention, F.conv2d)


class _InFloat32(TorchFunctionMode):
    """What is kept in float32 is handed that; its answer goes on in the type of what it was given first."""

    @no_type_check  # it sees every operation
    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        named = kwargs or {}
        if func not in _KEPT:
            return func(*args, **named)
        compute = cast(Callable[..., Tensor], func)
        with torch.autocast("cpu", enabled=False):
            answer = compute(*map(_wide, args), **{name: _wide(value) for name, value in named.items()})
        first = cast(Tensor, next(iter((*args, *named.values()))))
        return answer.to(first.dtype)


def _wide(value: object) -> object:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value
