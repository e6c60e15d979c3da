"""What claims answer with: names, costs and collapses of runs that were lost, directions, places."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.board import claim_answers as answers
from astrojepa_bench.board.certificate import certificates
from astrojepa_bench.board.claim_checks import Checker
from astrojepa_bench.board.claims import Claims
from astrojepa_bench.board.compare import entries_of, newest_of
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import gather
from astrojepa_bench.board.findings import findings_page
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.table import build_board
from astrojepa_bench.errors import DataError


def runs_of(make_run, *statuses, flops=6e12, **changed):
    """Make one run a status; what did not end has no cost."""
    return [
        make_run(seed=seed, status=status, cost={"flops": flops if status == "ok" else None}, **changed)
        for seed, status in enumerate(statuses)
    ]


def test_runs_that_were_lost_cost_nothing_less(make_run):
    """Of a run that failed nothing is known: it is no run that took nothing."""
    lost, whole = runs_of(make_run, "ok", "ok", "failed"), runs_of(make_run, "ok", "ok", "ok")

    found = answers.cost(lost, whole)
    assert (found.verdict, found.slots["ratio"]) == ("equal", "1")
    with pytest.raises(DataError, match="took are not known"):
        answers.cost(whole, runs_of(make_run, "failed"))


def test_of_a_run_that_was_lost_nobody_knows_whether_it_would_have_collapsed(make_run):
    """Nor may it be counted among those that did not."""
    assert answers.collapses(runs_of(make_run, "ok", "collapsed")).slots == {"collapsed": "1", "runs": "2"}
    with pytest.raises(DataError, match="seed 2, ended as 'diverged'"):
        answers.collapses(runs_of(make_run, "ok", "ok", "diverged"))


def test_names_tell_encoders_and_options_apart(make_run):
    """The usual encoder goes without saying; another one is named, and so are options of namesakes."""
    wide, option = {"encoder": "vit-wide"}, {"options": {"objective": {"weight": 0.2}}}
    records = [
        make_run(name, seed=seed, linear=0.7 + 0.01 * seed, altered=change.get("options", {}), **change)
        for name, change in (("alpha", {}), ("alpha", wide), ("alpha", option), ("beta", {}), ("gamma", {}))
        for seed in range(3)
    ]
    (section,) = build_board(records).sections

    named = answers.named(section, section.rows)
    assert named == (
        "`alpha` (random, random + vit-wide), `alpha(weight=0.2)` (random), `beta` (random), `gamma` (random)"
    )


@pytest.fixture(scope="module")
def grid(make_run):
    """Make a grid in which `brightness` adds ten points of a metric of either direction to every objective."""

    def runs(higher, dataset="hdf5", fingerprint="beef"):
        rng = np.random.default_rng(0)
        return [
            make_run(
                objective, masker, seed, dataset=dataset, fingerprint=fingerprint,
                scores=[
                    dict(evaluator="linear", metric=metric, chance=None, higher_is_better=up, n=608, item_se=0.03,
                         value=0.5 + 0.1 * (masker == "brightness") + (jitter and 0.004 * rng.normal()))
                    for metric, up, jitter in
                    (("accuracy", True, 1), ("nll", higher, 1), ("accuracy_faint", True, 0))
                ],
            )
            for objective, masker, seed in
            itertools.product(("alpha", "beta", "gamma"), ("random", "brightness"), range(3))
        ]  # fmt: skip

    return runs


def checker(records, **more):
    """Make a checker of one chapter."""
    return Checker(
        build_board(records), Claims(places={"gz": {"title": "GZ"}}, chapters=[{"title": "?", **more}])
    )


@pytest.mark.parametrize(("higher", "verdict"), [(True, "better"), (False, "worse")])
def test_an_average_knows_which_direction_is_better(grid, higher, verdict):
    """Ten points more of a loss are worse, as they are of two entries."""
    says = dict.fromkeys(("better", "worse", "undecided"), "{effect}")
    factor = ("masker:brightness", "masker:random")
    claim = {"id": "one", "on": "gz", "metric": "linear.nll", "says": says, "factor": factor}
    (found,) = checker(grid(higher), claims=[claim]).checked()

    assert found.settled == verdict
    assert found.sentence.startswith("+")


def test_seeds_that_agree_prove_nothing_in_a_table(grid):
    """All three alike: the interval is that of the test galaxies, not one of no width."""
    table = {"on": "gz", "entries": ["alpha+random"], "metrics": ["linear.accuracy_faint"]}
    page, faults = findings_page(checker(grid(True), tables=[table]), [])

    assert faults == []
    assert "50.0 [44.1, 55.9]" in page


def test_agreement_is_of_the_place_that_is_asked_about(grid):
    """Not of the same galaxies with fewer to pretrain on."""
    records = [*grid(True, "synthetic", "f00d"), *grid(True)]
    sections = {section.dataset: section for section in build_board(records).sections}
    (whole,) = certificates(build_board(records))
    few = replace(whole, budget="small, 500 pretraining galaxies", lines=())

    asked = (sections["synthetic"], sections["hdf5"], "linear.accuracy")
    assert answers.agrees([few, whole], *asked).slots == answers.agrees([whole], *asked).slots
    with pytest.raises(DataError, match="too few contestants"):
        answers.agrees([replace(whole, budget=few.budget)], *asked)


def test_all_that_share_the_highest_mean_are_named(make_run):
    """Neither is the best by the order of names."""
    values = {"random": (0.70, 0.71, 0.72), "brightness": (0.72, 0.70, 0.71), "radial": (0.6, 0.61, 0.62)}
    records = [
        make_run("alpha", masker, seed, linear=value)
        for masker, found in values.items()
        for seed, value in enumerate(found)
    ]
    records += [make_run("untrained", "none", seed, linear=0.5, standing="floor") for seed in range(3)]
    both = "`alpha` (brightness, random)"
    says = {"one": "{best}", "several": "{best}"}
    lifts = {verdict: "{most}" for verdict in ("better", "worse", "both", "undecided")}
    group = "self-supervised"
    told = checker(records, claims=[
        {"id": "one", "on": "gz", "says": says, "leads": group},
        {"id": "two", "on": "gz", "says": lifts, "lifts": group},
    ]).checked()  # fmt: skip

    assert [each.sentence for each in told] == [both, both]


def test_a_share_without_constants_of_its_own_borrows_the_headlines(grid):
    """Accuracies of a quarter of the galaxies rest on those galaxies too; a loss has no such part."""
    records = [
        run.model_copy(
            update={"scores": [*run.scores, run.scores[0].model_copy(update={"evaluator": "nuisance"})]}
        )
        for run in grid(True)
    ]
    (section,) = build_board(records).sections
    entries = entries_of(section, by_entry(records))
    a, b = [entry for entry, runs in entries.items() if runs[0].objective == "alpha"]
    parts = [
        gather(entries, newest_of(entries), Rules(), metric).preferences.between(a, b)
        for metric in ("linear.accuracy", "nuisance.accuracy", "linear.nll")
    ]

    assert parts[0] == parts[1]
    assert parts[0].part == pytest.approx(Rules().borrowed["linear"].same / 608)
    assert parts[2].part == 0
