"""Which file reads a table (CSV, Parquet, FITS, VOTable)? This one, and it parses its columns."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float, Int
from pyarrow import compute, parquet, types

from astrojepa_bench.data.given import check_affordable, in_bytes
from astrojepa_bench.data.sources.astropy_table import read_fits, read_votable
from astrojepa_bench.data.sources.catalogue import MOST_CLASSES, UNLABELLED
from astrojepa_bench.data.sources.container import (
    LARGEST_FILE,
    RefusedError,
    composed,
    guarded,
    shown,
    unpacked,
)
from astrojepa_bench.data.sources.file_kinds import FITS, kind_of_table
from astrojepa_bench.data.sources.text_table import layout_of
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.errors import DataError

LONGEST_TEXT = (
    256  # of an id, class, group or split: a longer one is an error, and rows of it would not fit memory
)
MOST_COLUMNS = 10_000
MOST_CELLS = 1 << 27
CELL_BYTES = 24  # that a cell takes at least, as a text that others share
NAN = ("", "nan")
WHOLE_KINDS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
NULLABLE: Mapping[pa.DataType, pd.api.extensions.ExtensionDtype] = {
    **{getattr(pa, kind.lower())(): getattr(pd, f"{kind}Dtype")() for kind in WHOLE_KINDS},
    pa.bool_(): pd.BooleanDtype(),
}
"""Types that hold gaps without passing through floating point, which has no 19 digits."""
TEXT = (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)
WHOLE = r"[+-]?\d+(\.0*)?"
POINTED = re.compile(r"\d+\.0*")
SCIENTIFIC = re.compile(r"\d(\.\d+)?[eE]\+?\d+")
COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")
EXACT_IN_64_BITS = float(1 << 53)  # beyond this, floating-point numbers skip whole ones
DIGITS = 20  # of a number; a longer one is a word
BYTES = re.compile(r"b(['\"])(.*)\1")  # as Python writes bytes
MISSING = frozenset({"na", "n/a", "none", "null", "-", "--", "?", "unknown", "nil", "<na>", "masked", "#n/a"})


def read_table(name: str, data: bytes) -> pd.DataFrame:
    """Read a table; every column is text or numbers, as it comes.

    Its `attrs` hold `units` by column, where the table states them, and `notes` on what was assumed or left out.

    Raises:
        DataError: it is not a table of the kind that its name says, or has no rows.
    """
    kind, read = READERS.get(kind_of_table(name), READERS[".csv"])
    try:
        with guarded(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the heading
            frame = read(unpacked(data))
    except RefusedError as why:
        raise DataError(f"{shown(name)} is not a {kind} table ({why}); repair it") from None
    if not len(frame):
        raise DataError(f"{shown(name)} has no rows; expected one an image")
    told = {"units": {}, "notes": [], **frame.attrs}
    frame = frame.rename(columns=lambda column: str(column).strip())
    frame.attrs.update(told)
    return frame


def _read_text(data: bytes, separator: str = "") -> pd.DataFrame:
    layout = layout_of(data, separator)
    mark = layout.separator.encode()
    rows = data.count(b"\n") + data.count(b"\r")
    _check_extent(rows, 1)
    _check_extent(1, max(line.count(mark) for line in data.splitlines() or [b""]) + 1)
    _check_extent(rows + data.count(mark), 1)
    frame: pd.DataFrame = pd.read_csv(
        io.StringIO(layout.text, newline=""),
        dtype=str,
        keep_default_na=False,
        index_col=False,
        sep=layout.separator,
    )
    frame.attrs.update(units=layout.units, notes=list(layout.notes))
    return frame


def _read_parquet(data: bytes) -> pd.DataFrame:
    file = parquet.ParquetFile(io.BytesIO(data))
    _check_extent(file.metadata.num_rows, len(file.schema_arrow))
    flat = [field for field in file.schema_arrow if not types.is_nested(field.type)]
    lists = [shown(field.name) for field in file.schema_arrow if types.is_nested(field.type)]
    texts = [field.name for field in flat if any(test(field.type) for test in TEXT)]
    # A text that repeats is held once in the file: it is counted before it is written out.
    rows = parquet.read_table(
        io.BytesIO(data), columns=[field.name for field in flat], read_dictionary=texts, partitioning=None
    )
    rows.validate(full=True)  # or damaged text would come to light later, one cell at a time
    for name in texts:
        _check_text(name, rows.column(name))
    plain = rows.cast(pa.schema(flat))
    frame: pd.DataFrame = plain.to_pandas(ignore_metadata=True, types_mapper=NULLABLE.get)
    notes = [f"{len(lists)} columns of lists are not used: {', '.join(lists[:9])}"] if lists else []
    frame.attrs.update(units={}, notes=notes)
    return frame


def _check_text(name: str, column: pa.ChunkedArray) -> None:
    chunks = [chunk for chunk in column.chunks if types.is_dictionary(chunk.type)]
    lengths = [compute.binary_length(chunk.dictionary).take(chunk.indices) for chunk in chunks]
    held = sum(compute.sum(each).as_py() or 0 for each in lengths)
    if held > LARGEST_FILE:
        raise RefusedError(f"column '{shown(name)}' unpacks to {in_bytes(held)} of text")


def _check_extent(rows: int, columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise RefusedError(f"it has {columns} columns; expected at most {MOST_COLUMNS}")
    if rows * columns > MOST_CELLS:
        raise RefusedError(f"it has {rows * columns} cells; expected at most {MOST_CELLS}")
    check_affordable(rows * columns * CELL_BYTES, f"a table of {rows} rows and {columns} columns")


READERS: Mapping[str, tuple[str, Callable[[bytes], pd.DataFrame]]] = {
    ".csv": ("CSV", _read_text),
    ".parquet": ("Parquet", _read_parquet),
    ".tsv": ("TSV", partial(_read_text, separator="\t")),
    ".tab": ("TSV", partial(_read_text, separator="\t")),
    ".ecsv": ("ECSV", _read_text),
    **dict.fromkeys((".pq", ".parq"), ("Parquet", _read_parquet)),
    **dict.fromkeys(FITS, ("FITS", partial(read_fits, check_extent=_check_extent))),
    **dict.fromkeys((".vot", ".votable"), ("VOTable", partial(read_votable, check_extent=_check_extent))),
}


def heads_of(frame: pd.DataFrame) -> list[str]:
    """List the names of a table's columns, each once."""
    return list(dict.fromkeys(str(key) for key in frame))


def column_of(frame: pd.DataFrame, name: str) -> pd.Series | None:
    """Return a column by its name, or by its only name in other letters ("RA" for "ra"); None without one.

    Of columns of one name it is the first.
    """
    keys = [str(key) for key in frame]
    exact = [at for at, key in enumerate(keys) if key == name]
    found = exact[:1] or [at for at, key in enumerate(keys) if key.lower() == name.lower()]
    return frame.iloc[:, found[0]] if len(found) == 1 else None


def texts_of(column: pd.Series) -> list[str]:
    """Return a column as text: whole numbers without a point, empty where unknown."""
    return [_text(value) for value in column.tolist()]


def _text(value: object) -> str:
    if isinstance(value, str) and value.isascii():  # nearly all are, and there may be millions
        return value.replace("\0", "").strip()
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
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


def ids_of(column: pd.Series) -> tuple[list[str], list[str]]:
    """Return a column of ids as text, digit by digit, and notes on digits that were lost before.

    Raises:
        DataError: a text is too long to be a name.
    """
    texts, name = names_of(column), shown(str(column.name))
    pointed = bool(any(texts)) and all(POINTED.fullmatch(text) for text in texts if text)
    rounded = [
        value
        for value in column.tolist()
        if isinstance(value, float) and value.is_integer() and abs(value) > EXACT_IN_64_BITS
    ]
    short = [text for text in texts if SCIENTIFIC.fullmatch(text)]
    notes = true_notes({
        f"ids of column '{name}' are written with a decimal point ({texts[0]}) and read as whole numbers": pointed,
        f"{len(rounded)} ids of column '{name}' are floating-point numbers beyond 2^53: whoever wrote the table "
        "has rounded them": rounded,
        f"{len(short)} ids of column '{name}' are written as {shown(short[0] if short else '')}: whoever wrote the "
        "table has dropped their last digits": short,
    })  # fmt: skip
    return [text.partition(".")[0] for text in texts] if pointed else texts, notes


def numbers_of(column: pd.Series) -> tuple[Float[np.ndarray, " row"], list[str]]:
    """Return a column as numbers, NaN where there is none, and notes on what was found instead of numbers.

    Numbers with decimal commas are numbers where no cell of the column has a point; true and false are 1 and 0
    where the column holds nothing else.
    """
    name, texts = shown(str(column.name)), [text.replace("\u2212", "-") for text in texts_of(column)]
    filled = [text for text in texts if text.lower() not in NAN]
    commas = sum(COMMA.fullmatch(text) is not None for text in filled) * (
        not any("." in text for text in filled)
    )
    truths = len(filled) * ({text.lower() for text in filled} <= {"true", "false"})
    if commas:
        texts = [text.replace(",", ".") if COMMA.fullmatch(text) else text for text in texts]
    if truths:
        texts = [{"true": "1", "false": "0"}.get(text.lower(), text) for text in texts]
    numbers = np.array(pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce"), dtype=np.float64)
    words = [t for t, n in zip(texts, numbers.tolist(), strict=True) if np.isnan(n) and t.lower() not in NAN]
    infinite = np.isinf(numbers)
    large = np.flatnonzero(np.abs(numbers) > EXACT_IN_64_BITS).tolist()
    rounded = sum(texts[row].lstrip("+-").isdecimal() for row in large)
    notes = true_notes({
        f"column '{name}' holds text in {len(words)} rows, first '{shown(words[0] if words else '')}'; "
        "unknown there": words,
        f"column '{name}' is infinite in {infinite.sum()} rows; unknown there": infinite.any(),
        f"column '{name}' has decimal commas in {commas} rows, read as points": commas,
        f"column '{name}' holds true or false in {truths} rows, read as 1 and 0": truths,
        f"column '{name}' holds whole numbers beyond 2^53 in {rounded} rows, which are rounded": rounded,
    })  # fmt: skip
    return np.where(infinite, np.nan, numbers), notes


def classes_of(column: pd.Series) -> tuple[tuple[str, ...], Int[np.ndarray, " row"]]:
    """Return class names, sorted, and the class of each row, -1 where it has none.

    Classes are words, or whole numbers; of numbers, 255 and negative ones mean unlabelled, and so do empty
    texts and NaN in either. Whole numbers among words come first, in their order.

    Raises:
        DataError: the column holds fractions, or too many different values to be classes.
    """
    texts = ["" if text.lower() in NAN else text for text in _as_written(names_of(column))[0]]
    whole = {
        text: int(text) for text in set(texts) if text.isascii() and text.isdecimal() and len(text) < DIGITS
    }
    order = sorted(
        {text for text in texts if text}, key=lambda text: (text not in whole, whole.get(text, 0), text)
    )
    found = pd.Series(order, dtype=object)
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


def class_notes(column: pd.Series) -> list[str]:
    """Note which labels mean unlabelled, and which are classes though they look as if they did."""
    texts, quoted = _as_written(texts_of(column))
    counts = Counter(texts)
    words = {text for text in counts if text.lower() not in NAN}
    numbers = words and all(re.fullmatch(WHOLE, text) for text in words)
    none = {text: n for text, n in counts.items() if text and text.lower() in NAN}
    none |= {
        text: counts[text]
        for text in words
        if numbers and (int(float(text)) in (UNLABELLED,) or text[0] == "-")
    }
    several: dict[int, list[str]] = {}  # spellings of one number
    for text in sorted(words if numbers else ()):
        several.setdefault(int(text.partition(".")[0]), []).append(text)
    odd = [text for text in sorted(words) if text.lower() in MISSING]
    folded = Counter(word.casefold() for word in words)
    alike = [
        [word for word in words if word.casefold() == each] for each, count in folded.items() if count > 1
    ]
    return [
        *(
            f"{count} labels are written as Python writes bytes (b'…'); what stands in them is read"
            for count in [quoted] if count
        ),
        *(
            f"{sum(counts[text] for text in spellings)} labels are written in several ways "
            f"({', '.join(map(shown, spellings))}) and are one class"
            for spellings in several.values() if len(spellings) > 1
        ),
        *(f"{count} labels are '{text}' and mean unlabelled" for text, count in sorted(none.items())),
        *(
            f"{counts[text]} labels are '{shown(text)}': a class as any other; leave the cell empty where the "
            "class is unknown" for text in odd
        ),
        *(
            f"{len(names)} classes differ in nothing but case: {', '.join(map(shown, sorted(names)))}"
            for names in alike
        ),
    ]  # fmt: skip


def _as_written(texts: Sequence[str]) -> tuple[list[str], int]:
    """Return labels as their author meant them, and how many of them Python has written as bytes."""
    found = [BYTES.fullmatch(text) for text in texts]
    quoted = sum(each is not None for each in found)
    plain = [text if each is None else each[2] for text, each in zip(texts, found, strict=True)]
    # An accented letter is one sign, for some systems write it as two, in names of folders above all.
    return [composed(text) for text in plain], quoted


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
