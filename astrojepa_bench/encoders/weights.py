"""Pretrained weights from a file: safetensors or a torch state dict, read without running any code of it.

A file that does not fit is refused with the names that do not: weights that are silently left out would be
scored as if they had been used.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from astrojepa_bench.errors import ConfigError, DataError

version = 1  # raise it whenever a number changes
WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which checkpoints keep the tensors
SHOWN = 3


@runtime_checkable
class Translates(Protocol):
    """A module that also understands files in another layout than its own."""

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors under this module's own names."""


def load_weights(module: nn.Module, path: Path, owner: str) -> None:
    """Load a file of weights into a module: every tensor, or an error.

    Args:
        module: takes the weights; if it has `translated`, the file's names pass through that first.
        path: safetensors, or what `torch.save(module.state_dict())` writes (also below the key `state_dict`,
            `model_state_dict` or `model`).
        owner: for messages ("encoder 'vit-tiny'").

    Raises:
        ConfigError: there is no such file.
        DataError: the file cannot be read without running code, or its tensors do not fit the module.
    """
    state = read_state(path, owner)
    given = module.translated(state) if isinstance(module, Translates) else dict(state)
    _check_fit(module.state_dict(), given, f"{owner}: weights {path.name}")
    module.load_state_dict(given)


def read_state(path: Path, owner: str) -> dict[str, Tensor]:
    """Read the tensors of a file by name, on the CPU.

    Raises:
        ConfigError: there is no such file.
        DataError: it is of another format, damaged, or can only be read by running code.
    """
    path = path.expanduser()
    if not path.is_file():
        raise ConfigError(f"{owner}: no file at {path}; give a safetensors or torch state-dict file")
    try:
        with path.open("rb") as file:  # its content tells: eight bytes of length, then a JSON object
            is_safetensors = path.suffix == ".safetensors" or file.read(9)[8:] == b"{"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch finds unusual it reads or refuses all the same
            found = load_file(path) if is_safetensors else read_torch(path)
    except pickle.UnpicklingError:
        raise DataError(
            f"{owner}: {path.name} is damaged or can only be read by running code in it, which is never done; "
            "save its state_dict() as safetensors"
        ) from None
    except Exception as error:  # a damaged file can raise anything
        reason = " ".join(str(error).split())[:100]
        raise DataError(
            f"{owner}: {path.name} is no safetensors or torch state-dict file ({type(error).__name__}: {reason}); "
            "give one that is"
        ) from None
    return _tensors(found, f"{owner}: {path.name}")


def read_torch(path: Path) -> object:
    """Read a torch file on the CPU: tensors, plain values and NumPy's numbers; no code in it is run.

    Raises:
        UnpicklingError: it can only be read by running code, or is damaged.
    """
    with torch.serialization.safe_globals([*_STAND_INS]):
        return torch.load(path, "cpu", weights_only=True)


class _NumberType:
    """Stands for `numpy.dtype` while a file is read: the type of a number, and nothing else."""

    def __init__(self, code: object, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = str(state[1])


def _number(kind: object, data: object = b"") -> int | float | bool:
    """Stand for the function that makes NumPy's numbers while a file is read; return a plain one.

    NumPy's own takes any type and any flags from the file, and trusts them.

    Raises:
        UnpicklingError: it is no number.
    """
    if isinstance(kind, _NumberType) and kind.code in _NUMBERS and kind.order in ("<", ">", "=", "|"):
        dtype = np.dtype(f"{kind.order}{kind.code}")
        if isinstance(data, bytes) and len(data) == dtype.itemsize:
            found: int | float | bool = np.frombuffer(data, dtype)[0].item()
            return found
    raise pickle.UnpicklingError("a NumPy scalar that is no number")


_NUMBERS = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))
_STAND_INS: tuple[
    tuple[Any, str], ...
] = (  # training scripts keep losses so; NumPy 1 and 2 name the module apart
    (_NumberType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
)


def _tensors(found: object, what: str) -> dict[str, Tensor]:
    if isinstance(found, Mapping):
        inner = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), found)
        state = {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}
        if state:
            return state
    raise DataError(f"{what} holds no tensors by name ({type(found).__name__}); save a state_dict()")


def _check_fit(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> None:
    missing = [name for name in wanted if name not in given]
    strange = [name for name in given if name not in wanted]
    if missing or strange:
        parts = [f"lack {_some(missing)}"] * bool(missing) + [f"have unknown {_some(strange)}"] * bool(
            strange
        )
        raise DataError(f"{what} {' and '.join(parts)}; they are of another architecture or size")
    for name, value in wanted.items():
        if value.shape != given[name].shape:
            raise DataError(f"{what} {_mismatch(name, given[name], value)}")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _mismatch(name: str, given: Tensor, wanted: Tensor) -> str:
    """Describe what differs; a convolution that differs in its inputs alone was made for other bands."""
    found, own = tuple(given.shape), tuple(wanted.shape)
    if len(found) == len(own) == 4 and found[:1] + found[2:] == own[:1] + own[2:]:
        return f"read {found[1]} bands in '{name}', the images have {own[1]}; give weights made for {own[1]} bands"
    return f"hold '{name}' as {found}, needed is {own}; they are of another size, patch or number of bands"
