"""What is in an HDF5 file of Galaxy10's layout? It is checked when opened and read in file order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from astrojepa_bench.data.column_names import (
    bands_beside,
    candidates,
    first_believable,
    told_names,
    told_unused,
)
from astrojepa_bench.data.convert import Picture, reading
from astrojepa_bench.data.given import check_affordable, check_regular
from astrojepa_bench.data.sources.catalogue import (
    MOST_CLASSES,
    UNLABELLED,
    UNSTATED,
    Catalogue,
    known_redshift,
    measured,
)
from astrojepa_bench.data.sources.container import shown
from astrojepa_bench.data.sources.filters import split_names
from astrojepa_bench.data.sources.hdf5_watch import examine
from astrojepa_bench.data.sources.image_shape import MOST_BANDS, MOST_PIXELS
from astrojepa_bench.data.sources.tables import class_notes, classes_of
from astrojepa_bench.errors import DataError, nearest

BLOCK_BYTES = 16 << 20
LARGEST_BLOCK_BYTES = 1 << 30
SIGNATURE = b"\x89HDF\r\n\x1a\n"
ROW_BYTES = 512  # that a galaxy takes in memory beside its pixels
COLUMNS = ("ra", "dec", "redshift", "pxscale", "split", "ans")
USUAL = {
    "ra": "ra",
    "dec": "dec",
    "redshift": "redshift",
    "pxscale": "pixel_scale",
}  # numbers with other usual names
# An attribute or dataset of one of these names may list the bands.
NAMING = ("bands", "band", "band_names", "filters", "filter", "channels")


@dataclass(frozen=True)
class Hdf5File:
    """All of a Galaxy10-like file but its pixels, and a way to stream those.

    Attributes:
        path: the file.
        label: the label column; None reads no labels.
        shape: of its images (galaxy, height, width, band).
        columns: the label column and those of `COLUMNS` that are there, by name.
        attributes: text attributes of the file.
        class_names: names per label column, where the file gives them.
        notes: which columns were read under another name, and which are not used.
        flat: names of all columns.
    """

    path: Path
    label: str | None
    shape: tuple[int, int, int, int]
    columns: Mapping[str, np.ndarray]
    attributes: Mapping[str, str]
    class_names: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()

    @classmethod
    def opened(cls, path: Path, label: str | None) -> Hdf5File:
        """Read and check everything but the pixels.

        Args:
            path: the file.
            label: the label column, which must be there; None reads no labels.

        Raises:
            DataError: the file is missing, damaged, or not of Galaxy10's layout.
        """
        _check_signature(path)
        asked = () if label is None else (label,)
        named = ("images", *COLUMNS, *NAMING, *asked)
        examine(path, named)
        with reading(path), h5py.File(path) as file:
            shape = _image_shape(path, file, label)
            names = {*(name for name in COLUMNS if name in file), *asked}
            columns = {name: _column(path, file, name, shape[0]) for name in sorted(names)}
            flat = tuple(
                _text(name)
                for name, item in file.items()
                if isinstance(item, h5py.Dataset) and item.shape == shape[:1]
            )
        usual = [each for role in USUAL.values() for each in candidates(role, flat)] + [
            *bands_beside(flat).values()
        ]
        if not {*usual} <= {*named}:
            examine(path, (*named, *dict.fromkeys(usual)))
        with reading(path), h5py.File(path) as file:
            more, notes = _under_other_names(file, columns, flat)
            columns |= more
            words = {name: value for name, value in file.attrs.items() if isinstance(value, str | bytes)}
            attributes = {name.lower(): _text(value) for name, value in words.items()}
            attributes |= {"bands": ",".join(named)} if (named := _band_names(file, shape[3])) else {}
            return cls(path, label, shape, columns, attributes, _class_names(file, names), notes, flat)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def name(self) -> str:
        """The file's base name."""
        return self.path.name

    @property
    def files(self) -> Mapping[str, Path]:
        """The file itself; its name is not content."""
        return {"": self.path}

    @property
    def rendering(self) -> str:
        """Nothing: its pixels are taken as they are."""
        return ""

    @property
    def as_shown(self) -> None:
        """None: these are display levels."""

    @property
    def bands(self) -> int:
        """How many bands its images have."""
        return self.shape[3]

    @property
    def side_px(self) -> int:
        """Side of the central square of its images [pixel]."""
        return min(self.shape[1:3])

    def catalogue(self) -> Catalogue:
        """Return labels (if a label column is named), positions, redshifts and the declared split.

        Raises:
            DataError: a column holds text where numbers are expected, or no class numbers.
        """
        bare = Catalogue.bare(np.arange(len(self)).astype(str))  # the layout has no names
        redshift, ra, dec, scale = (
            measured(self.number(name)) for name in ("redshift", "ra", "dec", "pxscale")
        )
        stated = [self.attributes.get(key) for key in ("citation", "reference", "survey")]
        named = self.attributes.get("bands", "")
        bands = split_names(named, self.bands)
        unused = f"'bands' is '{shown(named)}', and images have {self.bands}: these names are not used"
        words, (names, label) = self._words(), self.classes()
        return replace(
            bare,
            label=label,
            class_names=names,
            redshift=known_redshift(redshift),
            ra=ra,
            dec=dec,
            field_arcsec=np.where(scale > 0, scale, np.nan) * self.side_px,
            split=self.columns.get("split"),
            bands=bands,
            licence=self.attributes.get("licence") or self.attributes.get("license") or UNSTATED,
            citation=next((text for text in stated if text), UNSTATED),
            notes=(
                *self.notes,
                *((unused,) if named and not bands else ()),
                *(() if words is None else class_notes(words)),
            ),
        )

    def classes(self) -> tuple[tuple[str, ...], Int[np.ndarray, " galaxy"]]:
        """Return the names of the classes, where there are any, and the class of each galaxy, -1 where unknown.

        Raises:
            DataError: the label column holds neither words nor class numbers.
        """
        words = self._words()
        if words is not None:
            return classes_of(words)
        unknown = np.full(len(self), -1)
        return self.class_names.get(self.label or "", ()), self.labels(self.label) if self.label else unknown

    def _words(self) -> pd.Series | None:
        """Return the label column where it holds words; None where it holds numbers, or there is none."""
        column = self.columns.get(self.label or "")
        if column is None or column.dtype.kind not in "SUO":
            return None
        return pd.Series([_text(value) for value in column.tolist()], name=self.label, dtype=object)

    def naming_kinds(self) -> Hdf5File:
        """Return the same file with Galaxy10's own column as labels, if it holds any."""
        named = replace(self, label="ans")
        known = "ans" in self.columns and (
            named._words() is not None or not np.isnan(self.number("ans")).all()
        )
        return named if known else self

    def pictures(self) -> Iterator[Picture]:
        """Read all images in file order, each compressed chunk once.

        Raises:
            DataError: a chunk is damaged or missing.
        """
        with reading(self.path), h5py.File(self.path) as file:
            images = file["images"]
            rows = _rows_at_once(images)
            for start in range(0, len(images), rows):
                for pixels in images[start : start + rows]:
                    yield Picture(hashlib.sha256(pixels.tobytes()).digest()[:16], pixels)

    def number(self, column: str) -> Float[np.ndarray, " galaxy"]:
        """Return a column as floating-point numbers, all NaN if it is not there.

        Raises:
            DataError: the column holds no numbers.
        """
        try:
            return np.asarray(self.columns.get(column, np.full(len(self), np.nan)), dtype=np.float64)
        except (TypeError, ValueError):
            raise DataError(f"{self.name}: column '{column}' holds text; expected numbers") from None

    def labels(self, column: str) -> Int[np.ndarray, " galaxy"]:
        """Return a label column as class indices, -1 where the file has 255, a negative number or NaN.

        Raises:
            DataError: the column holds no class numbers, or nothing but NaN.
        """
        values = self.number(column)
        if np.isnan(values).all():
            raise DataError(
                f"{self.name}: label column '{column}' is NaN in all {len(self)} rows; name another"
            )
        known = np.nan_to_num(values, nan=-1.0, posinf=np.inf, neginf=-1.0)
        known = np.where((known < 0) | (known == UNLABELLED), -1, known)
        strange = known[(known != np.floor(known)) | (known >= MOST_CLASSES)]
        if len(strange):
            raise DataError(
                f"{self.name}: label column '{column}' holds {strange[0]:g}; expected class numbers "
                f"from 0 to {MOST_CLASSES - 1} (255 or NaN: unlabelled); name another column"
            )
        return known.astype(np.int64)


def _check_signature(path: Path) -> None:
    if path.is_dir():
        raise DataError(f"{path} is a folder; expected an HDF5 file with 'images' and a label column")
    check_regular(path)
    with reading(path), path.open("rb") as file:
        start = file.read(len(SIGNATURE))
    if start != SIGNATURE and not h5py.is_hdf5(path):
        raise DataError(
            f"{path} is not an HDF5 file (it starts with {start!r}); give a file of Galaxy10's layout"
        )


def _image_shape(path: Path, file: h5py.File, label: str | None) -> tuple[int, int, int, int]:
    images = file.get("images")
    if not isinstance(images, h5py.Dataset):
        found = ", ".join(sorted(map(_text, file))) or "nothing"
        wanted = "'images'" if label is None else f"'images' and '{label}'"
        raise DataError(
            f"{path.name} holds {found}; expected {wanted}: rename its datasets to Galaxy10's names"
        )
    fits = images.dtype == np.uint8 and images.ndim == 4 and 1 <= images.shape[-1] <= MOST_BANDS
    if not fits:
        raise DataError(
            f"{path.name}: 'images' is {images.dtype} {images.shape}; expected uint8 "
            f"(galaxy, height, width, band) with 1 to {MOST_BANDS} bands last: convert it first"
        )
    if 0 in images.shape:
        raise DataError(f"{path.name}: 'images' is empty, {images.shape}; expected at least one galaxy")
    rows, height, width, bands = images.shape
    if height * width > MOST_PIXELS:
        raise DataError(
            f"{path.name}: 'images' claims {rows} images of {width} x {height} pixels; expected at most "
            f"{MOST_PIXELS} pixels each: cut out the galaxies"
        )
    check_affordable(rows * ROW_BYTES, f"{path.name}: the table of {rows} images")
    return rows, height, width, bands


def _column(path: Path, file: h5py.File, name: str, rows: int) -> np.ndarray:
    columns = [_text(key) for key, item in file.items() if isinstance(item, h5py.Dataset) and item.ndim == 1]
    if name not in file:
        raise DataError(
            f"{path.name} has no label column '{name}'; {nearest(name, columns)}; "
            "add --set dataset.label= (empty) if it has no labels"
        )
    if name not in columns:
        shape = getattr(file[name], "shape", ())
        raise DataError(
            f"{path.name}: '{name}' is not a one-dimensional column but of shape {shape}; "
            + (f"use one of {', '.join(columns)}" if columns else "write one class number a galaxy")
            + (", such as the place of the 1 in its row (argmax)" if len(shape) == 2 else "")
        )
    if len(file[name]) != rows:
        raise DataError(
            f"{path.name}: column '{name}' has {len(file[name])} rows for {rows} images; they must match"
        )
    values: np.ndarray = file[name][:]
    return values


def _under_other_names(
    file: h5py.File, columns: Mapping[str, np.ndarray], flat: Sequence[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Read numbers that stand under another usual name than Galaxy10's, and note it, and what is not used."""
    found: dict[str, np.ndarray] = {}
    taken, notes = {name: name for name in columns}, []
    numbered = [name for name in flat if file[name].dtype.kind in "fiu"]
    for role, plain in USUAL.items():
        if role in columns and not (role in numbered and np.isnan(columns[role]).all()):
            continue
        name, told = first_believable(
            plain, numbered, lambda each: np.asarray(file[each][:], dtype=np.float64)
        )
        notes += told
        if name and name != role:
            found[role], taken[role] = np.asarray(file[name][:], dtype=np.float64), name
    told = told_names({role: name for role, name in taken.items() if role != name})
    return found, (*told, *notes, *told_unused(flat, taken))


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _class_names(file: h5py.File, columns: Iterable[str]) -> dict[str, tuple[str, ...]]:
    # The file's own names are those of `ans`; another label column has its own or none.
    owners = {name: [file[name], file] if name == "ans" else [file[name]] for name in columns}
    found = {
        name: [o.attrs["class_names"] for o in owner if "class_names" in o.attrs]
        for name, owner in owners.items()
    }
    return {name: tuple(map(_text, np.atleast_1d(each[0]).tolist())) for name, each in found.items() if each}


def _band_names(file: h5py.File, bands: int) -> tuple[str, ...]:
    """Find names of so many bands in the attributes of the file or of its images, or in a short column."""
    for owner in (file.attrs, file["images"].attrs, file):
        for name in NAMING:
            found = owner.get(name)
            if isinstance(found, h5py.Dataset):
                found = (
                    found[()] if found.size <= MOST_BANDS and h5py.check_string_dtype(found.dtype) else None
                )
            if found is None:
                continue
            texts = [
                _text(each).strip()
                for each in np.atleast_1d(np.asarray(found, dtype=object)).ravel().tolist()
            ]
            names = split_names(texts[0], bands) if len(texts) == 1 else tuple(texts)
            if len(names) == bands and all(names):
                return names
    return ()


def _rows_at_once(images: h5py.Dataset) -> int:
    """Compute a whole number of chunks of about 16 MB: Galaxy10's chunks may span a thousand rows each."""
    row_bytes = int(np.prod(images.shape[1:]))
    chunk = images.chunks[0] if images.chunks else 1
    aligned = chunk * max(1, BLOCK_BYTES // (chunk * row_bytes))
    return max(1, min(aligned, LARGEST_BLOCK_BYTES // row_bytes))
