"""The experiment that asks whether I-JEPA learns: order of its arms, what it keeps, and the answer by its rule."""

import csv
import importlib
import inspect
import json
import shutil
import sys
import tomllib
from pathlib import Path

import astrojepa_ijepa
import h5py
import numpy as np
import pytest

from astrojepa_bench.board.claim_checks import Checker
from astrojepa_bench.board.claims import CLAIMS, read_claims
from astrojepa_bench.board.render import read_board
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import choose_device
from astrojepa_bench.runs.reproduce import rerun

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "ijepa"
LIST = """
budget = "small"
device = "cpu"
evaluators = ["linear"]
metric = "linear.accuracy"
least_lift = 2.0
[dataset]
name = "hdf5"
[dataset.options]
path = "tiny.h5"
[A]
seen = 64
seeds = [10]
[[A.trial]]
objective = "ijepa"
masker = "multiblock"
options = [
  { learning_rate = 1e-3, batch_size = 16, crop = "none" },
  { learning_rate = 1e-4, batch_size = 32, crop = "none" },
]
[B]
seen = 128
every = 64
seeds = [11, 12]
[[B.trial]]
objective = "ijepa"
masker = "multiblock"
winner = true
[[B.trial]]
objective = "untrained"
[C]
seen = 64
seeds = [14]
[[C.trial]]
objective = "ijepa"
masker = "brightness"
masker_options = { signal = "context" }
winner = true
options = { crop = 0.5 }
[D]
match = "B"
seeds = [14]
[[D.trial]]
objective = "mae"
masker = "random"
"""


@pytest.fixture(scope="module")
def scripts():
    """Import both scripts, with their folder on the path as where they are run."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(FOLDER), *sys.path])
        yield {name: importlib.import_module(name) for name in ("experiment", "verdict")}
    for name in {"experiment", "verdict", "tune"} & (set(sys.modules) - before):
        del sys.modules[name]


def lift(scripts, mean, low, high):
    return scripts["verdict"].Lift("a", "b", {}, (11, 12), 0.0, 0.0, mean, low, high)


@pytest.mark.parametrize(
    ("mean", "low", "high", "verdict"),
    [
        (2.0, 0.1, 3.9, "learns"),
        (1.9, 0.1, 3.7, "less"),
        (2.5, -0.1, 5.1, "open"),
        (0.2, -1.0, 1.4, "not"),
        (-2.0, -3.0, -1.0, "worse"),
    ],
)
def test_the_rule_wants_both_two_points_and_an_interval_without_zero(scripts, mean, low, high, verdict):
    """Neither is enough; not shown is told from excluded."""
    assert lift(scripts, mean, low, high).verdict(2.0) == verdict


def test_the_written_list_is_the_experiment(scripts):
    """Twelve trainings of A, B of two recipes and their start; no seed of tuning (0 to 9) or the board (20 on)."""
    wanted = scripts["experiment"].tune.read_list(FOLDER / "experiment.toml", "data")
    spelt = {
        arm: [each for trial in wanted[arm]["trial"] for each in scripts["experiment"].tune.spelt_out(trial)]
        for arm in "ABCD"
    }
    tried = {(t["options"]["learning_rate"], t["options"]["batch_size"]) for t in spelt["A"] if t["options"]}

    assert tried == {(rate, batch) for rate in (1e-4, 2.5e-4, 5e-4, 1e-3) for batch in (16, 32, 64)}
    assert {arm: len(trials) for arm, trials in spelt.items()} == {"A": 13, "B": 3, "C": 5, "D": 3}
    assert {seed for arm in "ABCD" for seed in wanted[arm]["seeds"]} == {10, 11, 12, 13, 14, 15}
    assert wanted["least_lift"] == 2.0


@pytest.fixture(scope="module")
def call(scripts, galaxies_of_module, tmp_path_factory):
    """Do an arm in the folder of the module."""
    place = tmp_path_factory.mktemp("experiment")
    shutil.copy(galaxies_of_module, place / "tiny.h5")
    with h5py.File(place / "tiny.h5", "r+") as file:  # or every encoder is right of all of them
        mixed = np.arange(len(file["ans"])) % 5 < 2
        file["ans"][mixed] = np.random.default_rng(1).permutation(file["ans"][mixed])
    (place / "list.toml").write_text(LIST)
    more = ["--list", str(place / "list.toml"), "--tables", str(place)]

    def go(arm):
        scripts["experiment"].main([arm, str(place), str(place / "out"), *more])

    go.place = place
    return go


def rows(place, name="trials.csv"):
    with (place / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_all_arms_in_their_order(scripts, call, capsys):
    """What rests on A waits for it, test galaxies for B; nothing is done twice; the records support the claim."""
    place = call.place
    with pytest.raises(SystemExit, match="has 0 of the 2 trainings of A; do arm A first"):
        call("C")
    call("A")
    with pytest.raises(SystemExit, match="4 of 4 trainings of B are missing"):
        call("score")
    for arm in ("B", "C", "D"):
        call(arm)

    made = rows(place)
    best = min(made[:2], key=lambda row: float(row["cv_log_loss"]))
    (long, *_), (other,), (mae,) = ([row for row in made if row["arm"] == arm] for arm in "BCD")
    assert json.loads(long["options"])["objective"] == json.loads(best["options"])["objective"]
    assert json.loads(other["options"])["objective"]["crop"] == 0.5
    assert json.loads(other["options"])["masker"] == {"signal": "context"}
    assert abs(float(mae["flops"]) / float(long["flops"]) - 1) < 0.5 / (int(mae["seen"]) // 32 + 1)
    points = rows(place, "curves.csv")
    assert [int(row["seen"]) for row in points] == [64, 128] * 2
    assert points[1]["cv_log_loss"] == long["cv_log_loss"]
    assert points[1]["effective_rank"] == long["effective_rank"]

    unscored = Store(place / "out").records()
    assert [record.scores for record in unscored] == [[]] * 4
    before = (place / "trials.csv").read_bytes(), (place / "curves.csv").read_bytes()
    call("B")
    call("score")
    assert ((place / "trials.csv").read_bytes(), (place / "curves.csv").read_bytes()) == before
    records = Store(place / "out").records()
    assert {record.run_id for record in records} == {record.run_id for record in unscored}
    assert all(record.value("linear", "accuracy") is not None for record in records)

    record = next(record for record in records if record.objective == "ijepa" and record.seed == 12)
    assert record.identity["budget"] == "small 64px 128 seen"
    given = {"dataset": {"path": place / "tiny.h5"}}
    done = rerun(record, load_registry(), given, place / "cache", choose_device("cpu"), "again")
    assert [s.model_dump() for s in done.again.scores] == [s.model_dump() for s in record.scores]
    assert (done.again.run_id, done.again.training) == (record.run_id, record.training)

    capsys.readouterr()
    scripts["verdict"].main([str(place / "out"), "--list", str(place / "list.toml"), "--tables", str(place)])
    printed = capsys.readouterr().out
    claim = "[places." + printed.partition("[places.")[2]
    chapter = '[[chapters]]\ntitle = "?"\n[[chapters.claims]]'
    (place / "out" / CLAIMS).write_text(claim.replace("[[chapters.claims]]", chapter))
    (checked,) = Checker(read_board(place / "out"), read_claims(place / "out")).checked()
    assert checked.fault == ""
    assert checked.sentence in printed.partition("[places.")[0]
    assert "after 128 images" in checked.sentence


@pytest.fixture(scope="module")
def told(scripts):
    """What the script says of the committed tables and records, part by part."""
    wanted = tomllib.loads((FOLDER / "experiment.toml").read_text())
    return [*scripts["verdict"].told(wanted, ROOT / "leaderboard", FOLDER)]


def test_the_page_of_the_plugin_tells_the_answer(told):
    """Its sentence is that of the script, number by number."""
    *_, answer, _ = told

    assert answer in " ".join(inspect.getdoc(astrojepa_ijepa).split())


def test_the_session_of_the_experiment_is_what_its_script_prints(told):
    """Tables and answer stand in the README as the script prints them, and its claim on the board."""
    *session, claim = told

    printed = "$ python benchmarks/ijepa/verdict.py leaderboard\n" + "\n\n".join(session)
    assert printed in (FOLDER / "README.md").read_text()
    asked = tomllib.loads((ROOT / "leaderboard" / "claims.toml").read_text())["chapters"]
    bound = tomllib.loads(claim.replace("[[chapters.claims]]", "[[claims]]"))["claims"][0]
    assert bound in [each for chapter in asked for each in chapter.get("claims", [])]
