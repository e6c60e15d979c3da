"""The arithmetic that an objective trains in. Whatever is evaluated is computed in float32.

Under `bf16`, matrix products and attention are in bfloat16 while weights, gradients and moments stay in float32
(autocast), so trained weights are opened, rescored and exported alike whatever they were trained in.
"""

from __future__ import annotations

PRECISIONS = ("auto", "float32", "bf16")


def precision_on(asked: str, device_class: str) -> str:
    """Return the precision of a training: `auto` is bf16 on a GPU and float32 on a CPU.

    Example:
        >>> precision_on("auto", "cpu"), precision_on("auto", "cuda"), precision_on("bf16", "cpu")
        ('float32', 'bf16', 'bf16')
    """
    if asked != "auto":
        return asked
    return "bf16" if device_class == "cuda" else "float32"
