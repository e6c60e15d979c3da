"""Kept files that a disk changed, folders that a person changed, full disks: nothing wrong is believed."""

import errno
import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from astrojepa_bench.cli import main
from astrojepa_bench.data import convert as conversion
from astrojepa_bench.data.convert import Picture, cached, convert
from astrojepa_bench.data.synthetic import drawing
from astrojepa_bench.data.synthetic.drawing import blocks_of, is_drawn, save_block
from astrojepa_bench.data.synthetic.scene import Survey
from astrojepa_bench.encoders.timm_model import TimmModel
from astrojepa_bench.errors import DataError, StorageError
from astrojepa_bench.evaluation.store import FeatureFile, read_predictions
from astrojepa_bench.events import listening
from astrojepa_bench.files import locked, replacing
from astrojepa_bench.options import jsonable
from astrojepa_bench.results.environment import provenance
from astrojepa_bench.results.identity import digest, entry_digest
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store, write_atomically
from astrojepa_bench.roles import Objective
from astrojepa_bench.runs.weights import DataFacts, read_facts, read_weights, write_weights
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.types import ImageSpec

CPU = torch.device("cpu")
FACTS = DataFacts(ImageSpec(("r",), 8, (0.1,), (0.2,)), 2, ("round", "flat"), "sky")


class Tiny(Objective):
    """An objective that is a square matrix."""

    def __init__(self, size):
        nn.Module.__init__(self)
        self.layer = nn.Linear(size, size)

    def loss(self, batch, draw, streams):
        raise NotImplementedError


@contextmanager
def notes():
    """Collect what is said meanwhile."""
    heard = []
    with listening(
        lambda event: heard.append(event.fields.get("text", "")) if event.name == "note" else None
    ):
        yield heard


def record_of(seed=0, **changed):
    identity = {"seed": seed, "names": {"objective": "obj"}}
    facts = dict(
        run_id=digest(identity), entry_id=entry_digest(identity), status="ok", objective="obj", masker="random",
        encoder="tiny", dataset="sky", seed=seed, budget="smoke", identity=identity,
        scores=[dict(evaluator="linear", metric="accuracy", value=0.7, higher_is_better=True, n=60)],
    )  # fmt: skip
    return RunRecord(**{**facts, **changed})


class Source:
    """Pictures from memory."""

    name, rendering, bands, as_shown = "pictures", "", 3, None

    def __init__(self, stand_in):
        self.files = {"": stand_in}
        self.images = np.random.default_rng(0).integers(0, 255, (20, 9, 9, 3), dtype=np.uint8)

    def __len__(self):
        return len(self.images)

    def pictures(self):
        for pixels in self.images:
            yield Picture(pixels.tobytes()[:16], pixels)


# --- what is kept, each with how it is written and read: None where it was noticed that it is damaged ----------


class Kept:
    """Something that is kept in one file or more.

    Attributes:
        paths: its files.
    """

    def __init__(self, folder):
        self.folder = folder
        self.paths = []


class KeptFeatures(Kept):
    def write(self):
        self.paths = [self.folder / "run.h5"]
        rng = np.random.default_rng(0)
        test = {
            "last": rng.normal(size=(60, 12)).astype(np.float32),
            "ids": np.array([f"g{i}" for i in range(60)]),
        }
        FeatureFile(self.paths[0], "sky").write({"test": test, "extras/views": {"x": np.arange(90.0)}})

    def read(self):
        file = FeatureFile(self.paths[0], "sky")
        found = file.read("test"), file.read("extras/views")
        return None if None in found else [each.tolist() for group in found for each in group.values()]


class KeptWeights(Kept):
    def write(self):
        self.paths = [self.folder / "run.safetensors"]
        torch.manual_seed(0)
        write_weights(self.paths[0], Tiny(20), FACTS)

    def read(self):
        fresh = Tiny(20)
        try:
            facts = read_facts(self.paths[0])
            read_weights(self.paths[0], fresh)
        except DataError:
            return None
        return facts, [value.tolist() for value in fresh.state_dict().values()]


class KeptCheckpoint(Kept):
    def write(self):
        self.paths = [self.folder / "run.pt"]
        torch.manual_seed(0)
        Checkpointer(self.paths[0]).write(
            {"step": 3, "objective": nn.Linear(20, 30).state_dict(), "curve": [(1, 2.0)]}
        )

    def read(self):
        try:
            state = Checkpointer(self.paths[0]).read(CPU)
        except DataError:
            return None
        return state["step"], state["curve"], [value.tolist() for value in state["objective"].values()]


class KeptImages(Kept):
    """An entry of the cache, which is made again where it is damaged."""

    def write(self):
        (self.folder / "stand-in").write_text("file")
        self.read()
        self.paths = [path for path in (self.folder / "cache").rglob("*") if path.is_file()]

    def read(self):
        found = convert(Source(self.folder / "stand-in"), 6, self.folder / "cache")
        return np.array(found.images).tolist(), found.rows.tolist()


class KeptBlock(Kept):
    """A block of drawn galaxies, before all of them are put together."""

    survey = Survey(0, "uniform", 16, 40.0, "natural", "survey", 0.0)
    block = blocks_of(2, 0)[0]

    def write(self):
        self.paths = [self.folder / self.block.name]
        save_block(self.survey, self.block, self.folder)

    def read(self):
        return np.load(self.paths[0]).tobytes() if is_drawn(self.block, self.folder) else None


class KeptIndex(Kept):
    """What is remembered of records, which is read from them again where it is damaged."""

    def write(self):
        for seed in range(3):
            Store(self.folder).write(record_of(seed))
        self.read()
        self.paths = [self.folder / ".index" / "records"]

    def read(self):
        found = Store(self.folder).survey()
        return found.hashes, [record.facts() for record in found.records], Store(self.folder)._formerly


KINDS = [KeptFeatures, KeptWeights, KeptCheckpoint, KeptImages, KeptBlock, KeptIndex]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kept(request, tmp_path, monkeypatch):
    """Write something that is kept, and know what it holds."""
    monkeypatch.setattr(drawing, "draw_block", lambda survey, block: np.arange(500))
    made = request.param(tmp_path)
    made.write()
    made.held = made.read()
    assert made.held is not None
    return made


@pytest.mark.parametrize("places", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_no_flipped_bit_is_used_in_silence(kept, places, record_property):
    """What is read is what was written, or nothing: then it is computed again, or refused."""
    rng, noticed = np.random.default_rng(17), 0
    for _ in range(places):
        path = kept.paths[rng.integers(len(kept.paths))]
        whole = path.read_bytes()
        spoilt = bytearray(whole)
        spoilt[rng.integers(len(spoilt))] ^= 1 << rng.integers(8)
        path.write_bytes(spoilt)
        with notes() as heard:
            found = kept.read()
        assert found in (None, kept.held)
        noticed += found is None or bool(heard) or path.read_bytes() != bytes(spoilt)
        path.write_bytes(whole)
    record_property("noticed", f"{noticed} of {places}")
    print(f"{type(kept).__name__}: {noticed} of {places} noticed")
    assert noticed >= 0.9 * places  # the others hit spare bytes, such as the name of the seal


@pytest.mark.parametrize(
    "damage", ["cut", "cut by a byte", "empty", "garbage", "zeros at the end", "a folder"]
)
def test_a_damaged_file_is_never_used_nor_in_the_way(kept, damage):
    """Each is noticed and computed again, or refused with the way out; and can be written anew."""
    for path in kept.paths:
        whole = path.read_bytes()
        if damage == "a folder":
            path.unlink()
            path.mkdir()
            continue
        path.write_bytes({
            "cut": whole[: len(whole) // 2], "cut by a byte": whole[:-1], "empty": b"", "garbage": b"\x89 no file",
            "zeros at the end": whole[: -len(whole) // 4] + bytes(len(whole) // 4),
        }[damage])  # fmt: skip
    found = kept.read()
    assert found in (None, kept.held)
    if damage == "a folder":
        return  # what a person put there is not removed
    kept.write()
    assert kept.read() == kept.held


def test_a_damaged_entry_of_the_cache_is_named_and_made_again(tmp_path):
    """Whatever is in its place: one line says what is wrong, and the next reader finds it whole."""

    def fill(folder):
        (folder / "rows").write_bytes(bytes(1000))

    entry = cached(tmp_path, "key", fill)
    for spoil, said in {
        lambda: (entry / "rows").write_bytes(b"1" * 1000): "another checksum",
        lambda: (entry / "rows").write_bytes(b""): "rows has 0 bytes, written were 1,000",
        lambda: (entry / "rows").unlink(): "rows is missing",
        lambda: (entry / "checksums.json").unlink(): "an earlier version wrote it",
        lambda: (entry / "checksums.json").write_text("[3]"): "checksums.json is damaged",
        lambda: (shutil.rmtree(entry), entry.write_text("a file")): "it is no folder",
        lambda: (shutil.rmtree(entry), entry.symlink_to(tmp_path / "nowhere")): "it is no folder",
    }.items():
        spoil()
        with notes() as heard:
            assert (cached(tmp_path, "key", fill) / "rows").read_bytes() == bytes(1000)
        assert [said in text and "made again" in text for text in heard] == [True]
        with notes() as heard:
            cached(tmp_path, "key", fill)
        assert heard == []


def test_files_of_an_earlier_version_are_read(tmp_path):
    """Finished runs bear no seals if they were made before there were any."""
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        file.attrs["fingerprint"] = "sky"
        file["test/last"] = np.ones(3)
    FeatureFile(path, "sky").write({"extras/x": {"y": np.zeros(2)}})
    assert FeatureFile(path, "sky").read("test")["last"].tolist() == [1, 1, 1]


def test_damaged_features_are_named(tmp_path):
    """A report goes without the predictions, and says which file is damaged."""
    kept = KeptFeatures(tmp_path)
    kept.write()
    kept.paths[0].write_bytes(kept.paths[0].read_bytes()[:-500])
    with notes() as heard:
        assert read_predictions(kept.paths[0], "linear") is None
    assert "run.h5 is damaged" in heard[0]


# --- records ------------------------------------------------------------------------------------------------


SPOILT = {
    "cut": lambda path, content: path.write_bytes(content[:300]),
    "empty": lambda path, _: path.touch(),
    "no text": lambda path, content: path.write_bytes(b"\xff\xfe" + content),
    "a list": lambda path, _: path.write_text("[1, 2]"),
    "odd chain": lambda path, content: path.write_bytes(
        content.replace(b'"identity": {', b'"identity": {"chain": {"objective": 3},')
    ),
    "deep": lambda path, _: path.write_text("[" * 100_000),
    "a folder": lambda path, _: path.mkdir(),
    "a link to nowhere": lambda path, _: path.symlink_to(path.with_name("nowhere")),
}


@pytest.mark.parametrize("how", SPOILT)
def test_one_damaged_record_stops_nothing(tmp_path, how):
    """It is named with the way out, the others make the board, and the run it stood for can be done again."""
    store = Store(tmp_path)
    for seed in range(3):
        store.write(record_of(seed))
    path = store.path(record_of(1))
    content = path.read_bytes()
    path.unlink()
    SPOILT[how](path, content)
    found = store.survey()
    assert [record.seed for record in found.records] == [0, 2]
    assert [path.stem in line and "delete it" in line for line in found.damaged] == [True]
    assert store.locate("latest").stem in {record.run_id for record in found.records}
    assert store.recall(path.stem) is None
    assert os.path.lexists(path)
    with notes() as heard:
        assert store.recall(path.stem, set_aside=True) is None
    if how != "a link to nowhere":  # which holds nothing that could be lost
        assert f"kept as {path.name}.damaged" in heard[0]
        assert os.path.lexists(f"{path}.damaged")
    store.write(record_of(1))
    assert len(store.records()) == 3


def test_a_copy_of_a_record_is_not_taken_for_it(tmp_path):
    """A stale copy elsewhere in the folder is named; the run is found where it belongs."""
    store = Store(tmp_path)
    path = store.write(record_of())
    (store.runs / "a" / "b").mkdir(parents=True)
    stale = store.runs / "a" / "b" / path.name
    stale.write_bytes(path.read_bytes().replace(b"0.7", b"0.9"))
    assert store.find(path.stem).scores[0].value == 0.7
    assert "move or delete it" in store.survey().damaged[0]


def test_a_list_of_galaxies_that_is_damaged_is_written_anew(tmp_path):
    """By the next run on these galaxies, which says so."""
    store, ids, label = Store(tmp_path), np.array(["a", "b", "c"]), np.array([0, 1, -1])
    store.keep_galaxies("f00d", ids, label)
    path = store.galaxies_path("f00d")
    whole = path.read_bytes()
    for damaged in (b"", b"nothing", whole.replace(b"b,1", b"b,0")):
        path.write_bytes(damaged)
        with notes() as heard:
            store.keep_galaxies("f00d", ids, label)
        assert path.read_bytes() == whole
        assert "written anew" in heard[0]


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
