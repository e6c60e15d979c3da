"""Is the structure that FITS headers state possible? Each card is checked before any library believes it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

from astrojepa_bench.data.sources.container import RefusedError, shown

BLOCK, CARD = 2880, 80
MOST_CARDS = 20_000  # of a header; a long history takes a thousand
MOST_UNITS = 300
MOST_AXES = 9
MOST_FIELDS = 999
LARGEST_AXIS = 1 << 40
LARGEST_TILE = 1 << 28  # values
BEGINNINGS = (b"SIMPLE  ", b"XTENSION")
COUNTS = re.compile(r"Z?NAXIS\d*|Z?BITPIX|PCOUNT|GCOUNT|TFIELDS|ZTILE\d+")
BITS = frozenset({8, 16, 32, 64, -32, -64})


def check_structure(data: bytes, wanted: Literal["image", "table"]) -> int:
    """Go through all headers, or those up to the first table; astropy must not meet one that was not checked.

    Returns:
        How many bytes these extensions take.

    Raises:
        RefusedError: there is none, or a header has no end or states a structure that the file cannot have.
    """
    at = units = found = 0
    while data[at : at + len(BEGINNINGS[0])] == BEGINNINGS[at > 0]:
        counts, start = _header(data, at)
        size, left = _data_bytes(counts), len(data) - start
        if size > left:
            raise RefusedError(f"a header claims {size} bytes of data where {left} follow")
        tile = math.prod(value for keyword, value in counts.items() if keyword.startswith("ZTILE"))
        if tile > LARGEST_TILE:
            raise RefusedError(f"a tile claims {tile} values; expected at most {LARGEST_TILE}")
        is_table = "TFIELDS" in counts and "ZNAXIS" not in counts
        at = start + -(-size // BLOCK) * BLOCK
        if is_table and wanted == "table":
            return at
        found += not is_table and counts.get("ZNAXIS", counts.get("NAXIS", 0)) >= 2
        units += 1
        if units > MOST_UNITS:
            raise RefusedError(f"it has more than {MOST_UNITS} extensions; cut out the galaxy")
    if found and wanted == "image":
        return at
    raise RefusedError(f"the FITS file holds no {wanted}" if at else "it does not begin as FITS does")


def _header(data: bytes, at: int) -> tuple[Mapping[str, int], int]:
    """Return the counts of a header, and where it ends."""
    counts: dict[str, int] = {}
    for number, start in enumerate(range(at, min(len(data), at + MOST_CARDS * CARD), CARD)):
        card = data[start : start + CARD].decode("latin-1")
        keyword = card[:8].strip().upper()
        if keyword == "END":
            end = at + (number + 1) * CARD
            return counts, at + -(-(end - at) // BLOCK) * BLOCK
        if keyword == "HIERARCH" and COUNTS.fullmatch(card[8:].partition("=")[0].strip().upper()):
            raise RefusedError(f"{shown(card)} hides what the file is made of")
        if COUNTS.fullmatch(keyword) and card[8:10] == "= ":
            counts[keyword] = _whole(keyword, card[10:], counts)
    raise RefusedError(f"a header has no end within {MOST_CARDS} cards")


def _whole(keyword: str, text: str, known: Mapping[str, int]) -> int:
    value = text.partition("/")[0].strip()
    if not re.fullmatch(r"[+-]?\d{1,15}(\.0*)?", value):
        raise RefusedError(f"{keyword} is {shown(value) or 'empty'}; expected a whole number")
    if keyword in known:
        raise RefusedError(f"{keyword} is given twice")
    number = int(value.partition(".")[0])
    most = (
        MOST_AXES if keyword in ("NAXIS", "ZNAXIS") else MOST_FIELDS if keyword == "TFIELDS" else LARGEST_AXIS
    )
    if number > most or (number < 0 and "BITPIX" not in keyword):
        raise RefusedError(f"{keyword} is {number}; expected 0 to {most}")
    return number


def _data_bytes(counts: Mapping[str, int]) -> int:
    bits, axes = counts.get("BITPIX", 8), counts.get("NAXIS", 0)
    if bits not in BITS:
        raise RefusedError(f"BITPIX is {bits}; expected one of {', '.join(map(str, sorted(BITS)))}")
    for axis in range(1, axes + 1):
        if f"NAXIS{axis}" not in counts:
            raise RefusedError(f"NAXIS{axis} is missing")
    sides = [counts[f"NAXIS{axis}"] for axis in range(1, axes + 1)]
    pixels = (
        math.prod(sides[1:] if len(sides) > 1 and not sides[0] else sides) if sides else 0
    )  # 0: random groups
    return abs(bits) // 8 * max(1, counts.get("GCOUNT", 1)) * (counts.get("PCOUNT", 0) + pixels)
