"""The sentences of the committed board: each holds, and each falls when the records behind it change."""

import functools
import json
import shutil
from pathlib import Path

import pytest
from astrojepa_suites import FEATURES

from astrojepa_bench.board.claim_checks import Checker
from astrojepa_bench.board.claims import read_claims
from astrojepa_bench.board.compare import entries_of
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.findings import read_settled
from astrojepa_bench.board.rules import read_rules
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import main
from astrojepa_bench.results.store import Store

BOARD = Path(__file__).parents[2] / "leaderboard"
FOLDERS = {"galaxy-suite-1": BOARD, "suite-0": BOARD / "suite-0"}
CLAIMS = {name: read_claims(folder) for name, folder in FOLDERS.items()}
EACH = [
    pytest.param(name, claim, id=f"{name}-{claim.id}")
    for name, made in CLAIMS.items()
    for claim in made.claims
]
FAR = 0.3
"""Further than any interval of this board reaches, as a fraction."""


class Committed:
    """A committed board with what it claims.

    Attributes:
        folder, claims, settled, board: of it.
        checker: of its claims.
        sections: the records of each place that has some, so that a change is judged without the rest.
    """

    def __init__(self, name):
        self.folder, self.claims = FOLDERS[name], CLAIMS[name]
        self.settled = read_settled(self.folder)
        self.board = build_board(Store(self.folder).records(), read_rules(self.folder))
        self.checker = Checker(self.board, self.claims, self.folder, self.settled)
        runs, self.sections = by_entry(self.board.records), {"": list(self.board.records)}
        for on in (on for on, place in self.claims.places.items() if place.complete):
            entries = entries_of(self.checker.section(on), runs).values()
            self.sections[on] = [run for entry in entries for run in entry]


@pytest.fixture(scope="module")
def committed():
    """Read a board once."""
    return functools.cache(Committed)


def shifted(record, metric, by):
    """Add to one number of a record; the bits that would contradict it go."""
    evaluator, name = metric.split(".", 1)
    if evaluator == "masks":
        return record.model_copy(update={"health": {**record.health, name: record.health[name] + by}})
    scores = [
        score.model_copy(
            update={"value": score.value + by * (score.evaluator == evaluator and score.metric == name)}
        )
        for score in record.scores
    ]
    return record.model_copy(update={"scores": scores, "correct": {}})


def verdict_of(claim, checker):
    """Return the verdict that a claim asserts, or that was settled; empty where it has bounds alone."""
    return claim.asserts or checker.settled.get(claim.id, "").partition(":")[0]


def mean_of(records, metric):
    """Average a score over runs."""
    evaluator, name = metric.split(".", 1)
    values = [s.value for r in records for s in r.scores if (s.evaluator, s.metric) == (evaluator, name)]
    return sum(values) / len(values)


def moved(claim, records, checker, section, metric):
    """Name the entries to shift, and by how much, so that the verdict changes or a bound is passed."""
    said, falls = verdict_of(claim, checker), claim.at_least is not None and claim.asserts is None
    if claim.entry is not None:
        by = (-1.0 if falls else 1.0) * (100 if metric.startswith("collapse.") else 1)
        return {checker.entry(section, claim.entry)}, by
    if claim.factor is not None:
        factor, _, level = claim.factor[0].partition(":")
        return {r.entry_id for r in records if getattr(r, factor) == level}, -FAR if said == "better" else FAR
    if claim.compare is not None:
        a, b = (checker.entry(section, name) for name in claim.compare)
        if not said:
            return {a}, -FAR if falls else FAR
        above = [mean_of([r for r in records if r.entry_id == entry], metric) for entry in (a, b)]
        return {a}, -FAR if above[0] > above[1] else FAR
    if claim.lifts is not None:
        return {r.entry_id for r in records if r.standing == "contestant"}, -FAR if said == "better" else FAR
    if claim.rank is not None:
        return {checker.entry(section, claim.rank)}, FAR if said == "behind" else -FAR
    first = [row.entry_id for row in section.rows if row.ranks and row.ranks[0] == 1]
    return {first[0]}, -FAR if len(first) == 1 else FAR  # of those that lead


def changed(claim, records, checker, section):
    """Change the records so that what the claim asserts is no longer so."""
    metric, said = claim.metric or checker.rules.headline, verdict_of(claim, checker)
    if claim.collapsed is not None:
        entry = checker.entry(section, claim.collapsed)
        status = "ok" if claim.at_least is not None or said in ("all", "some") else "collapsed"
        return [r.model_copy(update={"status": status}) if r.entry_id == entry else r for r in records]
    if claim.cost is not None:
        entry = checker.entry(section, claim.cost[0])
        by = 1e-3 if said == "dearer" or claim.at_least is not None else 1e3
        costs = {r.run_id: r.cost.model_copy(update={"flops": by * (r.cost.flops or 0)}) for r in records}
        return [r.model_copy(update={"cost": costs[r.run_id]}) if r.entry_id == entry else r for r in records]
    if claim.forecasts is not None:
        seeds = {
            run.entry_id: sorted(r.seed for r in records if r.entry_id == run.entry_id) for run in records
        }
        late = [r.run_id for r in records if r.seed in seeds[r.entry_id][3:]]
        if not said:  # one forecast is fewer than there should be
            return [r for r in records if r.run_id not in late[1:]]
        return [shifted(r, metric, FAR) if r.run_id in late else r for r in records]
    if claim.agreement is not None:
        real = checker.section(claim.agreement)
        there = {run for row in real.rows for run in row.runs}
        turn = -1 if said == "alike" or claim.at_least is not None else 1
        order = {r.title: turn * mean_of([o for o in records if o.run_id in there and o.title == r.title], metric)
                 for r in records if r.run_id in there}  # fmt: skip
        return [
            r if r.run_id in there or r.title not in order
            else shifted(r, metric, order[r.title] - mean_of([r], metric))
            for r in records
        ]  # fmt: skip
    entries, by = moved(
        claim, records, checker, section, "linear.accuracy" if metric == "composite" else metric
    )
    metric = "linear.accuracy" if metric == "composite" else metric
    return [shifted(r, metric, by) if r.entry_id in entries else r for r in records]


@pytest.mark.parametrize("name", FOLDERS)
def test_every_sentence_holds(committed, name):
    """Whoever changes records, statistics or rules learns here which sentence must be written anew."""
    assert [each.fault for each in committed(name).checker.checked() if each.fault] == []


def other_numbers(found):
    """Put 1e9 in the place of every number."""
    if isinstance(found, dict):
        return {key: other_numbers(value) for key, value in found.items()}
    if isinstance(found, list):
        return [other_numbers(value) for value in found]
    return 1e9 if isinstance(found, int | float) else found


@pytest.mark.slow
@pytest.mark.parametrize(("name", "claim"), EACH)
def test_each_sentence_falls_when_its_records_change(committed, name, claim, tmp_path):
    """For the reason that it asserts something, not because it could no longer be looked up."""
    known = committed(name)
    whole = known.checker
    if whole.check(claim).awaited:
        pytest.skip("its runs are still to come")
    if claim.figure is not None:
        told = json.loads((known.folder / claim.figure.file).read_text())
        (tmp_path / "other.json").write_text(json.dumps(other_numbers(told)))
        figure = claim.figure.model_copy(update={"file": str(tmp_path / "other.json")})
        fault = whole.check(claim.model_copy(update={"figure": figure})).fault
    else:
        records = [*known.sections[claim.on], *(known.sections[claim.agreement] if claim.agreement else [])]
        section = whole.section(claim.on) if claim.on else None
        after = build_board(changed(claim, records, whole, section), known.board.rules)
        fault = Checker(after, known.claims, known.folder, known.settled).check(claim).fault

    assert fault.startswith(("it asserts", "it was settled"))


def test_the_recommended_recipe_is_the_one_that_is_spoken_of(committed):
    """Suite `features` runs what claim `recipe` places among the contestants, which is the first of them."""
    claim = next((claim for claim in CLAIMS["galaxy-suite-1"].claims if claim.id == "recipe"), None)
    if claim is None:
        pytest.skip("no claim `recipe` is made of this board")
    (block,) = FEATURES.blocks
    names = [*block.objectives, *block.maskers]
    assert "+".join(names) == claim.rank
    assert all(f"`{block.maskers[0]}`" in text for text in claim.says.values())
    told = committed("galaxy-suite-1").checker.check(claim).sentence
    assert "is number 1 of" in told, "the rule: the best mean linear accuracy on Galaxy Zoo 2"


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_a_copy_of_the_folder_is_a_board_by_itself(tmp_path, name):
    """Whoever is sent it can check it, without the rest of the project."""
    copy = shutil.copytree(FOLDERS[name], tmp_path / "board", ignore=shutil.ignore_patterns("suite-0"))
    assert main(["leaderboard", "check", str(copy)]) == 0
