"""Tables as bytes, in the formats that astronomers and data scientists open, each saying of itself all it can.

| format | columns explain themselves | where the table comes from |
|---|---|---|
| `.fits` | TUNITn, TUCDn, TCOMMn | RUN_ID, RUN, GALAXIES, COMMAND, DATE in both headers |
| `.vot`, `.xml` | unit, ucd, DESCRIPTION | INFO elements |
| `.parquet` | metadata of each field, and of all as VOTable (VOParquet) | metadata of the file |
| `.h5` | attributes of each array | attributes of the file |
| `.npz` | | arrays of one text |
| `.csv` | | |

Ids are text in every format, digit by digit, whatever they look like.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
from astropy.io import fits, votable
from astropy.io.fits.verify import VerifyWarning
from astropy.io.votable.tree import Info
from astropy.table import Table
from pyarrow import parquet

from astrojepa_bench import events
from astrojepa_bench.escaping import csv_cell, plain, spelt_out
from astrojepa_bench.explore.column_meanings import UNITS, meaning_of
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.options import legible

Columns: TypeAlias = Mapping[str, np.ndarray]
_NO_FITS = re.compile(r"[^ -~]| (?= *$)")  # what FITS does not hold, or cuts off
_LETTER = re.compile(r"\\u[0-9a-f]{4}|.")
FITS_NAME = 68  # characters of a column's name
_NO_XML = re.compile("[\ufffe\uffff]| (?= *$)")  # what XML does not hold, or its readers cut off


@dataclass(frozen=True)
class TableOrigin:
    """Where a table comes from.

    Attributes:
        run_id, run: of the finished run, its id and what it is.
        galaxies: which were looked at.
        command: that wrote the table.
        date: the day, UTC.
    """

    run_id: str
    run: str
    galaxies: str
    command: str
    date: str

    @classmethod
    def of(cls, sample: Sample, command: str) -> TableOrigin:
        """Describe a table that is made now of a sample."""
        record, today = sample.run.record, datetime.now(UTC).date().isoformat()
        return cls(record.run_id, legible(record.title), legible(sample.title), legible(command), today)

    @property
    def facts(self) -> dict[str, str]:
        """What is written down, by name."""
        told = {"run_id": self.run_id, "run": self.run, "galaxies": self.galaxies, "command": self.command}
        return {name: plain(value) for name, value in {**told, "date": self.date}.items() if value}


def columns_of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return columns as arrays that every format can hold: numbers, text without controls, vectors.

    Names hold no controls either, and differ in more than case.
    """
    names = distinct(plain(str(name)) for name in frame)
    return {name: _array_of(frame.iloc[:, at]) for at, name in enumerate(names)}


def distinct(names: Iterable[str]) -> list[str]:
    """Number names that differ in nothing but case: many tables know no other difference.

    Example:
        >>> distinct(["p_S0", "p_s0", "p_E"])
        ['p_S0', 'p_s0_2', 'p_E']
    """
    found = list[str]()
    for name in names:
        taken, chosen, number = {each.casefold() for each in found}, name, 2
        while chosen.casefold() in taken:
            chosen, number = f"{name}_{number}", number + 1
        found.append(chosen)
    return found


def _array_of(column: pd.Series) -> np.ndarray:
    values = column.to_numpy()
    if values.dtype.kind in "iuf":
        return values
    if values.dtype.kind == "b":
        return values.astype(np.int16)  # every format has a number of its own for what is true
    if len(values) and isinstance(values[0], np.ndarray):
        return np.stack(values.tolist())
    texts = [plain(str(each)) for each in values.tolist()]
    return np.array(texts, dtype=f"<U{max(1, *map(len, texts), 1)}")


def as_csv(columns: Columns) -> bytes:
    """Write CSV: what a spreadsheet would take for a formula begins with `'`, vectors take a column a number."""
    flat: dict[str, Any] = {}
    for name, values in columns.items():
        if values.ndim == 2:
            flat |= {f"{name}_{number}": values[:, number] for number in range(values.shape[1])}
        else:
            flat[name] = (
                values if values.dtype.kind in "iuf" else [csv_cell(each) for each in values.tolist()]
            )
    named = pd.DataFrame(flat).set_axis([csv_cell(name) for name in flat], axis="columns")
    text: str = named.to_csv(index=False, lineterminator="\n")
    return text.encode("utf-8")


def as_parquet(columns: Columns, origin: TableOrigin | None) -> bytes:
    """Write Parquet; each field carries its unit, UCD and description.

    Source:
        The VOParquet convention, IVOA note 1.0 of 2025, for the VOTable in the file's metadata.
    """
    arrays = {
        name: pa.array(list(values) if values.ndim == 2 else values) for name, values in columns.items()
    }
    fields = [pa.field(name, values.type, metadata=_told(name)) for name, values in arrays.items()]
    header = as_votable({name: values[:0] for name, values in columns.items()}, origin)
    about = {
        **({} if origin is None else origin.facts),
        "IVOA.VOTable-Parquet.version": "1.0",
        "IVOA.VOTable-Parquet.content": header.decode("utf-8"),
    }
    stream = io.BytesIO()
    parquet.write_table(pa.table([*arrays.values()], schema=pa.schema(fields, metadata=about)), stream)
    return stream.getvalue()


def as_votable(columns: Columns, origin: TableOrigin | None) -> bytes:
    """Write a VOTable; where the table comes from stands in its INFO elements."""
    table = Table()
    names = distinct(map(_xml, columns))
    for name, meaning, values in zip(names, map(meaning_of, columns), columns.values(), strict=True):
        texts = values.dtype.kind == "U"
        table[name] = _without(_NO_XML, values) if texts else values
        table[name].info.description = _xml(meaning.text) or None
        table[name].info.unit = meaning.unit or None
        table[name].info.meta = {"ucd": meaning.ucd} if meaning.ucd else {}
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", votable.exceptions.W03)  # a name with a blank stands beside its ID
        made = votable.from_table(table)
        for name, value in ({} if origin is None else origin.facts).items():
            made.resources[0].infos.append(Info(name=name, value=_xml(value)))
        made.to_xml(stream)
    return stream.getvalue()


def as_fits(columns: Columns, origin: TableOrigin | None) -> bytes:
    r"""Write FITS. It knows ASCII alone: other letters are spelt out, as `\u00e9`, and a note counts the texts.

    A name that is longer than FITS allows is cut, and stands in TCOMM whole.
    """
    names = _fits_names(columns)
    arrays = {
        name: _without(_NO_FITS, values).astype("S") if values.dtype.kind == "U" else values
        for name, values in zip(names, columns.values(), strict=True)
    }
    spelt = sum(
        int((_without(_NO_FITS, each) != each).sum()) for each in columns.values() if each.dtype.kind == "U"
    )
    if spelt:
        how = "spelt in ASCII, the only letters of FITS (é as \\u00e9); .parquet and .vot keep them"
        events.emit("note", text=f"{spelt} texts are {how}")
    table = Table(arrays)
    for name in set(arrays) & set(UNITS):
        table[name].unit = UNITS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VerifyWarning)  # a name with a blank is unusual and allowed
        hdu = fits.table_to_hdu(table)
    for number, (name, full) in enumerate(zip(names, columns, strict=True), start=1):
        meaning = meaning_of(full)
        told = _ascii(meaning.text) or (_ascii(full) if name != _ascii(full) else "")
        for key, value in (("TUCD", meaning.ucd), ("TCOMM", told)):
            if value:
                hdu.header[f"{key}{number}"] = value
    primary = fits.PrimaryHDU()
    for name, value in ({} if origin is None else origin.facts).items():
        hdu.header[name.upper()] = primary.header[name.upper()] = _ascii(value)
    stream = io.BytesIO()
    fits.HDUList([primary, hdu]).writeto(stream)
    return stream.getvalue()


def as_hdf5(columns: Columns, origin: TableOrigin | None) -> bytes:
    """Write HDF5, an array a column."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.attrs.update({} if origin is None else origin.facts)
        for name, values in columns.items():
            stored = values.astype(object) if values.dtype.kind == "U" else values
            file.create_dataset(
                name, data=stored, dtype=h5py.string_dtype() if stored is not values else None
            )
            file[name].attrs.update(_told(name))
    return stream.getvalue()


def as_npz(columns: Columns, origin: TableOrigin | None) -> bytes:
    """Write a NumPy archive, an array a column; where it comes from is arrays of one text."""
    stream = io.BytesIO()
    arrays: dict[str, Any] = {**columns, **({} if origin is None else origin.facts)}
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _told(column: str) -> dict[str, str]:
    meaning = meaning_of(column)
    told = {"unit": meaning.unit, "ucd": meaning.ucd, "description": meaning.text}
    return {name: value for name, value in told.items() if value}


def _ascii(text: str) -> str:
    return _NO_FITS.sub(spelt_out, text)


def _xml(text: str) -> str:
    return _NO_XML.sub(spelt_out, text)


def _fits_names(columns: Iterable[str]) -> list[str]:
    """Spell names in the letters that a card of FITS has room for; none is another's, in capitals or not."""
    found = list[str]()
    for column in columns:
        taken, number = {name.casefold() for name in found}, 1
        while (name := _cut(column, "" if number == 1 else f"_{number}")).casefold() in taken:
            number += 1
        found.append(name)
    return found


def _cut(text: str, ending: str) -> str:
    """Spell a text in ASCII and cut it to a card's length, with no letter's spelling cut in two."""
    letters, left = list[str](), FITS_NAME - len(ending)
    for letter in _LETTER.findall(_ascii(text)):
        left -= len(letter) + letter.count("'")  # a card holds each twice
        if left < 0:
            break
        letters.append(letter)
    return "".join(letters).rstrip() + ending


def _without(unwritable: re.Pattern[str], texts: np.ndarray) -> np.ndarray:
    found = [unwritable.sub(spelt_out, text) for text in texts.tolist()]
    return np.array(found, dtype=f"<U{max(1, *map(len, found), 1)}")
