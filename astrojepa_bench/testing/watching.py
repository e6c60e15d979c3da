"""What a piece does behind one's back: global random numbers drawn, files written."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import getstate, setstate
from typing import Any

import torch
from numpy.random import get_state, set_state

_GENERATORS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "random": (getstate, setstate),
    "numpy.random": (get_state, set_state),
    "torch": (torch.default_generator.get_state, torch.default_generator.set_state),
}
LENT = "astrojepa-check-"  # how the names of cache folders begin that a check lends to a dataset
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"os.mkdir", "os.rename", "os.symlink", "os.link"}
_written: list[str] | None = None  # an audit hook can not be taken out again, only told to look away
_hooked = False


@contextmanager
def generators_kept() -> Iterator[None]:
    """Put the global random generators back as they were, whoever drew from them inside this scope."""
    before = {name: read() for name, (read, _) in _GENERATORS.items()}
    try:
        yield
    finally:
        for name, (_, write) in _GENERATORS.items():
            write(before[name])


def disturbed_by(action: Callable[[], object]) -> list[str]:
    """Act, name the global random generators whose state changed, and put them back.

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
    """Collect the paths that are written or changed inside this scope, but for those in a lent cache."""
    global _written
    _install_hook()
    seen: list[str] = []
    _written = []
    try:
        yield seen
    finally:
        seen += [path for path in dict.fromkeys(_written) if not _is_excused(path)]
        _written = None


def _is_excused(path: str) -> bool:
    """Devices and compiled modules are nobody's files; a dataset may fill the cache that it was lent."""
    place = Path(path)
    lent = any(part.startswith(LENT) for part in place.parts)
    return lent or place.is_relative_to("/dev") or "__pycache__" in place.parts


def _install_hook() -> None:
    global _hooked
    if not _hooked:
        sys.addaudithook(_notice)
        _hooked = True


def _notice(event: str, details: tuple[Any, ...]) -> None:
    if _written is None or not (event == "open" or event in _CHANGES):
        return
    path, flags = details[0], details[2] if event == "open" else _WRITING
    if isinstance(path, str | bytes | os.PathLike) and isinstance(flags, int) and flags & _WRITING:
        _written.append(os.fsdecode(path))
