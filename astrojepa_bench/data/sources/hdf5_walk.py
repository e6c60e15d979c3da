"""Does an HDF5 file end, and does all that it holds lie in it? Some damage keeps the HDF5 library busy for ever.

So this module also runs as a process of its own, which may be ended (see `hdf5_watch`). It imports nothing of
this package, to start quickly.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain

import h5py

MOST_LINKS = 32
MOST_VIRTUAL = 4
HIGHEST_COMPRESSION = 1100  # gzip reaches 1032
ALWAYS_BELIEVED = 64 << 20  # bytes; a claim that does no harm
LARGEST_COLUMN = 1 << 30  # bytes
ROWS_AT_ONCE = 1 << 16
MEMORY_BYTES = 4 << 30


class UnfitError(ValueError):
    """The file must not be read; the text says why."""


def walk(path: str, names: Iterable[str]) -> None:
    """Read everything of a file but its pixels, which are only measured.

    Args:
        path: the file.
        names: of the datasets that will be read; those that are not there are passed over.

    Raises:
        UnfitError: a dataset lies elsewhere, or claims more than the file can hold.
        OSError, RuntimeError, KeyError, ValueError, TypeError: the file is damaged.
    """
    size = os.stat(path).st_size
    with h5py.File(path) as file:
        dict(file.attrs)
        for name in file:
            own(file, name)
        for name in names:
            node = own(file, name)
            if isinstance(node, h5py.Dataset):
                _check_inside(file, node, name)
                _check_claim(node, name, size)
                _read(node, name)


def own(file: h5py.File, name: str) -> h5py.HLObject | None:
    """Open what a name leads to, through links within the file only; None where it leads nowhere.

    Raises:
        UnfitError: the way leads into another file, or round in circles.
    """
    node, ahead, links = file, name.split("/"), 0
    while ahead:
        step = ahead.pop(0)
        if step in ("", "."):
            continue
        link = node.get(step, getlink=True) if isinstance(node, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise UnfitError(
                f"'{name}' is a link into another file, {link.filename}; copy its data into this one"
            )
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > MOST_LINKS:
                raise UnfitError(f"'{name}' leads through more than {MOST_LINKS} links; make it a dataset")
            node = file if link.path.startswith("/") else node
            ahead = [*link.path.split("/"), *ahead]
        elif link is None:
            return None
        else:
            node = node[step]
    return node


def _check_inside(file: h5py.File, node: h5py.Dataset, name: str, depth: int = 0) -> None:
    if node.external:
        raise UnfitError(
            f"'{name}' keeps its data in another file, {node.external[0][0]}; copy them into this one"
        )
    if node.is_virtual:
        for source in node.virtual_sources():
            if source.file_name != "." or depth == MOST_VIRTUAL:
                raise UnfitError(
                    f"'{name}' is made of other files, {source.file_name}; copy them into this one"
                )
            inner = own(file, source.dset_name)
            if isinstance(inner, h5py.Dataset):
                _check_inside(file, inner, name, depth + 1)


def _check_claim(node: h5py.Dataset, name: str, size: int) -> None:
    claim = node.dtype.itemsize
    for axis in node.shape or ():
        claim *= int(axis)
    node.id.get_storage_size()  # goes through the index of all chunks
    if claim > max(ALWAYS_BELIEVED, size * HIGHEST_COMPRESSION):
        shape = " x ".join(str(axis) for axis in node.shape)
        raise UnfitError(
            f"'{name}' claims to hold {shape} values of {node.dtype} in a file of {size} bytes, which no "
            "compression does; it is damaged or made up"
        )
    if node.ndim == 1 and claim > LARGEST_COLUMN:
        raise UnfitError(f"column '{name}' claims {claim} bytes; expected at most {LARGEST_COLUMN}")


def _read(node: h5py.Dataset, name: str) -> None:
    dict(node.attrs)
    if node.ndim != 1:
        return
    held = 0
    for start in range(0, len(node), ROWS_AT_ONCE):
        values = node[start : start + ROWS_AT_ONCE]
        held += sum(map(len, values)) if h5py.check_string_dtype(node.dtype) else values.nbytes
        if held > LARGEST_COLUMN:
            raise UnfitError(f"column '{name}' holds more than {LARGEST_COLUMN} bytes of text; shorten it")


def answers(requests: Iterable[str]) -> Iterator[dict[str, str]]:
    """Walk through one file a request (a path and names, as JSON) and tell what is wrong with it, if anything."""
    for request in requests:
        try:
            walk(*json.loads(request))
        except UnfitError as unfit:
            yield {"unfit": str(unfit)}
        except MemoryError:
            yield {
                "unfit": f"reading it takes more than {MEMORY_BYTES} bytes of memory; it is damaged or made up"
            }
        except Exception as damage:  # the HDF5 library raises all kinds
            yield {"damage": " ".join(str(damage).split()) or type(damage).__name__}
        else:
            yield {}


if __name__ == "__main__":
    with suppress(ImportError, ValueError, OSError):
        import resource  # not everywhere

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    for answer in chain([{"ready": ""}], answers(sys.stdin)):
        os.write(1, f"{json.dumps(answer)}\n".encode())  # to the process that started this one
