"""The card counts what is there, and a path is read by the dataset that fits it."""

import h5py
import numpy as np
import pytest

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.look.describe import Range, describe
from astrojepa_bench.data.sources.layouts import recognise
from astrojepa_bench.errors import DataError


def write(path, **columns):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        file["images"] = columns.pop("images", images)
        for name, values in columns.items():
            file[name] = values
        if "ans" in columns:
            file["ans"].attrs["class_names"] = ["smooth", "spiral"]
    return path


def test_counts_are_those_of_the_table(tmp_path):
    """Every galaxy is in one cell of the count: class or anomaly, by split."""
    odd = write(tmp_path / "odd.h5", images=np.random.default_rng(1).integers(0, 9, (3, 8, 8, 3), np.uint8))
    path = write(tmp_path / "a.h5", ans=np.r_[np.arange(38) % 2, 255, 255])
    table = Hdf5(path=path, anomalies=odd).load(8, tmp_path / "cache")
    counts = describe(table).counts
    assert sum(sum(row.values()) for row in counts.values()) == len(table) == 43
    assert sum(counts["spiral"].values()) == 19
    assert counts["unlabelled"] == {"train": 2, "val": 0, "test": 0, "pool": 0}
    assert counts["anomaly: anomaly"]["test"] == 3


def test_numbers_skip_what_nobody_knows(tmp_path):
    """NaN is not a redshift; a column of nothing else is not shown."""
    redshift = np.where(np.arange(40) < 10, np.nan, 0.1)
    redshift[39] = 0.3
    table = Hdf5(path=write(tmp_path / "a.h5", ans=np.arange(40) % 2, redshift=redshift)).load(
        8, tmp_path / "c"
    )
    numbers = describe(table).numbers
    assert numbers == {"redshift": Range(30, 0.1, 0.1, 0.3)}
    assert "10 galaxies have no redshift" in table.card.notes


def test_overlapping_galaxies_are_counted_as_groups(tmp_path):
    """Two cut-outs 20 arcsec apart are one group of two galaxies."""
    ra, dec = 10 + np.arange(40.0), np.zeros(40)
    ra[1] = ra[0] + 20 / 3600
    table = Hdf5(path=write(tmp_path / "a.h5", ans=np.arange(40) % 2, ra=ra, dec=dec)).load(8, tmp_path / "c")
    assert describe(table).groups == (1, 2)


def test_coincident_positions_with_two_labels_are_dropped(tmp_path):
    """One galaxy under two labels teaches nothing, even where the pixels differ; half an arcsecond is the same."""
    ra, dec = 10 + np.arange(40.0), np.zeros(40)
    ra[1] = ra[0] + 0.5 / 3600  # labels 0 and 1
    ra[4] = ra[2] + 0.5 / 3600  # labels 0 and 0
    table = Hdf5(path=write(tmp_path / "a.h5", ans=np.arange(40) % 2, ra=ra, dec=dec)).load(8, tmp_path / "c")
    assert set(map(str, range(40))) - set(table.ids) == {"0", "1"}


def test_blank_images_are_left_out_and_counted(tmp_path):
    """An image of one value in every pixel shows no galaxy."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    images[3], images[7] = 0, (32, 32, 31)
    table = Hdf5(path=write(tmp_path / "a.h5", images=images, ans=np.arange(40) % 2)).load(8, tmp_path / "c")
    assert set(map(str, range(40))) - set(table.ids) == {"3", "7"}
    assert "2 images are blank and were left out" in table.card.notes


def test_blank_image_takes_no_galaxy_with_it(tmp_path):
    """Two blank images under two labels say nothing about the galaxy that one of them lies on."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    images[2] = images[3] = 0
    ra, dec = 10 + np.arange(40.0), np.zeros(40)
    ra[2] = ra[0]  # a second entry of galaxy 0, under its own label, blank
    path = write(tmp_path / "a.h5", images=images, ans=np.arange(40) % 2, ra=ra, dec=dec)
    table = Hdf5(path=path).load(8, tmp_path / "c")
    assert set(map(str, range(40))) - set(table.ids) == {"2", "3"}


def test_sense_of_winding_forbids_mirrors(tmp_path):
    """Mirroring would swap the labels; the names of the classes say so unless the user knows better."""
    path = write(tmp_path / "a.h5", ans=np.arange(40) % 2)
    assert Hdf5(path=path).load(8, tmp_path / "c").spec.mirror_safe
    with h5py.File(path, "a") as file:
        file["ans"].attrs["class_names"] = ["Spiral Clockwise", "Spiral Anticlockwise"]
    assert not Hdf5(path=path).load(8, tmp_path / "c").spec.mirror_safe
    assert Hdf5(path=path, mirror_safe=True).load(8, tmp_path / "c").spec.mirror_safe


def test_paths_are_read_by_what_they_hold(tmp_path):
    """HDF5 with and without labels, folder, zip and a hub's folder are told apart; text is refused."""
    labelled, bare = write(tmp_path / "a.h5", ans=np.zeros(40)), write(tmp_path / "b.h5")
    assert recognise(labelled) == ("hdf5", {"path": labelled})
    assert recognise(bare) == ("hdf5", {"path": bare, "label": ""})
    assert Hdf5(path=bare, label="").load(8, tmp_path / "c").classes == 0
    assert recognise(tmp_path) == ("folder", {"path": tmp_path})
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "dataset_info.json").write_text("{}")
    assert recognise(tmp_path / "hub")[0] == "huggingface"
    (tmp_path / "text").write_text("hello")
    with pytest.raises(DataError, match="neither an HDF5 file nor a zip nor a folder of images nor Parquet"):
        recognise(tmp_path / "text")
    with pytest.raises(DataError, match="cannot be read"):
        recognise(tmp_path / "absent")
