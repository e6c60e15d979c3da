"""Galaxies from any HDF5 file of Galaxy10's layout: 1 to 5 bands, any label column, compressed or not."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.splitting.selection import OnBadImage
from astrojepa_bench.data.table import Handling, make_table
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import GalaxyTable


class Hdf5(Dataset):
    """Galaxies from an HDF5 file with `images` (uint8, channels last) and a label column.

    Images are cut to their central square, area-averaged (or, if smaller, bilinearly interpolated) to the
    size asked for, and cached. The file's own `split` is honoured; without one the split is stratified by
    class and never parts overlapping sky (see `assign_splits`). Unlabelled galaxies train. Blank images are
    left out, and galaxies that occur twice under different labels are dropped; a class with a single galaxy
    becomes unlabelled; with one class only, labels are unused. Each of these is counted on the card. Bands are
    named by the file's attribute or dataset `bands` ("z,r,g"), where it has one, and put in order of wavelength,
    the reddest first.

    Args:
        path: the file.
        label: name of the label column, empty to read no labels; 255 and NaN mean unlabelled.
        bands: names of bands ("g,r,z") in their order, where the file names none, else which of them to show.
        pool: more images for pretraining only (HDF5, zip or folder).
        anomalies: known anomalies for the test set only (HDF5, zip or folder).
        mirror_safe: whether a mirrored galaxy keeps its label; by default it does, unless a class is named
            for the sense in which spirals wind (clockwise).
        on_bad_image: an unreadable image of pool or anomalies ends everything (`fail`) or is left out (`skip`).
        columns: file of further numbers by galaxy (HDF5, Parquet or npz, `id` names them) for objectives that ask
            for them, such as spectra or features of another model.
    """

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        path: Path,
        label: str = "ans",
        bands: tuple[str, ...] = (),
        pool: Path | None = None,
        anomalies: Path | None = None,
        mirror_safe: bool | None = None,
        on_bad_image: OnBadImage = "fail",
        columns: Path | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self.label = label
        self.handling = Handling(pool, anomalies, mirror_safe, on_bad_image, columns, bands)

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Read, split and convert the file, and add pool and anomalies.

        Raises:
            DataError: a file is missing, damaged, or not of the expected layout.
            ConfigError: the cache cannot be written.
        """
        file = Hdf5File.opened(self.path, self.label or None)
        return make_table(file, self.path.stem, self.handling, size_px, cache_dir)
