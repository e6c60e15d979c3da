"""Galaxies from the Hugging Face Hub, or from a folder in one of its formats."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from astrojepa_bench.data.sources.hub_library import Origin
from astrojepa_bench.data.sources.hub_rows import HubRows
from astrojepa_bench.data.splitting.selection import OnBadImage
from astrojepa_bench.data.table import Handling, make_table
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import GalaxyTable


class HuggingFace(Dataset):
    """Galaxies from the Hugging Face Hub, or from a folder in one of its formats (extra `hub`).

    For example `name=matthieulel/galaxy10_decals`, whose columns are `image` and `label`, or
    `name=MultimodalUniverse/gz10` with `image=rgb_image`, `label=gz10_label`, `pixel_scale=rgb_pixel_scale`
    and `id=object_id`. Splits named train and test (and validation) are honoured and any others left out;
    without both, all rows are divided as those of an HDF5 file are. What a hub gave is fetched again only
    for another `revision`. Licence and citation are seldom part of the data: see the data set's page.

    Proven on folders written to disk by the library, in the formats of the hub; no hub was reached. Images
    are JPEG or PNG, or arrays of whole numbers from 0 to 255 and 1 to 5 bands; arrays of flux are refused.

    Args:
        name: on the hub, with its owner.
        path: instead of a name, a folder that holds parquet files or was written by `save_to_disk`.
        image: column of images.
        label: column of classes (names, numbers or text), `none` if there is none; null, empty text, negative
            numbers, and 255 among numbers without names mean unlabelled.
        config: which configuration, where there are several.
        revision: branch, tag or commit on the hub.
        galaxies: at most so many of each split, streamed, for sets too large to fetch: the first, which are
            all of one class if the set is sorted by class.
        redshift, ra, dec, pixel_scale: columns [-, deg, deg, arcsec per pixel]; under these names they may be
            missing.
        id: column of unique names; if missing or `none`, galaxies go by split and row.
        group: column that names what must share a split.
        pool: more images for pretraining only (HDF5, zip or folder).
        anomalies: known anomalies for the test set only (HDF5, zip or folder).
        mirror_safe: whether a mirrored galaxy keeps its label; by default it does, unless a class is named
            for the sense in which spirals wind (clockwise).
        on_bad_image: whether an unreadable image ends everything (`fail`) or is left out (`skip`).
        columns: file of further numbers by galaxy (HDF5, Parquet or npz, `id` names them) for objectives that ask
            for them, such as spectra or features of another model.
    """

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        name: str | None = None,
        path: Path | None = None,
        image: str = "image",
        label: str | None = "label",
        config: str | None = None,
        revision: str | None = None,
        galaxies: int | None = None,
        redshift: str = "redshift",
        ra: str = "ra",
        dec: str = "dec",
        pixel_scale: str = "pixel_scale",
        id: str | None = "id",
        group: str | None = None,
        pool: Path | None = None,
        anomalies: Path | None = None,
        mirror_safe: bool | None = None,
        on_bad_image: OnBadImage = "fail",
        columns: Path | None = None,
    ) -> None:
        folder = None if path is None else Path(path).expanduser()
        self.origin = Origin(name or None, folder, config, revision, galaxies)
        named = {
            "image": image, "label": label, "redshift": redshift, "ra": ra, "dec": dec,
            "pixel_scale": pixel_scale, "id": id, "group": group,
        }  # fmt: skip
        self.columns = {role: column for role, column in named.items() if column}
        self.handling = Handling(pool, anomalies, mirror_safe, on_bad_image, columns)

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Fetch, read, split and convert the data set, and add pool and anomalies.

        Raises:
            DataError: it cannot be fetched, or its columns are not what they should be.
            ConfigError: the library is missing, or the cache cannot be written.
        """
        title, splits = self.origin.title, self.origin.splits(cache_dir)
        rows = HubRows.opened(title, splits, self.columns, self.origin.path, self.origin.rooms(cache_dir))
        return make_table(rows, title, self.handling, size_px, cache_dir)
