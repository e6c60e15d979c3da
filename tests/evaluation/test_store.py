"""The file of a run's features: whole, of the right galaxies, and nothing lost between two writers."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.evaluation.extract import extract, load_features
from astrojepa_bench.evaluation.store import FeatureFile


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Draw 30 galaxies."""
    return Synthetic(galaxies=30, anomaly_fraction=0.0).load(32, tmp_path_factory.mktemp("cache"))


def test_two_writers_lose_nothing_of_each_other(tmp_path):
    """Each rewrites the whole file; without a lock the later one puts back what it read before."""
    file, started = FeatureFile(tmp_path / "run.h5", "sky"), Barrier(2)

    def write(name):
        started.wait()
        for number in range(5):
            file.write({f"predictions/{name}-{number}": {"x": np.full(200_000, number)}})

    with ThreadPoolExecutor(2) as writers:
        list(writers.map(write, ["a", "b"]))

    groups = [(name, number) for name in "ab" for number in range(5)]
    assert [file.read(f"predictions/{name}-{number}")["x"][0] for name, number in groups] == [*range(5)] * 2
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".h5"] == ["run.h5"]


def test_features_of_other_pixels_under_equal_ids_are_not_read(table, tmp_path):
    """Somebody reduces their images anew and keeps the names: the old features are of galaxies that are gone."""
    path, encoder = tmp_path / "run.h5", ViTMicro(table.spec, width=16, depth=1)
    first = extract(encoder, table, DeviceImages(table.images, torch.device("cpu")), 0, path)
    anew = dataclasses.replace(table, images=255 - np.asarray(table.images), fingerprint="other pixels")
    second = extract(encoder, anew, DeviceImages(anew.images, torch.device("cpu")), 0, path)

    assert np.array_equal(first.test.ids, second.test.ids)
    assert not torch.allclose(first.test.features["last"], second.test.features["last"])
    assert load_features(path, table, 0) is None
    assert torch.equal(load_features(path, anew, 0).test.features["last"], second.test.features["last"])


def test_arrays_of_other_galaxies_leave_the_file_with_the_first_that_is_written(tmp_path):
    """Predictions of other galaxies beside the features of these would be compared with them one day."""
    path = tmp_path / "run.h5"
    FeatureFile(path, "old").write({"predictions/a": {"x": np.zeros(2), "ids": np.array(["one", "two"])}})
    FeatureFile(path, "new").write({"test": {"last": np.ones(3)}})

    assert FeatureFile(path, "new").read("predictions/a") is None
    assert FeatureFile(path, "old").read("test") is None
    assert FeatureFile(path, "new").read("test")["last"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no HDF5"), lambda path: path.unlink()])
def test_a_damaged_or_missing_file_is_written_anew(tmp_path, damage):
    """Whatever is kept can be computed again."""
    path = tmp_path / "run.h5"
    file = FeatureFile(path, "sky")
    file.write({"test": {"last": np.ones(3)}})
    damage(path)

    assert file.read("test") is None
    file.write({"test": {"last": np.zeros(3)}})
    assert file.read("test")["last"].tolist() == [0, 0, 0]
