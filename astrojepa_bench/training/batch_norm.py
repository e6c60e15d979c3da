"""BatchNorm over the galaxies of all ranks, on any device, so that several compute what one process would.

torch's own SyncBatchNorm runs on GPUs only. Here modules stay what they are, with their names and parameters, and
whatever else their class does: while they run, the one function that normalises is another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from astrojepa_bench import ranks
from astrojepa_bench.training.substitution import Substitution


@contextmanager
def normalising_over_ranks(module: nn.Module) -> Iterator[None]:
    """Let every BatchNorm in a module take its statistics over all ranks, where several train."""
    found = [each for each in module.modules() if isinstance(each, _BatchNorm)] if ranks.size() > 1 else []
    before = [type(each) for each in found]
    for each in found:
        each.__class__ = _over_ranks(type(each))
    try:
        yield
    finally:
        for each, kind in zip(found, before, strict=True):
            each.__class__ = kind


def _over_ranks(kind: type[_BatchNorm]) -> type[_BatchNorm]:
    """Derive a class whose `forward` normalises over all ranks."""

    def forward(self: _BatchNorm, *given: Any, **named: Any) -> Tensor:
        with Substitution({F.batch_norm: normalised}):
            found: Tensor = kind.forward(self, *given, **named)
            return found

    return type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})


def normalised(
    values: Float[Tensor, "row channel *place"],
    running_mean: Float[Tensor, " channel"] | None,
    running_var: Float[Tensor, " channel"] | None,
    weight: Float[Tensor, " channel"] | None = None,
    bias: Float[Tensor, " channel"] | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Float[Tensor, "row channel *place"]:
    """Compute what `torch.nn.functional.batch_norm` does, over the rows of all ranks, in float32 or wider.

    Source: Ioffe & Szegedy 2015 (arXiv 1502.03167), algorithm 1; the running variance has N - 1, as torch's has.
    """
    if not training or ranks.size() == 1:
        return F.batch_norm(values, running_mean, running_var, weight, bias, training, momentum, eps)
    wide = values if values.dtype == torch.float64 else values.float()
    places = [0, *range(2, values.ndim)]
    shape = (1, -1, *[1] * (values.ndim - 2))
    mean = ranks.averaged(wide.mean(dim=places))
    centred = wide - mean.view(shape)
    variance = ranks.averaged(centred.square().mean(dim=places))
    if running_mean is not None and running_var is not None:
        count = values.numel() // values.shape[1] * ranks.size()
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
    scaled = centred * (variance + eps).rsqrt().view(shape)
    if weight is not None and bias is not None:
        scaled = scaled * weight.view(shape) + bias.view(shape)
    return scaled.to(values.dtype)
