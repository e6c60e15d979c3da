"""How is a table of text laid out: in which encoding, behind which comments, with what between its columns?

Every cell stays the text that it is, digit by digit; what the text means is decided where a column is read.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from typing import NamedTuple

from astrojepa_bench.data.column_names import ALIASES
from astrojepa_bench.data.sources.container import RefusedError, shown

ECSV = "# %ECSV"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabulators", "|": "bars"}
SPREADSHEET = re.compile(r"sep=([,;\t|])\s*$")
USUAL = frozenset(alias for aliases in ALIASES.values() for alias in aliases)
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
WINDOWS = "cp1252"  # what spreadsheets of western Europe write where they do not write UTF-8
UNIT = re.compile(r"^# *- *\{.*?name: *'?\"?([^,'\"}]+).*?unit: *'?\"?([^,'\"}]+)")
DELIMITER = re.compile(r"^# *delimiter: *['\"]?(.|\\t)['\"]?\s*$")


class Layout(NamedTuple):
    """A table of text, and how it is to be cut into cells.

    Attributes:
        text: from its heading on.
        separator: between columns.
        units: by column, where the table states them.
        notes: what was assumed.
    """

    text: str
    separator: str
    units: dict[str, str]
    notes: tuple[str, ...]


def layout_of(data: bytes, separator: str = "") -> Layout:
    """Find out how a table of text is laid out.

    Args:
        data: the file.
        separator: between its columns, where that is known; else it is told by the heading.

    Raises:
        RefusedError: it is no text.
    """
    text, notes = _decoded(data)
    comments, body = _without_comments(text)
    heading = body.lstrip("\r\n").partition("\n")[0]
    stated = SPREADSHEET.match(heading)
    if stated and not separator:  # what a spreadsheet writes for itself, in a line of its own
        separator, body = stated[1], body.partition("\n")[2]
        heading = body.partition("\n")[0]
    units: dict[str, str] = {}
    if text.startswith(ECSV):
        delimiters = [match[1] for match in map(DELIMITER.match, comments) if match]
        separator = (delimiters or [" "])[0].replace("\\t", "\t")
        units = {match[1].strip(): match[2].strip() for match in map(UNIT.match, comments) if match}
    elif not separator:
        separator = _separator(heading)
        if separator != ",":
            notes.append(f"columns are separated by {SEPARATORS[separator]}")
    names = [name.strip() for name in next(csv.reader([heading], delimiter=separator), [])]
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        named = ", ".join(map(shown, twice[:9]))
        notes.append(
            f"{len(twice)} names of columns stand twice in the heading ({named}); the first of each is read"
        )
    return Layout(body, separator, units, tuple(notes))


def _decoded(data: bytes) -> tuple[str, list[str]]:
    if data.startswith(UTF16):
        return data.decode("utf-16"), ["the table is written in UTF-16"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        if b"\0" in data:
            raise RefusedError("it holds bytes that are no text") from None
        try:
            text = data.decode(WINDOWS)
        except UnicodeDecodeError:
            raise RefusedError(shown(str(error))) from None
    odd = sum(not sign.isascii() for sign in text)
    return text, [f"the table is not written in UTF-8; {odd} characters are read as Windows-1252"]


def _separator(heading: str) -> str:
    """Return what stands most often in the heading, outside quotes; the comma where nothing does."""
    bare = re.sub(r'"[^"]*"', "", heading)
    counts = {sign: bare.count(sign) for sign in SEPARATORS}
    return max(counts, key=lambda sign: (counts[sign], sign == ","))


def _names_columns(line: str) -> bool:
    """Whether a line holds a name that a column of galaxies usually has."""
    names = {name.strip(' "').lower() for name in line.split(_separator(line))}
    return not names.isdisjoint(USUAL)


def _without_comments(text: str) -> tuple[list[str], str]:
    """Cut off the lines at the top that begin with #; the last of them stays where it is the heading."""
    comments: list[str] = []
    stream = io.StringIO(text, newline="")
    at = 0
    for line in stream:
        if not line.startswith("#"):
            last = comments[-1].lstrip("#").strip() if comments else ""
            if _names_columns(last) and not _names_columns(line):
                return comments[:-1], f"{last}\n{text[at:]}"
            return comments, text[at:]
        comments.append(line.rstrip("\r\n"))
        at += len(line)
    return [], text
