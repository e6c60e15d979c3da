"""The scope in which a loss is computed: in float32, or in bfloat16 where that is faster.

On a CPU attention is left in float32: its kernels there are slower in bfloat16, above all backward, and would
undo what matrix products gain (`benchmarks/bench_precision.py` compares with plain autocast).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

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
        with _AttentionInFloat32():
            yield


class _AttentionInFloat32(TorchFunctionMode):
    """Attention is handed queries, keys and values in float32; what it answers goes on in their own type."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        named = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **named)
        attend = cast(Callable[..., Tensor], func)
        with torch.autocast("cpu", enabled=False):
            answer = attend(*map(_wide, args), **{name: _wide(value) for name, value in named.items()})
        query = cast(Tensor, args[0] if args else named["query"])
        return answer.to(query.dtype)


def _wide(value: object) -> object:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value
