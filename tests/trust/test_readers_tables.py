"""Headers, tables and configurations are measured before they are believed, and read in no time."""

import io
import time

import numpy as np
import pandas as pd
import pytest

from astrojepa_bench.data.sources import tables
from astrojepa_bench.data.sources.container import RefusedError
from astrojepa_bench.data.sources.image_formats import decode, glance
from astrojepa_bench.data.sources.tables import classes_of, read_table
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.runs.request import read_config

RNG = np.random.default_rng(0)

# --- tables, images, headers -------------------------------------------------------------------------------


def fits(*cards, data=2880):
    text = "".join(f"{card:<80}" for card in [*cards, "END"])
    return text.encode().ljust(-(-len(text) // 2880) * 2880) + bytes(data)


def card(keyword, value):
    return f"{keyword:<8}= {value:>20}"


BEGIN = ("SIMPLE  =                    T", card("BITPIX", -64))
SQUARE = (*BEGIN, card("NAXIS", 2), card("NAXIS1", 8), card("NAXIS2", 8))
HEADERS = {
    "axes": fits(*BEGIN, card("NAXIS", 9999999999999), card("NAXIS1", 8)),
    "a large axis": fits(*BEGIN, card("NAXIS", 2), card("NAXIS1", 10**9), card("NAXIS2", 10**9)),
    "groups": fits(*SQUARE, card("GCOUNT", 10**9)),
    "fields": fits(*SQUARE, card("TFIELDS", 10**12)),
    "an axis twice": fits(*SQUARE, card("NAXIS1", 8)),
    "hidden": fits(*BEGIN, "HIERARCH NAXIS = 9999999999999", card("NAXIS", 2)),
    "no end": fits(*SQUARE).replace(b"END", b"EMD")[:2880] + b"COMMENT ".ljust(80) * 36_000,
    "no number": fits(*BEGIN, card("NAXIS", "1E13")),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_fits_header_is_bounded_before_it_is_believed(kind):
    """Astropy would count to NAXIS; here a header that the file cannot have is refused at once."""
    for read in (lambda data: glance(data, "auto"), lambda data: decode(data, 1, "auto")):
        with pytest.raises(RefusedError):
            read(HEADERS[kind])


def test_fits_distortion_of_absurd_order_has_no_position():
    """A polynomial of order 20,000 would take gigabytes; the image is shown without a position."""
    sky = [card("CTYPE1", "'RA---TAN-SIP'"), card("CTYPE2", "'DEC--TAN-SIP'"), card("A_ORDER", 20_000)]
    found = glance(fits(*SQUARE, *sky, card("CRVAL1", "10.0"), card("CDELT1", "1e-4")), "auto")
    assert found.bands == 1
    assert np.isnan(found.ra)


def parquet(values):
    held = io.BytesIO()
    pd.DataFrame({"id": values}).to_parquet(held)
    return held.getvalue()


TABLES = {
    "columns": ("x.csv", lambda: b"id,path\n" + b"a," * 200_000, "columns"),
    "cells": ("x.csv", lambda: b",\n" * 100_000, "cells"),
    "text": ("x.parquet", lambda: parquet(["x" * 1000] * 5000), "unpacks to 5.0 MB"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_table_is_measured_before_it_is_read(kind, monkeypatch):
    """A short file that unpacks to a million columns or to gigabytes of text is refused with its number."""
    monkeypatch.setattr(tables, "MOST_CELLS", 150_000)
    monkeypatch.setattr(tables, "LARGEST_FILE", 1 << 20)
    name, make, message = TABLES[kind]
    with pytest.raises(DataError, match=message):
        read_table(name, make())


def plain_classes(values):
    """What classes are, told row by row: the truth that the quick way is held against."""
    words = ["" if value.strip().lower() in ("", "nan") else value.strip() for value in values]
    if all(word.lstrip("+-").partition(".")[0].isdigit() for word in words if word):
        numbers = [int(word.partition(".")[0]) if word else -1 for word in words]
        words = ["" if number < 0 or number == 255 else str(number) for number in numbers]
        names = [str(number) for number in sorted({int(word) for word in words if word})]
    else:
        names = sorted({word for word in words if word})
    return tuple(names), [names.index(word) if word else -1 for word in words]


def test_classes_are_those_that_a_row_at_a_time_gives():
    """Numbers of 19 digits, 2.0 beside 2, 255, gaps and words: the same names in the same order, row by row."""
    numbers = [
        "0",
        "1",
        "2",
        "2.0",
        "+3",
        "007",
        "255",
        "-1",
        "",
        "nan",
        "1234567890123456789",
        "1234567890123456788",
    ]
    words = ["spiral", "round", " round", "", "NaN", "é", "10", "a,b"]
    for number in range(200):
        values = RNG.choice(numbers if number % 2 else words, RNG.integers(1, 20)).tolist()
        names, label = classes_of(pd.Series(values, dtype=object, name="label"))
        assert (names, label.tolist()) == plain_classes(values)


def test_labels_of_many_rows_are_read_at_once():
    """30,000 numbers took twenty seconds, a Series a row; they take a fraction of one."""
    values = pd.Series([str(row % 10) for row in range(30_000)], dtype=object)
    before = time.process_time()
    names, label = classes_of(values)
    assert time.process_time() - before < 2
    assert (len(names), label[:12].tolist()) == (10, [*range(10), 0, 1])


# --- TOML --------------------------------------------------------------------------------------------------

CONFIGS = {
    "deep": "x = " + "[" * 100_000 + "]" * 100_000,
    "digits": "x = 1" + "0" * 5000,
    "dots": "[dataset" + ".a" * 200_000 + "]\nx = 1",
    "long": "#" * (2 << 20),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_config_that_no_parser_should_meet_is_one_line(tmp_path, kind):
    """Deep, long and dotted files are refused before, or as, they are parsed."""
    (tmp_path / "a.toml").write_text(CONFIGS[kind])
    with pytest.raises(ConfigError) as caught:
        read_config(tmp_path / "a.toml")
    assert "\n" not in str(caught.value)
