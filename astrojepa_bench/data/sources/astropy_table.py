"""How are FITS and VOTable tables read? By astropy, after what they claim was checked; whole numbers stay whole."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from astrojepa_bench.data.sources.container import LARGEST_FILE, RefusedError, shown
from astrojepa_bench.data.sources.fits_structure import check_structure

if TYPE_CHECKING:
    from astropy.table import Table

ELSEWHERE = re.compile(rb"<!ENTITY|<(?:\w+:)?STREAM\b[^>]*\bhref", re.IGNORECASE)
EXTENTS = re.compile(rb"arraysize\s*=\s*[\"']([^\"']*)[\"']", re.IGNORECASE)
LONGEST_LIST = 4096  # values of a cell
WINDOWS = "latin-1"


def read_fits(data: bytes, check_extent: Callable[[int, int], None]) -> pd.DataFrame:
    """Read the first table of a FITS file.

    Args:
        data: the file.
        check_extent: is given rows and columns before they are read.

    Raises:
        RefusedError: there is no table, or it claims more than there can be.
    """
    check_structure(data, "table")
    from astropy.io import fits  # a third of a second, and most tables are not FITS
    from astropy.table import Table

    with fits.open(io.BytesIO(data), memmap=False) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        tables = [hdu for hdu in tables if not isinstance(hdu, fits.CompImageHDU)]
        if not tables:
            raise RefusedError("it holds no table extension")
        check_extent(len(tables[0].data), len(tables[0].columns))
        _check_lists(tables[0])
        frame = _frame(Table.read(tables[0]))
    if len(tables) > 1:
        frame.attrs["notes"].append(f"the file holds {len(tables)} tables; the first is read")
    return frame


def read_votable(data: bytes, check_extent: Callable[[int, int], None]) -> pd.DataFrame:
    """Read the first table of a VOTable file, whose data lie in the file itself.

    Args:
        data: the file.
        check_extent: is given rows and columns before they are read.

    Raises:
        RefusedError: there is no table, or its data lie elsewhere.
    """
    if b"\0" in data[:4096] or ELSEWHERE.search(data):
        raise RefusedError("it is no plain XML, or its data lie in another file; write them into this one")
    for found in EXTENTS.findall(data):
        sizes = [int(size) for size in re.findall(rb"\d{1,18}", found)]
        if int(np.prod(sizes, dtype=object)) > LONGEST_LIST and b"*" not in found:
            raise RefusedError(f"a column claims lists of {shown(found.decode('latin-1'))} values")
    check_extent(data.count(b"<TR"), data.count(b"<FIELD"))
    from astropy.io import votable  # slow to import, and few tables are VOTables

    tables = list(votable.parse(io.BytesIO(data), verify="ignore").iter_tables())
    if not tables:
        raise RefusedError("it holds no table")
    check_extent(len(tables[0].array), len(tables[0].fields))
    frame = _frame(tables[0].to_table(use_names_over_ids=True))
    if len(tables) > 1:
        frame.attrs["notes"].append(f"the file holds {len(tables)} tables; the first is read")
    return frame


def _frame(columns: Table) -> pd.DataFrame:
    """Turn a table of astropy into columns: text as text, whole numbers with gaps as nullable ones."""
    flat = [name for name in columns.colnames if columns[name].ndim == 1]
    lists = [name for name in columns.colnames if name not in flat]
    units = {name: str(columns[name].unit) for name in flat if columns[name].unit is not None}
    columns = columns[flat]
    for name in flat:
        if columns[name].dtype.kind == "S":
            columns[name] = _decoded(columns[name])
    frame: pd.DataFrame = columns.to_pandas()
    named = ", ".join(map(shown, lists[:9]))
    notes = [f"{len(lists)} columns of lists are not used: {named}"] if lists else []
    frame.attrs.update(units=units, notes=notes)
    return frame


def _decoded(column: Any) -> list[str]:  # noqa: ANN401 astropy's classes are not typed
    """Return texts that are UTF-8, or else Latin-1; empty where there is none."""
    texts = []
    for value in np.ma.filled(column, b"").tolist():
        try:
            texts.append(value.decode())
        except UnicodeDecodeError:
            texts.append(value.decode(WINDOWS))
    return texts


def _check_lists(table: Any) -> None:  # noqa: ANN401 astropy's classes are not typed
    """Count the numbers in lists of any length, of which many may be the same bytes of the file."""
    lists = [
        at for at, form in enumerate(table.columns.formats) if {"P", "Q"} & set(str(form).partition("(")[0])
    ]
    held = sum(int(np.recarray.field(table.data, at)[..., 0].astype(np.int64).clip(0).sum()) for at in lists)
    if held > LARGEST_FILE:
        raise RefusedError(f"its lists hold {held} numbers")
