"""The benchmarks can be imported, and the cheap ones give rows whose results are equal to their peers'."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
CHEAP = ("bench_masking", "bench_data_path")


@pytest.fixture
def table(monkeypatch):
    """The table's module, with its folder on the path as where it is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield importlib.import_module("table")
    for name in set(sys.modules) - before:
        if (FOLDER / f"{name.split('.')[0]}.py").is_file() or name.split(".")[0] == "peers":
            del sys.modules[name]


def test_a_pair_is_timed_in_turn_and_the_ratio_is_the_peers_seconds_by_ours(table):
    """A clock that moves only in what is timed: 1 for ours, 3 for the peer."""
    now, calls = [0.0], []

    def takes(name, seconds):
        def act():
            calls.append(name)
            now[0] += seconds

        return act

    found = table.paired(takes("ours", 1.0), takes("peer", 3.0), 4, clock=lambda: now[0])

    assert (found.ratio, found.spread, found.ours_s, found.peer_s) == (3.0, (3.0, 3.0), 1.0, 3.0)
    assert calls[2:] == ["peer", "ours", "ours", "peer"] * 2


def test_a_goal_is_a_bound_of_the_ratio(table):
    """Lower and upper; without a ratio there is nothing to miss."""
    row = table.Row("a", 1.0, 2.0, 2.0, "s")

    assert row.is_met is None
    assert [table.Row("a", 1, 2, 2.0, "s", goal).is_met for goal in (">= 2", ">= 3", "<= 2", "<= 1")] == [
        True, False, True, False,
    ]  # fmt: skip
    assert table.absent("a", "lightly", ">= 2").is_met is None


def test_results_that_differ_are_a_goal_missed_and_a_missing_package_is_not(table, monkeypatch, capsys):
    """Exit code 1 for the first, a row that says so for the second."""

    class Scripts:
        @staticmethod
        def differing():
            raise AssertionError("2 is not 3")
            yield

        @staticmethod
        def missing():
            raise ModuleNotFoundError("No module named 'lightly'")
            yield

    for name, met in (("differing", False), ("missing", None)):
        script = type("Script", (), {"rows": getattr(Scripts, name)})
        monkeypatch.setattr(table.importlib, "import_module", lambda _name, script=script: script)
        (row,) = table.rows_of(name, quick=True)
        assert row.is_met is met
        assert row.note.endswith({"differing": "2 is not 3", "missing": "'lightly'"}[name])


@pytest.mark.slow
def test_every_script_with_rows_can_be_imported(table):
    """Peers that are not installed are looked for when rows are asked for, not before."""
    for name in table.scripts():
        assert callable(importlib.import_module(name).rows), name
        assert importlib.import_module(name).__doc__


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_cheap_rows_are_measured_and_their_results_are_equal(table, name):
    """Each row has both figures, or says what is not installed."""
    found = list(table.rows_of(name, quick=True))

    assert found
    assert all((row.ratio is not None and row.ratio > 0) or "not installed" in row.note for row in found), (
        found
    )
    assert all(row.is_met is not False for row in found)


@pytest.mark.slow
def test_astrojepas_step_has_its_parameters_and_learns(table):
    """5,562,240 are trained, as published; the loss falls, and the teacher alone is not trained."""
    torch = importlib.import_module("torch")
    astrojepa = importlib.import_module("peers.astrojepa")
    torch.manual_seed(0)
    model, images = astrojepa.AstroJEPA(), torch.rand(2, 3, 224, 224) * 2 - 1
    trained = [name for name, each in model.named_parameters() if each.requires_grad]
    losses = [float(model.step(images)) for _ in range(4)]

    assert sum(model.get_parameter(name).numel() for name in trained) == astrojepa.TRAINED
    assert not any(name.startswith("teacher") for name in trained)
    assert losses[-1] < losses[0]
    context, targets = astrojepa.collate(images)
    assert not bool((context & targets.any(dim=0)).any())
    assert bool((targets.sum(dim=2) >= 4).all())
    assert bool((targets.sum(dim=2) <= 16).all())


def test_operations_are_counted_whichever_library_multiplies(table):
    """A product of 64 rows by 256 and 512 columns: 2 x 64 x 256 x 512 operations, torch's or oneDNN's."""
    torch = importlib.import_module("torch")
    layers = importlib.import_module("astrojepa_bench.training.linear_layers")
    count = importlib.import_module("machine").flops_of
    rows, weight = torch.ones(64, 256), torch.ones(512, 256)

    assert rows.numel() * len(weight) >= layers.LEAST_OPERATIONS
    for mode in (contextlib.nullcontext(), layers.LinearByOneDNN()):
        with mode:
            assert count(lambda: torch.nn.functional.linear(rows, weight)) == 2 * 64 * 256 * 512
