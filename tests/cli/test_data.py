"""`data info` and `data show` take a dataset or a path, and say what they found."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.cli import main


@pytest.fixture
def galaxies(tmp_path):
    """Return a file of twenty galaxies of two classes, one of them blank."""
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    images[5] = 0
    with h5py.File(tmp_path / "field.h5", "w") as file:
        file["images"], file["ans"] = images, np.arange(20) % 2
        file["ans"].attrs["class_names"] = ["smooth", "spiral"]
    return tmp_path / "field.h5"


@pytest.fixture
def data(tmp_path, capsys):
    """Run an action of `data` with a cache of its own; gives exit code, stdout and stderr."""

    def run(*words):
        code = main(["data", *map(str, words), "--cache", str(tmp_path / "cache")])
        return code, *capsys.readouterr()

    return run


def test_card_names_classes_splits_and_defects(data, galaxies):
    """What an astronomer asks first is answered on one screen."""
    code, out, _ = data("info", galaxies)
    assert code == 0
    assert "field: 19 galaxies, read as dataset 'hdf5'" in out
    assert "- 1 images are blank and were left out" in out
    assert {"smooth", "spiral", "split_hash", "licence", "citation"} <= set(out.split())


def test_card_as_json_is_the_same_card(data, galaxies):
    """A script reads the counts, and the option that was set is honoured."""
    code, out, _ = data("info", galaxies, "--json", "--set", "dataset.mirror_safe=false")
    card = json.loads(out)
    assert code == 0
    assert sum(sum(row.values()) for row in card["counts"].values()) == card["galaxies"] == 19
    assert card["mirror_safe"] is False


def test_sheet_is_written_beside_the_caller(data, galaxies, tmp_path, monkeypatch):
    """Without --out the picture bears the name of what it shows."""
    monkeypatch.chdir(tmp_path)
    code, out, _ = data("show", galaxies)
    assert (code, Path("field.png").is_file()) == (0, True)
    with Image.open("field.png") as sheet:
        assert sheet.width > 200
    assert out.startswith("field.png: 19 galaxies in 2 classes")


@pytest.mark.parametrize("action", ["info", "show"])
def test_unknown_target_is_answered_with_what_there_is(data, action):
    """Neither a dataset nor a path: one line, exit code 2."""
    code, _, err = data(action, "synthetik")
    assert code == 2
    assert "'synthetik' is neither a dataset nor a file or folder; did you mean 'synthetic'?" in err
    assert err.count("\n") == 1


def test_unknown_option_is_refused(data, galaxies):
    """A slip in an option's name is not ignored."""
    code, _, err = data("info", galaxies, "--set", "dataset.lable=x")
    assert code == 2
    assert "did you mean 'label'?" in err
