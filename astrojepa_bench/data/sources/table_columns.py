"""What do the columns of a table beside images say: classes, redshifts, positions, pixel scales?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from astrojepa_bench.data.column_names import candidates, first_believable
from astrojepa_bench.data.sources.catalogue import (
    FACTS,
    LEAST_REDSHIFT,
    MOST_REDSHIFT,
    Catalogue,
    known_redshift,
)
from astrojepa_bench.data.sources.container import shown
from astrojepa_bench.data.sources.file_kinds import NONE
from astrojepa_bench.data.sources.fits_sky import LARGEST_ARCSEC, SMALLEST_ARCSEC
from astrojepa_bench.data.sources.tables import (
    class_notes,
    classes_of,
    column_of,
    heads_of,
    names_of,
    numbers_of,
)
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.errors import DataError, nearest
from astrojepa_bench.events import track

if TYPE_CHECKING:
    from astrojepa_bench.data.sources.listing import Columns

LABEL, AUTO = "label", "auto"
MANY = 100_000  # rows; reading so many takes seconds
FACTORS: Mapping[str, Mapping[str, float]] = {
    "ra": {"h": 15, "hr": 15, "hour": 15, "hourangle": 15, "rad": 180 / np.pi},
    "dec": {"rad": 180 / np.pi},
    "pixel_scale": {"deg": 3600, "arcmin": 60, "mas": 1e-3, "deg/pix": 3600, "deg / pix": 3600},
}
"""What numbers of another unit are multiplied by."""


class Numbers(NamedTuple):
    """A column of numbers, and notes on it."""

    name: str
    values: Float[np.ndarray, " row"]
    notes: list[str]


class Stated(NamedTuple):
    """What the columns of a table say.

    Attributes:
        catalogue: without fields of view.
        arcsec: side of a pixel of each row's image, NaN where unknown.
        taken: names of columns by what they say.
        notes: what was found instead of what was expected.
    """

    catalogue: Catalogue
    arcsec: Float[np.ndarray, " row"]
    taken: Mapping[str, str]
    notes: Sequence[str]


def columns_known(frame: pd.DataFrame, ids: np.ndarray, asked: Columns) -> Stated:
    """Read the columns of a table.

    Args:
        frame: its rows.
        ids: of its galaxies.
        asked: which columns to read.

    Raises:
        DataError: a column that was asked for is not there, or holds something else than expected.
    """
    for name in asked.required:
        _named(frame, name)
    bare, attributes = Catalogue.bare(ids), dict.fromkeys(asked.attributes)
    tasks: Sequence[str] = [*FACTS, *attributes]
    if len(frame) > MANY:
        tasks = list(track(tasks, task=f"reading {len(frame):,} rows", total=len(tasks), unit="columns"))
    read: dict[str, Numbers] = {}
    notes: list[str] = []
    for task in tasks:
        column = _named(frame, task) if task in attributes else None
        found, told = (
            (Numbers(task, *numbers_of(column)), []) if column is not None else _fact(frame, task, asked)
        )
        notes += told
        if found is not None:
            read[task] = found
    scale = np.full(len(frame), asked.arcsec or np.nan)
    facts, more = believable({
        fact: read[fact].values if fact in read else bare.redshift for fact in ("redshift", "ra", "dec")
    })  # fmt: skip
    if asked.arcsec is None and "pixel_scale" in read:
        given = read["pixel_scale"].values
        scale = np.where((given > SMALLEST_ARCSEC) & (given < LARGEST_ARCSEC), given, np.nan)
        off = int((np.isnan(scale) & ~np.isnan(given)).sum())
        more += true_notes({f"{off} pixel scales are none that a pixel can have; unknown there": off})
    label, (class_names, classes), told = _labels(frame, asked.label, bare)
    words = {role: name for role in ("group", "split") for name in candidates(role, heads_of(frame))[:1]}
    known = replace(
        bare, label=classes, class_names=class_names, redshift=facts["redshift"], ra=facts["ra"], dec=facts["dec"],
        attributes={name: read[name].values for name in attributes},
        group=_words(frame, words.get("group")), split=_words(frame, words.get("split")),
    )  # fmt: skip
    notes += [note for found in read.values() for note in found.notes]
    taken = {
        **({"label": label} if label else {}),
        **{role: found.name for role, found in read.items()},
        **words,
    }
    return Stated(known, scale, taken, [*notes, *more, *told])


def _named(frame: pd.DataFrame, name: str) -> pd.Series:
    column = column_of(frame, name)
    if column is None:
        known = [shown(each) for each in heads_of(frame)[:50]]
        raise DataError(f"the table has no column '{shown(name)}'; {nearest(name, known)}")
    return column


def _fact(frame: pd.DataFrame, role: str, asked: Columns) -> tuple[Numbers | None, list[str]]:
    """Read the first column that may hold a fact and does; None where none does, and why one was passed over."""
    heads = heads_of(frame)
    if role == "pixel_scale" and asked.pixel_scale != AUTO:
        named = "" if asked.arcsec is not None or asked.pixel_scale in ("", NONE) else asked.pixel_scale
        return (
            _in_our_unit(frame, role, Numbers(named, *numbers_of(_named(frame, named)))) if named else None
        ), []
    read: dict[str, tuple[Float[np.ndarray, " row"], list[str]]] = {}

    def values(name: str) -> Float[np.ndarray, " row"]:
        read[name] = read.get(name) or numbers_of(_named(frame, name))
        return read[name][0]

    name, notes = first_believable(role, heads, values, frame.attrs.get("units", {}))
    if not name:
        return None, notes
    values(name)
    return _in_our_unit(frame, role, Numbers(name, *read[name])), notes


def _in_our_unit(frame: pd.DataFrame, role: str, found: Numbers) -> Numbers:
    unit = frame.attrs.get("units", {}).get(found.name, "")
    factor = FACTORS.get(role, {}).get(unit.strip().lower())
    if factor is None:
        return found
    note = f"column '{shown(found.name)}' is in {unit}: multiplied by {factor:.6g}"
    return Numbers(found.name, found.values * factor, [*found.notes, note])


def _labels(
    frame: pd.DataFrame, asked: str, bare: Catalogue
) -> tuple[str, tuple[tuple[str, ...], Int[np.ndarray, " row"]], list[str]]:
    """Return the label column, its classes and notes; of columns that are only named like one, none that is not."""
    notes: list[str] = []
    empty = ""
    for name in () if not asked else (asked,) if asked != LABEL else candidates(LABEL, heads_of(frame)):
        column = _named(frame, name)
        try:
            names, classes = classes_of(column)
            if name.lower() != asked.lower() and 2 < len(names) == (classes >= 0).sum():
                raise DataError("it holds another value in every row")
        except DataError as error:
            if name.lower() == asked.lower():
                raise
            notes.append(f"column '{shown(name)}' is not taken for labels: {str(error).partition('; ')[0]}")
            continue
        if names or asked != LABEL:
            return name, (names, classes), [*notes, *class_notes(column)]
        empty = empty or name
    return empty, ((), bare.label), notes


def believable(
    columns: Mapping[str, Float[np.ndarray, " row"]],
) -> tuple[dict[str, Float[np.ndarray, " row"]], list[str]]:
    """Drop what catalogues write for "unknown": redshifts of -1, -99 or 9999, positions off the sky."""
    redshift, ra, dec = (columns[name] for name in ("redshift", "ra", "dec"))
    unknown, beyond = redshift <= LEAST_REDSHIFT, redshift >= MOST_REDSHIFT
    off_sky = (np.abs(dec) > 90) | (ra < -180) | (ra > 360)
    notes = true_notes({
        f"{unknown.sum()} redshifts of -1 or less mean unknown": unknown.any(),
        f"{beyond.sum()} redshifts of {MOST_REDSHIFT:g} or more are of no galaxy; unknown there": beyond.any(),
        f"{off_sky.sum()} positions are not on the sky; unknown there": off_sky.any(),
    })  # fmt: skip
    facts = {"redshift": known_redshift(redshift)}
    return facts | {name: np.where(off_sky, np.nan, columns[name]) for name in ("ra", "dec")}, notes


def _words(frame: pd.DataFrame, name: str | None) -> np.ndarray | None:
    """Return a column of names, None if it is empty throughout."""
    words = [] if name is None else names_of(_named(frame, name))
    return np.array(words) if any(words) else None
