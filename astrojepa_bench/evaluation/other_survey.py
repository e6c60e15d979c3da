"""Galaxies of another survey, seen by the scored encoder, to ask what a probe of this one is worth there."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.hub import HuggingFace
from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.data.prepared import Prepared
from astrojepa_bench.data.published.galaxy10 import Galaxy10
from astrojepa_bench.data.sources.catalogue import FACTS
from astrojepa_bench.data.sources.layouts import recognise
from astrojepa_bench.data.splitting.leaks import Part, showing
from astrojepa_bench.data.splitting.splits import sky_groups
from astrojepa_bench.errors import ConfigError, DataError, nearest
from astrojepa_bench.evaluation.extract import ENCODED, check_finite, encode_rows, split_features
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.features import Features, OtherSurvey, SplitFeatures
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import GalaxyTable, Split

READERS: Mapping[str, Callable[..., Dataset]] = {
    "hdf5": Hdf5,
    "folder": Folder,
    "huggingface": HuggingFace,
    "parquet": Parquet,
    "galaxy10": Galaxy10,
    "prepared": Prepared,
}


class EncodedSurvey:
    """Another labelled set, read and encoded whenever an evaluator names one; nothing is kept."""

    version = 1

    def attached(self, features: Features, context: ExtrasContext, path: Path) -> Features:
        """Let features encode another set on demand."""

        def other_survey(given: Path | None, grouping: tuple[str, ...]) -> OtherSurvey:
            if given is None:
                raise DataError("no other survey is named; give one as --set evaluator.data=PATH")
            table = _read(given, context.table, context.galaxies.cache)
            if not grouping and not (context.table.card.class_names and table.card.class_names):
                raise DataError(
                    "classes without names do not tell which of another survey they are; say so, such as --set "
                    "evaluator.grouping=0=smooth,1=spiral,Elliptical=smooth,Spiral=spiral"
                )
            groups, here, there = grouped(grouping, _class_names(context.table), _class_names(table))
            known = _known_here(table, context.table, context.galaxies.cache, given.name)
            rows = {split: table.rows(split) for split in ENCODED}
            rows["test"] = rows["test"][~known]
            parts = _encoded(table, rows, there, context)
            return OtherSurvey(
                parts["train"], parts["val"], parts["test"], groups, here, left_out=int(known.sum())
            )

        return dataclasses.replace(features, other_survey=other_survey)


def _read(path: Path, own: GalaxyTable, cache: Path) -> GalaxyTable:
    """Load a file or folder at the size of the run's own images.

    Raises:
        DataError: it is missing or unreadable, or has other bands or no labels.
    """
    name, options = recognise(path.expanduser())
    table = load_table(READERS[name](**options), own.spec.size_px, cache)
    if len(table.spec.bands) != len(own.spec.bands):
        raise DataError(
            f"{path.name} has {len(table.spec.bands)} bands and the run's galaxies {len(own.spec.bands)}; give a "
            f"survey of {len(own.spec.bands)} bands"
        )
    if not (table.label >= 0).any():
        raise DataError(f"{path.name} carries no labels; give a labelled set")
    return table


def _class_names(table: GalaxyTable) -> tuple[str, ...]:
    """Return the names of the classes; the number of each that has no name."""
    names = table.card.class_names
    return (*names, *map(str, range(len(names), table.classes)))


def grouped(
    grouping: Iterable[str], here: tuple[str, ...], there: tuple[str, ...]
) -> tuple[tuple[str, ...], Int[np.ndarray, " class"], Int[np.ndarray, " other_class"]]:
    """Find the groups that both surveys have, and the group of each class of both.

    Args:
        grouping: "class=group" for each class that is in one, of either survey; none: classes of equal names meet.
        here: names of one survey's classes.
        there: names of the other's.

    Returns:
        Names of the groups, and for each class of both surveys the number of its group, -1 for none.

    Raises:
        ConfigError: an entry is no "class=group", or names a class of neither survey.
        DataError: fewer than two groups have classes of both.

    Example:
        >>> grouped((), ("Spiral", "Merger"), ("merger", "Odd", "spiral"))[0]
        ('merger', 'spiral')
    """
    known = {_plain(name) for name in (*here, *there)}
    named = {name: name for name in known}
    entries = tuple(grouping)
    if entries:
        named = {}
        for entry in entries:
            name, equals, group = entry.partition("=")
            if not equals or not group.strip():
                raise ConfigError(
                    f"evaluator.grouping: '{entry}' is no class=group, such as 'Elliptical=smooth'"
                )
            if _plain(name) not in known:
                raise ConfigError(
                    f"evaluator.grouping: no class is called '{name}'; {nearest(_plain(name), known)}"
                )
            named[_plain(name)] = group.strip()
    ours, theirs = ([named.get(_plain(name)) for name in names] for names in (here, there))
    groups = tuple(sorted({each for each in ours if each is not None and each in theirs}))
    if len(groups) < 2:
        raise DataError(
            f"the surveys share {len(groups)} groups (classes {', '.join(here)} here, {', '.join(there)} there); "
            "two are needed: name them as --set evaluator.grouping='Elliptical=smooth,Spiral=spiral'"
        )
    numbers = {group: number for number, group in enumerate(groups)}
    mine, other = (np.array([numbers.get(g or "", -1) for g in each]) for each in (ours, theirs))
    return groups, mine, other


def _plain(name: str) -> str:
    return " ".join(name.lower().split())


def _known_here(table: GalaxyTable, own: GalaxyTable, cache: Path, name: str) -> Bool[np.ndarray, " row"]:
    """Mark test galaxies of another set from which encoder or probe may have learnt: in train, val or pool.

    They are recognised by their pixels, by their place on the sky, and by their appearance in another crop.

    Raises:
        DataError: there are too many pairs of images to compare.
    """
    rows, learnt = table.rows("test"), own.rows("train", "val", "pool")
    parts = [Part(own.images, learnt), Part(table.images, rows)]
    pixels = (part.images[row] for part in parts for row in part.rows.tolist())
    digests = np.array([hashlib.sha256(image.tobytes()).hexdigest()[:32] for image in pixels], dtype="<U32")
    sky = {fact: np.concatenate([_fact(own, fact, learnt), _fact(table, fact, rows)]) for fact in FACTS}
    groups = sky_groups(digests, sky["ra"], sky["dec"], sky["pixel_scale"] * own.spec.size_px)
    same = np.isin(groups[len(learnt) :], groups[: len(learnt)])
    task = f"looking for galaxies of the dataset in {name}"
    alike = showing(parts[1], parts[:1], digests, cache, task)
    if alike is None:
        raise DataError(f"{name} has too many galaxies to look for those of the run's own data; give fewer")
    found: Bool[np.ndarray, " row"] = same | alike
    return found


def _fact(table: GalaxyTable, name: str, rows: Int[np.ndarray, " row"]) -> np.ndarray:
    column: np.ndarray | None = getattr(table, name)
    return np.full(len(rows), np.nan) if column is None else column[rows]


def _encoded(
    table: GalaxyTable,
    rows: Mapping[Split, Int[np.ndarray, " row"]],
    groups: Int[np.ndarray, " class"],
    context: ExtrasContext,
) -> dict[Split, SplitFeatures]:
    """Encode every split, with the groups of its classes as labels."""
    images, parts = DeviceImages(table.images, context.galaxies.device, resident_bytes=0), {}
    for split in ENCODED:
        taps = encode_rows(context.encoder, images, rows[split])
        with blamed_on(context.encoder):
            check_finite(taps, f"of {split} of the other survey")
        part = split_features(table, rows[split], taps)
        label = np.where(part.label >= 0, groups[part.label], -1)
        parts[split] = dataclasses.replace(part, label=label)
    return parts
