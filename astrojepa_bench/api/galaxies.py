"""Galaxies from wherever they lie: a data set by name, a file or folder, or arrays in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from astrojepa_bench.api.arrays import Columns, kept
from astrojepa_bench.api.cards import card
from astrojepa_bench.api.progress import showing
from astrojepa_bench.api.settings import by_address
from astrojepa_bench.api.wording import speaking_python
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.data.look.describe import Description, describe
from astrojepa_bench.data.sources.layouts import recognise
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.options import Settings, check_all_used
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.component import Component
from astrojepa_bench.types import SPLITS, GalaxyTable, class_name

SIZE_PX = 64  # as `data info`
Given: TypeAlias = str | Path | np.ndarray | GalaxyTable | Dataset


@dataclass(frozen=True, repr=False)
class LoadedGalaxies(GalaxyTable):
    """A table of galaxies that knows where it was read, so that it can be read again at another size.

    Attributes:
        dataset: name of the data set that read it.
        options: the options it was given.
    """

    dataset: str = ""
    options: Mapping[str, object] = field(default_factory=dict)

    @property
    def facts(self) -> pd.DataFrame:
        """What is known of each galaxy, one row a galaxy in the order of `images`."""
        known = [class_name(self.card.class_names, number) for number in range(self.classes)]
        names = np.array([*known, ""], dtype=object)
        frame = pd.DataFrame({"id": self.ids, "split": self.split, "class": names[self.label]})
        flat = {name: values for name, values in self.numbers.items() if values.ndim == 1}
        return frame.assign(**flat)

    def __repr__(self) -> str:
        told = ", ".join([_size(self), _splits(self), _kinds(self)])
        notes = len(self.card.notes)
        return f"<{len(self):,} galaxies of {self.card.name}: {told}; {notes} notes in .card>"

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of the card, as they are told while the galaxies are read."""
        return tuple(f"{self.card.name}: {note}" for note in self.card.notes)

    def _repr_html_(self) -> str:
        found = describe(self)
        facts = [("read as", self.dataset), ("images", _size(self)), ("galaxies", _splits(self))]
        facts += [("licence", self.card.licence), ("citation", self.card.citation)]
        return card(f"{len(self):,} galaxies of {self.card.name}", facts, _tables(found), self.card.notes)


@speaking_python()
def load(
    source: Given,
    table: Columns | None = None,
    *,
    bands: str | Sequence[str] | None = None,
    ids: Sequence[object] | np.ndarray | None = None,
    labels: Sequence[object] | np.ndarray | None = None,
    size: int = SIZE_PX,
    settings: Mapping[str, object] | None = None,
    cache: Path | str | None = None,
    plugins: Sequence[Path | str] = (),
    progress: bool | None = None,
) -> LoadedGalaxies:
    """Load galaxies, look for copies among them, and divide them, as `data info` does.

    Args:
        source: a file or folder; or the name of a data set (`synthetic`, `galaxy10`); or images as an array
            (galaxy, height, width, band) or (galaxy, height, width): bytes are display levels, whole numbers
            from 0 to 255 too, and floating-point numbers are flux.
        table: with an array: what is known of each image, one row each, in any of the columns that a Parquet
            file may have (`id`, `label`, `redshift`, `ra`, `dec`, `pixel_scale`, `group`, `split`); further columns
            of numbers are carried along.
        bands: with an array: names of the bands in the order of its last axis ("grz", or a list).
        ids: with an array: unique names of the galaxies; the row numbers if None.
        labels: with an array: class names or numbers; None, NaN and negative numbers mean unlabelled.
        size: side of the images that are wanted [pixel].
        settings: options of the data set: `{"dataset.label": "kind"}`.
        cache: folder of converted galaxies; the user's if None.
        plugins: plugin files, or folders of them, to load in addition to what is installed.
        progress: whether progress is shown; None: in a notebook and on a terminal.

    Raises:
        ConfigError: the data set or an option is unknown, or an argument does not go with the source.
        DataError: the galaxies cannot be read.

    Example:
        >>> load("my_images/")  # doctest: +SKIP
        <60 galaxies of my_images: 64 px, bands red, green, blue, 42 train, 9 val, 9 test, …; 2 notes in .card>
    """
    arrays = {"table": table, "bands": bands, "ids": ids, "labels": labels}
    folder = default_cache() if cache is None else Path(cache)
    offered = once(partial(load_registry, [Path(each) for each in plugins]))
    with showing(progress, told="all"):  # by the card
        name, options = named(offered, source, folder, **arrays)
        return read_named(offered(), name, options, by_address(settings or {}), size, folder)


def named(
    offered: Callable[[], Registry], source: Given, cache: Path, **arrays: Any
) -> tuple[str, Mapping[str, object]]:
    """Find the data set that reads a source, and the options that it needs.

    Args:
        offered: loads what offers the data sets, which takes a while and is not always needed.
        source: as `load` takes it.
        cache: where arrays are kept as a file.
        arrays: `table`, `bands`, `ids` and `labels`, for an array.

    Raises:
        ConfigError: neither a data set nor a path, or an argument does not go with it.
        DataError: nothing reads what lies there, or the arrays do not fit together.
    """
    if isinstance(source, np.ndarray):
        return "parquet", kept(source, cache, **arrays)
    extra = [name for name, value in arrays.items() if value is not None]
    if extra:
        raise ConfigError(f"{', '.join(extra)}: only with images as an array; a file or data set has its own")
    if isinstance(source, LoadedGalaxies):
        return source.dataset, source.options
    if isinstance(source, GalaxyTable | Dataset):
        raise ConfigError(
            f"found a {type(source).__name__}, which tells no file that it was read from; expected a path, the "
            "name of a data set, an array, or what load(...) returned"
        )
    names = [offer.name for offer in offered().offers("dataset")]
    if isinstance(source, str) and source in names:
        return source, {}
    path = Path(source).expanduser()
    if not path.exists():
        raise ConfigError(
            f"'{source}' is neither a data set nor a file or folder; {nearest(str(source), names)}"
        )
    return recognise(path)


def read_named(
    registry: Registry, name: str, known: Mapping[str, object], settings: Settings, size: int, cache: Path
) -> LoadedGalaxies:
    """Read a data set by name.

    Raises:
        ConfigError: an option is unknown.
        DataError: the galaxies cannot be read.
    """
    offer = registry.get("dataset", name)
    check_all_used(settings, [offer])
    component = Component.of(offer, settings, known)
    table = load_table(component.build(), size, cache)
    options = {**known, **settings.get("dataset", {}), **settings.get(f"dataset:{name}", {})}
    held = {each.name: getattr(table, each.name) for each in fields(GalaxyTable)}
    return LoadedGalaxies(**held, dataset=name, options=options)


# --- words --------------------------------------------------------------------------------------------------


def _size(table: GalaxyTable) -> str:
    return f"{table.spec.size_px} px, bands {', '.join(table.spec.bands)}"


def _splits(table: GalaxyTable) -> str:
    return ", ".join(
        f"{(table.split == name).sum():,} {name}" for name in SPLITS if (table.split == name).any()
    )


def _kinds(table: GalaxyTable) -> str:
    found = len(np.unique(table.label[table.label >= 0]))
    return f"{found} classes" if found else "unlabelled"


def _tables(found: Description) -> list[tuple[Sequence[str], list[list[object]]]]:
    used = [split for split in SPLITS if any(row[split] for row in found.counts.values())]
    counts: list[list[object]] = [
        [kind, *(f"{row[s]:,}" for s in used)] for kind, row in found.counts.items()
    ]
    numbers: list[list[object]] = [
        [name, f"{each.known:,}", *(f"{value:.4g}" for value in (each.least, each.median, each.greatest))]
        for name, each in found.numbers.items()
    ]
    tables: list[tuple[Sequence[str], list[list[object]]]] = [(("", *used), counts)]
    return tables + ([(("", "known", "least", "median", "greatest"), numbers)] if numbers else [])
