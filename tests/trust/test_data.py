"""A data set is somebody's code: `run` holds every table to the rules, and names who broke one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from astrojepa_bench.border import owned, owner_of
from astrojepa_bench.cli import main
from astrojepa_bench.data.galaxies import load_table, loaded
from astrojepa_bench.errors import DataError
from astrojepa_bench.options import Offer
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import Dataset
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.component import Component
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec
from tests.trust.conftest import bent

SIZE_PX, NUMBER = 8, 40
OFFER = Offer("dataset", "theirs", Dataset, "their_plugin", "their-package", "1.0", "", ())


def sound():
    """Make a sound table of noise: 24 train, 4 pool, 4 val and 8 test galaxies of two classes."""
    stream = np.random.default_rng(0)
    split = np.array(["train"] * 24 + ["pool"] * 4 + ["val"] * 4 + ["test"] * 8)
    images = stream.integers(0, 255, (NUMBER, 3, SIZE_PX, SIZE_PX), dtype=np.uint8)
    learnt = images[split == "train"] / 255
    mean, std = (tuple(getattr(learnt, fact)(axis=(0, 2, 3)).tolist()) for fact in ("mean", "std"))
    return GalaxyTable(
        images=images, ids=np.array([f"g{row}" for row in range(NUMBER)]), split=split,
        spec=ImageSpec(("g", "r", "z"), SIZE_PX, mean, std), card=Card("noise", "none", "none", ("a", "b")),
        fingerprint="noise", label=np.where(split == "pool", -1, np.arange(NUMBER) % 2),
        anomaly=np.zeros(NUMBER, dtype=np.int64), anomaly_type=np.full(NUMBER, ""),
        redshift=np.where(np.arange(NUMBER) % 3, 0.1, np.nan), factors={"size": np.arange(float(NUMBER))},
    )  # fmt: skip


class Noise(Dataset):
    """Hands over a table, or whatever else it is made of."""

    def __init__(self, table):
        self.table = table

    def load(self, size_px, cache_dir):
        """Hand it over."""
        return self.table() if callable(self.table) else self.table


def copied(table, row, onto):
    """Show the image of one row in another."""
    images = table.images.copy()
    images[onto] = images[row]
    return replace(table, images=images)


def raising(error):
    """Return a function that raises."""

    def load():
        raise error

    return load


def moved(split, to):
    """Move the galaxies of a split to another one."""
    return replace(TABLE, split=np.where(TABLE.split == split, to, TABLE.split))


def placed(ra):
    """Place the galaxies along a line on the sky."""
    return replace(TABLE, ra=ra, dec=np.full(NUMBER, 5.0))


TABLE = sound()
FAULTS = {
    "raises": (raising(KeyError("train")), r"cannot be loaded: KeyError: .*; ask its author"),
    "exits": (raising(SystemExit(0)), "cannot be loaded: SystemExit"),
    "no-file": (raising(FileNotFoundError("gone")), "cannot be loaded: FileNotFoundError"),
    "dict": ({"images": 1}, "load returned dict; expected a GalaxyTable"),
    "none": (None, "load returned NoneType"),
    "floats": (bent(sound(), images=TABLE.images / 255), "images are float64; expected an array of uint8"),
    "half-size": (
        replace(TABLE, images=TABLE.images[:, :, :4, :4], spec=replace(TABLE.spec, size_px=4)),
        "images of 4 px where 8 px were asked for",
    ),
    "train-test": (copied(TABLE, 0, 39), "'g0' of train and 'g39' of test show the same pixels, one of 1"),
    "pool-val": (copied(TABLE, 25, 29), "'g25' of pool and 'g29' of val show the same pixels"),
    "val-test": (copied(TABLE, 30, 35), "'g30' of val and 'g35' of test show the same pixels"),
    "other-mean": (replace(TABLE, spec=replace(TABLE.spec, mean=(0.1,) * 3)), "spec states mean and std"),
    "other-std": (replace(TABLE, spec=replace(TABLE.spec, std=(1.0,) * 3)), "measure them over train"),
    "no-test": (moved("test", "val"), "no galaxies in test"),
    "no-train": (moved("train", "pool"), "no galaxies in train"),
    "no-rows": (
        replace(
            TABLE, images=TABLE.images[:0], redshift=None, factors={},
            **{name: getattr(TABLE, name)[:0] for name in ("ids", "split", "label", "anomaly", "anomaly_type")},
        ),
        "no galaxies in train",
    ),
    "label": (replace(TABLE, label=TABLE.label + 1), "labels run from 0 to 2 for 2 class names"),
    "label-below": (replace(TABLE, label=TABLE.label - 1), "labels run from -2"),
    "float-label": (bent(sound(), label=TABLE.label / 2), "labels are float64"),
    "anomaly": (replace(TABLE, anomaly=TABLE.anomaly - 1), "anomalies run from -1"),
    "number-ids": (bent(sound(), ids=np.arange(NUMBER)), "ids are empty or no text"),
    "empty-id": (replace(TABLE, ids=np.where(TABLE.ids == "g3", "", TABLE.ids)), "ids are empty or no text"),
    "infinite": (replace(TABLE, redshift=np.full(NUMBER, np.inf)), "column 'redshift' is no column of finite"),
    "text-factor": (replace(TABLE, factors={"size": TABLE.ids}), "column 'size' is no column"),
    "one-place": (placed(np.where(TABLE.ids == "g39", 10.0, np.arange(10.0, 10 + NUMBER))), "'g0' of train and"),
    "wide-sky": (
        replace(placed(np.linspace(10, 10.1, NUMBER)), pixel_scale=np.full(NUMBER, 2.0)),
        "one patch of overlapping sky",
    ),
    "list-of-labels": (bent(sound(), label=TABLE.label.tolist()), r"its table is not sound \(AttributeError\)"),
    "notes": (replace(TABLE, card=bent(replace(TABLE.card), notes="text")), "notes are 'text'; expected a tuple"),
    "licence": (replace(TABLE, card=bent(replace(TABLE.card), licence=None)), "the card's licence is None"),
    "no-fingerprint": (replace(TABLE, fingerprint=""), "the fingerprint is ''"),
    "number-fingerprint": (bent(sound(), fingerprint=7), "the fingerprint is 7"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_table_that_breaks_a_rule_is_refused_with_its_owner(fault):
    """Its numbers would look like any others: equal pixels in train and test give 100 %."""
    made, told = FAULTS[fault]

    with pytest.raises(DataError, match=told) as refused:
        load_table(owned(Noise(made), OFFER), SIZE_PX, Path("unused"))
    assert "dataset 'theirs' (plugin their_plugin)" in str(refused.value)
    assert owner_of(refused.value) is OFFER
    assert "\n" not in str(refused.value)


def test_a_sound_table_passes_with_statistics_of_train_or_of_all_that_is_learnt_from():
    """Both are usual; and a pool may show what train shows."""
    assert len(load_table(Noise(TABLE), SIZE_PX, Path("unused"))) == NUMBER
    learnt = TABLE.images[TABLE.pretraining_rows] / 255
    spec = replace(TABLE.spec, mean=tuple(learnt.mean((0, 2, 3))), std=tuple(learnt.std((0, 2, 3))))
    again = replace(
        copied(replace(TABLE, spec=spec), 0, 24), ra=np.arange(float(NUMBER)), dec=np.zeros(NUMBER)
    )
    assert len(load_table(Noise(again), SIZE_PX, Path("unused"))) == NUMBER


def test_nobody_can_change_a_loaded_table():
    """Neither who is given it nor the data set that made it."""
    made = sound()
    table = load_table(Noise(made), SIZE_PX, Path("unused"))
    for column in (table.images, table.label, table.split, table.ids, table.redshift, table.factors["size"]):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[1]
    made.label[:] = 0
    made.split[:] = "train"
    assert table.label.tolist() == TABLE.label.tolist()
    assert table.split.tolist() == TABLE.split.tolist()


PLUGIN = '''
import numpy as np
from astrojepa_bench.plugin import Card, Dataset, GalaxyTable, ImageSpec, hookimpl


class Leaky(Dataset):
    """Shows one galaxy on both sides."""

    version = 1

    def load(self, size_px, cache_dir):
        """Draw noise, and show its first image again."""
        images = np.random.default_rng(0).integers(0, 255, (60, 1, size_px, size_px), dtype=np.uint8)
        images[-1] = images[0]
        split = np.array(["train"] * 40 + ["val"] * 10 + ["test"] * 10)
        learnt = images[:40] / 255
        return GalaxyTable(
            images=images, ids=np.array([f"g{row}" for row in range(60)]), split=split, fingerprint="leaky",
            spec=ImageSpec(("r",), size_px, (float(learnt.mean()),), (float(learnt.std()),)),
            card=Card("leaky", "none", "none"), label=np.arange(60) % 2, anomaly=np.zeros(60, dtype=int),
            anomaly_type=np.full(60, ""),
        )


class Failing(Dataset):
    """Fails."""

    version = 1

    def load(self, size_px, cache_dir):
        """Fail."""
        return {}["images"]


@hookimpl
def astrojepa_datasets():
    """Offer them."""
    return {"leaky": Leaky, "failing": Failing}
'''


@pytest.mark.slow
@pytest.mark.parametrize(("name", "told"), [("leaky", "show the same pixels"), ("failing", "KeyError")])
def test_run_ends_with_status_2_and_names_the_plugin(tmp_path, capsys, name, told):
    """Nothing can run on it: the request or the data are wrong, and no cell is blamed."""
    file = tmp_path / "their_galaxies.py"
    file.write_text(PLUGIN)
    arguments = ["run", "-o", "untrained", "-m", "none", "-d", name, "--budget", "smoke", "--no-floors"]

    assert (
        main([*arguments, "--plugin", str(file), "--out", str(tmp_path / "out"), "--cache", str(tmp_path)])
        == 2
    )
    told_user = " ".join(capsys.readouterr().err.split())
    assert f"dataset '{name}' (plugin their_galaxies)" in told_user
    assert told in told_user
    assert "bug" not in told_user


@pytest.mark.slow
def test_the_rulers_own_galaxies_keep_the_rules(tmp_path):
    """They pass through the same gate as everybody's."""
    offer = load_registry().get("dataset", "synthetic")
    component = Component.of(offer, {"dataset": {"galaxies": "60"}})

    galaxies = load_galaxies(component, 16, tmp_path, torch.device("cpu"))

    assert len(galaxies.table.rows("train"))
    assert loaded(galaxies.dataset, 16, tmp_path).fingerprint == galaxies.table.fingerprint
