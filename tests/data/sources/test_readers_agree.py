"""One table of numbers in four kinds of file: every reader finds the same redshift in it, or none."""

import datasets
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.data.sources.hub_rows import HubRows
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.data.sources.parquet_rows import ParquetRows
from astrojepa_bench.data.sources.table_columns import columns_known

COUNT = 6
REDSHIFT = np.linspace(0.01, 0.2, COUNT)
MAGNITUDE = np.linspace(16, 18, COUNT)
FLUX = np.linspace(0.02, 0.3, COUNT)
NOTHING = np.full(COUNT, np.nan)
IMAGES = np.zeros((COUNT, 4, 4, 3), np.uint8)
CASES = {
    "a redshift beside magnitudes": ({"g": MAGNITUDE, "r": MAGNITUDE, "z": REDSHIFT}, "z"),
    "a redshift beside absolute magnitudes": ({"g": -MAGNITUDE, "r": -MAGNITUDE, "z": REDSHIFT}, "z"),
    "magnitudes in the primed filters": ({"g'": MAGNITUDE, "r'": MAGNITUDE, "z'": MAGNITUDE}, ""),
    "flux in the primed filters": ({"g'": FLUX, "r'": FLUX, "z'": FLUX}, ""),
    "flux, and a true redshift after it": ({"g": FLUX, "r": FLUX, "z": FLUX, "photoz": REDSHIFT}, "photoz"),
    "a magnitude, and a true redshift after it": ({"Z": MAGNITUDE, "photo_z": REDSHIFT}, "photo_z"),
    "an empty column, and one that is filled": ({"z_spec": NOTHING, "Photo Z": REDSHIFT}, "Photo Z"),
    "an empty plain name": ({"redshift": NOTHING, "zphot": REDSHIFT}, "zphot"),
}


def of_text(path, columns):
    return columns_known(pd.DataFrame(columns), np.arange(COUNT).astype(str), Columns()).catalogue


def of_parquet(path, columns):
    image = pa.array(IMAGES.tolist(), pa.list_(pa.list_(pa.list_(pa.uint8()))))
    parquet.write_table(pa.table({"image": image, **columns}), path / "a.parquet")
    return ParquetRows.opened(path / "a.parquet").catalogue()


def of_hdf5(path, columns):
    with h5py.File(path / "a.h5", "w") as file:
        file["images"] = IMAGES
        for name, values in columns.items():
            file[name] = values
    return Hdf5File.opened(path / "a.h5", None).catalogue()


def of_hub(path, columns):
    image = datasets.Array3D((4, 4, 3), "uint8")
    kinds = datasets.Features({"image": image, **dict.fromkeys(columns, datasets.Value("float64"))})
    rows = datasets.Dataset.from_dict({"image": [*IMAGES], **columns}, features=kinds)
    names = ("image", "redshift", "ra", "dec", "pixel_scale", "id")
    return HubRows.opened("hub", {"all": rows}, {name: name for name in names}, path).catalogue()


@pytest.mark.parametrize("reader", [of_text, of_parquet, of_hdf5, of_hub])
@pytest.mark.parametrize("kind", CASES)
def test_every_reader_finds_the_same_redshift(tmp_path, kind, reader):
    """Brightness in band z, under any spelling, is none; what stands after it is looked at."""
    columns, expected = CASES[kind]
    np.testing.assert_array_equal(reader(tmp_path, columns).redshift, columns.get(expected, NOTHING))
