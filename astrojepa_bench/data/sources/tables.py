"""Which file reads a CSV, Parquet or FITS table? This one: it finds the table, reads it and parses its columns."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float, Int
from pyarrow import compute, parquet, types

from astrojepa_bench.data.given import check_affordable, in_bytes
from astrojepa_bench.data.sources.container import LARGEST_FILE, RefusedError, guarded, shown
from astrojepa_bench.data.sources.fits_structure import check_structure
from astrojepa_bench.data.sources.hdf5_file import MOST_CLASSES, UNLABELLED
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.errors import DataError, nearest

TABLE = "table"  # its default name
LONGEST_TEXT = (
    256  # of an id, class, group or split: a longer one is an error, and rows of it would not fit memory
)
MOST_COLUMNS = 10_000
MOST_CELLS = 1 << 27
CELL_BYTES = 24  # that a cell takes at least, as a text that others share
NAN = ("", "nan")
TEXT = (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)
WHOLE = r"[+-]?\d+(\.0*)?"


def find_table(names: Sequence[str], wanted: str) -> str | None:
    """Find the table among the files of a folder.

    Args:
        names: all files.
        wanted: its name, or empty: then `table.csv`, `table.parquet` or `table.fits` nearest the root, or
            the only CSV or Parquet file at the root.

    Raises:
        DataError: the table asked for is not there.
    """
    if wanted:
        named = [name for name in names if name == wanted or name.endswith(f"/{wanted}")]
        if not named:
            tables = [name for name in names if PurePosixPath(name).suffix.lower() in READERS]
            raise DataError(
                f"there is no table '{shown(wanted)}'; {nearest(wanted, map(shown, tables[:20]))}"
            )
        return min(named, key=_depth)
    usual = [name for name in names if name.rpartition("/")[2] in {f"{TABLE}{suffix}" for suffix in READERS}]
    if usual:
        return min(usual, key=_depth)
    lone = [name for name in _at_root(names) if PurePosixPath(name).suffix.lower() in (".csv", ".parquet")]
    return lone[0] if len(lone) == 1 else None


def _depth(name: str) -> tuple[int, int, str]:
    return name.count("/"), list(READERS).index(PurePosixPath(name).suffix.lower()), name


def _at_root(names: Sequence[str]) -> list[str]:
    """List the files beside which there may be folders, below one folder that holds all the rest."""
    tops = {name.partition("/")[0] for name in names}
    if len(tops) == 1 and all("/" in name for name in names):
        (top,) = tops
        return [f"{top}/{name}" for name in _at_root([name.partition("/")[2] for name in names])]
    return [name for name in names if "/" not in name]


def read_table(name: str, data: bytes) -> pd.DataFrame:
    """Read a table; every column is text or numbers, as it comes.

    Raises:
        DataError: it is not a table of the kind that its name says, or has no rows.
    """
    suffix = PurePosixPath(name).suffix.lower()
    kind, read = READERS.get(suffix, READERS[".csv"])
    try:
        with guarded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the heading
            frame = read(data)
    except RefusedError as why:
        raise DataError(f"{shown(name)} is not a {kind} table ({why}); repair it") from None
    if not len(frame):
        raise DataError(f"{shown(name)} has no rows; expected one an image")
    return frame.rename(columns=lambda column: str(column).strip())


def _read_csv(data: bytes) -> pd.DataFrame:
    rows = data.count(b"\n") + data.count(b"\r")
    _check_extent(rows, 1)
    _check_extent(1, max(line.count(b",") for line in data.splitlines() or [b""]) + 1)
    _check_extent(rows + data.count(b","), 1)
    text = io.BytesIO(data)
    return pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig")


def _read_parquet(data: bytes) -> pd.DataFrame:
    file = parquet.ParquetFile(io.BytesIO(data))
    _check_extent(file.metadata.num_rows, len(file.schema_arrow))
    flat = [field for field in file.schema_arrow if not types.is_nested(field.type)]
    texts = [field.name for field in flat if any(test(field.type) for test in TEXT)]
    # A text that repeats is held once in the file: it is counted before it is written out.
    rows = parquet.read_table(
        io.BytesIO(data), columns=[field.name for field in flat], read_dictionary=texts, partitioning=None
    )
    rows.validate(full=True)  # or damaged text would come to light later, one cell at a time
    for name in texts:
        _check_text(name, rows.column(name))
    frame: pd.DataFrame = rows.cast(pa.schema(flat)).to_pandas(ignore_metadata=True)
    return frame


def _check_text(name: str, column: pa.ChunkedArray) -> None:
    chunks = [chunk for chunk in column.chunks if types.is_dictionary(chunk.type)]
    lengths = [compute.binary_length(chunk.dictionary).take(chunk.indices) for chunk in chunks]
    held = sum(compute.sum(each).as_py() or 0 for each in lengths)
    if held > LARGEST_FILE:
        raise RefusedError(f"column '{shown(name)}' unpacks to {in_bytes(held)} of text")


def _read_fits(data: bytes) -> pd.DataFrame:
    check_structure(data, "table")
    from astropy.io import fits  # a third of a second, and most tables are not FITS
    from astropy.table import Table

    with fits.open(io.BytesIO(data), memmap=False) as hdus:
        tables = (hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU))
        table = next(tables, None)
        if table is None:
            raise RefusedError("it holds no table extension")
        _check_extent(len(table.data), len(table.columns))
        _check_lists(table)
        columns = Table.read(table)
        flat = [name for name in columns.colnames if columns[name].ndim == 1]
        frame: pd.DataFrame = columns[flat].to_pandas()
    return frame


def _check_lists(table: Any) -> None:  # noqa: ANN401 astropy's classes are not typed
    """Count the numbers in lists of any length, of which many may be the same bytes of the file."""
    lists = [
        at for at, form in enumerate(table.columns.formats) if {"P", "Q"} & set(str(form).partition("(")[0])
    ]
    held = sum(int(np.recarray.field(table.data, at)[..., 0].astype(np.int64).clip(0).sum()) for at in lists)
    if held > LARGEST_FILE:
        raise RefusedError(f"its lists hold {held} numbers")


def _check_extent(rows: int, columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise RefusedError(f"it has {columns} columns; expected at most {MOST_COLUMNS}")
    if rows * columns > MOST_CELLS:
        raise RefusedError(f"it has {rows * columns} cells; expected at most {MOST_CELLS}")
    check_affordable(rows * columns * CELL_BYTES, f"a table of {rows} rows and {columns} columns")


READERS: Mapping[str, tuple[str, Callable[[bytes], pd.DataFrame]]] = {
    ".csv": ("CSV", _read_csv),
    ".parquet": ("Parquet", _read_parquet),
    ".fits": ("FITS", _read_fits),
}


def column_of(frame: pd.DataFrame, name: str) -> pd.Series | None:
    """Return a column by its name, or by its only name in other letters ("RA" for "ra"); None without one."""
    keys = [str(key) for key in frame]
    exact = [at for at, key in enumerate(keys) if key == name]
    found = exact or [at for at, key in enumerate(keys) if key.lower() == name.lower()]
    return frame.iloc[:, found[0]] if len(found) == 1 else None


def texts_of(column: pd.Series) -> list[str]:
    """Return a column as text: whole numbers without a point, empty where unknown."""
    return [_text(value) for value in column.tolist()]


def _text(value: object) -> str:
    if isinstance(value, str) and value.isascii():  # nearly all are, and there may be millions
        return value.replace("\0", "").strip()
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "").strip()


def names_of(column: pd.Series) -> list[str]:
    """Return a column of names as text.

    Raises:
        DataError: a text is too long to be a name.
    """
    texts = texts_of(column)
    row = next((row for row, text in enumerate(texts) if len(text) > LONGEST_TEXT), None)
    if row is not None:
        raise DataError(
            f"column '{shown(str(column.name))}' holds a text of {len(texts[row])} characters in row "
            f"{row + 1}; expected at most {LONGEST_TEXT}: correct the table"
        )
    return texts


def numbers_of(column: pd.Series) -> tuple[Float[np.ndarray, " row"], list[str]]:
    """Return a column as numbers, NaN where there is none, and notes on what was found instead of numbers."""
    name, texts = shown(str(column.name)), texts_of(column)
    numbers = np.array(pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce"), dtype=np.float64)
    words = [t for t, n in zip(texts, numbers.tolist(), strict=True) if np.isnan(n) and t.lower() not in NAN]
    infinite = np.isinf(numbers)
    notes = true_notes({
        f"column '{name}' holds text in {len(words)} rows, first '{shown(words[0] if words else '')}'; "
        "unknown there": words,
        f"column '{name}' is infinite in {infinite.sum()} rows; unknown there": infinite.any(),
    })  # fmt: skip
    return np.where(infinite, np.nan, numbers), notes


def classes_of(column: pd.Series) -> tuple[tuple[str, ...], Int[np.ndarray, " row"]]:
    """Return class names, sorted, and the class of each row, -1 where it has none.

    Classes are words, or whole numbers; of numbers, 255 and negative ones mean unlabelled, and so do empty
    texts and NaN in either.

    Raises:
        DataError: the column holds fractions, or too many different values to be classes.
    """
    texts = ["" if text.lower() in NAN else text for text in names_of(column)]
    found = pd.Series(sorted({text for text in texts if text}), dtype=object)
    if len(found) and not np.isnan(np.array(pd.to_numeric(found, errors="coerce"), dtype=float)).any():
        texts, names = _numbered(str(column.name), texts)
    else:
        names = found.tolist()
    if len(names) > MOST_CLASSES:
        raise DataError(
            f"label column '{shown(str(column.name))}' holds {len(names)} different values; expected at most "
            f"{MOST_CLASSES} classes: name another column"
        )
    place = {"": -1, **{name: number for number, name in enumerate(names)}}
    return tuple(names), np.array([place[text] for text in texts], dtype=np.int64)


def _numbered(name: str, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    whole = {text: re.fullmatch(WHOLE, text) is not None for text in set(texts) if text}
    strange = next((text for text in texts if text and not whole[text]), None)
    if strange is not None:
        raise DataError(
            f"label column '{shown(name)}' holds {shown(strange)}; expected class names or whole numbers: "
            "name another column, or carry numbers as attributes"
        )
    values = {text: int(text.partition(".")[0]) for text in whole}
    known = {value for value in values.values() if value >= 0 and value != UNLABELLED}
    spelt = {text: str(value) if value in known else "" for text, value in values.items()} | {"": ""}
    return [spelt[text] for text in texts], [str(value) for value in sorted(known)]
