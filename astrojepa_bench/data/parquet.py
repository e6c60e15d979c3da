"""Galaxies from Parquet: a file, a folder of them, or a HATS catalogue, whatever their number."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from astrojepa_bench.data.sources.flux import Stretch
from astrojepa_bench.data.sources.parquet_columns import AUTO
from astrojepa_bench.data.sources.parquet_rows import ParquetRows, Wanted
from astrojepa_bench.data.splitting.selection import OnBadImage
from astrojepa_bench.data.table import Handling, make_table
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import GalaxyTable


class Parquet(Dataset):
    """Galaxies from a Parquet file, a folder of them, or a HATS catalogue as LSDB writes it.

    Images are bytes of JPEG, PNG, FITS or NumPy files (also as the `bytes` of a struct), or nested lists and
    tensors: whole numbers from 0 to 255 are shown as they are, others are flux and are stretched. In the schema
    of the Multimodal Universe flux lies in `image.flux` beside `band`, `ivar`, `mask` and `scale`; pixels
    without inverse variance, or that the mask does not pass, show sky. Columns that begin alike do as well
    (`legacysurvey_image_flux`). Bands are put in order by their names, the reddest first.

    Of a HATS collection the catalogue itself is read, never the margins, which repeat its rows. Rows lie sorted by
    sky and are shuffled like those of any other set before anything learns from them. Files named for splits
    (`train-00000.parquet`, `test/0.parquet`) state the splits, where there are train and test, or a column
    `split` does; else rows are divided as those of an HDF5 file are. What was chosen is said on the card.

    Args:
        path: file, folder or catalogue.
        image: column of images, or what columns begin with before `_flux`; `auto`: `image`, or the only one.
        label: column of classes (names or numbers); `auto`: `label`, or the only one that ends in `_label`;
            `none` or empty reads no labels. Null, empty text, negative numbers and 255 mean unlabelled.
        bands: names of bands to read ("g,r,z"), by default all, at most five; where the table names none, names of
            all bands in the order in which they lie.
        galaxies: at most so many, evenly over all rows, and so over the sky of a catalogue.
        redshift, ra, dec, pixel_scale: columns [-, deg, deg, arcsec per pixel]; `auto` finds them by name,
            `none` reads none. The `scale` of bands goes before `pixel_scale`.
        id: column of unique names; `auto`: `id` or `object_id`; `none`: file and row.
        group: column that names what must share a split.
        attributes: number columns to carry along as factors ("FLUX_R,SHAPE_R").
        stretch: how flux is shown: `viewer` (three bands g, r, z in nanomaggies, as the Legacy Survey viewer),
            `asinh` (each image by its own sky and noise), or `auto` (`viewer` where the bands are these and the
            scale is known); `none` leaves it linear, as float16 in its own unit, in the same splits.
        use_mask: whether pixels whose `mask` is false show sky; the Multimodal Universe's is true where a pixel is
            good, and false also near bright stars and beyond the edge of a brick.
        pool: more images for pretraining only (HDF5, zip, folder or Parquet).
        anomalies: known anomalies for the test set only (HDF5, zip, folder or Parquet).
        mirror_safe: whether a mirrored galaxy keeps its label; by default it does, unless a class is named
            for the sense in which spirals wind (clockwise).
        on_bad_image: an unreadable image or repeated id ends everything (`fail`) or is left out (`skip`).
        columns: file of further numbers by galaxy (HDF5, Parquet or npz, `id` names them) for objectives that ask
            for them, such as spectra or features of another model.
    """

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        *,
        path: Path,
        image: str = AUTO,
        label: str | None = AUTO,
        bands: tuple[str, ...] = (),
        galaxies: int | None = None,
        redshift: str | None = AUTO,
        ra: str | None = AUTO,
        dec: str | None = AUTO,
        pixel_scale: str | None = AUTO,
        id: str | None = AUTO,
        group: str | None = None,
        attributes: tuple[str, ...] = (),
        stretch: Stretch = "auto",
        use_mask: bool = True,
        pool: Path | None = None,
        anomalies: Path | None = None,
        mirror_safe: bool | None = None,
        on_bad_image: OnBadImage = "fail",
        columns: Path | None = None,
    ) -> None:
        if galaxies is not None and galaxies < 1:
            raise ConfigError(f"dataset.galaxies is {galaxies}; expected at least 1, or none for all")
        self.path = Path(path).expanduser()
        roles = {
            "label": label, "redshift": redshift, "ra": ra, "dec": dec, "pixel_scale": pixel_scale, "id": id,
            "group": group,
        }  # fmt: skip
        self.wanted = Wanted(image, roles, attributes, bands, galaxies, on_bad_image)
        self.stretch, self.use_mask = stretch, use_mask
        self.handling = Handling(pool, anomalies, mirror_safe, on_bad_image, columns)

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Find, read, divide and convert the images, and add pool and anomalies.

        Raises:
            DataError: a file, a column or an image cannot be used.
            ConfigError: the cache cannot be written.
        """
        rows = ParquetRows.opened(self.path, self.wanted, self.stretch, self.use_mask, cache_dir)
        return make_table(rows, self.path.stem, self.handling, size_px, cache_dir)
