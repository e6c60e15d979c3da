"""What does one cell of a Parquet table hold? Lists become arrays, whose extent is that of the lists."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyarrow import compute, types

from astrojepa_bench.data.given import in_bytes
from astrojepa_bench.data.sources.container import LARGEST_FILE, RefusedError, guarded
from astrojepa_bench.data.sources.parquet_columns import ColumnPlace, is_listed


def plain(values: pa.Array) -> pa.Array:
    """Return values as they are stored, without the name that an extension type gives them."""
    while isinstance(values, pa.ExtensionArray) and not isinstance(values.type, pa.FixedShapeTensorType):
        values = values.storage
    return values


def bytes_of(cell: pa.Array, place: ColumnPlace) -> bytes:
    """Return the file that one cell holds.

    Raises:
        RefusedError: there is none, or it is too large.
    """
    found = plain(cell)
    found = compute.struct_field(found, [place.inner]) if place.inner else found
    if found.null_count:
        raise RefusedError("missing")
    if types.is_dictionary(found.type):  # as it was read, so that one that repeats is held once
        found = found.dictionary.slice(found.indices[0].as_py(), 1)
    length = compute.binary_length(found)[0].as_py()
    if length > LARGEST_FILE:
        raise RefusedError(f"it holds {in_bytes(length)}, more than {in_bytes(LARGEST_FILE)}")
    data: bytes = found[0].as_py()
    return data


def array_of(cell: pa.Array, place: ColumnPlace) -> np.ndarray:
    """Return the numbers that one cell holds, nulls among floating-point ones as NaN.

    Args:
        cell: an array of length 1.
        place: of the numbers in it.

    Raises:
        RefusedError: there are none, whole numbers are missing, or lists side by side are of several lengths.
    """
    found, shape = _opened(cell, place)
    if isinstance(found.type, pa.FixedShapeTensorType):
        order = found.type.permutation or []
        if order != sorted(order):  # pyarrow reads such pixels from wrong places, and writes the inverse
            raise RefusedError(f"its tensors lie in another order of axes ({order}); write them in order")
        with guarded():
            tensor: np.ndarray = found.to_numpy_ndarray()
        return tensor if shape else tensor[0]
    while is_listed(found.type):
        lengths = np.unique(compute.list_value_length(found).to_numpy(zero_copy_only=False))
        if len(lengths) != 1:
            told = f"of {len(lengths)} lengths, {lengths[0]} to {lengths[-1]}" if len(lengths) else "empty"
            raise RefusedError(f"its lists are {told}")
        shape, found = (*shape, int(lengths[0])), plain(found.flatten())
        if is_listed(found.type) and found.null_count:
            raise RefusedError("a list in it is missing")
    if found.null_count and not types.is_floating(found.type):
        raise RefusedError(f"{found.null_count} of its numbers are missing")
    values: np.ndarray = found.to_numpy(zero_copy_only=False)
    return values.reshape(shape)


def names_of(cell: pa.Array, place: ColumnPlace) -> list[str]:
    """Return the names that one cell lists.

    Raises:
        RefusedError: there are none.
    """
    found, _ = _opened(cell, place)
    found = found.flatten() if is_listed(found.type) else found
    return [str(name) for name in found.to_pylist()]


def _opened(cell: pa.Array, place: ColumnPlace) -> tuple[pa.Array, tuple[int, ...]]:
    """Return what lies at a place in a cell, and how many structs it lists, if it lists any."""
    found: pa.Array = plain(cell)
    shape: tuple[int, ...] = ()
    if place.inner and is_listed(found.type) and not found.null_count:
        found = plain(found.flatten())
        shape = (len(found),)
    if place.inner and not found.null_count:
        found = plain(compute.struct_field(found, [place.inner]))
    if found.null_count:
        raise RefusedError("missing")
    return found, shape
