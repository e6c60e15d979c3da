"""Folders of small images, as anybody might have them."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.errors import DataError


class Files:
    """Writes images and tables, and reads them back as a data set."""

    @staticmethod
    def pixels(count=24, side=12, bands=3, seed=0):
        return np.random.default_rng(seed).integers(0, 256, (count, side, side, bands), dtype=np.uint8)

    @staticmethod
    def png(image):
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "PNG")
        return file.getvalue()

    @staticmethod
    def numbered(count=24):
        return [f"images/{row:02}.png" for row in range(count)]

    @classmethod
    def write(cls, folder, names, **columns):
        """Write a PNG for each name and, given columns, a `table.csv`."""
        for name, image in zip(names, cls.pixels(len(names)), strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(cls.png(image))
        if columns:
            pd.DataFrame(columns).to_csv(folder / "table.csv", index=False)
        return folder

    @classmethod
    def tabled(cls, folder, count=24, **columns):
        """Write `count` images and a table of their paths and the given columns."""
        return cls.write(folder, cls.numbered(count), path=cls.numbered(count), **columns)

    @staticmethod
    def zipped(folder, top=""):
        """Zip a folder, below another folder if one is named."""
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, f"{top}{file.relative_to(folder)}")
        return path

    @staticmethod
    def load(path, size_px=6, **options):
        return Folder(path=path, **options).load(size_px, path.parent / "cache")

    @classmethod
    def refusal(cls, path, **options):
        """Return the one line with which a folder is refused."""
        with pytest.raises(DataError) as caught:
            cls.load(path, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def files():
    """Return the writer of folders."""
    return Files
