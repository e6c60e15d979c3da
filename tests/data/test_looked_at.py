"""Galaxies that a run only looks at may be too few to divide; whatever can be divided is divided as ever."""

import h5py
import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.looked_at import only_looked_at
from astrojepa_bench.errors import DataError


@pytest.fixture
def folder(tmp_path):
    """Write two different pictures, beside a table that calls both test galaxies."""
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / name / "a.png")
    Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "two" / "b.png")
    (tmp_path / "two" / "table.csv").write_text("id,split\na,test\nb,test\n")
    return tmp_path


@pytest.mark.parametrize(("name", "count"), [("one", 1), ("two", 2)])
def test_a_single_galaxy_can_be_looked_at(folder, name, count):
    """It is a test galaxy; to train on it is still refused."""
    dataset = Folder(path=folder / name)
    with only_looked_at():
        table = load_table(dataset, 32, folder / "cache")

    assert table.split.tolist() == ["test"] * count
    with pytest.raises(DataError, match=r"cannot be divided|no row of train"):
        load_table(dataset, 32, folder / "cache")


def test_what_can_be_divided_is_the_same_either_way(tmp_path):
    """So that a run knows its own galaxies again."""
    images = np.random.default_rng(1).integers(0, 255, (40, 16, 16, 3), dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"], file["ans"] = images, np.arange(40) % 2
    first = load_table(Hdf5(path=tmp_path / "a.h5"), 16, tmp_path / "cache")
    with only_looked_at():
        second = load_table(Hdf5(path=tmp_path / "a.h5"), 16, tmp_path / "cache")

    assert first.fingerprint == second.fingerprint
    assert first.split.tolist() == second.split.tolist()
