"""What the machine is, and the fastest that it can multiply: the yardstick of every step in the table."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch.nn import functional as F

from astrojepa_bench.training.cost import counted_flops

SIDE, TRIES = 1536, 5


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 itself (AVX-512-BF16)."""
    return "avx512_bf16" in _cpuinfo()


@cache
def peak(kind: str = "float32") -> float:
    """Measure the rate of a large matrix product in one thread [FLOP/s].

    Args:
        kind: `float32` as torch multiplies; `bf16`; or `onednn`, float32 through oneDNN, which torch leaves to MKL.
    """
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    left, right = torch.randn(SIDE, SIDE).to(dtype), torch.randn(SIDE, SIDE).to(dtype)
    if kind == "onednn":
        return _rate(lambda: torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], ""))
    return _rate(lambda: F.linear(left, right))


def _rate(product: Callable[[], object]) -> float:
    product()
    taken = []
    for _ in range(TRIES):
        began = time.process_time()
        product()
        taken.append(time.process_time() - began)
    return 2 * SIDE**3 / min(taken)


def flops_of(step: Callable[[], object]) -> int:
    """Count the floating-point operations of what is done, matrix products and attention."""
    with counted_flops() as counter:
        step()
    return counter.get_total_flops()


def share_of_peak(flops: float, seconds: float, kind: str = "float32") -> str:
    """Say which share of the peak a step reaches, and how large it is; in float32 of the faster library's."""
    best = peak(kind)
    if kind == "float32" and torch.backends.mkldnn.is_available():
        best = max(best, peak("onednn"))
    return f"{flops / 1e9:.3g} GFLOP, {flops / seconds / best:.0%} of the {kind} peak"


def described() -> str:
    """Describe the processor, torch, and the peaks, without a name of the machine."""
    cpuinfo = _cpuinfo()
    model = next(
        (line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")),
        platform.machine(),
    )
    kinds = [each for each in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if each in cpuinfo]
    lines = [
        f"- {model}, {os.cpu_count()} cores, {', '.join(kinds)}",
        f"- Python {platform.python_version()}, torch {torch.__version__}",
        f"- matrix product of {SIDE} by {SIDE}, one thread: float32 {peak() / 1e9:.0f} GFLOP/s",
    ]
    if torch.backends.mkldnn.is_available():
        lines.append(
            f"- the same through oneDNN: float32 {peak('onednn') / 1e9:.0f} GFLOP/s, bfloat16 "
            f"{peak('bf16') / 1e9:.0f} GFLOP/s"
        )
    return "\n".join(lines)


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.is_file() else ""
