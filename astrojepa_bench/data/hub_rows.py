"""The rows of a data set of the hub: images decoded one at a time, and the columns that describe them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from PIL import Image

from astrojepa_bench.data.catalogue import UNSTATED, Catalogue
from astrojepa_bench.data.conversion import Picture, Unreadable
from astrojepa_bench.data.hdf5_file import MOST_CLASSES, UNLABELLED
from astrojepa_bench.data.selection import true_notes
from astrojepa_bench.data.splits import SPELLINGS
from astrojepa_bench.errors import DataError, nearest
from astrojepa_bench.events import track

if TYPE_CHECKING:
    import datasets

MAY_BE_MISSING = ("redshift", "ra", "dec", "pixel_scale", "id")  # under these very names
GREY_MODES = ("1", "L", "LA")
DEEP_MODES = ("I", "F")  # also "I;16" and its like: more than 8 bits would be cut off silently
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")  # some others make the library start programs
Cell: TypeAlias = object  # an encoded image, alone or with its path; numbers; or nothing


@dataclass(frozen=True)
class HubRows:
    """All rows of a data set, split after split, with images as they are stored.

    Attributes:
        title: what to call it.
        rows: the columns that are used, images not decoded.
        sizes: number of rows by the name of their split, in order.
        declared: whether those splits are honoured.
        columns: names of those that are there, by what they hold.
        folder: where the data lie, if not in the library's cache.
        notes: what became of the splits.
    """

    title: str
    rows: datasets.Dataset
    sizes: Mapping[str, int]
    declared: bool
    columns: Mapping[str, str]
    folder: Path | None
    notes: tuple[str, ...]

    @classmethod
    def opened(
        cls,
        title: str,
        splits: Mapping[str, datasets.Dataset],
        columns: Mapping[str, str],
        folder: Path | None,
    ) -> HubRows:
        """Choose splits and columns, and put the splits behind one another.

        Args:
            title: what to call it.
            splits: rows by the name of their split.
            columns: names by what they hold; those of `MAY_BE_MISSING` need not be there.
            folder: where the data lie, if not in the library's cache.

        Raises:
            DataError: a column is missing, splits differ in their columns, or there are no rows.
        """
        from datasets import concatenate_datasets

        filled = {name: rows for name, rows in splits.items() if len(rows)}
        if not filled:
            raise DataError(f"{title} has no rows; expected at least one galaxy")
        chosen, declared, notes = _chosen(filled)
        present = _present(title, columns, next(iter(chosen.values())).column_names)
        try:
            joined = concatenate_datasets([_stored(rows, present) for rows in chosen.values()])
        except ValueError as error:  # the library says which column it is
            reason = " ".join(str(error).split())
            raise DataError(f"{title}: splits differ in a column ({reason}); name another column") from None
        sizes = {name: len(rows) for name, rows in chosen.items()}
        return cls(title, joined, sizes, declared, present, folder, notes)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """The data set's name, or the folder's."""
        return self.title

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
        return json.dumps([self.columns["image"], *self.sizes.items()])

    @cached_property
    def bands(self) -> int:
        """3 if any image is in colour, else 1 (reads every header)."""
        return (
            3 if any(image is not None and image.mode not in GREY_MODES for image in self._headers()) else 1
        )

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Decode all images in order, or say which cannot be read."""
        for name, cell in zip(self._ids().tolist(), self._cells(), strict=True):
            try:
                picture: Picture | Unreadable = _picture(cell, self.bands)
            except Exception as error:  # damaged bytes make decoders raise anything
                picture = Unreadable(name, " ".join(str(error).split()) or type(error).__name__)
            yield picture

    def catalogue(self) -> Catalogue:
        """Give classes, redshifts, positions and the declared split, unknown where null or absent.

        Raises:
            DataError: a column of numbers holds text, labels are no classes, or ids repeat.
        """
        names, label = self._classes()
        redshift, group, info = self._number("redshift"), self._column("group"), self.rows.info
        return replace(
            Catalogue.bare(self._ids()),
            label=label,
            class_names=names,
            redshift=np.where(redshift > -1, redshift, np.nan),  # -99 and the like mean unknown
            ra=self._number("ra"),
            dec=self._number("dec"),
            field_arcsec=self._field_arcsec(),
            split=np.repeat(list(self.sizes), list(self.sizes.values())) if self.declared else None,
            group=None if group is None else group.fillna("").astype(str).to_numpy(str),
            licence=" ".join((info.license or UNSTATED).split()),
            citation=" ".join((info.citation or UNSTATED).split()),
            notes=self.notes,
        )

    def _cells(self) -> Iterator[Cell]:
        from datasets import Image as ImageFeature
        from datasets import Value

        name = self.columns["image"]
        rows = self.rows.select_columns([name])
        if not isinstance(rows.features[name], ImageFeature | Value | dict):
            rows = rows.with_format("numpy")  # numbers only: NumPy's own bytes lose the zeros at their end
        return (row[name] for row in rows)

    def _headers(self) -> Iterator[Image.Image | None]:
        for cell in track(self._cells(), task=f"reading headers of {self.title}", total=len(self)):
            try:
                image: Image.Image | None = _opened(cell)[0]
            except Exception:
                image = None  # reading it in full will say why
            yield image

    def _column(self, role: str) -> pd.Series | None:
        name = self.columns.get(role)
        return None if name is None else self.rows.select_columns([name]).to_pandas()[name]

    def _number(self, role: str) -> Float[np.ndarray, " galaxy"]:
        column = self._column(role)
        if column is None:
            return np.full(len(self), np.nan)
        try:
            return column.to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            found = f"{self.title}: column '{self.columns[role]}' holds {column.iloc[0]!r}"
            raise DataError(f"{found}; expected numbers: set dataset.{role} to another") from None

    def _ids(self) -> np.ndarray:
        column = self._column("id")
        if column is None:
            return np.array([f"{name}/{row}" for name, count in self.sizes.items() for row in range(count)])
        repeated = column[column.duplicated()]
        if len(repeated):
            raise DataError(
                f"{self.title}: column '{self.columns['id']}' has {len(repeated)} repeated ids, first "
                f"{repeated.iloc[0]!r}; name another, or set dataset.id=none"
            )
        return column.astype(str).to_numpy(str)

    def _classes(self) -> tuple[tuple[str, ...], Int[np.ndarray, " galaxy"]]:
        column = self._column("label")
        if column is None:
            return (), np.full(len(self), -1)
        if column.map(lambda value: isinstance(value, str)).any():
            codes, words = pd.factorize(column.replace("", None), sort=True)
            return tuple(map(str, words)), codes.astype(np.int64)
        names = getattr(self.rows.features[self.columns["label"]], "names", None)
        values = self._number("label")
        bare = np.where(values == UNLABELLED, -1, values) if names is None else values
        return tuple(names or ()), self._numbers(np.where(bare >= 0, bare, -1))

    def _numbers(self, labels: Float[np.ndarray, " galaxy"]) -> Int[np.ndarray, " galaxy"]:
        strange = labels[(labels != np.floor(labels)) | (labels >= MOST_CLASSES)]
        if len(strange):
            raise DataError(
                f"{self.title}: label column '{self.columns['label']}' holds {strange[0]:g}; expected names, or "
                f"class numbers from 0 to {MOST_CLASSES - 1}: set dataset.label to another"
            )
        return labels.astype(np.int64)

    def _field_arcsec(self) -> Float[np.ndarray, " galaxy"]:
        scale = self._number("pixel_scale")
        if np.isnan(scale).all():
            return scale
        side_px = np.array([np.nan if image is None else min(image.size) for image in self._headers()])
        return np.where(scale > 0, scale, np.nan) * side_px


def _chosen(
    splits: Mapping[str, datasets.Dataset],
) -> tuple[Mapping[str, datasets.Dataset], bool, tuple[str, ...]]:
    """Keep the splits that are to be honoured, or all where that cannot be; and say so."""
    known = {name: rows for name, rows in splits.items() if name.lower() in SPELLINGS}
    honoured = {"train", "test"} <= {SPELLINGS[name.lower()] for name in known}
    told = ", ".join(f"'{name}'" for name in splits if not (honoured and name in known))
    notes = true_notes({
        f"splits {told} are neither train, validation nor test and were left out": honoured and told,
        f"splits {told} are not train and test: all rows were divided anew": not honoured and len(splits) > 1,
    })  # fmt: skip
    return known if honoured else splits, honoured, tuple(notes)


def _present(title: str, columns: Mapping[str, str], known: list[str]) -> dict[str, str]:
    for role, name in columns.items():
        if name not in known and not name == role in MAY_BE_MISSING:
            way_out = ", or to none if it has no labels" if role == "label" else ""
            raise DataError(
                f"{title} has no column '{name}'; set dataset.{role} to another{way_out}: {nearest(name, known)}"
            )
    return {role: name for role, name in columns.items() if name in known}


def _stored(rows: datasets.Dataset, columns: Mapping[str, str]) -> datasets.Dataset:
    """Take the columns that are used, and leave it to us to decode images: a bad one ends nothing."""
    from datasets import Image as ImageFeature

    used, image = rows.select_columns(sorted(set(columns.values()))), columns["image"]
    is_image = isinstance(used.features[image], ImageFeature)
    return used.cast_column(image, ImageFeature(decode=False)) if is_image else used


def _picture(cell: Cell, bands: int) -> Picture:
    image, data = _opened(cell)
    if image.mode.startswith(DEEP_MODES):
        raise ValueError(f"mode {image.mode} is not 8 bits a band")
    if image.mode == "P":  # a palette may carry transparency, which only RGBA holds
        image = image.convert("RGBA")
    pixels = np.asarray(image.convert("L" if bands == 1 else "RGB"))
    return Picture(hashlib.sha256(data).digest()[:16], pixels.reshape(*pixels.shape[:2], bands))


def _opened(cell: Cell) -> tuple[Image.Image, bytes]:
    """Give an image, of which only the header may have been read, and what it is stored as."""
    if isinstance(cell, np.ndarray):
        levels = _levels(cell)
        return Image.fromarray(levels), levels.tobytes()
    if isinstance(cell, dict):  # of a file beside the data, only the path may be held
        cell = cell["bytes"] or (cell["path"] and Path(cell["path"]).read_bytes())
    if not isinstance(cell, bytes):
        raise ValueError("missing" if cell is None else f"it is {cell!r:.40}, not an image")
    return Image.open(io.BytesIO(cell), formats=FORMATS), cell


def _levels(cell: np.ndarray) -> np.ndarray:
    whole = cell.dtype.kind in "iu" and cell.size and cell.min() >= 0 and cell.max() <= 255
    if not whole or cell.ndim not in (2, 3) or cell.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(
            f"{cell.dtype} {cell.shape}; expected 0 to 255 as (height, width) or with 1 or 3 bands last"
        )
    return (cell[..., 0] if cell.shape[2:] == (1,) else cell).astype(np.uint8)
