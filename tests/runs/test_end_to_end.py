"""Whole grids on a few planted galaxies."""

import json
from pathlib import Path

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request

LEARNS = """
        tokens = self.encoder.taps(batch.images)["last"]
        return Loss((tokens.mean(0) ** 2).mean(), {})"""
NAN = """
        tokens = self.encoder.taps(batch.images)["last"]
        return Loss(tokens.sum() * float("nan"), {})"""


FORGETS = """
        for weight in self.encoder.parameters():
            weight.data.zero_()
        return Loss(self.encoder(batch.images).values.mean(), {})"""


@pytest.fixture
def grid(tmp_path, galaxies, tiny):
    """Run a grid on the tiny galaxies."""

    def run(plugins=(), label="ans", **fields):
        fields = {"objectives": "untrained", "evaluators": "knn", "floors": False, **fields}
        settings = {"dataset": {"path": str(galaxies), "label": label}}
        places = {"out": tmp_path / "out", "cache": tmp_path / "cache", "plugins": tuple(plugins)}
        request = make_request(
            {"dataset": "hdf5", "budget": "tiny", "device": "cpu", "settings": settings, **places, **fields}
        )
        return run_grid(request, load_registry(tuple(plugins)), "tests")

    return run


@pytest.fixture
def command(tmp_path, galaxies, tiny):
    """Return the words of a run on the tiny galaxies."""
    places = ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    return ["run", "-d", "hdf5", "--set", f"dataset.path={galaxies}", "--budget", "tiny", "--device", "cpu",
            "-E", "knn", "--no-floors", *places]  # fmt: skip


def test_planted_classes_are_found_and_asking_again_changes_nothing(grid):
    """Even untrained features tell three planted shapes apart, and a finished run's file stays as it is."""
    first = grid()
    (record,) = first.records
    assert record.status == "ok"
    assert record.value("knn", "accuracy") > 0.6  # chance is one third
    before = first.paths[0].read_bytes()
    stamp = first.paths[0].stat().st_mtime_ns
    again = grid()
    assert again.paths == first.paths
    assert again.paths[0].read_bytes() == before
    assert again.paths[0].stat().st_mtime_ns == stamp


def test_whitening_hides_no_collapse(grid, plugin):
    """An encoder that forgot everything is `collapsed`, though its features are whitened before they are scored."""
    file = plugin("forgets", FORGETS)
    (record,) = grid([file], objectives="forgets", encoders=["vit-micro-rings"]).records
    assert record.status == "collapsed", record.failure
    assert record.health["effective_rank"] < 2
    assert record.value("knn", "accuracy") < 0.5  # chance is one third


def test_another_evaluator_does_not_train_again(grid, tmp_path, plugin):
    """A new evaluator scores the kept weights: no loss is computed again and earlier scores stay."""
    file = plugin("learns", LEARNS)
    (first,) = grid([file], objectives="learns").records
    assert first.training.steps > 0
    (weights,) = (tmp_path / "out" / "weights").iterdir()
    stamp = weights.stat().st_mtime_ns
    (second,) = grid([file], objectives="learns", evaluators="knn,collapse").records
    assert weights.stat().st_mtime_ns == stamp
    assert json.loads(second.to_json())["training"] == json.loads(first.to_json())["training"]
    assert second.provenance == first.provenance  # the commit that trained
    assert {"knn", "collapse"} <= {score.evaluator for score in second.scores}
    assert second.value("knn", "accuracy") == first.value("knn", "accuracy")


def test_a_failing_plugin_is_named_and_stops_no_other(command, tmp_path, plugin, capsys):
    """An objective that raises gives a failed record with its plugin; the others run; the exit code is 1."""
    file = plugin("raises", "raise ValueError('odd')")
    assert main([*command, "-o", "raises,untrained", "--plugin", str(file), "--json"]) == 1
    paths = json.loads(capsys.readouterr().out)["records"]
    failed, other = (json.loads(Path(path).read_text()) for path in paths)
    assert (failed["status"], other["status"]) == ("failed", "ok")
    assert failed["failure"]["origin"] == "plugin"
    assert "plugin_raises" in failed["failure"]["plugin"]
    assert "odd" in failed["failure"]["message"]


def test_json_prints_one_object_and_nothing_else(command, capsys):
    """Under `--json`, stdout is exactly one JSON object."""
    assert main([*command, "-o", "untrained", "--json"]) == 0
    out = capsys.readouterr().out
    assert set(json.loads(out)) == {"records", "trained", "board"}
    assert out.count("\n") == 1


@pytest.mark.slow
def test_json_tells_what_was_trained_now(command, plugin, capsys):
    """Not what was found, or only scored once more; nor what has nothing to train."""
    asked = [*command, "-o", "learns,untrained", "--plugin", str(plugin("learns", LEARNS)), "--json"]
    found = []
    for words in (asked, asked, [*asked, "-E", "collapse"]):
        main(words)
        found.append(json.loads(capsys.readouterr().out))
    first, again, rescored = found

    assert len(first["trained"]) == 1
    assert Path(first["records"][0]).stem == first["trained"][0]
    assert first["records"] == again["records"] == rescored["records"]
    assert again["trained"] == rescored["trained"] == []


def test_a_loss_that_is_not_finite_is_diverged(grid, plugin):
    """NaN in a loss ends the run as diverged, with no score."""
    result = grid([plugin("nan", NAN)], objectives="nan")
    (record,) = result.records
    assert record.status == "diverged"
    assert record.scores == []
    assert not result.all_well


def test_without_labels_only_geometry_is_scored(grid):
    """Unlabelled galaxies still give collapse numbers; every other evaluator says why it is silent."""
    (record,) = grid(evaluators="core", label="nothing").records
    assert {score.evaluator for score in record.scores} == {"collapse"}
    assert {"linear", "knn", "kmeans"} <= set(record.not_scored)
    assert all(record.not_scored.values())
