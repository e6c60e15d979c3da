"""Which galaxies of a data set are in somebody's list? By id, by place on the sky, and by their looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial import cKDTree

from astrojepa_bench.data.column_names import candidates
from astrojepa_bench.data.columns import are_row_numbers
from astrojepa_bench.data.convert import convert, file_sha256, fingerprint
from astrojepa_bench.data.extras import open_source
from astrojepa_bench.data.given import read_at_most
from astrojepa_bench.data.sources.container import LARGEST_FILE
from astrojepa_bench.data.sources.file_kinds import kind_of_table
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.data.sources.tables import (
    READERS,
    column_of,
    heads_of,
    ids_of,
    numbers_of,
    read_table,
)
from astrojepa_bench.data.splitting.copies import image_digests
from astrojepa_bench.data.splitting.leaks import Part, showing
from astrojepa_bench.data.splitting.registration import SIDE_PX
from astrojepa_bench.data.splitting.splits import chord, placed, unit_vectors
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import emit
from astrojepa_bench.types import GalaxyTable, Images

TEXT = ".txt"


@dataclass(frozen=True)
class Listed:
    """Somebody's galaxies, as far as they are known.

    Attributes:
        name: of the file or folder.
        content: hash of what it holds.
        ids: names; empty where they have none.
        ra, dec: positions [deg]; NaN, or empty, where unknown.
        images: at 64 px; None where there are none.
    """

    name: str
    content: str
    ids: np.ndarray
    ra: Float[np.ndarray, " galaxy"]
    dec: Float[np.ndarray, " galaxy"]
    images: Images | None = None

    @property
    def known(self) -> dict[str, int]:
        """Count what can be compared: ids, positions, images."""
        images = 0 if self.images is None else len(self.images)
        return {"ids": len(self.ids), "positions": int(placed(self.ra, self.dec).sum()), "images": images}


def read_list(path: Path, cache_dir: Path) -> Listed:
    """Read ids, positions or images.

    Args:
        path: a table (CSV, Parquet or FITS) with a column `id`, or `ra` and `dec`, or all three; a text file with
            an id a line; or images: an HDF5 file of Galaxy10's layout, a zip or folder, a saved Hugging Face data
            set. Rows of an HDF5 file have no names, so its ids are not compared.
        cache_dir: where converted images are kept.

    Raises:
        DataError: nothing is there, nothing reads it, or it holds neither ids nor positions nor images.
    """
    suffix = kind_of_table(path.name)
    if path.is_file() and suffix == TEXT:
        lines = read_at_most(path, LARGEST_FILE).decode("utf-8", "replace").splitlines()
        return Listed(path.name, file_sha256(path), _named(line.strip() for line in lines), *_nowhere())
    if path.is_file() and suffix in READERS:
        return _read_columns(path)
    source = open_source(path, Columns(label="", on_bad_image="skip"), cache_dir)
    catalogue, converted = source.catalogue(), convert(source, SIDE_PX, cache_dir)
    ids = catalogue.ids[:0] if isinstance(source, Hdf5File) else catalogue.ids
    content = fingerprint(converted.digests, ids, catalogue.ra, catalogue.dec)
    return Listed(path.name, content, ids, catalogue.ra, catalogue.dec, converted.images)


def _read_columns(path: Path) -> Listed:
    frame = read_table(path.name, read_at_most(path, LARGEST_FILE))
    usual = {role: candidates(role, heads_of(frame))[:1] for role in ("id", "ra", "dec")}
    ids, ra, dec = (column_of(frame, name[0]) if name else None for name in usual.values())
    if ids is None and (ra is None or dec is None):
        found = ", ".join(map(str, frame.columns[:8]))
        raise DataError(f"{path.name} has the columns {found}; expected id, or ra and dec [deg]")
    where = _nowhere() if ra is None or dec is None else (numbers_of(ra)[0], numbers_of(dec)[0])
    return Listed(path.name, file_sha256(path), _named([] if ids is None else ids_of(ids)[0]), *where)


def _named(texts: Iterable[str]) -> np.ndarray:
    return np.array([text for text in texts if text], dtype=str)


def _nowhere() -> tuple[Float[np.ndarray, " 0"], Float[np.ndarray, " 0"]]:
    return np.empty(0), np.empty(0)


@dataclass(frozen=True)
class Overlap:
    """Which galaxies of a table are in a list.

    Attributes:
        by: for each way that could be compared (`id`, `sky`, `pixels`), which galaxies were found.
        seen: found in any way.
    """

    by: Mapping[str, Bool[np.ndarray, " galaxy"]]
    seen: Bool[np.ndarray, " galaxy"]


def find_overlap(table: GalaxyTable, listed: Listed, radius_arcsec: float, cache_dir: Path) -> Overlap:
    """Find the galaxies of a table that are in a list.

    Args:
        table: the galaxies.
        listed: the list.
        radius_arcsec: positions as near as this are one galaxy's.
        cache_dir: where the comparison of images is kept.

    Raises:
        DataError: there is nothing that both are known by.
    """
    by: dict[str, Bool[np.ndarray, " galaxy"]] = {}
    if len(listed.ids):
        by["id"] = np.isin(table.ids, listed.ids)
        if are_row_numbers(table.ids):
            emit("note", text="ids here are row numbers; they name the same galaxies only in the same file")
    if table.ra is not None and table.dec is not None and placed(listed.ra, listed.dec).any():
        by["sky"] = _near(table.ra, table.dec, listed, radius_arcsec)
    if listed.images is not None:
        digests = np.concatenate([
            image_digests(images, "hashing images") for images in (listed.images, table.images)
        ])  # fmt: skip
        mine, theirs = (Part(images, np.arange(len(images))) for images in (table.images, listed.images))
        by["pixels"] = showing(mine, [theirs], digests, cache_dir, f"looking for galaxies of {listed.name}")
    if not by:
        raise DataError(
            f"{listed.name} holds positions alone and {table.card.name} has none; give ids or images"
        )
    return Overlap(by, np.logical_or.reduce(list(by.values())))


def _near(
    ra: Float[np.ndarray, " galaxy"], dec: Float[np.ndarray, " galaxy"], listed: Listed, radius_arcsec: float
) -> Bool[np.ndarray, " galaxy"]:
    there = placed(listed.ra, listed.dec)
    tree = cKDTree(unit_vectors(listed.ra[there], listed.dec[there]))
    rows = np.flatnonzero(placed(ra, dec))
    apart, _ = tree.query(unit_vectors(ra[rows], dec[rows]))
    near = np.zeros(len(ra), dtype=bool)
    near[rows] = apart <= chord(np.array([radius_arcsec]))
    return near
