"""The scope in which a loss is computed: in float32, or in bfloat16 where that is faster.

On a CPU attention is left in float32: its kernels there are slower in bfloat16, above all backward, and would
undo what matrix products gain (`benchmarks/bench_ijepa_step.py` compares with plain autocast).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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
    """Gives attention its queries, keys and values in float32, and returns what it answers in their own type."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 whatever the function returns
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        given = [each.float() if _is_half(each) else each for each in args]
        named = {name: each.float() if _is_half(each) else each for name, each in kwargs.items()}
        with torch.autocast("cpu", enabled=False):
            answer: Tensor = func(*given, **named)
        return answer.to((args[0] if args else kwargs["query"]).dtype)


def _is_half(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype == torch.bfloat16
