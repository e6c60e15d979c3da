"""Kept files that a disk changed, folders that a person changed: nothing wrong is believed."""

import os
import shutil

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from astrojepa_bench.data.convert import Picture, cached, convert
from astrojepa_bench.data.synthetic import drawing
from astrojepa_bench.data.synthetic.drawing import blocks_of, is_drawn, save_block
from astrojepa_bench.data.synthetic.scene import Survey
from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluation.store import FeatureFile, read_predictions
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.weights import read_facts, read_weights, write_weights
from astrojepa_bench.training.checkpoint import Checkpointer
from tests.trust.kept_pieces import CPU, FACTS, Tiny, notes, record_of


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
