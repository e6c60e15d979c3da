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


# --- data prepare -----------------------------------------------------------------------------------------------


@pytest.fixture
def prepared(data, galaxies, tmp_path):
    """Return the folder that `data prepare` made of the file."""
    code, out, _ = data("prepare", galaxies, "--size", 16, "--out", tmp_path / "prepared")
    assert code == 0
    assert f"Take it with -d {tmp_path / 'prepared'}" in out
    return tmp_path / "prepared"


@pytest.mark.slow
def test_a_prepared_folder_is_a_data_set(data, galaxies, prepared):
    """`info`, `show`, `overlap` and `verify` take it as they take the file that it was made of."""
    own, cards = ("dataset", "fingerprint", "split_hash"), []
    for target in (galaxies, prepared):
        code, out, _ = data("info", target, "--size", 16, "--json")
        assert code == 0
        cards.append(json.loads(out))
    assert [card["dataset"] for card in cards] == ["hdf5", "prepared"]
    one, other = ({k: v for k, v in card.items() if k not in own} for card in cards)
    assert one == other
    assert data("show", prepared, "--size", 16, "--out", prepared.parent / "sheet.png")[0] == 0
    (prepared.parent / "ids.txt").write_text("0\n1\n")
    code, out, _ = data("overlap", prepared, prepared.parent / "ids.txt", "--size", 16, "--json")
    assert sum(len(ids) for ids in json.loads(out)["seen"].values()) == 2
    code = main(["data", "verify", str(prepared)])
    assert code == 0


def test_prepare_by_name_and_again_says_so(data, galaxies, prepared, capsys):
    """The name of a data set and its options mean the same as the path; what is there is left alone."""
    words = (
        "prepare",
        "hdf5",
        "--set",
        f"dataset.path={galaxies}",
        "--size",
        16,
        "--out",
        prepared,
        "--json",
    )
    code, out, _ = data(*words)
    assert (code, json.loads(out)["written"]) == (0, False)
    code, _, err = data(*words, "--seed", 3)
    assert code == 2
    assert "name another folder" in err


def test_a_damaged_shard_is_named(data, prepared):
    """In one line, with exit code 2, whichever command meets it."""
    shard = prepared / "shards/00000.raw"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    code, _, err = data("info", prepared, "--size", 16)
    assert code == 2
    assert "00000.raw has" in err
    shard.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert main(["data", "verify", str(prepared)]) == 2


@pytest.mark.slow
def test_run_takes_a_path_where_a_data_set_is_named(tmp_path, capsys):
    """The folder that was prepared, and the file itself; the cells end well and score the same test galaxies."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 80)
    with h5py.File(tmp_path / "field.h5", "w") as file:
        file["images"] = (rng.integers(0, 60, (80, 64, 64, 3)) + 90 * label[:, None, None, None]).astype("u1")
        file["ans"], file["ra"], file["dec"] = label, np.arange(80.0), np.full(80, 5.0)
    cache = ["--cache", str(tmp_path / "cache")]
    prepare = ["data", "prepare", "hdf5", "--set", f"dataset.path={tmp_path / 'field.h5'}"]
    assert main([*prepare, "--out", str(tmp_path / "prepared"), *cache]) == 0
    records = []
    for name in ("prepared", "field.h5"):
        out = ["--out", str(tmp_path / f"runs of {name}"), "--no-floors", "--seeds", "1", "--json", *cache]
        capsys.readouterr()
        words = ["run", "-o", "untrained", "-m", "random", "-E", "linear", "-d", str(tmp_path / name)]
        assert main([*words, "--budget", "smoke", *out]) == 0
        (path,) = json.loads(capsys.readouterr().out)["records"]
        records.append(json.loads(Path(path).read_text()))
    assert [each["status"] for each in records] == ["ok", "ok"]
    assert [each["dataset"] for each in records] == ["prepared", "hdf5"]
    one, other = ({s["metric"]: (s["value"], s["n"]) for s in each["scores"]} for each in records)
    assert one.keys() == other.keys()
    for metric, found in one.items():  # probes sum over galaxies in another order
        assert found == pytest.approx(other[metric], rel=1e-9), metric
