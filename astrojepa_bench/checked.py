"""Numbers and names that plugins hand over: what may stand in a record, and how to say what was found instead."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from astrojepa_bench.errors import ContractError

NAME_LETTERS = 100


def misnamed(name: object) -> str | None:
    """Return why something is no name of a number in a record, or None where it is one."""
    if isinstance(name, str) and name and name.isprintable() and len(name) <= NAME_LETTERS:
        return None
    return f"{described(name)} is no name; expected printable text of 1 to {NAME_LETTERS} letters"


def plain_number(value: object) -> int | float | None:
    """Turn a finite real number of Python or NumPy into Python's own; None for anything else."""
    if isinstance(value, np.number):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def one_number(what: str, value: object, like: Tensor) -> Tensor:
    """Return a number as a tensor without dimensions, a plain one on the device of another tensor.

    Nothing is read from the device, so it need not be finite.

    Raises:
        ContractError: it is no number.
    """
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return value if value.ndim == 0 else value.reshape(())
    if isinstance(value, int | float | np.integer | np.floating):
        return like.new_full((), float(value), dtype=torch.float64)
    raise ContractError(f"{what} is {described(value)}; expected one number: average it over the batch")


def described(value: object) -> str:
    """Describe what was found where something else was expected, in at most 60 letters or so."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and type {value.dtype}"
    if not isinstance(value, int | float | str | None):
        return f"a {type(value).__name__}"
    shown = f"{value!r}"
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
