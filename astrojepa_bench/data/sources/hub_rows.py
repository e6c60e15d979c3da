"""What do the rows of a Hugging Face data set hold? Images, decoded one at a time, and their columns."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from astrojepa_bench.data.column_names import ALIASES, candidates, first_believable, told_names, told_unused
from astrojepa_bench.data.convert import Picture, Unreadable
from astrojepa_bench.data.sources.archive import DECODING
from astrojepa_bench.data.sources.catalogue import FACTS, UNSTATED, Catalogue, known_redshift, measured
from astrojepa_bench.data.sources.container import RefusedError, guarded
from astrojepa_bench.data.sources.declared_splits import honoured_splits
from astrojepa_bench.data.sources.flux import Stretch
from astrojepa_bench.data.sources.hub_folder import read_inside
from astrojepa_bench.data.sources.hub_library import Origin, library
from astrojepa_bench.data.sources.image_formats import decode, glance
from astrojepa_bench.data.sources.image_shape import sides_of
from astrojepa_bench.data.sources.raster import look
from astrojepa_bench.data.sources.tables import (
    NULLABLE,
    class_notes,
    classes_of,
    ids_of,
    numbers_of,
    texts_of,
)
from astrojepa_bench.errors import DataError, nearest
from astrojepa_bench.events import track

if TYPE_CHECKING:
    import datasets

MAY_BE_MISSING = (*FACTS, "id")  # under these very names
STRETCH: Stretch = "auto"
Cell: TypeAlias = object  # an encoded image, alone or with its path; numbers; or nothing


@dataclass(frozen=True)
class HubRows:
    """All rows of a data set, split after split, with images as they are stored.

    Attributes:
        name: its name in messages.
        rows: the columns that are used, images not decoded.
        sizes: number of rows by the name of their split, in order.
        declared: whether those splits are honoured.
        columns: names of those that are there, by what they hold.
        folder: where the data lie, if not in the library's cache.
        notes: what became of the splits.
        rooms: folders in which a file that a row names may lie.
    """

    name: str
    rows: datasets.Dataset
    sizes: Mapping[str, int]
    declared: bool
    columns: Mapping[str, str]
    folder: Path | None
    notes: tuple[str, ...]
    rooms: tuple[Path, ...] = ()

    @classmethod
    def opened(
        cls,
        title: str,
        splits: Mapping[str, datasets.Dataset],
        columns: Mapping[str, str],
        folder: Path | None,
        rooms: tuple[Path, ...] = (),
    ) -> HubRows:
        """Choose splits and columns, and put the splits behind one another.

        Args:
            title: its name in messages.
            splits: rows by the name of their split.
            columns: names by what they hold; those of `MAY_BE_MISSING` need not be there.
            folder: where the data lie, if not in the library's cache.
            rooms: folders in which a file that a row names may lie.

        Raises:
            DataError: a column is missing, splits differ in their columns, or there are no rows.
        """
        filled = {name: rows for name, rows in splits.items() if len(rows)}
        if not filled:
            raise DataError(f"{title} has no rows; expected at least one galaxy")
        used_splits, declared, notes = honoured_splits(list(filled))
        chosen = {name: filled[name] for name in used_splits}
        known = next(iter(chosen.values())).column_names
        present = _present(title, columns, known)
        present, passed = _believed(present, columns, list(chosen.values()))
        notes = (*notes, *passed, *told_names({r: n for r, n in present.items() if columns[r] != n}))
        notes = (*notes, *told_unused(known, present))
        used = [rows.select_columns(sorted(set(present.values()))) for rows in chosen.values()]
        image, kind = present["image"], library().Image
        stored = [  # images not decoded: a bad one must not end the reading
            rows.cast_column(image, kind(decode=False)) if isinstance(rows.features[image], kind) else rows
            for rows in used
        ]
        try:
            joined = library().concatenate_datasets(stored)
        except ValueError as error:  # the library says which column it is
            reason = " ".join(str(error).split())
            raise DataError(f"{title}: splits differ in a column ({reason}); name another column") from None
        sizes = {name: len(rows) for name, rows in chosen.items()}
        return cls(title, joined, sizes, declared, present, folder, notes, rooms)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def files(self) -> Mapping[str, Path]:
        """All files of the folder, or of the library's cache."""
        if self.folder is None:
            held = [Path(file["filename"]) for file in self.rows.cache_files]
            return {str(number): path for number, path in enumerate(held)}
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): path for path in paths}

    @property
    def rendering(self) -> str:
        """Which column, and how many rows of which splits."""
        return json.dumps([DECODING, self.columns["image"], *self.sizes.items()])

    @property
    def as_shown(self) -> None:
        """None: these are display levels."""

    @cached_property
    def bands(self) -> int:
        """As many as the first image in colour has, 1 if all are grey."""
        cells = track(self._cells(), task=f"reading headers of {self.name}", total=len(self))
        for cell in cells:
            with suppress(RefusedError):  # decoding it will report why
                if (bands := glance(_file(cell, self.rooms), STRETCH).bands) > 1:
                    return bands
        return 1

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Decode all images in order, or say which cannot be read."""
        for name, cell in zip(self._ids()[0].tolist(), self._cells(), strict=True):
            try:
                yield decode(_file(cell, self.rooms), self.bands, STRETCH)
            except RefusedError as why:
                yield Unreadable(name, str(why))

    def catalogue(self) -> Catalogue:
        """Return classes, redshifts, positions and the declared split, unknown where null or absent.

        Raises:
            DataError: a column of numbers holds text, labels are no classes, or ids repeat.
        """
        names, label, told = self._classes()
        ids, more = self._ids()
        group, info = self._column("group"), self.rows.info
        return replace(
            Catalogue.bare(ids),
            label=label,
            class_names=names,
            redshift=known_redshift(self._number("redshift")),
            ra=self._number("ra"),
            dec=self._number("dec"),
            field_arcsec=self._field_arcsec(),
            split=np.repeat(list(self.sizes), list(self.sizes.values())) if self.declared else None,
            group=None if group is None else np.array(texts_of(group)),
            licence=" ".join((info.license or UNSTATED).split()),
            citation=" ".join((info.citation or UNSTATED).split()),
            notes=(*self.notes, *told, *more),
        )

    def _cells(self) -> Iterator[Cell]:
        name, hub = self.columns["image"], library()
        rows = self.rows.select_columns([name])
        if not isinstance(rows.features[name], hub.Image | hub.Value | dict):
            rows = rows.with_format("numpy")  # numbers only: NumPy's own bytes lose the zeros at their end
        return (row[name] for row in rows)

    def _column(self, role: str) -> pd.Series | None:
        name = self.columns.get(role)
        return None if name is None else _read(self.rows, name)

    def _number(self, role: str) -> Float[np.ndarray, " galaxy"]:
        column = self._column(role)
        if column is None:
            return np.full(len(self), np.nan)
        try:
            return measured(column.to_numpy(np.float64, na_value=np.nan))
        except (TypeError, ValueError):
            found = f"{self.name}: column '{self.columns[role]}' holds {column.iloc[0]!r}"
            raise DataError(f"{found}; expected numbers: set dataset.{role} to another") from None

    def _ids(self) -> tuple[np.ndarray, list[str]]:
        column = self._column("id")
        rows = np.array([f"{name}/{row}" for name, count in self.sizes.items() for row in range(count)])
        if column is None:
            return rows, []
        texts, notes = ids_of(column)
        names = np.array([text or row for text, row in zip(texts, rows.tolist(), strict=True)])
        repeated = pd.Series(names)[pd.Series(names).duplicated()].tolist()
        if repeated and self.columns["id"] != "id" and self.columns["id"] in ALIASES["id"]:
            return rows, [
                f"column '{self.columns['id']}' repeats {len(repeated)} of its values and is not taken for ids"
            ]
        if repeated:
            raise DataError(
                f"{self.name}: column '{self.columns['id']}' has {len(repeated)} repeated ids, first "
                f"'{repeated[0]}'; name another, or set dataset.id=none"
            )
        return names, notes

    def _classes(self) -> tuple[tuple[str, ...], Int[np.ndarray, " galaxy"], list[str]]:
        column = self._column("label")
        if column is None:
            return (), np.full(len(self), -1), []
        names = getattr(self.rows.features[self.columns["label"]], "names", None)
        if names is not None:
            numbers = self._number("label")
            return tuple(names), np.where(numbers >= 0, numbers, -1).astype(np.int64), []
        try:
            return *classes_of(column), class_notes(column)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None

    def _field_arcsec(self) -> Float[np.ndarray, " galaxy"]:
        scale = self._number("pixel_scale")
        if np.isnan(scale).all():
            return scale
        cells = track(self._cells(), task=f"reading sizes of {self.name}", total=len(self))
        return np.where(scale > 0, scale, np.nan) * np.array([_side_px(cell, self.rooms) for cell in cells])


def saved_rows(path: Path, cache_dir: Path) -> HubRows:
    """Open a folder that the library saved, with the usual column names.

    Raises:
        DataError: it cannot be read.
        ConfigError: the library is missing.
    """
    origin = Origin(None, path)
    splits = origin.splits(cache_dir)
    known = {name for rows in splits.values() for name in rows.column_names}
    usual = ("image", *({"label"} & known), *MAY_BE_MISSING)
    return HubRows.opened(path.name, splits, {name: name for name in usual}, path, origin.rooms(cache_dir))


def _present(title: str, columns: Mapping[str, str], known: list[str]) -> dict[str, str]:
    """Find the columns that are there, under another usual name where the plain one was asked for."""
    found = {}
    for role, name in columns.items():
        usual = candidates(role, known)[:1] if name == role and role in ALIASES and role != "group" else []
        if name in known or usual:
            found[role] = name if name in known else usual[0]
        elif not name == role in MAY_BE_MISSING:
            way_out = ", or to none if it has no labels" if role == "label" else ""
            raise DataError(
                f"{title} has no column '{name}'; set dataset.{role} to another{way_out}: {nearest(name, known)}"
            )
    return found


def _read(rows: datasets.Dataset, name: str) -> pd.Series:
    held = rows.select_columns([name]).with_format("arrow")[:]
    found: pd.Series = held.to_pandas(types_mapper=NULLABLE.get)[name]  # ids of 19 digits are no floats
    return found


def _believed(
    present: Mapping[str, str], asked: Mapping[str, str], splits: Sequence[datasets.Dataset]
) -> tuple[dict[str, str], list[str]]:
    """Choose among the columns that may hold a fact the first that does, and note those that do not."""
    found, notes = dict(present), []
    plain = [name for name, kind in splits[0].features.items() if isinstance(kind, library().Value)]
    for role in FACTS:
        if asked.get(role) != role or role not in present:
            continue
        name, told = first_believable(
            role, plain, lambda each: np.concatenate([numbers_of(_read(rows, each))[0] for rows in splits])
        )
        notes += told
        found |= {role: name} if name else {}
        if told and not name:
            del found[role]
    return found, notes


def _file(cell: Cell, rooms: tuple[Path, ...]) -> bytes:
    """Return an image as the bytes of a file.

    Raises:
        RefusedError: there is none, or its numbers are no display image.
    """
    if isinstance(cell, np.ndarray):
        if not (cell.dtype.kind in "iu" and cell.size and cell.min() >= 0 and cell.max() <= 255):
            raise RefusedError(f"{cell.dtype} {cell.shape}; expected whole numbers from 0 to 255")
        held = io.BytesIO()
        np.save(held, cell.astype(np.uint8))
        return held.getvalue()
    if isinstance(cell, dict):  # of a file beside the data, only the path may be held
        with guarded():
            cell = cell["bytes"] or (cell["path"] and read_inside(str(cell["path"]), rooms))
    if not isinstance(cell, bytes):
        raise RefusedError("missing" if cell is None else f"it is {cell!r:.40}, not an image")
    return cell


def _side_px(cell: Cell, rooms: tuple[Path, ...]) -> float:
    try:
        if isinstance(cell, np.ndarray):
            return min(sides_of(cell.shape)[:2])
        seen = look(_file(cell, rooms))
        return min(seen.width, seen.height)
    except RefusedError:
        return np.nan
