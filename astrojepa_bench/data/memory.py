"""What the system is told of this process's memory: which parts of files it will read, and what it is done with."""

from __future__ import annotations

import ctypes
import mmap
from contextlib import suppress

import numpy as np

from astrojepa_bench.data.joined import Held, Joined


def give_back() -> None:
    """Return freed memory to the system, where the C library would keep it for later (glibc).

    Worth a few milliseconds where one phase of a run ends: what it held would count for all that come after.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def let_go(images: np.ndarray) -> None:
    """Keep nothing of a memory map in this process; the system may still hold it."""
    _advise(images, "MADV_DONTNEED")


def will_need(images: np.ndarray, first: int = 0, last: int | None = None) -> None:
    """Have some rows of a memory map read while something else is done; from `first` to before `last`."""
    if len(images):
        row = images.strides[0]
        _advise(images, "MADV_WILLNEED", first * row, (len(images) if last is None else last) * row)


def _advise(images: np.ndarray, word: str, start: int = 0, stop: int | None = None) -> None:
    advice, owner = getattr(mmap, word, None), map_behind(images)
    if advice is None or owner is None:
        return
    if stop is None:
        owner.madvise(advice)
        return
    origin = owner.start if isinstance(owner, Joined) else np.frombuffer(owner, np.uint8).ctypes.data
    place = images.ctypes.data - origin + start
    first = place - place % mmap.PAGESIZE
    owner.madvise(advice, first, place + stop - start - first)


def map_behind(images: np.ndarray) -> mmap.mmap | Joined | None:
    """Find the memory map that an array shows."""
    owner: object = images.base
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, Held):
        return owner.joined
    return owner if isinstance(owner, mmap.mmap) else None
