"""Which rows of a source are used? Bad ones are left out and counted, the rest is divided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from astrojepa_bench.data.convert import Converted
from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.container import shown
from astrojepa_bench.data.sources.raster import told_notes
from astrojepa_bench.data.splitting.copies import LEAST_SIDE_PX
from astrojepa_bench.data.splitting.splits import (
    assign_splits,
    conflicting,
    count_moved,
    placed,
    rare_classes,
    sky_groups,
    split_shares,
    together,
)
from astrojepa_bench.errors import DataError

OnBadImage: TypeAlias = Literal["fail", "skip"]
ALL = "all their copies were dropped"
SHOWN = 3  # classes that a note names
FAR_OFF = 0.1  # of a share, beyond what rounding does to some dozens of galaxies
ALIKE = 0.001  # sizes on the sky whose ratio is nearer to 1 differ by rounding
COINCIDENT_ARCSEC = 1.0  # two entries nearer than this are one galaxy


@dataclass(frozen=True)
class Selection:
    """The rows of a source that are used.

    Attributes:
        rows: row numbers of the source, ascending.
        catalogue: of these rows; classes too small to be split have lost their labels.
        group: name of each row's sky group.
        split: `train`, `val` or `test` per row.
        notes: what was left out, and how the rest was divided.
    """

    rows: Int[np.ndarray, " galaxy"]
    catalogue: Catalogue
    group: np.ndarray
    split: np.ndarray
    notes: tuple[str, ...]


def select(
    source: str,
    catalogue: Catalogue,
    converted: Converted,
    on_bad_image: OnBadImage,
    copies: Callable[[], Int[np.ndarray, "pair 2"]],
) -> Selection:
    """Leave out what cannot be used, and divide the rest.

    Unreadable images are an error, or left out. Blank images (one value in every pixel of a band) are left
    out, and so is every copy of a galaxy that is listed under two labels: by its pixels, and by its position
    where that is known. A class with a single galaxy becomes unlabelled; with one class only, labels are
    unused. Copies of a galaxy share a split, unless the source states another. Each of these is counted in the
    notes.

    Args:
        source: what to call it in a message.
        catalogue: what is known of each picture.
        converted: the pictures.
        on_bad_image: whether an unreadable image ends everything.
        copies: lists the pairs of pictures that show one galaxy; asked unless every galaxy has a position, which
            then decides.

    Raises:
        DataError: an image cannot be read and is not to be skipped, or nothing is left.
    """
    usable, notes = readable(source, converted, on_bad_image)
    # Blank images all look alike, and so do unreadable ones: among them, equal pixels mean nothing.
    seen, digests = catalogue.kept(usable), converted.digests[usable]
    galaxies = sky_groups(digests, seen.ra, seen.dec, np.full(len(seen), COINCIDENT_ARCSEC))
    bad = conflicting(galaxies, seen.label)
    notes += true_notes({f"{bad.sum()} images occur under more than one label; {ALL}": bad.any()})
    rows = np.flatnonzero(usable)[~bad]
    gone = sorted({*catalogue.kinds().tolist()} - {*catalogue.kinds()[rows].tolist(), ""})
    notes += [f"class '{shown(name)}' has no image that can be used" for name in gone]
    if not len(rows):
        raise DataError(f"{source} has no usable image among {len(catalogue)}: {'; '.join(notes)}")
    chosen, more = _labelled(catalogue.kept(np.isin(np.arange(len(catalogue)), rows)))
    sky = partial(
        sky_groups, converted.digests[rows], chosen.ra, chosen.dec, chosen.field_arcsec, declared=chosen.group
    )
    group = sky()
    is_placed, largest = placed(chosen.ra, chosen.dec).all(), _sides(converted.rows[rows]).max()
    alike = np.empty((0, 2), dtype=np.int64) if is_placed else among(copies(), rows)
    more += true_notes({
        f"images of less than {LEAST_SIDE_PX} px show too little to look for copies of a galaxy": (
            not is_placed and largest < LEAST_SIDE_PX
        )
    })  # fmt: skip
    kept = alike if chosen.split is None else alike[together(chosen.split, group, alike)]
    both = sky(alike=kept) if len(kept) else group
    split = assign_splits(chosen.label, both, chosen.split)
    notes += [*more, *_differences(chosen, converted.rows[rows]), *_divided(chosen, group, split)]
    notes += [*_copied(alike, split), *_uneven(chosen, both, split), *_one_sided(chosen, split)]
    if len(np.unique(chosen.label[chosen.label >= 0])) == 1:  # it has served to divide the rows
        chosen = replace(chosen, label=np.full_like(chosen.label, -1))
    return Selection(rows, chosen, both, split, tuple(notes))


def readable(
    source: str, converted: Converted, on_bad_image: OnBadImage
) -> tuple[Bool[np.ndarray, " row"], list[str]]:
    """Mark the rows that show something, and note how many do not.

    Raises:
        DataError: an image cannot be read and is not to be skipped.
    """
    unreadable, count = converted.unreadable, len(converted.rows)
    first = next((f"{name} ({reason})" for name, reason in unreadable.values()), "")
    if unreadable and on_bad_image == "fail":
        raise DataError(
            f"{source}: {len(unreadable)} of {count} images cannot be read, first {first}; "
            "repair or remove them, or leave them out with --on-bad-image skip"
        )
    blank: Bool[np.ndarray, " row"] = converted.rows["blank"]
    gaps = int((converted.rows["gaps"] > 0).sum())
    notes = {
        f"{len(unreadable)} images cannot be read and were left out, first {first}": unreadable,
        f"{blank.sum()} images are blank and were left out": blank.any(),
        f"{gaps} images have pixels without a value (NaN), which show sky": gaps,
    }
    return (converted.digests != b"") & ~blank, [*true_notes(notes), *told_notes(converted.rows["told"])]


def true_notes(notes: Mapping[str, object]) -> list[str]:
    """Keep those that hold."""
    return [note for note, holds in notes.items() if holds]


def _labelled(catalogue: Catalogue) -> tuple[Catalogue, list[str]]:
    """Drop the labels of classes too small to be split, and note it."""
    rare = rare_classes(catalogue.label)
    kept = np.where(np.isin(catalogue.label, rare), -1, catalogue.label)
    found = np.unique(kept[kept >= 0])
    words = {label: f"class {label}" for label in (*rare, *found.tolist())}
    words |= {
        label: f"class '{shown(catalogue.class_names[label])}'"
        for label in words
        if label < len(catalogue.class_names)
    }
    notes = [f"{words[label]} has a single galaxy; its label is unused" for label in rare]
    if len(found) == 1:
        notes.append(f"{words[found[0]]} is the only one; labels are unused")
    return replace(catalogue, label=kept), notes


def _sides(rows: np.ndarray) -> Int[np.ndarray, " row"]:
    """Return the side of the central square of each picture [pixel]."""
    sides: Int[np.ndarray, " row"] = np.minimum(rows["height"], rows["width"])
    return sides


def _different(values: Float[np.ndarray, " row"]) -> list[float]:
    """Return the values, NaN and what rounding has made of another left out, ascending."""
    known, found, at = np.unique(values[values > 0]), list[float](), 0
    while at < len(known):
        found.append(float(known[at]))
        at = int(np.searchsorted(known, known[at] * (1 + ALIKE), side="right"))
    return found


def counted_as(count: int, one: str, many: str) -> str:
    """Write a count before what is counted: `1 galaxy is`, `2 galaxies are`."""
    return f"{count} {one if count == 1 else many}"


def _differences(catalogue: Catalogue, rows: np.ndarray) -> list[str]:
    sides, oblong = _sides(rows), rows["height"] != rows["width"]
    scales = _different(catalogue.field_arcsec)
    missing = int(np.isnan(catalogue.redshift).sum())
    stored = _different(catalogue.field_arcsec / sides)
    wide = f", {stored[0]:.4g} arcsec a pixel as stored" if len(stored) == 1 else ""
    return true_notes({
        f"images are {sides.min()} px{wide}": not np.ptp(sides),
        f"images are of {len(np.unique(sides))} sizes, {sides.min()} to {sides.max()} px": np.ptp(sides),
        f"{counted_as(int(oblong.sum()), 'image is', 'images are')} not square: the central square is "
        "read": oblong.any(),
        f"images show {len(scales)} fields of view, {min(scales, default=0):.4g} to "
        f"{max(scales, default=0):.4g} arcsec": len(scales) > 1,
        f"{counted_as(missing, 'galaxy has', 'galaxies have')} no redshift": 0 < missing < len(catalogue),
    })  # fmt: skip


def _divided(catalogue: Catalogue, groups: np.ndarray, splits: np.ndarray) -> list[str]:
    _, members = np.unique(groups, return_counts=True)
    crowded, declared = members[members > 1], catalogue.split
    moved = 0 if declared is None else count_moved(declared, splits)
    counts = " / ".join(f"{(splits == name).sum()} {name}" for name in ("train", "val", "test"))
    unlabelled = int((catalogue.label < 0).sum())
    by_class = ", stratified by class" if unlabelled < len(catalogue) else ""
    return true_notes({
        f"{counts}{by_class if declared is None else ', as the source declares'}": True,
        f"{counted_as(unlabelled, 'galaxy is', 'galaxies are')} unlabelled": unlabelled,
        f"{len(crowded)} groups of overlapping images hold {crowded.sum()} galaxies": len(crowded),
        f"{moved} galaxies left their declared split to stay with one they overlap": moved,
    })  # fmt: skip


def among(pairs: Int[np.ndarray, "pair 2"], rows: Int[np.ndarray, " galaxy"]) -> Int[np.ndarray, "kept 2"]:
    """Return pairs of pictures as pairs of the chosen rows, without those that are not chosen."""
    kept = pairs[np.isin(pairs, rows).all(axis=1)]
    return np.searchsorted(rows, kept)


def _copied(alike: Int[np.ndarray, "pair 2"], split: np.ndarray) -> list[str]:
    apart = alike[split[alike[:, 0]] != split[alike[:, 1]]]
    return true_notes({
        f"{len(np.unique(alike))} images show a galaxy that another image shows too (turned, mirrored, saved again "
        "or in another crop)" + ("" if len(apart) else "; its copies share a split"): len(alike),
        f"{len(np.unique(apart))} of them have a copy in another split: the source states its splits, which were "
        "kept": len(apart),
    })  # fmt: skip


def _uneven(catalogue: Catalogue, groups: np.ndarray, split: np.ndarray) -> list[str]:
    """Note it where large groups make the splits very different from the shares that were meant."""
    counted = catalogue.label >= 0 if (catalogue.label >= 0).any() else np.full(len(split), True)
    test, val = split_shares(int((catalogue.label >= 0).sum()))
    meant = {"train": 1 - test - val, "val": val, "test": test}
    found = {name: float((split[counted] == name).mean()) for name in meant}
    largest = int(np.unique(groups, return_counts=True)[1].max())
    far = max(abs(found[name] - meant[name]) for name in meant) > FAR_OFF
    told = [" / ".join(f"{100 * shares[name]:.0f}" for name in meant) for shares in (found, meant)]
    return true_notes({
        f"the splits hold {told[0]} % (train / val / test) instead of {told[1]} %: galaxies that must stay "
        f"together come in groups of up to {largest}": far and largest > 1 and catalogue.split is None,
    })  # fmt: skip


def _one_sided(catalogue: Catalogue, split: np.ndarray) -> list[str]:
    """Note the classes all of whose galaxies are on one side: they are never learnt, or never reported on."""
    known, notes = np.unique(catalogue.label[catalogue.label >= 0]), list[str]()
    words = dict(zip(catalogue.label.tolist(), catalogue.kinds().tolist(), strict=True))
    for side, loss in (("train", "probes learn nothing of it"), ("test", "nothing is reported on it")):
        names = [
            f"'{words[label]}'" for label in np.setdiff1d(known, catalogue.label[split == side]).tolist()
        ]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        if names:
            notes.append(f"no galaxy of {', '.join(names[:SHOWN])}{more} is in {side}: {loss}")
    return notes
