"""Further numbers by galaxy from a file (spectra, features of another model), for objectives that ask for them.

An HDF5, Parquet or NumPy (`.npz`) file holds one array a column, of one number a galaxy or several, and their names
as `id` (`ids`); without names the row number is the name, as it is in an HDF5 file of images. What `embed` writes
is such a file. Labels are no columns, and what the table knows itself (redshift, position) stays as it is. What is
not read, and who has no row, is counted on the card.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Int
from pyarrow import parquet, types

from astrojepa_bench.data.column_names import ALIASES, candidates
from astrojepa_bench.data.given import check_affordable, check_regular
from astrojepa_bench.data.sources.container import RefusedError, guarded, shown
from astrojepa_bench.data.sources.hdf5_watch import examine
from astrojepa_bench.data.sources.tables import texts_of
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.declarations import is_text
from astrojepa_bench.errors import DataError
from astrojepa_bench.types import GalaxyTable

IDS = ("id", "ids")
EXACT_IN_32_BITS = 1 << 24  # whole numbers beyond this are rounded as 32-bit floating-point ones
NO_COLUMNS = frozenset(
    {*IDS, "index", "label", "labels", "class", "ans", "split", "anomaly", "anomaly_type", "group"}
)
WIDEST = 1 << 14  # numbers of a galaxy
_Arrays: TypeAlias = Mapping[str, np.ndarray]


def with_columns(table: GalaxyTable, path: Path | None) -> GalaxyTable:
    """Return a table with the columns of a file, NaN for galaxies that it does not name.

    Args:
        table: whose galaxies are looked up.
        path: the file; None leaves the table as it is.

    Raises:
        DataError: it cannot be read, holds no column, names a galaxy twice or none of the table.
    """
    if path is None:
        return table
    path = Path(path).expanduser()
    arrays = _read(path)
    named, names = _names(path, arrays, table)
    known = {*NO_COLUMNS, *table.numbers, named}
    ids = _id_columns(arrays)
    columns = {
        name: each
        for name, each in arrays.items()
        if name not in known
        and name not in ids
        and is_text(name)
        and each.ndim in (1, 2)
        and each.dtype.kind in "iufb"
        if 0 < each.size <= WIDEST * len(each)
    }
    if not columns:
        raise DataError(
            f"{path.name} holds {', '.join(map(shown, arrays)) or 'nothing'}; expected columns of numbers, "
            f"(galaxy,) or (galaxy, width up to {WIDEST}), that are none of the table's own"
        )
    rows = len(next(iter(columns.values())))
    names = [str(row) for row in range(rows)] if names is None else names
    ragged = next((name for name, each in columns.items() if len(each) != len(names)), None)
    if ragged is not None:
        raise DataError(f"{path.name}: '{ragged}' has {len(columns[ragged])} rows for {len(names)} ids")
    places = _places(path, table, names)
    card = replace(
        table.card, notes=(*table.card.notes, *_told(path, arrays, {*columns, *known}, columns, places))
    )
    return replace(table, columns={name: _placed(each, places) for name, each in columns.items()}, card=card)


def are_row_numbers(ids: np.ndarray) -> bool:
    """Return whether ids look like the numbers of rows, which name the same galaxies only in the same file.

    Example:
        >>> are_row_numbers(np.array(["0", "2"])), are_row_numbers(np.array(["1237648720693755918"]))
        (True, False)
    """
    # Twice as many: some rows may have been left out.
    return all(name.isdecimal() and len(name) < 19 and int(name) < 2 * len(ids) for name in ids.tolist())


def _names(path: Path, arrays: _Arrays, table: GalaxyTable) -> tuple[str, list[str] | None]:
    """Find the column of names and what it holds; another than `id` goes before others where it names a galaxy.

    Raises:
        DataError: none of them names a galaxy of the table, so that nobody knows whose numbers these are.
    """
    own = {name.removeprefix("pool/") for name in table.ids.tolist()}
    columns = _id_columns(arrays)
    held = {name: texts_of(pd.Series(arrays[name])) for name in columns}
    for name, words in held.items():
        if name in IDS or not own.isdisjoint(words):
            return name, words
    if columns:
        raise DataError(
            f"{path.name} names no galaxy of the table: the first id in its column '{shown(columns[0])}' is "
            f"{shown(next(iter(held[columns[0]]), ''))!r}, the table's {shown(str(table.ids[0]))!r}; use the "
            "table's, or leave that column out where rows are numbered as the table's galaxies are"
        )
    return "", None


def _id_columns(arrays: _Arrays) -> list[str]:
    """List the columns of names; those that are no `id` alone are never numbers by galaxy."""
    named = dict.fromkeys((*(name for name in IDS if name in arrays), *candidates("id", list(arrays))))
    return [name for name in named if arrays[name].ndim == 1]


def _told(
    path: Path,
    arrays: _Arrays,
    known: set[str],
    columns: _Arrays,
    places: Int[np.ndarray, " galaxy"],
) -> list[str]:
    """Note what of a file is not read, who has no row in it, and which numbers are rounded."""
    left = [shown(name) for name in arrays if name not in known]
    whole = (each for each in columns.values() if each.dtype.kind in "iu" and each.size)
    rounded = sum(int((np.abs(each.astype(np.float64)) > EXACT_IN_32_BITS).sum()) for each in whole)
    return true_notes({
        f"{len(left)} columns of {path.name} are no numbers by galaxy, and not read: {', '.join(left[:9])}": left,
        f"{(places < 0).sum()} galaxies have no row in {path.name}": (places < 0).any(),
        f"{rounded} whole numbers in {path.name} are beyond 2^24 and were rounded to 32 bits": rounded,
    })  # fmt: skip


def _places(path: Path, table: GalaxyTable, names: list[str]) -> Int[np.ndarray, " galaxy"]:
    """Find the row of each galaxy in the file, -1 where it has none.

    Those of the pool are found without their prefix too, unless that is the name of a galaxy of the table itself:
    row 3 of a pool is not row 3 of the table.
    """
    place = {name: row for row, name in enumerate(names)}
    own = frozenset(table.ids.tolist())
    if len(place) < len(names):
        raise DataError(
            f"{path.name} names {len(names) - len(place)} galaxies twice; keep one row of each id"
        )
    bare = ((name, name.removeprefix("pool/")) for name in table.ids.tolist())
    found = [place.get(name, -1 if short in own else place.get(short, -1)) for name, short in bare]
    if max(found) < 0:
        raise DataError(
            f"{path.name} names no galaxy of the table: its first id is {shown(names[0])!r}, the table's "
            f"{shown(str(table.ids[0]))!r}; use the table's"
        )
    return np.array(found)


def _placed(column: np.ndarray, places: Int[np.ndarray, " galaxy"]) -> np.ndarray:
    values = np.full((len(places), *column.shape[1:]), np.nan, dtype=np.float32)
    values[places >= 0] = column[places[places >= 0]]
    return np.where(np.isfinite(values), values, np.float32(np.nan))


# --- files --------------------------------------------------------------------------------------------------


def _read(path: Path) -> _Arrays:
    check_regular(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path.name} is no file of columns; give one that ends in {', '.join(_READERS)}")
    try:
        with guarded():
            return read(path)
    except RefusedError as why:
        raise DataError(f"{path.name} cannot be read ({why}); write it anew") from None


def _affordable(path: Path, sizes: Iterable[int]) -> None:
    check_affordable(2 * sum(sizes), f"{path.name}: its columns")


def _hdf5(path: Path) -> _Arrays:
    examine(path, ())
    with h5py.File(path) as file:
        names = [
            str(name) for name, each in file.items() if isinstance(each, h5py.Dataset) and each.ndim in (1, 2)
        ]
    examine(path, names)
    with h5py.File(path) as file:
        _affordable(path, (file[name].size * file[name].dtype.itemsize for name in names))
        return {name: file[name][:] for name in names}


def _npz(path: Path) -> _Arrays:
    with zipfile.ZipFile(path) as archive:
        _affordable(path, (entry.file_size for entry in archive.infolist()))
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return {name: each for name, each in arrays.items() if each.ndim in (1, 2)}


def _parquet(path: Path) -> _Arrays:
    file = parquet.ParquetFile(path)
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    _affordable(path, (group.total_byte_size for group in groups))
    rows = file.read()
    rows.validate(full=True)
    return {name: _from_arrow(name, rows.column(name).combine_chunks()) for name in rows.column_names}


def _from_arrow(name: str, column: pa.Array) -> np.ndarray:
    """Turn a column into numbers, one a row or, of lists, as many as every list holds."""
    if (
        types.is_list(column.type)
        or types.is_large_list(column.type)
        or types.is_fixed_size_list(column.type)
    ):
        widths = {len(each) for each in column.drop_null()}
        if len(widths) != 1:
            raise RefusedError(f"the lists of '{shown(name)}' are of {len(widths)} lengths; expected one")
        (width,) = widths
        values = np.full((len(column), width), np.nan)
        known = np.flatnonzero(np.asarray(column.is_valid()))
        values[known] = column.drop_null().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        return values
    if types.is_integer(column.type) and column.null_count and name.lower() in ALIASES["id"]:
        column = column.cast(pa.string())  # or ids of 19 digits would pass through floating point
    found: np.ndarray = column.to_numpy(zero_copy_only=False)
    return found


_READERS: Mapping[str, Callable[[Path], _Arrays]] = {
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".npz": _npz,
    ".parquet": _parquet,
}
