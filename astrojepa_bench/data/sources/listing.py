"""Which image belongs to which row of a table, and what do its columns say about it?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from astrojepa_bench.data.sources.catalogue import LEAST_REDSHIFT, Catalogue, known_redshift
from astrojepa_bench.data.sources.container import escapes, shown, spelt
from astrojepa_bench.data.sources.image_formats import without_suffix
from astrojepa_bench.data.sources.tables import classes_of, column_of, names_of, numbers_of, texts_of
from astrojepa_bench.data.splitting.selection import OnBadImage, true_notes
from astrojepa_bench.errors import DataError, nearest
from astrojepa_bench.events import track

LABEL = "label"
MANY = 100_000  # rows; reading so many takes seconds
PLAIN = re.compile(r"(?!\w:)[^/\\.][^/\\]*(/[^/\\.][^/\\]*)*")  # a path that needs no tidying


class Listing(NamedTuple):
    """Images and what is known about them.

    Attributes:
        names: of files, one a row; empty where a row has none.
        known: without looking at the images.
    """

    names: tuple[str, ...]
    known: Catalogue


@dataclass(frozen=True)
class Columns:
    """Which table is read, and what from it.

    Attributes:
        table: its name, or empty to look for one.
        label: the label column, or empty for none; `label` need not be there.
        attributes: number columns to carry along.
        on_bad_image: whether a repeated id ends everything, or all but the first are left out.
    """

    table: str = ""
    label: str = LABEL
    attributes: tuple[str, ...] = ()
    on_bad_image: OnBadImage = "fail"

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that must be there because an option names them."""
        return (*self.attributes, *((self.label,) if self.label not in ("", LABEL) else ()))


def listed(
    table: str,
    frame: pd.DataFrame,
    images: Sequence[str],
    asked: Columns,
    galaxy_of: Mapping[str, str] = MappingProxyType({}),
) -> Listing:
    """Match the rows of a table with images.

    Paths are relative to the table. Without a column `path` a row's image is the one named like its id;
    without a column `id` its id is its path without suffix.

    Args:
        table: where it lies, relative to the folder.
        frame: its rows.
        images: all images of the folder.
        asked: which columns to read.
        galaxy_of: of each file of one band, the name among `images` that it and its other bands share; a table may
            name either.

    Raises:
        DataError: the table has neither column, repeats an id, lacks a column that was asked for, or holds
            something else than expected.
    """
    given, paths = column_of(frame, "id"), column_of(frame, "path")
    if paths is not None:
        here, texts = PurePosixPath(table).parent, texts_of(paths)
        beside = "" if here == PurePosixPath() else f"{here}/"
        # A path that escapes the folder stays as it is: reading it is refused.
        names = [
            f"{beside}{path}"
            if PLAIN.fullmatch(path)
            else path
            if not path or escapes(path)
            else str(here / path)
            for path in texts
        ]
        ids = _filled(None if given is None else names_of(given), texts)
    elif given is not None:
        ids = _filled(names_of(given), [""] * len(frame))
        names = _named_like(ids, [*images, *galaxy_of], asked.on_bad_image, found=_heading(table, frame))
    else:
        raise DataError(f"{shown(table)} has no column 'id' or 'path'; {_heading('', frame)}")
    names = _of_galaxies(names, galaxy_of)
    known = _known(frame, ids, asked)
    unused = len(set(images) - set(names))
    notes = true_notes({f"{unused} images are not in {shown(table)} and were left out": unused})
    listing = Listing(tuple(names), replace(known, notes=(*known.notes, *notes)))
    return without_repeats(listing, shown(table), asked.on_bad_image)


def _of_galaxies(names: Sequence[str], galaxy_of: Mapping[str, str]) -> list[str]:
    """Name the galaxies whose bands a table names.

    Raises:
        DataError: it names several bands of one galaxy.
    """
    first: dict[str, str] = {}
    for name in names:
        galaxy = galaxy_of.get(name)
        if galaxy is not None and first.setdefault(galaxy, name) != name:
            raise DataError(
                f"{shown(first[galaxy])} and {shown(name)} are bands of one galaxy and have a row each; give it "
                f"one row, of id or path '{shown(without_suffix(galaxy))}'"
            )
    return [galaxy_of.get(name, name) for name in names]


def without_repeats(listing: Listing, where: str, on_bad_image: OnBadImage) -> Listing:
    """Leave out all but the first row of each id.

    Args:
        listing: what was found.
        where: what repeats them, for the message.
        on_bad_image: `fail` to end everything instead.

    Raises:
        DataError: ids repeat, and none is to be skipped.
    """
    repeated = pd.Series(listing.known.ids).duplicated().to_numpy(dtype=bool)
    if not repeated.any():
        return listing
    found = f"{repeated.sum()} repeated ids, first '{shown(str(listing.known.ids[repeated][0]))}'"
    if on_bad_image == "fail":
        raise DataError(
            f"{where} has {found}; ids must be unique: correct it, or keep only the first of each "
            "with --on-bad-image skip"
        )
    names = tuple(name for name, again in zip(listing.names, repeated.tolist(), strict=True) if not again)
    return Listing(names, listing.known.kept(~repeated, f"{found}; all but the first of each were left out"))


def _heading(table: str, frame: pd.DataFrame) -> str:
    columns = ", ".join(shown(str(name)) for name in list(frame)[:20])
    return f"{shown(table)} has no column 'path'; found {columns}" if table else f"found {columns}"


def _filled(ids: Sequence[str] | None, paths: Sequence[str]) -> np.ndarray:
    """Return the ids, where they are empty the paths without suffix."""
    ids = [""] * len(paths) if ids is None else ids
    rows = enumerate(zip(ids, paths, strict=True), start=1)
    return np.array([name or shown(without_suffix(path)) or f"row {row}" for row, (name, path) in rows])


def _named_like(ids: np.ndarray, images: Sequence[str], on_bad_image: OnBadImage, found: str) -> list[str]:
    """Find each id's image: by its file name, with or without folder and suffix."""
    places: dict[str, list[str]] = defaultdict(list)
    for name in images:
        for key in {
            name,
            without_suffix(name),
            PurePosixPath(name).name,
            without_suffix(PurePosixPath(name).name),
        }:
            places[spelt(key)].append(name)
    here = [places.get(each, []) for each in ids.tolist()]
    if not any(here):
        raise DataError(f"no image is named like an id (first '{shown(str(ids[0]))}'), and {found}")
    many = [places for places in here if len(places) > 1]
    if many and on_bad_image == "fail":
        raise DataError(
            f"{len(many)} ids fit more than one image, first {shown(many[0][0])} and {shown(many[0][1])}; "
            "add a column 'path'"
        )
    return [places[0] if places else "" for places in here]


def _known(frame: pd.DataFrame, ids: np.ndarray, asked: Columns) -> Catalogue:
    columns: dict[str, pd.Series | None] = {name: _column(frame, name) for name in asked.required}
    columns |= {name: column_of(frame, name) for name in ("redshift", "ra", "dec", "group", "split")}
    wanted = {name: columns[name] for name in (*asked.attributes, "redshift", "ra", "dec")}
    there = [(name, column) for name, column in wanted.items() if column is not None]
    if len(frame) > MANY:
        there = list(track(there, task=f"reading {len(frame):,} rows", total=len(there), unit="columns"))
    read = {name: numbers_of(column) for name, column in there}
    numbers = {name: found for name, (found, _) in read.items()}
    notes = [note for _, told in read.values() for note in told]
    bare = Catalogue.bare(ids)
    labels = column_of(frame, asked.label) if asked.label else None
    class_names, label = ((), bare.label) if labels is None else classes_of(labels)
    facts, more = believable({name: numbers.get(name, bare.redshift) for name in ("redshift", "ra", "dec")})
    return replace(
        bare, label=label, class_names=class_names, notes=(*notes, *more),
        redshift=facts["redshift"], ra=facts["ra"], dec=facts["dec"],
        attributes={name: numbers[name] for name in asked.attributes},
        group=_words(columns["group"]), split=_words(columns["split"]),
    )  # fmt: skip


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    column = column_of(frame, name)
    if column is None:
        known = [shown(str(each)) for each in list(frame)[:50]]
        raise DataError(f"the table has no column '{shown(name)}'; {nearest(name, known)}")
    return column


def believable(
    columns: Mapping[str, Float[np.ndarray, " row"]],
) -> tuple[dict[str, Float[np.ndarray, " row"]], list[str]]:
    """Drop what catalogues write for "unknown": redshifts of -1 or -99, positions off the sky."""
    redshift, ra, dec = (columns[name] for name in ("redshift", "ra", "dec"))
    unknown = redshift <= LEAST_REDSHIFT
    off_sky = (np.abs(dec) > 90) | (ra < -180) | (ra > 360)
    notes = true_notes({
        f"{unknown.sum()} redshifts of -1 or less mean unknown": unknown.any(),
        f"{off_sky.sum()} positions are not on the sky; unknown there": off_sky.any(),
    })  # fmt: skip
    facts = {"redshift": known_redshift(redshift)}
    return facts | {name: np.where(off_sky, np.nan, columns[name]) for name in ("ra", "dec")}, notes


def _words(column: pd.Series | None) -> np.ndarray | None:
    """Return a column of names, None if it is empty throughout."""
    words = [] if column is None else names_of(column)
    return np.array(words) if any(words) else None
