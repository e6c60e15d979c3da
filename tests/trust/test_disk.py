"""Full disks, odd locks and names that are no text: one line says so, and nothing wrong is left behind."""

import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from astrojepa_bench.cli import main
from astrojepa_bench.data import convert as conversion
from astrojepa_bench.data.convert import cached
from astrojepa_bench.encoders.timm_model import TimmModel
from astrojepa_bench.errors import StorageError
from astrojepa_bench.evaluation.store import FeatureFile
from astrojepa_bench.files import locked, replacing
from astrojepa_bench.options import jsonable
from astrojepa_bench.results.environment import provenance
from astrojepa_bench.results.store import Store, write_atomically
from astrojepa_bench.runs.weights import write_weights
from astrojepa_bench.training.checkpoint import Checkpointer
from tests.trust.kept_pieces import CPU, FACTS, Tiny, notes, record_of

# --- full disks ---------------------------------------------------------------------------------------------


@contextmanager
def full_disk(size=20_000):
    """Let no file grow beyond some bytes: the system then refuses as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


WRITERS = {
    "any file": lambda path: write_atomically(path, bytes(50_000)),
    "features": lambda path: FeatureFile(path, "sky").write(
        {f"test/{i}": {"x": np.ones(900)} for i in range(9)}
    ),
    "weights": lambda path: write_weights(path, Tiny(100), FACTS),
    "export": lambda path: TimmModel({}, Tiny(100).state_dict(), (0.0,), (1.0,)).write(path),
    "a cache": lambda path: cached(
        path.parent, "key", lambda folder: np.save(folder / "rows.npy", np.ones(9000))
    ),
    "a cache of images": lambda path: cached(path.parent, "key", written_images),
    "torch": lambda path: written_by_torch(path),
}


def written_images(folder):
    conversion._write_images(folder, (100, 1, 30, 30), np.zeros((100, 1, 30, 30), np.uint8))


def written_by_torch(path):
    with replacing(path) as draft, draft.open("wb") as file:
        torch.save({"x": torch.zeros(50_000)}, file)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, writer):
    """It names the file or folder, what was wanted and what is free; nothing half-written stays."""
    with pytest.raises(StorageError) as caught, full_disk():
        WRITERS[writer](tmp_path / "file")
    said = str(caught.value)
    assert os.strerror(errno.EFBIG) in said or os.strerror(errno.ENOSPC) in said
    assert "MB wanted" in said
    assert "MB free" in said
    assert str(tmp_path) in said
    assert "\n" not in said
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_checkpoint_that_cannot_be_kept_ends_no_training(tmp_path):
    """It is said once, and the last one that was written stays."""
    keeper = Checkpointer(tmp_path / "run.pt")
    keeper.write({"step": 1})
    with notes() as heard, full_disk():
        for step in (2, 3):
            keeper.write({"step": step, "objective": torch.zeros(50_000)})
    assert keeper.read(CPU) == {"step": 1}
    assert len(heard) == 1
    assert "without a checkpoint" in heard[0]
    assert os.listdir(tmp_path) == ["run.pt"]


def test_an_output_folder_without_space_is_known_before_training(tmp_path):
    """The folders of records can be made, but nothing can be written into them."""
    with pytest.raises(StorageError, match="cannot be written"), full_disk(1000):
        Store(tmp_path / "out").prepare()


# --- locks --------------------------------------------------------------------------------------------------


def is_free(path):
    try:
        with locked(path, wait=False):
            return True
    except BaseException:
        return False


def test_an_interrupt_while_a_lock_is_made_leaves_none(tmp_path, monkeypatch):
    """Between making and signing lay two minutes of waiting for whoever came next."""
    path = tmp_path / "file"

    def interrupted(*_):
        raise KeyboardInterrupt

    for step in ("rename", "mkdir"):
        with monkeypatch.context() as patch:
            patch.setattr(os, step, interrupted)
            with pytest.raises(KeyboardInterrupt), locked(path):
                pass
        assert is_free(path)
        assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("junk", [["odd"], ["odd", "even"], [".nfs0001", "x-00000000-1-0-0123abcd"]])
def test_strange_files_in_a_lock_are_outlived(tmp_path, junk):
    """They hold it for a lease, as an unknown owner would; then one process has it, and alone."""
    path, lock = tmp_path / "file", tmp_path / "file.lock"
    lock.mkdir()
    for name in junk:
        (lock / name).touch()
        os.utime(lock / name, (1, 1))
    assert not is_free(path)
    os.utime(lock, (1, 1))
    with locked(path, wait=False):
        assert len(os.listdir(lock)) == 1
        os.utime(lock, (1, 1))
        assert not is_free(path)
    assert os.listdir(tmp_path) == []


def test_a_link_to_nowhere_is_no_lock(tmp_path):
    """It was waited for without end."""
    (tmp_path / "file.lock").symlink_to(tmp_path / "nowhere")
    assert not is_free(tmp_path / "file")
    assert is_free(tmp_path / "file")


# --- names that are no text ---------------------------------------------------------------------------------

ODD = os.fsdecode(b"m\xff31.h5")


def test_a_path_that_is_no_text_is_spelt_in_a_record(tmp_path):
    """Its record is read back, and its folder is not blocked."""
    spelt = "m\\udcff31.h5"
    options = {"dataset": jsonable({"path": Path("/data") / ODD, "names": (ODD,)})}
    assert options == {"dataset": {"path": spelt, "names": [spelt]}}
    origin = provenance(f"run --set dataset.path=/data/{ODD}")
    assert origin["command"] == "run --set 'dataset.path=m\\udcff31.h5'"
    store = Store(tmp_path)
    store.write(record_of(options=options, provenance=origin, warnings=[f"{ODD}: odd"], health={"é🌌": 1}))
    (found,) = store.records()
    assert found.warnings == [f"{spelt}: odd"]
    assert found.health == {"é🌌": 1}
    assert store.survey().damaged == ()


# --- whole commands -----------------------------------------------------------------------------------------


def galaxies_at(path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (90, 32, 32, 3), dtype=np.uint8)
    images[::2, 10:22, 10:22] += 100
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images, np.arange(90) % 2
        file["ra"], file["dec"] = np.arange(90.0), np.full(90, 10.0)
    return path


def ran(folder, galaxies, *words):
    """Score an untrained encoder at the smallest budget; return the exit code."""
    own = [
        "--set",
        f"dataset.path={galaxies}",
        "--cache",
        str(folder / "cache"),
        "--out",
        str(folder / "out"),
    ]
    asked = ["-o", "untrained", "-m", "none", "-e", "vit-micro", "-d", "hdf5", "--budget", "smoke"]
    return main(["run", *asked, *own, "--no-floors", "-E", "knn", "--device", "cpu", *words])


@pytest.mark.slow
def test_commands_notice_what_a_disk_changed(tmp_path, capsys):
    """Weights are refused by whoever looks, and made again by `run`; a damaged record too, which is kept aside."""
    galaxies = galaxies_at(tmp_path / "sky.h5")
    assert ran(tmp_path, galaxies) == 0
    store = Store(tmp_path / "out")
    (path,) = store.paths()
    weights, given = store.weights_path(path.stem), ["--set", f"dataset.path={galaxies}"]
    whole, scores = weights.read_bytes(), store.read(path).scores
    spoilt = bytearray(whole)
    spoilt[len(spoilt) // 2] ^= 1
    weights.write_bytes(spoilt)
    capsys.readouterr()
    looked = [
        "embed",
        str(path),
        "--out",
        str(tmp_path / "e.npz"),
        "--cache",
        str(tmp_path / "cache"),
        *given,
    ]
    assert main(looked) == 2
    assert "delete it and run again" in capsys.readouterr().err
    assert ran(tmp_path, galaxies, "-E", "knn,collapse") == 0
    assert "is trained again" in capsys.readouterr().err
    assert weights.read_bytes() == whole

    content = path.read_bytes()
    path.write_bytes(content[:400])
    (path.parent / "0123456789abcdef.json").write_bytes(content[:400])
    assert ran(tmp_path, galaxies) == 0
    assert f"kept as {path.name}.damaged" in capsys.readouterr().err
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content[:400]
    assert store.read(path).scores == scores
    assert "0123456789abcdef.json is not a run record" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.slow
def test_commands_end_in_one_line_on_a_full_disk(tmp_path, capsys):
    """Whatever writes: the disk and the space wanted are named, and nothing is left behind."""
    galaxies = galaxies_at(tmp_path / "sky.h5")
    assert ran(tmp_path, galaxies) == 0
    (path,) = Store(tmp_path / "out").paths()
    Store(tmp_path / "out").features_path(path.stem).unlink()
    before = {each for each in tmp_path.rglob("*") if each.is_file()}
    look = [str(path), "--cache", str(tmp_path / "cache"), "--set", f"dataset.path={galaxies}"]
    for words in (
        ["export", str(path), "--out", str(tmp_path / "e.safetensors")],
        ["embed", *look, "--out", str(tmp_path / "e.npz")],
        ["anomalies", *look, "--out", str(tmp_path / "a.csv")],
        ["report", *look, "--out", str(tmp_path / "r.html")],
        ["score", *look, "-E", "collapse"],
        ["leaderboard", "build", str(tmp_path / "out")],
    ):
        capsys.readouterr()
        with full_disk(500):
            code = main(words)
        said = capsys.readouterr().err.splitlines()[-1]
        assert (code, "MB free" in said, "bug" in said) == (2, True, False), said
        assert {each for each in tmp_path.rglob("*") if each.is_file()} <= before


@pytest.mark.slow
def test_a_run_on_a_full_disk_blames_the_machine(tmp_path, capsys):
    """Weights have no room, records have: the cell failed, by the infrastructure, and the next command does it."""
    galaxies = galaxies_at(tmp_path / "sky.h5")
    assert ran(tmp_path, galaxies, "--dry-run") == 0  # the cache has room
    with full_disk(100_000):
        assert ran(tmp_path, galaxies) == 1
    (path,) = Store(tmp_path / "out").paths()
    failure = Store(tmp_path / "out").read(path).failure
    assert (failure.origin, failure.plugin) == ("infrastructure", None)
    assert "MB wanted" in failure.message
    assert not list((tmp_path / "out").rglob("*.partial"))
    assert ran(tmp_path, galaxies) == 0


@pytest.mark.slow
def test_commands_take_names_that_are_no_text(tmp_path, capsys):
    """Of the galaxies and of what is written; an output folder, whose weights could not be, is refused before."""
    try:
        galaxies = galaxies_at(tmp_path / ODD)
    except OSError:
        pytest.skip("this disk takes UTF-8 alone")
    folder, odd = tmp_path, tmp_path / os.fsdecode(b"o\xff")
    assert ran(odd, galaxies) == 2
    assert "its path is not UTF-8" in capsys.readouterr().err.splitlines()[-1]
    for _ in range(2):
        assert ran(folder, galaxies) == 0
    odd.mkdir(exist_ok=True)
    (path,) = Store(folder / "out").paths()
    look = [str(path), "--cache", str(folder / "cache"), "--set", f"dataset.path={galaxies}"]
    for words in (
        *(["embed", *look, "--out", str(odd / f"e{ending}")] for ending in (".h5", ".parquet")),
        ["anomalies", *look, "--out", str(odd / "a.csv")],
        ["report", *look, "--out", str(odd / "r.html")],
        ["leaderboard", "build", str(folder / "out"), "--json"],
        ["show", str(path)],
    ):
        assert main(words) == 0, capsys.readouterr().err
    assert main(["export", str(path), "--out", str(odd / "e.safetensors")]) == 0
    assert (odd / "e.safetensors").is_file()
