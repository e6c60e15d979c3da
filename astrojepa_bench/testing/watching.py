"""Watch for side effects: global random numbers drawn, files written, settings of the process changed."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random, getstate, setstate
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState, get_state, set_state

_GENERATORS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "random": (getstate, setstate),
    "numpy.random": (get_state, set_state),
    "torch": (torch.default_generator.get_state, torch.default_generator.set_state),
}
_SETTINGS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "gradients": (torch.is_grad_enabled, torch.set_grad_enabled),
    "the default device": (torch.get_default_device, torch.set_default_device),
    "the default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "threads": (torch.get_num_threads, torch.set_num_threads),
    "deterministic algorithms": (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
    ),
    "NumPy's errors": (np.geterr, lambda kept: np.seterr(**kept)),
    "the working directory": (os.getcwd, os.chdir),
}
LENT = "astrojepa-check-"  # prefix of the cache folders that checks lend to datasets
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"os.mkdir", "os.rename", "os.symlink", "os.link"}
_written: list[str] | None = None  # None: not watching; an audit hook cannot be removed
_hooked = False


@contextmanager
def generators_kept() -> Iterator[None]:
    """Restore the global random generators at the end of this scope."""
    before = {name: read() for name, (read, _) in _GENERATORS.items()}
    try:
        yield
    finally:
        for name, (_, write) in _GENERATORS.items():
            write(before[name])


def move_generators() -> None:
    """Put the global random generators into states that no check has met."""
    states = Random(1).getstate(), RandomState(1).get_state(), torch.Generator().manual_seed(1).get_state()
    for (_, write), state in zip(_GENERATORS.values(), states, strict=True):
        write(state)


@contextmanager
def settings_kept() -> Iterator[list[str]]:
    """Restore the settings of the process at the end of this scope, and name those that were moved."""
    before = {name: read() for name, (read, _) in _SETTINGS.items()}
    moved: list[str] = []
    try:
        yield moved
    finally:
        for name, (read, write) in _SETTINGS.items():
            if read() != before[name]:
                moved.append(name)
                write(before[name])


def disturbed_by(action: Callable[[], object]) -> list[str]:
    """Act, return the global random generators whose state changed, and restore them.

    Where beartype is loaded, Python's own generator cannot be watched: beartype draws from it itself.
    """
    watched = [name for name in _GENERATORS if name != "random" or "beartype" not in sys.modules]
    with generators_kept():
        before = {name: _GENERATORS[name][0]() for name in watched}
        action()
        return [name for name in watched if not _same(before[name], _GENERATORS[name][0]())]


def _same(state: object, other: object) -> bool:
    if isinstance(state, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(state, other)
    return pickle.dumps(state) == pickle.dumps(other)


@contextmanager
def files_written() -> Iterator[list[str]]:
    """Collect the paths written or changed inside this scope, except devices, compiled modules and lent caches."""
    global _written, _hooked
    if not _hooked:
        sys.addaudithook(_notice)
        _hooked = True
    seen: list[str] = []
    _written = []
    try:
        yield seen
    finally:
        for path in map(Path, dict.fromkeys(_written)):
            lent = any(part.startswith(LENT) for part in path.parts)
            if not (lent or path.is_relative_to("/dev") or "__pycache__" in path.parts):
                seen.append(str(path))
        _written = None


def _notice(event: str, details: tuple[Any, ...]) -> None:
    if _written is None or not (event == "open" or event in _CHANGES):
        return
    path, flags = details[0], details[2] if event == "open" else _WRITING
    if isinstance(path, str | bytes | os.PathLike) and isinstance(flags, int) and flags & _WRITING:
        _written.append(os.fsdecode(path))
