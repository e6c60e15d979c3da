"""Is a file one of the published ones, can all of it be read, and which known defects are in it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from astrojepa_bench.data.convert import ROW, Picture, file_sha256, reading, row_of
from astrojepa_bench.data.published.releases import RELEASES, release_of
from astrojepa_bench.data.sources.catalogue import Catalogue
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.splitting.selection import COINCIDENT_ARCSEC
from astrojepa_bench.data.splitting.splits import conflicting, sky_groups
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track

ANY_LAYOUT = "hdf5"


@dataclass(frozen=True)
class Verification:
    """The findings about a file.

    Attributes:
        path, size_bytes, sha256: which file.
        published: title of the release that it is, byte for byte; None if it is none.
        problem: why it cannot be used; empty if it can.
        layout: title of the release whose layout it has, or "hdf5" for another file that can be read.
        shape: of its images (galaxy, height, width, band).
        dtypes: of what it holds, by name.
        classes: number of images by class.
        pixel_scales: number of images by pixel scale [arcsec], where that is known.
        defects: number of images by defect.
    """

    path: Path
    size_bytes: int
    sha256: str
    published: str | None
    problem: str = ""
    layout: str | None = None
    shape: tuple[int, ...] = ()
    dtypes: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)
    pixel_scales: Mapping[str, int] = field(default_factory=dict)
    defects: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all of it can be read, published or not."""
        return not self.problem


def verify(path: Path) -> Verification:
    """Read all of a file, to the last chunk, and report what it is.

    Raises:
        DataError: there is no such file.
    """
    with reading(path):
        size = path.stat().st_size
    if path.is_dir():
        raise DataError(f"{path} is a folder; name an HDF5 file, or see 'data info' for folders")
    sha256 = file_sha256(path)
    titles = {release.sha256: release.title for release in RELEASES.values()}
    found = Verification(path, size, sha256, titles.get(sha256))
    try:
        return _examined(found, Hdf5File.opened(path, None).naming_kinds())
    except DataError as error:
        return replace(found, problem=str(error))


def _examined(found: Verification, file: Hdf5File) -> Verification:
    release = release_of(file)
    catalogue = (file if release is None else release.describe(file)).catalogue()
    pictures = track(file.pictures(), task=f"reading {file.name}", total=len(file))
    rows = np.array([row_of(picture) for picture in pictures if isinstance(picture, Picture)], dtype=ROW)
    with reading(found.path), h5py.File(found.path) as opened:
        dtypes = {name: str(item.dtype) for name, item in opened.items() if isinstance(item, h5py.Dataset)}
    known = file.number("pxscale")
    scales, counts = np.unique(known[known > 0], return_counts=True)
    return replace(
        found,
        layout=ANY_LAYOUT if release is None else release.title,
        shape=file.shape,
        dtypes=dtypes,
        classes=_classes(catalogue),
        pixel_scales={str(scale): int(n) for scale, n in zip(scales.tolist(), counts, strict=True)},
        defects=_defects(catalogue, rows),
    )


def _classes(catalogue: Catalogue) -> dict[str, int]:
    _, first, counts = np.unique(catalogue.label, return_index=True, return_counts=True)
    names = catalogue.kinds()[first].tolist()
    return {name or "unlabelled": int(count) for name, count in zip(names, counts, strict=True)}


def _defects(catalogue: Catalogue, rows: np.ndarray) -> dict[str, int]:
    one_galaxy = np.full(len(rows), COINCIDENT_ARCSEC)
    alone = np.arange(len(rows)).astype("S32")
    pixels = np.where(rows["blank"], alone, rows["digest"])  # two blank images do not show one galaxy
    by_position = sky_groups(alone, catalogue.ra, catalogue.dec, one_galaxy)
    overlapping = sky_groups(pixels, catalogue.ra, catalogue.dec, catalogue.field_arcsec)
    _, group, members = np.unique(overlapping, return_inverse=True, return_counts=True)
    return {
        "conflicting_by_pixels": int(conflicting(pixels, catalogue.label).sum()),
        "conflicting_by_position": int(conflicting(by_position, catalogue.label).sum()),
        "overlapping": int((members[group] > 1).sum()),
        "blank": int(rows["blank"].sum()),
        "without_redshift": int(np.isnan(catalogue.redshift).sum()),
        "without_position": int(np.isnan(catalogue.ra).sum()),
    }
