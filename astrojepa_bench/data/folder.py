"""Galaxies from any folder or zip of images, with or without a table."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.data.sources.flux import Stretch
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.data.splitting.selection import OnBadImage
from astrojepa_bench.data.table import Handling, make_table
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import GalaxyTable


class Folder(Dataset):
    """Galaxies from images (pictures, FITS, NumPy) in a folder or zip.

    Pictures are JPEG, PNG, TIFF, WebP and BMP. A table among them (CSV, TSV, ECSV, Parquet, FITS or VOTable) may
    have any of the columns `id`, `path` (relative to the table), `label`, `redshift`, `ra`, `dec`, `pixel_scale`
    (arcsec), `group` (what must share a split) and `split`; all may be empty or missing, and most have other
    usual names too (`class`, `z`, `file`); the card names those that were taken and those that are not used.
    Without `path` the image of a row is the one named like its id; without `id` the id is the path. Without a
    table, folders are classes (`spiral/x.jpg`), and outer ones may be splits (`train/spiral/x.jpg`).

    Files of single bands whose names differ by the filter alone (`x_g.fits`, `x_r.fits`; also FILTER and OBJECT or
    position in their headers) are one galaxy, and so are the extensions of a FITS file that name filters; masks,
    weights and errors are not read. Bands that have names are put in order of wavelength, the reddest first.

    Labels are words or whole numbers; empty, NaN and, among numbers, 255 and negative ones mean unlabelled.
    A `split` must be train, val or test in every row: an empty one is refused rather than guessed. Redshifts
    of -1 or less mean unknown. Positions and fields of view come from FITS headers where the table has none.

    Images are cut to their central square, resampled to the size asked for, and cached. Photographs are turned
    upright as their EXIF orientation says. Flux (FITS, NumPy of anything but bytes, TIFF of 32 bits) is stretched
    for display first, or stays linear. What is wrong with single images or rows is counted on the card, and so
    are files that are not read.

    Args:
        path: folder or zip.
        table: name of the table in it, `none` for none; by default `table.csv` (or its like) nearest the root,
            else the only table at the root, whatever its name.
        label: the label column, empty to read no labels.
        attributes: number columns to carry along as factors ("f_smooth,f_bar").
        stretch: how flux is shown: `viewer` (three bands g, r, z in nanomaggies, as the Legacy Survey viewer),
            `asinh` (each image by its own sky and noise), or `auto` (`viewer` where the header says so); `none`
            leaves it linear, as float16 in its own unit, in the same splits.
        bands: names of bands ("g,r,z") in their order, where files do not name them, else which of them to show.
        pool: more images for pretraining only (HDF5, zip or folder).
        anomalies: known anomalies for the test set only (HDF5, zip or folder).
        mirror_safe: whether a mirrored galaxy keeps its label; by default it does, unless a class is named
            for the sense in which spirals wind (clockwise).
        on_bad_image: an unreadable image or repeated id ends everything (`fail`) or is left out (`skip`).
        columns: file of further numbers by galaxy (HDF5, Parquet or npz, `id` names them) for objectives that ask
            for them, such as spectra or features of another model.
        pixel_scale: arcsec per pixel of the images as they lie, or the column that holds it; `auto` finds it by
            name, `none` reads none.
    """

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        path: Path,
        table: str = "",
        label: str = "label",
        attributes: tuple[str, ...] = (),
        stretch: Stretch = "auto",
        bands: tuple[str, ...] = (),
        pool: Path | None = None,
        anomalies: Path | None = None,
        mirror_safe: bool | None = None,
        on_bad_image: OnBadImage = "fail",
        columns: Path | None = None,
        pixel_scale: float | str = "auto",
    ) -> None:
        self.path = Path(path).expanduser()
        self.columns = Columns(table, label, attributes, on_bad_image, str(pixel_scale))
        self.stretch, self.bands = stretch, bands
        self.handling = Handling(pool, anomalies, mirror_safe, on_bad_image, columns)

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """List, read, divide and convert the images, and add pool and anomalies.

        Raises:
            DataError: the folder, a table or an image cannot be used.
            ConfigError: the cache cannot be written.
        """
        files = ImageFiles.opened(self.path, self.columns, self.stretch, cache_dir, self.bands)
        return make_table(files, self.path.stem, self.handling, size_px, cache_dir)
