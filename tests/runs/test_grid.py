"""What a plan says before anything runs: states, reasons, minutes, and shards."""

import dataclasses
import json

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.cli.plan_view import clock_minutes, plan_text
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import plan_grid, run_grid, total_minutes
from astrojepa_bench.runs.plan import dealt, make_plan
from astrojepa_bench.runs.request import make_request, parse_shard, read_config


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture
def request_on(galaxies, tiny_of_64, tmp_path):
    """Ask for runs on the tiny file, into one folder."""

    def ask(**fields):
        fixed = {"dataset": "hdf5", "settings": {"dataset": {"path": galaxies}}, "budget": "tiny"}
        places = {"out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu"}
        return make_request({"floors": False, "evaluators": "knn", **fixed, **places, **fields})

    return ask


def states(planned):
    return [each.state for each in planned]


def test_a_plan_tells_what_is_missing_and_then_what_is_there(request_on, registry):
    """The states, the ids and the lack of anything measured; afterwards the same ids are cached."""
    asked = request_on(objectives="untrained,ijepa", maskers="none", seeds="2")
    before = plan_grid(asked, registry)
    assert states(before) == ["missing", "missing", "skipped", "skipped"]
    assert "needs masks" in before[-1].reason
    assert [each.minutes for each in before] == [None, None, 0.0, 0.0]
    assert total_minutes(before) is None
    assert not asked.out.exists()  # a rehearsal leaves nothing

    result = run_grid(asked, registry, "test")
    after = plan_grid(asked, registry)
    assert states(after) == ["cached", "cached", "skipped", "skipped"]
    assert [each.run_id for each in after] == [each.run_id for each in before]
    assert [each.run_id for each in after] == [record.run_id for record in result.records]
    assert total_minutes(after) == 0.0


def test_a_new_evaluator_makes_a_run_missing_and_says_so(request_on, registry):
    """The weights are there, so that nothing is trained; without them the reason says that it is."""
    asked = request_on(objectives="untrained", maskers="none")
    run_grid(asked, registry, "test")
    more = request_on(objectives="untrained", maskers="none", evaluators="knn,kmeans")
    (found,) = plan_grid(more, registry)
    assert found.state == "missing"
    assert found.reason == "not scored by kmeans of today's version and options"
    Store(asked.out).weights_path(found.run_id).unlink()
    (found,) = plan_grid(more, registry)
    assert found.reason.endswith("its weights are not here, so it is trained again")


@pytest.mark.slow
def test_minutes_are_those_that_runs_of_the_folder_took(request_on, registry):
    """By hand: 90 s for 256 images and 6 s of scoring make 1.6 minutes for another seed, twice that for two."""
    asked = request_on(objectives="ijepa", maskers="random")
    (record,) = run_grid(asked, registry, "test").records
    spent = {"train_seconds": 90.0, "eval_seconds": 6.0, "evaluation": {"features": 4.0, "knn": 2.0}}
    store, facts = Store(asked.out), record.facts()
    store.write(type(record).model_validate({**facts, "cost": {**facts["cost"], **spent}}))
    planned = plan_grid(request_on(objectives="ijepa", maskers="random", seeds="3"), registry)
    seen = record.training.images_seen
    each = round((90 * 256 / seen + 6) / 60, 2)
    assert [cell.minutes for cell in planned] == [0.0, each, each]
    assert total_minutes(planned) == pytest.approx(2 * each)
    (other,) = plan_grid(request_on(objectives="ijepa", maskers="brightness"), registry)
    assert other.minutes == each  # the same objective and encoder, another masker
    (unlike,) = plan_grid(request_on(objectives="mae", maskers="random"), registry)
    assert unlike.minutes is None
    (untimed,) = plan_grid(request_on(objectives="ijepa", evaluators="knn,kmeans", seeds="1,4"), registry)[1:]
    assert untimed.minutes is None  # nobody has timed kmeans


def test_jobs_shorten_the_clock_as_far_as_cells_can_be_dealt(request_on, registry):
    """By hand: 4, 1, 3 and 2 minutes, dealt in order to the first of two that is free, end after 6."""
    asked = request_on(objectives="untrained", maskers="none", seeds="4")
    planned = [
        dataclasses.replace(each, minutes=minutes)
        for each, minutes in zip(plan_grid(asked, registry), (4.0, 1.0, 3.0, 2.0), strict=True)
    ]
    assert [clock_minutes(planned, jobs) for jobs in (1, 2, 4, 9)] == [10.0, 6.0, 4.0, 4.0]
    assert clock_minutes([dataclasses.replace(planned[0], minutes=None)], 2) is None
    assert plan_text(planned, 1).endswith("about 10.0 minutes to run")
    assert plan_text(planned, 2).endswith(
        "; with --jobs 2 they end after 6.0, if each takes as long beside others"
    )


@pytest.mark.parametrize("count", [1, 3, 4, 30])
def test_shards_are_disjoint_and_together_the_grid(request_on, registry, count):
    """Every cell of several plans is dealt to one of the machines, in an order that the request alone decides."""
    asked = {"objectives": "ijepa,mae", "maskers": "random,brightness", "floors": True}
    plans = [make_plan(request_on(**asked, seeds=seeds), registry) for seeds in ("3", "1", "2")]
    whole = [cell for plan in plans for cell in plan.cells]
    shards = [dealt(plans, (i, count)) for i in range(1, count + 1)]
    parts = [[cell for plan in shard for cell in plan.cells] for shard in shards]
    assert [parts[k % count][k // count] for k in range(len(whole))] == whole
    assert sum(map(len, parts)) == len(whole)
    assert dealt(plans, None) == tuple(plans)


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "1/0", "a/b", "1/2/3", "-1/2", ""])
def test_a_wrong_shard_is_refused(text):
    """It would silently run the wrong part, or none."""
    with pytest.raises(ConfigError, match=r"expected I/N with I from 1 to N"):
        parse_shard(text)


def test_an_empty_shard_is_refused(request_on, registry):
    """More machines than cells: the one with nothing to do says so."""
    with pytest.raises(ConfigError, match="5/9 is empty: the grid has 2 cells"):
        plan_grid(request_on(objectives="ijepa", seeds="2", shard="5/9"), registry)


def test_a_shard_may_stand_in_a_file(tmp_path):
    """TOML requests know it too, and Python ones as a pair."""
    path = tmp_path / "request.toml"
    path.write_text('objectives = ["untrained"]\nshard = "2/3"\n')
    assert make_request(read_config(path)).shard == (2, 3)
    assert make_request({"objectives": "untrained", "shard": (2, 3)}).shard == (2, 3)
    with pytest.raises(ConfigError):
        make_request({"objectives": "untrained", "shard": (4, 3)})


def test_the_command_prints_the_contract(galaxies, tmp_path, capsys):
    """`plan` and `run --dry-run` are one; scripts read exactly these keys."""
    words = ["-o", "untrained", "-d", "hdf5", "--set", f"dataset.path={galaxies}", "--budget", "smoke"]
    words += ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"), "--no-floors"]
    assert main(["plan", *words, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert main(["run", *words, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == plan
    (cell,) = plan["cells"]
    assert plan["minutes"] is None
    assert cell.pop("run_id")
    assert cell == {
        "objective": "untrained", "masker": "none", "encoder": "vit-micro", "dataset": "hdf5", "seed": 0,
        "state": "missing", "reason": None, "minutes": None, "images": 0,
    }  # fmt: skip
    assert main(["plan", *words]) == 0
    said = capsys.readouterr().out
    assert "missing" in said
    assert "nothing measured in --out tells how long 1 of them take" in said
    assert main(["plan", *words, "--shard", "3/2"]) == 2
    assert "error: --shard 3/2" in capsys.readouterr().err
