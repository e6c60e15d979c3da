"""What `run` ends with: the board, or every metric where more was asked than the board has columns for."""

import json

import pytest

from astrojepa_bench.board import render
from astrojepa_bench.cli.run import show
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import GridResult
from astrojepa_bench.runs.request import make_request


@pytest.fixture
def result(tmp_path):
    """One finished run in an output folder."""
    names = {"objective": "alpha", "masker": "random", "encoder": "vit-micro", "dataset": "synthetic"}
    identity = RunIdentity(
        names=names, options={}, chain={}, seed=0, budget="smoke", fingerprint="f00d", splits="5eed"
    )
    scores = [
        {"evaluator": name, "metric": metric, "value": 0.5, "higher_is_better": True, "n": 100, "chance": 0.1}
        for name, metric in (("linear", "balanced_accuracy"), ("redshift", "r2"))
    ]
    record = RunRecord(
        run_id=identity.run_id, entry_id=identity.entry_id, identity=identity.facts(), status="ok", **names,
        seed=0, budget="smoke", scores=scores, environment={"torch": "2.8.0"},
    )  # fmt: skip
    path = Store(tmp_path).write(record)
    return GridResult((record,), (path,), (record.run_id,))


def request(tmp_path, *evaluators):
    """Ask for one objective, judged by these."""
    return make_request({"objectives": ["alpha"], "evaluators": [*evaluators], "out": tmp_path})


@pytest.mark.parametrize("asked", [["full"], ["core", "redshift"], ["linear", "redshift"]])
def test_more_than_the_core_is_printed_metric_by_metric(result, tmp_path, capsys, asked):
    """`-E full`: a line a metric, with its direction and chance."""
    show(result, request(tmp_path, *asked), as_json=False)

    assert "r2                 ↑   0.100   0.500" in capsys.readouterr().out


@pytest.mark.parametrize("asked", [[], ["core"], ["linear", "knn"]])
def test_the_core_is_printed_entry_by_entry(result, tmp_path, capsys, asked):
    """A line an entry, as on the page."""
    show(result, request(tmp_path, *asked), as_json=False)
    text = capsys.readouterr().out

    assert "↑" not in text
    assert "alpha + random" in text


@pytest.mark.parametrize("as_json", [True, False])
def test_the_board_is_read_and_built_once(result, tmp_path, monkeypatch, as_json):
    """Reading hundreds of records is most of the time of a command that finds everything done."""
    calls = []

    def counted(made):
        return lambda *given: calls.append(made.__name__) or made(*given)

    monkeypatch.setattr(render, "build_board", counted(render.build_board))
    monkeypatch.setattr(Store, "survey", counted(Store.survey))
    show(result, request(tmp_path), as_json=as_json)

    assert sorted(calls) == ["build_board", "survey"]


def test_json_names_records_what_was_trained_and_the_board(result, tmp_path, capsys):
    """Nothing else stands on stdout; scripts rely on these keys."""
    show(result, request(tmp_path), as_json=True)

    assert json.loads(capsys.readouterr().out) == {
        "records": [str(path) for path in result.paths],
        "trained": [record.run_id for record in result.records],
        "board": str(tmp_path / "README.md"),
    }


# --- who follows it -----------------------------------------------------------------------------------------

EARS = """
from astrojepa_bench.hookspecs import hookimpl

class Anything:
    def __init__(self, *given):
        pass

@hookimpl
def astrojepa_objectives():
    return {"alpha": Anything}

@hookimpl
def astrojepa_maskers():
    return {"random": Anything}

@hookimpl
def astrojepa_observers():
    return {"ears": lambda out: print}
"""


@pytest.mark.parametrize("executor", ["local", "slurm", "ray"])
@pytest.mark.parametrize("verb", ["run", "plan"])
def test_an_observer_that_nobody_offers_is_told_before_anything_runs(command, tmp_path, verb, executor):
    """Wherever the cells would have run; a task of an array would tell it only when its turn comes."""
    words = (verb, "-o", "alpha", "--out", tmp_path / "out", "--executor", executor)
    (tmp_path / "ears.py").write_text(EARS)
    code, _, err = command(*words, "--observer", "eras", plugin=tmp_path / "ears.py")

    assert (code, err.count("\n")) == (2, 1)
    assert "unknown observer 'eras'; did you mean 'ears'" in err
    assert not (tmp_path / "out").exists()


def test_an_observer_of_trainings_on_a_cluster_is_refused(command, tmp_path):
    """It would hear nothing of them, and say nothing."""
    (tmp_path / "ears.py").write_text(EARS)
    words = ("run", "-o", "alpha", "--out", tmp_path / "out", "--executor", "ray", "--observer", "ears")
    code, _, err = command(*words, plugin=tmp_path / "ears.py")

    assert (code, err.count("\n")) == (2, 1)
    assert "--observer follows trainings on this machine" in err
