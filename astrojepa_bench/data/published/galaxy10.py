"""How are Galaxy10 DECaLS and SDSS read? Told apart, checked against their release, and split by sky."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar

import numpy as np

from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.published.releases import RELEASES, Release, ReleaseName, release_of
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.data.table import Handling, make_table
from astrojepa_bench.errors import DataError
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import GalaxyTable


class Galaxy10(Dataset):
    """Galaxy10 DECaLS (17,736 galaxies of 256 px), or the older Galaxy10 SDSS (21,785 of 69 px).

    Known defects are dealt with and counted on the card: galaxies listed twice under different classes
    (equal pixels, or positions within an arcsecond) are dropped in all copies, blank images are left out,
    pixel scales of 0.262 and 0.524 arcsec are told apart, redshifts may be missing, and class names are
    those of the release whatever the file says. Split 80 / 10 / 10, stratified by class, and never parting
    images that overlap on the sky: the members of a merging pair are listed one by one.

    Args:
        release: which of the two; a file of the other is refused.
        path: the file, or a part of it in the same layout; by default where `data fetch galaxy10` puts it.
        pool: more images for pretraining only (HDF5, zip or folder).
        anomalies: known anomalies for the test set only (HDF5, zip or folder).
        columns: file of further numbers by galaxy (HDF5, Parquet or npz, `id` names them) for objectives that ask
            for them, such as spectra or features of another model.

    Source: Leung and Bovy, https://github.com/henrysky/Galaxy10 (defects: measured on its coordinate table).
    """

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        release: ReleaseName = "decals",
        path: Path | None = None,
        pool: Path | None = None,
        anomalies: Path | None = None,
        columns: Path | None = None,
    ) -> None:
        self.release = RELEASES[release]
        self.path = path
        self.handling = Handling(pool, anomalies, columns=columns)

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Read, check, split and convert the file, and add pool and anomalies.

        Raises:
            DataError: the file is missing, damaged, of the other release, or of another layout.
            ConfigError: the cache cannot be written.
        """
        path = self.release.path(cache_dir) if self.path is None else Path(self.path).expanduser()
        file = _opened(path, self.release, cache_dir)
        table = make_table(self.release.describe(file), self.release.title, self.handling, size_px, cache_dir)
        notes = (*_findings(file, self.release), *table.card.notes)
        spec = replace(table.spec, bands=self.release.bands)
        return replace(table, spec=spec, card=replace(table.card, notes=notes))


def _opened(path: Path, release: Release, cache_dir: Path) -> Hdf5File:
    if not path.exists():
        raise DataError(
            f"{release.title} is not at {path}; fetch it ({release.gigabytes:g} GB) with "
            f"'{fetch_command(release, cache_dir)}', or name a file with dataset.path=FILE"
        )
    file = Hdf5File.opened(path, "ans")
    found = release_of(file)
    if found is None:
        raise DataError(
            f"{path.name} holds images {file.shape[1:]} with classes up to {file.number('ans').max():g}, "
            f"not the layout of {release.title} ({release.side_px} px, 3 bands, classes 0 to 9); "
            "read it as dataset hdf5"
        )
    if found is not release:
        raise DataError(
            f"{path.name} is {found.title} ({found.side_px} px, other classes), but {release.title} was asked "
            f"for; set dataset.release={found.name} or give the other file"
        )
    return file


def fetch_command(release: Release, cache_dir: Path) -> str:
    """Spell the command that puts a release where `load` looks for it."""
    usual = cache_dir == default_cache()
    where = "" if usual else f" --cache {shlex.quote(str(cache_dir))}"
    return f"astrojepa-bench data fetch galaxy10 --release {release.name}{where}"


def _findings(file: Hdf5File, release: Release) -> list[str]:
    named = zip_longest(file.class_names.get("ans", release.class_names), release.class_names)
    stale = [given for given, right in named if given != right]
    scales, counts = np.unique(file.number("pxscale"), return_counts=True)
    each = ", ".join(f"{n:,} at {scale:g}" for scale, n in zip(scales, counts, strict=True))
    return true_notes({
        f"{len(file):,} images where the published file has {release.rows:,}: "
        "this is another file of its layout": len(file) != release.rows,
        f"{len(stale)} class names in the file (first {next(iter(stale), '')!r}) are not those of "
        f"{release.title} and were ignored": stale,
        f"pixel scales [arcsec]: {each}": len(scales) > 1,
    })  # fmt: skip
