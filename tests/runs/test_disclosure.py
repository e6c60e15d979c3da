"""What weights from a file had seen stands in their record and beside their row; nothing else changes for it."""

import json

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from astrojepa_bench.board.render import read_board, write_board
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.overlap import find_overlap, read_list
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.certificate import Certificate
from astrojepa_bench.results.correct import decode_bits
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.cell import CellResult
from astrojepa_bench.runs.component import Component, RunContext
from astrojepa_bench.runs.grid import _disclosed, run_grid
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import BUDGETS, Budget


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Write galaxies, weights, and the certificate of a list that holds ten test galaxies and some others."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 8, 64, "vit-micro", "tests"))
    stream = np.random.default_rng(0)
    with h5py.File(tmp_path / "tiny.h5", "w") as file:
        file["images"] = stream.integers(0, 256, (90, 16, 16, 3), dtype=np.uint8)
        file["ans"] = np.arange(90) % 2
    table = Hdf5(path=tmp_path / "tiny.h5").load(32, tmp_path / "cache")
    with scoped_global(1, "tests"):
        state = ViTMicro(table.spec).state_dict()
    save_file({name: value.clone() for name, value in state.items()}, tmp_path / "w.safetensors")
    known = [*table.ids[table.rows("test")][:10], *table.ids[table.rows("train")][:5]]
    (tmp_path / "l.txt").write_text("\n".join(known))
    listed = read_list(tmp_path / "l.txt", tmp_path / "cache")
    found = find_overlap(table, listed, 5.0, tmp_path / "cache")
    (tmp_path / "c.json").write_text(Certificate.of(table, listed, found, 5.0).to_json())
    return tmp_path, table


def score(place, objective="frozen", **more):
    settings = {"dataset": {"path": str(place / "tiny.h5")}}
    if objective == "frozen":
        settings["objective"] = {"weights": str(place / "w.safetensors")}
    request = {
        "objectives": [objective], "dataset": "hdf5", "budget": "tiny", "evaluators": "linear",
        "floors": False, "settings": settings, "out": place / "out", "cache": place / "cache", "device": "cpu",
    }  # fmt: skip
    return run_grid(make_request({**request, **more}), load_registry(), "test").records[0]


@pytest.mark.slow
def test_a_record_says_what_its_weights_had_seen(place):
    """Also one that was there before; run, scores and rank stay, and the others alone give a score of their own."""
    place, table = place
    before = score(place)
    assert before.disclosed is None
    assert "disclosed" not in json.loads(before.to_json())
    record = score(place, overlap=place / "c.json")
    assert (record.run_id, record.scores) == (before.run_id, before.scores)
    assert record.disclosed["seen"] == {"test": 10, "val": 0, "train": 5}

    ids = sorted(table.ids[table.rows("test")].tolist())
    seen = np.isin(ids, table.ids[table.rows("test")][:10])
    right = decode_bits(record.correct["linear.accuracy"], len(ids))
    assert record.share_unseen("linear.accuracy") == pytest.approx(right[~seen].mean())

    [section] = read_board(place / "out").sections
    [row] = section.rows
    assert (row.rank, row.unranked) == (1, "")
    assert row.disclosed.startswith(f"disclosed: 10 of {len(ids)} test galaxies seen in pretraining; ")
    assert f"{100 * right[~seen].mean():.1f} % linear accuracy without them" in row.disclosed
    page = write_board(place / "out").read_text()
    assert f"³ {row.label}: {row.disclosed}." in page
    assert score(place).disclosed == record.disclosed  # asked for again without the certificate
    assert score(place, evaluators="knn").disclosed == record.disclosed  # and scored by another evaluator


@pytest.mark.slow
def test_a_disclosure_keeps_what_another_command_scored_meanwhile(place):
    """A grid discloses once all its cells are done, long after it was told of the first."""
    place, table = place
    told = CellResult(score(place))
    meanwhile = score(place, evaluators="knn")
    dataset = Component.of(load_registry().get("dataset", "hdf5"), {"dataset": {"path": place / "tiny.h5"}})
    galaxies = load_galaxies(dataset, 32, place / "cache", torch.device("cpu"))
    context = RunContext(galaxies, BUDGETS["tiny"], (), Store(place / "out"), "test")
    record = _disclosed(told, Certificate.read(place / "c.json", table), context).record
    assert {each.evaluator for each in record.scores} == {"linear", "knn"}
    assert record == context.store.find(record.run_id)
    assert (record.scores, record.disclosed["seen"]["test"]) == (meanwhile.scores, 10)


def test_nothing_is_disclosed_of_what_learns_here(place):
    """A certificate for a request without weights from a file is a mistake, told before anything runs."""
    with pytest.raises(ConfigError, match="no entry takes weights from a file"):
        score(place[0], "untrained", overlap=place[0] / "c.json")
