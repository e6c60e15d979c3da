"""Files of Parquet with invented galaxies, written and refused."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from astrojepa_bench.data.parquet import Parquet
from astrojepa_bench.errors import DataError

RNG = np.random.default_rng(0)
COUNT, SIDE = 24, 8
PIXELS = RNG.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
THREE = pa.list_(pa.list_(pa.list_(pa.uint8())))


def encoded(image, form="PNG"):
    held = io.BytesIO()
    Image.fromarray(image).save(held, form)
    return held.getvalue()


def write(path, image, compression="snappy", **columns):
    """Write images and columns as one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.table({"image": image, **columns}), path, compression=compression)
    return path


def nested(images=PIXELS):
    return pa.array(images.tolist(), THREE)


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        Parquet(path=path, **options).load(4, path.parent / "cache")
    assert "\n" not in str(caught.value)
    return str(caught.value)
