"""Several files as one array, of which nothing is read before it is wanted.

The files are mapped one behind the other into one stretch of addresses, so that rows of all of them are taken as
rows of a single array are: by numpy, at full speed. Nothing of it counts as data of the process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

GRANULE = 1 << 16  # bytes; a multiple of the page size of every system in use
IS_JOINABLE = os.name == "posix"
_FIXED = 0x10  # MAP_FIXED of Linux and macOS: at this address, in the place of what is there
_NONE = 0  # PROT_NONE: addresses and no memory
_FAILED = ctypes.c_void_p(-1).value


class Joined:
    """Files that are mapped one behind the other, to be read only.

    Each but the last must hold a multiple of `GRANULE` bytes. A file that is cut short later ends the process, as
    it does for any map.

    Args:
        paths: the files, in order.
        sizes: bytes of each.

    Raises:
        OSError: a file cannot be opened, or the system maps no more.
    """

    def __init__(self, paths: Sequence[Path], sizes: Sequence[int]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [
            ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64,
        ]  # fmt: skip
        self._libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self._libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        self.size = sum(sizes)
        none = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.start = self._map(None, self.size, _NONE, none, -1)
        at = self.start
        for path, size in zip(paths, sizes, strict=True):
            handle = os.open(path, os.O_RDONLY)
            try:
                self._map(at, size, mmap.PROT_READ, mmap.MAP_SHARED | _FIXED, handle)
            finally:
                os.close(handle)
            at += size

    def _map(self, at: int | None, size: int, protection: int, flags: int, handle: int) -> int:
        found: int | None = self._libc.mmap(at, size, protection, flags, handle, 0)
        if found is None or found == _FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return found

    def madvise(self, advice: int, start: int = 0, length: int | None = None) -> None:
        """Tell the system what becomes of some bytes, from the start of a page on; it may do nothing about it."""
        rest = self.size - start
        self._libc.madvise(self.start + start, rest if length is None else min(length, rest), advice)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return the bytes as an array, which keeps the map."""
        interface = {"data": (self.start, True), "shape": shape, "typestr": dtype.str, "version": 3}
        return np.asarray(Held(self, interface))

    def __del__(self) -> None:
        if getattr(self, "start", None):
            self._libc.munmap(self.start, self.size)


class Held:
    """What numpy takes for the owner of the memory."""

    def __init__(self, joined: Joined, interface: dict[str, object]) -> None:
        self.joined = joined
        self.__array_interface__ = interface
