"""Galaxies prepared for reading from a disk: the same ones, in random order, whole or refused."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest
import torch
from pyarrow import parquet

from astrojepa_bench import events
from astrojepa_bench.data import prepare as writer
from astrojepa_bench.data.convert import band_statistics
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.extras import open_source
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.joined import GRANULE, Joined
from astrojepa_bench.data.look.sheet import contact_sheet
from astrojepa_bench.data.manifest import MANIFEST, Manifest, checksum, shard_rows, verify_prepared
from astrojepa_bench.data.memory import let_go, map_behind, will_need
from astrojepa_bench.data.prepare import prepare, shuffled
from astrojepa_bench.data.prepared import Prepared
from astrojepa_bench.data.rules import check_table
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.encoders.floors import Pixels
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.extract import compute_features
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.roles import Dataset
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

SIDE, GALAXIES = 32, 300
FACTS = ("redshift", "ra", "dec", "pixel_scale")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Return a file of galaxies of two classes."""
    path = tmp_path_factory.mktemp("source") / "field.h5"
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, GALAXIES)
    images = rng.integers(0, 120, (GALAXIES, SIDE, SIDE, 3)) + 20 * label[:, None, None, None]
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images.astype(np.uint8), label.astype(np.uint8)
        file["ra"], file["dec"] = np.arange(GALAXIES) % 100, 1 + np.arange(GALAXIES) // 100
        file["redshift"] = rng.uniform(0.01, 0.3, GALAXIES)
        file["ans"].attrs["class_names"] = ["smooth", "spiral"]
    return path


@pytest.fixture(scope="module")
def source(file):
    """Return its table."""
    return load_table(Hdf5(path=file), SIDE, file.parent / "cache")


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Write shards of 64 galaxies, and blocks of 8."""
    monkeypatch.setattr(writer, "SHARD_BYTES", 100_000)
    monkeypatch.setattr(writer, "BLOCK_BYTES", 8 * 3 * SIDE * SIDE)


def opened(folder, size_px=SIDE):
    return load_table(Prepared(path=folder), size_px, folder.parent / "cache")


@pytest.fixture
def folder(source, tmp_path):
    prepare(source, tmp_path / "prepared", 0, {"dataset": "hdf5"})
    return tmp_path / "prepared"


def test_the_same_galaxies_lie_in_the_same_splits(source, folder):
    """By id every image, label, split, place on the sky and sky group is what it was."""
    table = opened(folder)
    here, there = np.argsort(table.ids), np.argsort(source.ids)
    assert len(Manifest.read(folder).shards) == 5
    assert np.array_equal(table.images[here], source.images[there])
    for name in ("ids", "split", "label", "group", *FACTS[:3], "anomaly", "anomaly_type"):
        assert np.array_equal(getattr(table, name)[here], getattr(source, name)[there]), name
    assert table.spec == source.spec
    assert table.card == source.card
    assert (table.pixel_scale, table.block) == (None, 8)


def test_what_is_learnt_from_comes_first_and_in_random_order(source, folder):
    """So that training reads whole blocks; the index tells where each galaxy was."""
    table = opened(folder)
    learnt = len(source.pretraining_rows)
    assert set(table.split[:learnt]) == {"train"}
    assert list(dict.fromkeys(table.split.tolist())) == ["train", "val", "test"]
    index = parquet.read_table(folder / "index.parquet")
    row = np.array(index["source_row"])
    assert np.array_equal(source.ids[row], table.ids)
    assert {"id", "ra", "dec", "group", "split", "label", "source_row"} <= set(index.column_names)
    assert abs(np.corrcoef(row[:learnt], np.arange(learnt))[0, 1]) < 0.25
    assert not np.array_equal(shuffled(source, 0), shuffled(source, 1))


def test_equal_source_seed_and_size_have_one_fingerprint(source, folder, tmp_path):
    """The order is part of it: another seed has another, and so has the source."""
    again, _ = prepare(source, tmp_path / "again", 0, {})
    other, _ = prepare(source, tmp_path / "other", 1, {})
    assert again.fingerprint == Manifest.read(folder).fingerprint
    assert len({again.fingerprint, other.fingerprint, source.fingerprint}) == 3
    assert (tmp_path / "again/shards/00000.raw").read_bytes() == (folder / "shards/00000.raw").read_bytes()


def test_scores_of_the_same_features_are_equal(source, folder):
    """Evaluators sort by id, so an encoder that learnt nothing scores the same in either order."""
    tables = source, opened(folder)
    encoder = Pixels(source.spec, size=4)
    found = [
        compute_features(encoder, table, DeviceImages(table.images, torch.device("cpu")), seed=0)
        for table in tables
    ]
    for evaluator in (Linear(), KNN()):
        one, other = ({s.metric: s.value for s in evaluator.evaluate(f).scores} for f in found)
        assert one == pytest.approx(other, rel=1e-12)


def everything(rows=130):
    """Make a table that has all that a table can have."""
    rng = np.random.default_rng(3)
    split = np.array(["train", "val", "test", "pool"])[np.arange(rows) % 4]
    odd = np.where((split == "test") & (np.arange(rows) % 8 == 2), 1, 0)
    label = np.where((split == "pool") | (odd > 0), -1, np.arange(rows) % 3)
    images = rng.integers(0, 256, (rows, 2, 32, 32), dtype=np.uint8)
    learnt = np.isin(split, ("train", "pool"))
    return GalaxyTable(
        images=images, ids=np.array([f"galaxy é {n}" for n in range(rows)]), split=split,
        spec=ImageSpec(
            ("g", "r"), 32, tuple((images[learnt] / 255).mean((0, 2, 3)).tolist()),
            tuple((images[learnt] / 255).std((0, 2, 3)).tolist()), False,
        ),
        card=Card("field", "CC0", "nobody 2020", ("a", "b", "c"), ("a note",)), fingerprint="f" * 8, label=label,
        anomaly=odd, anomaly_type=np.where(odd > 0, "lens", ""), redshift=rng.random(rows),
        ra=np.where(np.arange(rows) % 5 == 0, np.nan, rng.uniform(0, 360, rows)), dec=rng.uniform(-90, 90, rows),
        pixel_scale=rng.random(rows), group=np.array([f"group {n}" for n in range(rows)]),
        factors={"mass": rng.random(rows)},
        columns={"spectrum": rng.random((rows, 7), dtype=np.float32), "age": rng.random(rows, dtype=np.float32)},
    )  # fmt: skip


def test_nothing_of_a_table_is_lost(tmp_path):
    """Anomalies, pool, truths and further columns come back to the bit, of the type that they had."""
    table = check_table(everything())
    prepare(table, tmp_path / "prepared", 4, {})
    found, order = opened(tmp_path / "prepared"), shuffled(table, 4)
    for name in ("ids", "split", "label", "anomaly", "anomaly_type", "group", *FACTS):
        kept, was = getattr(found, name), getattr(table, name)[order]
        assert kept.dtype.kind == was.dtype.kind
        assert np.array_equal(kept, was, equal_nan=kept.dtype.kind == "f"), name
    assert (found.spec, found.card) == (table.spec, table.card)
    for kept, was in ((found.factors, table.factors), (found.columns, table.columns)):
        assert kept.keys() == was.keys()
        for name, values in kept.items():
            assert values.dtype == was[name].dtype
            assert np.array_equal(values, was[name][order])


class Fluxes(Dataset):
    """Galaxies of linear flux, in a unit in which they are faint."""

    version = 1

    def __init__(self, spoilt=False):
        self.spoilt = spoilt

    def load(self, size_px, cache_dir):
        rng, rows = np.random.default_rng(5), 90
        images = rng.normal(0.02, 0.5, (rows, 3, size_px, size_px)).astype(np.float16)
        if self.spoilt:
            images[70, 1, 3, 3] = np.inf
        split = np.array(["train", "train", "val", "test"])[np.arange(rows) % 4]
        mean, std = band_statistics(images, np.flatnonzero(split == "train"))
        assert np.allclose(mean, images[split == "train"].astype(float).mean((0, 2, 3)), rtol=1e-12)
        return GalaxyTable(
            images=images, ids=np.arange(rows).astype(str), split=split, fingerprint="flux",
            spec=ImageSpec(("g", "r", "z"), size_px, mean, std), card=Card("flux", "", ""),
            label=np.arange(rows) % 2, anomaly=np.zeros(rows, int), anomaly_type=np.full(rows, ""),
        )  # fmt: skip


def test_flux_stays_flux(tmp_path):
    """Float16 is kept, is not divided by 255 on its way to the encoder, and the card says what it is."""
    table = load_table(Fluxes(), SIDE, tmp_path)
    prepare(table, tmp_path / "prepared", 0, {})
    found = opened(tmp_path / "prepared")
    assert found.images.dtype == np.float16
    assert any("flux in a unit of its own" in note for note in found.card.notes)
    batch = DeviceImages(found.images, torch.device("cpu")).batch(np.array([3, 70]))
    assert batch.dtype == torch.float32
    assert np.array_equal(batch.numpy(), found.images[[3, 70]].astype(np.float32))
    assert contact_sheet(found, 2).width > 100
    features = compute_features(
        Pixels(found.spec, size=4), found, DeviceImages(found.images, torch.device("cpu")), seed=0
    )
    assert np.isfinite(KNN().evaluate(features).scores[0].value)
    with pytest.raises(DataError, match="'70' has flux that is not finite"):
        load_table(Fluxes(spoilt=True), SIDE, tmp_path)


# --- several files as one array -------------------------------------------------------------------------------


def test_joined_files_are_one_array(tmp_path):
    """Rows on both sides of a border are taken like any others, and the system may be told of any part."""
    parts = [np.random.default_rng(n).integers(0, 256, GRANULE, dtype=np.uint8) for n in range(3)]
    parts[2] = parts[2][:5000]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part.tobytes())
    whole = np.concatenate(parts)
    array = Joined(paths, [len(part) for part in parts]).array((len(whole) // 8, 8), np.dtype("u1"))
    assert np.array_equal(array, whole.reshape(-1, 8))
    assert not array.flags.writeable
    assert isinstance(map_behind(array[100:].reshape(-1)), Joined)
    for rows in ((), (0, 1), (8191, 8193), (len(array) - 1, len(array))):
        will_need(array, *rows)
        will_need(array[8190:])
        let_go(array)
    assert np.array_equal(array[8190:8200], whole.reshape(-1, 8)[8190:8200])


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 32, 32), (3, 224, 224), (3, 69, 69), (5, 63, 63)])
def test_shards_are_whole_pages(shape):
    """About as large as was asked for, where the size of an image allows it."""
    row = int(np.prod(shape))
    rows = shard_rows(row, 64 << 20)
    assert rows * row % GRANULE == 0
    assert (32 << 20) <= rows * row <= max(96 << 20, GRANULE * row)


# --- whole or refused -----------------------------------------------------------------------------------------


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_version(path):
    path.write_text(path.read_text().replace('"prepared": 1', '"prepared": 2'))


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("shards/00002.raw", cut, "00002.raw has 196,603 bytes, written were 196,608"),
        ("shards/00001.raw", os.unlink, "00001.raw of a prepared data set is missing"),
        ("index.parquet", flip, "index.parquet has another checksum"),
        ("index.parquet", cut, "index.parquet has"),
        (MANIFEST, other_version, "is of version 2, and this program reads version 1"),
        (MANIFEST, cut, "prepared.json is damaged"),
        (MANIFEST, lambda path: path.write_text('{"prepared": 1, "checksum": ""}'), "another checksum"),
    ],
)
def test_what_is_not_whole_is_refused_in_a_line(folder, name, damage, words):
    """It says which file, and what to do."""
    damage(folder / name)
    with pytest.raises(DataError) as caught:
        opened(folder)
    assert words in str(caught.value)
    assert "prepare" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_of_an_image_is_found_by_verify(folder):
    """Opening reads no images; `data verify` reads all."""
    verify_prepared(folder)
    flip(folder / "shards/00003.raw")
    opened(folder)
    with pytest.raises(DataError, match=r"00003.raw has another checksum"):
        verify_prepared(folder)


def test_a_forged_manifest_is_no_data_set(folder):
    """A checksum that fits does not help where what is stated makes no sense."""
    facts = json.loads((folder / MANIFEST).read_text())
    del facts["checksum"]
    for change in ({"shards": facts["shards"][:-1]}, {"block": 0}, {"extra": 1}, {"dtype": "float64"}):
        forged = {**facts, **change}
        (folder / MANIFEST).write_text(json.dumps({**forged, "checksum": checksum(forged)}))
        with pytest.raises(DataError, match=MANIFEST):
            Manifest.read(folder)
    (folder / MANIFEST).write_text(json.dumps({**facts, "checksum": checksum(facts)}))
    Manifest.read(folder)


def test_another_size_is_refused(folder):
    """Images are kept at the size at which they were prepared."""
    with pytest.raises(DataError, match="prepare it anew with --size 64"):
        Prepared(path=folder).load(64, folder)


def test_what_is_there_is_kept(source, folder, tmp_path):
    """The same again writes nothing; another order or somebody's folder is refused, and an empty one is filled."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    manifest, written = prepare(source, folder, 0, {"dataset": "hdf5"})
    assert not written
    assert manifest == Manifest.read(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(ConfigError, match="name another folder"):
        prepare(source, folder, 1, {})
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/dear.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no prepared data set"):
        prepare(source, tmp_path / "letters", 0, {})
    (tmp_path / "empty").mkdir()
    assert prepare(source, tmp_path / "empty", 0, {})[1]


def test_a_prepared_folder_is_no_pool_or_list(folder, tmp_path):
    """It is refused in a line where single images are wanted."""
    with pytest.raises(DataError, match="give what it was made of"):
        open_source(folder, Columns(), tmp_path)


def test_an_interrupted_command_leaves_nothing(source, tmp_path):
    """Neither a folder that looks finished nor a draft."""

    def impatient(event):
        if event.name == "task_advanced":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), events.listening(impatient):
        prepare(source, tmp_path / "prepared", 0, {})
    assert list(tmp_path.iterdir()) == []


def test_preparing_takes_the_memory_of_a_shard(tmp_path):
    """However many galaxies there are: 12 MB of them pass through less than 2 MB."""
    rows = 4_000
    images = np.memmap(tmp_path / "images", np.uint8, "w+", shape=(rows, 3, 32, 32))
    images[:] = np.arange(rows, dtype=np.uint8)[:, None, None, None]
    split = np.array(["train", "train", "val", "test"])[np.arange(rows) % 4]
    table = GalaxyTable(
        images=images, ids=np.arange(rows).astype(str), split=split, fingerprint="f", label=np.full(rows, -1),
        spec=ImageSpec(("g", "r", "z"), 32, (0.5,) * 3, (0.5,) * 3), card=Card("field", "", ""),
        anomaly=np.zeros(rows, int), anomaly_type=np.full(rows, ""),
    )  # fmt: skip
    tracemalloc.start()
    prepare(table, tmp_path / "prepared", 0, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6 < images.nbytes / 6
    verify_prepared(tmp_path / "prepared")


KILLED = """
import os, signal, sys
from pathlib import Path
from astrojepa_bench import events
from astrojepa_bench.data.galaxies import load_table
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data import prepare as writer
writer.SHARD_BYTES = 100_000
source, folder = map(Path, sys.argv[1:])
table = load_table(Hdf5(path=source), 32, source.parent / "cache")
def fatal(event):
    if event.name == "task_advanced" and any(folder.parent.rglob("00001.raw")):
        os.kill(os.getpid(), signal.SIGKILL)
with events.listening(fatal):
    writer.prepare(table, folder, 0, {})
"""


@pytest.mark.slow
def test_a_killed_command_leaves_nothing_that_looks_finished(source, file, tmp_path):
    """Two shards were written; the same command afterwards starts anew and clears them away."""
    child = subprocess.run([sys.executable, "-c", KILLED, file, tmp_path / "prepared"], check=False)
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "prepared").exists()
    prepare(source, tmp_path / "prepared", 0, {})
    verify_prepared(tmp_path / "prepared")
    assert [each.name for each in tmp_path.iterdir()] == ["prepared"]
