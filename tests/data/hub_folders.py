"""Folders in the formats of the Hugging Face Hub, written and read."""

import io

import h5py
import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.hub import HuggingFace

datasets = pytest.importorskip("datasets")
NAMES = ["round", "spiral"]
UNNAMED, TEXT = datasets.Value("int32"), datasets.Value("string")


def pixels(count=24, side=12, bands=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, bands), dtype=np.uint8)


def encoded(image, form="PNG"):
    """Encode (height, width, band) pixels as a file of the given format holds them."""
    held = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(held, form)
    return held.getvalue()


def cells(images, form="PNG"):
    return [{"bytes": encoded(image, form), "path": None} for image in images]


def rows(images, image="image", label="label", kind=None, **columns):
    """Make one split; labels alternate between two named classes unless given."""
    stored = columns.pop("stored", None) or cells(images)
    labels = columns.pop("labels", [row % 2 for row in range(len(stored))])
    features = {image: columns.pop("feature", datasets.Image())}
    values = {image: stored}
    if labels is not None:
        features[label] = kind or datasets.ClassLabel(names=NAMES)
        values[label] = labels
    for name, column in columns.items():
        values[name] = list(column)
        features[name] = datasets.Value("string" if isinstance(values[name][0], str) else "float64")
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def save(folder, **splits):
    """Write what `save_to_disk` writes."""
    datasets.DatasetDict(splits).save_to_disk(str(folder))
    return folder


def save_parquet(folder, **splits):
    """Write parquet files named as the hub names them."""
    folder.mkdir()
    for name, split in splits.items():
        split.to_parquet(str(folder / f"{name}-00000-of-00001.parquet"))
    return folder


def load(path, size_px=6, **options):
    return HuggingFace(path=path, **options).load(size_px, path.parent / "cache")


def as_hdf5(path, images, **columns):
    columns.setdefault("ans", np.arange(len(images)) % 2)
    with h5py.File(path, "w") as file:
        file["images"] = images
        for name, values in columns.items():
            file[name] = values
    return Hdf5(path=path).load(6, path.parent / "cache")
