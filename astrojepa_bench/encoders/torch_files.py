"""Files that `torch.save` wrote, read on the CPU without running any code in them.

Training scripts keep losses, settings, paths and dates beside the weights, as objects of NumPy, argparse or
Lightning. Torch refuses these, because it cannot vouch for the classes that make them. Stand-ins of our own are
read in their place: they hold plain values and can do nothing. Whatever else a file asks for is refused by name.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor


def read_torch(path: Path) -> object:
    """Read a torch file on the CPU: tensors, plain values, and stand-ins for `STAND_INS`.

    Raises:
        UnpicklingError: it can only be read by running code, or is damaged.
    """
    with torch.serialization.safe_globals([*STAND_INS]):
        return torch.load(path, "cpu", weights_only=True)


def refused_name(error: pickle.UnpicklingError) -> str:
    """Return the name of what a file asked for and was refused; empty where it is damaged."""
    found = re.search(r"GLOBAL ([\w.<>]+)", str(error))
    return found[1] if found else ""


class NumberType:
    """Stands for `numpy.dtype` while a file is read: the type of a number, and nothing else."""

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = str(state[1])

    @property
    def plain(self) -> np.dtype[Any] | None:
        """The type in NumPy; None where it is none of plain numbers."""
        known = self.code in _NUMBERS and self.order in ("<", ">", "=", "|")
        return np.dtype(f"{self.order}{self.code}") if known else None


class NumberArray:
    """Stands for `numpy.ndarray` while a file is read, and for the function that makes an empty one to be filled.

    Attributes:
        values: its numbers as a tensor; None where it holds anything but numbers that torch knows.
    """

    def __init__(self, *_: object) -> None:
        self.values: Tensor | None = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, kind, by_columns, data = state
        dtype = kind.plain if isinstance(kind, NumberType) else None
        if dtype is None or not isinstance(shape, tuple) or not isinstance(data, bytes):
            return
        sides = [side for side in shape if isinstance(side, int) and side >= 0]
        if len(sides) < len(shape) or len(data) != prod(sides) * dtype.itemsize:
            return
        found = np.frombuffer(data, dtype).reshape(sides, order="F" if by_columns else "C")
        self.values = torch.from_numpy(found.astype(dtype.newbyteorder("="), order="C"))


class Settings(dict[str, object]):
    """Stands for `argparse.Namespace` and its like while a file is read: values by name."""

    def __setstate__(self, state: object) -> None:
        if isinstance(state, Mapping):
            self.update({str(name): value for name, value in state.items()})


class Plain:
    """Stands for the dictionaries that scripts and Lightning keep settings in; a plain one is made instead."""

    def __new__(cls, *_: object) -> dict[object, object]:  # type: ignore[misc]
        """Return an empty dictionary, which is filled afterwards."""
        return {}


def _left_out(*_: object) -> None:
    """Stand for what only tells about a training and is not read."""


def _number(kind: object, data: object = b"") -> int | float | bool:
    """Stand for the function that makes NumPy's numbers while a file is read; return a plain one.

    NumPy's own takes any type and any flags from the file, and trusts them.

    Raises:
        UnpicklingError: it is no number.
    """
    dtype = kind.plain if isinstance(kind, NumberType) else None
    if dtype is not None and isinstance(data, bytes) and len(data) == dtype.itemsize:
        found: int | float | bool = np.frombuffer(data, dtype)[0].item()
        return found
    raise pickle.UnpicklingError("a NumPy scalar that is no number")


def _path(*parts: object) -> str:
    """Stand for the classes of paths; return the path as text."""
    return str(PurePosixPath(*map(str, parts)))


_NUMBERS = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))
STAND_INS: tuple[tuple[Any, str], ...] = (
    (NumberType, "numpy.dtype"),
    (NumberArray, "numpy.ndarray"),
    *((stand_in, f"{package}.multiarray.{name}")
      for package in ("numpy.core", "numpy._core")  # NumPy 1 and 2 name the module apart
      for stand_in, name in ((_number, "scalar"), (NumberArray, "_reconstruct"))),
    (Settings, "argparse.Namespace"),
    (Plain, "collections.defaultdict"),
    *((Plain, f"{module}.AttributeDict")
      for module in ("pytorch_lightning.utilities.parsing", "lightning.pytorch.utilities.parsing",
                     "lightning_fabric.utilities.data", "lightning.fabric.utilities.data")),
    *((_left_out, f"{module}.{name}")
      for module, names in (("builtins", ("dict", "float", "int", "list", "slice", "str")),
                            ("datetime", ("date", "datetime", "timedelta", "timezone")))
      for name in names),
    *((_path, f"{module}.{name}Path")
      for module in ("pathlib", "pathlib._local")
      for name in ("Posix", "Windows", "PurePosix", "PureWindows")),
)  # fmt: skip
"""What is read in place of what, by its name in a file."""
