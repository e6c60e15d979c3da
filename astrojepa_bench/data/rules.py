"""What every table of galaxies must hold before anything is trained on it, whoever loaded it.

A data set is somebody's code: a galaxy on both sides of a split, or another size than asked for, would give numbers
that look like any others.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from astrojepa_bench.data.convert import band_statistics, blocks, steps
from astrojepa_bench.data.looked_at import are_only_looked_at
from astrojepa_bench.data.sources.catalogue import FACTS
from astrojepa_bench.data.splitting.selection import COINCIDENT_ARCSEC
from astrojepa_bench.data.splitting.splits import sky_groups
from astrojepa_bench.declarations import is_text, shown
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track
from astrojepa_bench.types import ANOMALY_KINDS, GalaxyTable, Split

GREY_LEVEL = 1 / 255  # images are rounded to it, so no statistic can be asked for more precisely
SIDES: tuple[tuple[Split, ...], ...] = (("train", "pool"), ("val",), ("test",))
"""What is learnt from, chosen on and reported on: no image may lie in two of them."""


def check_table(table: GalaxyTable, *, pixels: bool = True) -> GalaxyTable:
    """Return a table that can be trained and scored on, with columns that nobody can change any more.

    Args:
        table: what was loaded.
        pixels: whether all images are read for it; else only the columns are looked at.

    Raises:
        DataError: a rule is broken.
    """
    for split in () if are_only_looked_at() else ("train", "val", "test"):
        if not len(table.rows(split)):
            raise DataError(f"no galaxies in {split}; name each row's split: train, val, test or pool")
    check_words(table)
    check_columns(table)
    side = np.select([np.isin(table.split, splits) for splits in SIDES], range(len(SIDES)))
    if pixels:
        check_flux(table)
        if len(table.rows("train")):
            check_statistics(table)
        check_pixels(table, side)
    if table.group is None:  # a table checks its own groups
        check_sky(table, side)
    return _read_only(table)


def check_images(table: GalaxyTable, size_px: int) -> None:
    """Look at what every user of a table relies on.

    Raises:
        DataError: images are neither 8-bit nor float16 flux, or of another size than was asked for.
    """
    images, side = table.images, table.spec.size_px
    if not isinstance(images, np.ndarray) or images.dtype not in (np.uint8, np.float16):
        kind = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(f"images are {kind}; expected an array of uint8, or float16 for flux")
    if side != size_px:
        raise DataError(f"images of {side} px where {size_px} px were asked for; resize them to size_px")


def check_words(table: GalaxyTable) -> None:
    """Refuse a table whose fingerprint, card or bands are not text."""
    if not is_text(table.fingerprint):
        raise DataError(f"the fingerprint is {shown(table.fingerprint)}; expected a hash of what is loaded")
    card = table.card
    for fact, words in (
        ("class_names", card.class_names),
        ("notes", card.notes),
        ("bands", table.spec.bands),
    ):
        if not isinstance(words, tuple | list) or not all(isinstance(word, str) for word in words):
            raise DataError(f"{fact} are {shown(words)}; expected a tuple of text")
    for fact, word in (("name", card.name), ("licence", card.licence), ("citation", card.citation)):
        if not isinstance(word, str):
            raise DataError(f"the card's {fact} is {shown(word)}; expected text")


def check_columns(table: GalaxyTable) -> None:
    """Refuse a table with ids, labels or facts of the wrong kind, or beyond their range."""
    if table.ids.dtype.kind != "U" or (table.ids == "").any():
        raise DataError("ids are empty or no text; name every galaxy")
    names, label, anomaly = table.card.class_names, table.label, table.anomaly
    if label.dtype.kind not in "iu" or anomaly.dtype.kind not in "iu":
        raise DataError(f"labels are {label.dtype}, anomalies {anomaly.dtype}; expected whole numbers")
    if label.min() < -1 or (names and label.max() >= len(names)):
        raise DataError(
            f"labels run from {label.min()} to {label.max()} for {len(names)} class names; "
            "expected the number of a name, or -1 where unknown"
        )
    if not 0 <= anomaly.min() <= anomaly.max() < len(ANOMALY_KINDS):
        raise DataError(f"anomalies run from {anomaly.min()} to {anomaly.max()}; expected 0 to 2")
    facts = {name: getattr(table, name) for name in FACTS if getattr(table, name) is not None}
    for name, column in {**facts, **table.factors, **table.columns}.items():
        numeric = column.dtype.kind in "iuf" and column.ndim <= (2 if name in table.columns else 1)
        if not is_text(name) or not numeric or np.isinf(column).any():
            raise DataError(f"column {shown(name)} is no column of finite numbers, NaN where unknown")


def check_flux(table: GalaxyTable) -> None:
    """Refuse flux that is not finite; bytes always are."""
    if table.images.dtype == np.uint8:
        return
    every = np.arange(len(table))
    for block, at in zip(blocks(table.images, every), steps(every), strict=True):
        odd = np.flatnonzero(~np.isfinite(block).all(axis=(1, 2, 3)))
        if len(odd):
            raise DataError(
                f"'{table.ids[at + odd[0]]}' has flux that is not finite; fill gaps with sky, and choose a unit in "
                "which the brightest pixel stays below 65504"
            )


def check_statistics(table: GalaxyTable) -> None:
    """Refuse a table whose stated statistics are neither those of train nor those of train and pool."""
    stated = np.array([table.spec.mean, table.spec.std])
    choices = {len(rows): rows for rows in (table.pretraining_rows, table.rows("train"))}
    for rows in choices.values():
        measured = np.array(band_statistics(table.images, rows))
        unit = 1.0 if table.images.dtype == np.uint8 else measured[1]  # flux has a unit of its own
        if (np.abs(stated - measured) <= GREY_LEVEL * unit).all():
            return
    raise DataError(
        f"spec states mean and std {np.round(stated, 3).tolist()} of the bands, and train has "
        f"{np.round(measured, 3).tolist()}; measure them over train, bytes divided by 255"
    )


def check_pixels(table: GalaxyTable, side: np.ndarray) -> None:
    """Refuse a table that shows one image on two sides of a split."""
    every = np.arange(len(table))
    watched = track(
        blocks(table.images, every), task="comparing images", total=len(steps(every)), unit="blocks"
    )
    hashes = np.fromiter((hash(image.tobytes()) for block in watched for image in block), np.int64)
    met, times = np.unique(np.unique(np.stack([hashes, side]), axis=1)[0], return_counts=True)
    for shared in met[times > 1]:
        rows = np.flatnonzero(hashes == shared)
        for a, b in combinations(rows.tolist(), 2):
            is_same = side[a] != side[b] and np.array_equal(table.images[a], table.images[b])
            if is_same:  # equal hashes alone may be chance
                raise DataError(
                    f"'{table.ids[a]}' of {table.split[a]} and '{table.ids[b]}' of {table.split[b]} show the same "
                    f"pixels, one of {(times > 1).sum()} images in two splits; keep equal images in one split"
                )


def check_sky(table: GalaxyTable, side: np.ndarray) -> None:
    """Refuse a table that shows one patch of sky on two sides of a split; without a scale, one place."""
    if table.ra is None or table.dec is None:
        return
    scale = np.full(len(table), np.nan) if table.pixel_scale is None else table.pixel_scale
    field = np.where(np.isfinite(scale), scale * table.spec.size_px, COINCIDENT_ARCSEC)
    groups = sky_groups(table.ids, table.ra, table.dec, field)
    pairs, times = np.unique(np.unique(np.stack([groups, side.astype(str)]), axis=1)[0], return_counts=True)
    if (times > 1).any():
        rows = np.flatnonzero(groups == pairs[times > 1][0])
        first, other = rows[0], rows[side[rows] != side[rows[0]]][0]
        raise DataError(
            f"'{table.ids[first]}' of {table.split[first]} and '{table.ids[other]}' of {table.split[other]} lie in "
            "one patch of overlapping sky; keep overlapping images in one split, and name their `group`"
        )


def _read_only(table: GalaxyTable) -> GalaxyTable:
    """Copy the columns, which are small, so that what loaded them holds none of them; images are only locked."""
    columns: dict[str, Any] = {
        name: _locked(column.copy())
        for name, column in vars(table).items()
        if isinstance(column, np.ndarray) and name != "images"
    }
    factors = {name: _locked(column.copy()) for name, column in table.factors.items()}
    images = table.images if not table.images.flags.writeable else _locked(table.images.view())
    further = {name: _locked(column.copy()) for name, column in table.columns.items()}
    return replace(table, images=images, factors=factors, columns=further, **columns)


def _locked(column: np.ndarray) -> np.ndarray:
    column.flags.writeable = False
    return column
