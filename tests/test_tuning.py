"""Recipes: chosen from the table of trials by the rule that was written first, and shipped as they were chosen."""

from __future__ import annotations

import csv
import importlib
import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from astrojepa_bench.options import resolve
from astrojepa_bench.registry import load_registry

FOLDER = Path(__file__).parents[1] / "benchmarks" / "tuning"
LIST, TABLE = FOLDER / "galaxy_suite_1.toml", FOLDER / "galaxy_suite_1.csv"


@pytest.fixture
def recipes(monkeypatch):
    """The module, with its folder on the path as where it is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module("recipes")
    for name in ("recipes", "tune"):
        sys.modules.pop(name, None)


@pytest.fixture
def made(tmp_path, recipes):
    """Make a list of three trials under two maskers, and a table with a log-loss each."""

    def make(*losses, collapsed=()):
        listed, table = tmp_path / "list.toml", tmp_path / "table.csv"
        listed.write_text(
            'seen = 9\n[[trial]]\nobjective = "alpha"\nmasker = ["random", "brightness"]\n'
            "options = [{ rate = 1e-3 }, { rate = 5e-4 }, { rate = 1e-3, crop = 0.3 }]\n"
        )
        options = [{"rate": 1e-3}, {"rate": 5e-4}, {"rate": 1e-3, "crop": 0.3}]
        rows = [
            {
                "objective": "alpha", "masker": masker, "encoder": "", "seed": "0", "seen": "9",
                "options": json.dumps(each, sort_keys=True), "val_log_loss": loss,
                "collapsed": (at, masker) in collapsed,
            }
            for at, (each, pair) in enumerate(zip(options, losses, strict=False))
            for masker, loss in zip(("random", "brightness"), pair, strict=True)
        ]  # fmt: skip
        with table.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return recipes.read_trials(listed, table)

    return make


@pytest.mark.parametrize(
    ("losses", "collapsed", "chosen"),
    [
        (((0.70, 0.60), (0.60, 0.62), (0.64, 0.64)), (), 1),  # the least mean, not the least number
        (((0.60, 0.64), (0.64, 0.60), (0.62, 0.62)), (), 0),  # of equal ones the first
        (((0.70, 0.70), (0.50, 0.50), (0.66, 0.66)), ((1, "random"),), 2),  # what collapsed is left out
        (((0.70, 0.70), (0.50, 0.50)), (), None),  # a trial is still to come
    ],
)  # fmt: skip
def test_the_rule(recipes, made, losses, collapsed, chosen):
    """By hand."""
    trials = made(*losses, collapsed=collapsed)
    found = recipes.recipe(trials)

    assert found is (None if chosen is None else trials[chosen])
    text = recipes.table(trials)
    assert ("**the recipe**" in text) is (chosen is not None)
    assert ("left out: collapsed under random" in text) is bool(collapsed)
    assert ("to come" in text.partition("## ")[2]) is (chosen is None)


def test_the_rule_stands_on_the_page(recipes, made):
    """Beside the numbers, in the words of the file."""
    text = recipes.table(made((0.7, 0.6), (0.6, 0.62), (0.64, 0.64)))
    assert "averaged over those maskers" in text
    assert "| 2  | `rate=0.0005`" in text
    assert "| 0.6000     | 0.6200         | 0.6100 | **the recipe** |" in text


def test_the_committed_page_follows_from_the_table(recipes):
    """Whoever adds a trial writes it anew: `python recipes.py galaxy_suite_1.toml galaxy_suite_1.csv FILE`."""
    assert TABLE.with_suffix(".md").read_text() == recipes.table(recipes.read_trials(LIST, TABLE))


def test_every_contestant_has_six_trials(recipes):
    """No objective was given more, whoever wrote it."""
    own = recipes.by_objective(recipes.read_trials(LIST, TABLE))
    assert {name: len(trials) for name, trials in own.items() if len(trials) != 6} == {"untrained": 1}
    assert {tuple(t.losses) for trials in own.values() for t in trials} == {
        ("random", "brightness"),
        ("none",),
    }


def test_shipped_objectives_are_at_their_recipe(recipes):
    """What nobody sets is what the table chose, and no other of the six trials."""
    trials = recipes.read_trials(LIST, TABLE)
    missing = sum(trial.missing for trial in trials)
    if missing:
        pytest.skip(f"{missing} of {sum(len(trial.losses) for trial in trials)} runs are still to come")
    before = {each["objective"]: each.get("before", {}) for each in tomllib.loads(LIST.read_text())["trial"]}
    registry, astray = load_registry(), {}
    for objective, own in recipes.by_objective(trials).items():
        offer, chosen = registry.get("objective", objective), recipes.recipe(own)
        tried = [resolve(offer, {**before[objective], **trial.options}) for trial in own]
        usual = [
            trial.options for trial, options in zip(own, tried, strict=True) if options == resolve(offer, {})
        ]
        if chosen is not None and usual != [chosen.options]:
            astray[objective] = (
                f"the table chose {chosen.options}; the defaults are those of {usual or 'none'}"
            )

    assert astray == {}


def test_what_is_said_of_the_trials(recipes):
    """The recipe of LeJEPA is the trial that favours `brightness` most; half of `masked-lejepa`'s collapsed."""
    own = recipes.by_objective(recipes.read_trials(LIST, TABLE))
    gains = [trial.losses["random"] - trial.losses["brightness"] for trial in own["lejepa"]]

    assert own["lejepa"][gains.index(max(gains))] is recipes.recipe(own["lejepa"])
    for page in ("README.md", "docs/recipes.md"):
        assert "LeJEPA's recipe is the one of its six trials that favours `brightness` most" in words_of(page)
    assert sum(bool(trial.collapsed) for trial in own["masked-lejepa"]) == 3
    assert "three of the six of `masked-lejepa` had, and were left out" in words_of("leaderboard/findings.md")


def test_what_findings_say_of_earlier_trials():
    """Who had how many before the six."""
    with (FOLDER / "galaxy_zoo2.csv").open(newline="") as file:
        ((most, times),) = Counter(row["objective"] for row in csv.DictReader(file)).most_common(1)

    assert most == "lejepa"
    assert f"the most, {times}, of LeJEPA." in words_of("leaderboard/findings.md")


def words_of(page):
    """Return the text of a page, wherever its lines break."""
    return " ".join((FOLDER.parents[1] / page).read_text().split())
