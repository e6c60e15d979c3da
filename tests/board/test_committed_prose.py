"""What README, recipes and findings say of the records in words of their own, which no claim prints."""

import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from astrojepa_bench.board.claims import read_claims
from astrojepa_bench.results.store import Store

ROOT = Path(__file__).parents[2]
BOARD = ROOT / "leaderboard"
CLAIMS = read_claims(BOARD)
ANSWERS = ("README.md", "docs/recipes.md")


@pytest.fixture(scope="module")
def records():
    """What the board is made of."""
    return Store(BOARD).records()


def says(page, sentence):
    """Return whether a page holds a sentence, wherever its lines break."""
    return sentence in " ".join((ROOT / page).read_text().split())


def fingerprint(place):
    """Return what tells the galaxies of a place."""
    return CLAIMS.places[place].fingerprint


def after(records, images, place):
    """Select the runs of a place that were shown so many images."""
    return [
        record
        for record in records
        if record.identity["budget"].endswith(f" {images} seen")
        and record.identity["fingerprint"].startswith(fingerprint(place))
    ]


def seeds_of_contestants(runs):
    """Collect the seeds of every entry, by its objective."""
    seeds = defaultdict(lambda: defaultdict(set))
    for run in runs:
        if run.standing == "contestant":
            seeds[run.objective][run.entry_id].add(run.seed)
    return {name: [*own.values()] for name, own in seeds.items()}


def test_how_many_seeds_everybody_has(records):
    """Twenty of LeJEPA stand on Galaxy Zoo 2 beside three of the others."""
    assert says("README.md", "LeJEPA has twenty seeds there and the others have three")
    seeds = seeds_of_contestants(after(records, 25_000, "gz2"))
    lejepa = seeds.pop("lejepa")

    assert {len(own) for own in lejepa} == {20}
    assert {len(own) for entries in seeds.values() for own in entries} == {3}


@pytest.mark.parametrize("place", ["gz2", "sim", "gz1", "radio"])
def test_which_seeds_entries_have(records, place):
    """The board's begin at 20, after those of tuning and of the experiment with I-JEPA."""
    assert says(
        "leaderboard/findings.md", "three pretraining seeds (20 to 22) unless its table says otherwise"
    )
    seeds = seeds_of_contestants(after(records, 25_000, place)).values()

    assert all(own == set(range(20, 20 + len(own))) and len(own) >= 3 for each in seeds for own in each)


def test_the_test_galaxies_are_those_of_suite_0(records):
    """Whoever chose what is asked here had seen scores of them."""
    assert says("README.md", "Its test galaxies are those of [suite 0](leaderboard/suite-0/README.md)")
    here, before = (
        {run.identity["splits"] for run in runs if run.identity["fingerprint"].startswith(fingerprint("gz2"))}
        for runs in (records, Store(BOARD / "suite-0").records())
    )

    assert len(here) == 1
    assert here == before


def test_who_was_scored_after_ten_times_the_images(records):
    """I-JEPA and its start alone; its best of the twelve recipes of an arm, with three seeds."""
    for page in ANSWERS:
        assert says(page, "only I-JEPA was scored on test galaxies there")
        assert says(page, "(Three seeds of the best of twelve recipes, `crop=null`, with `multiblock`.)")
    with (ROOT / "benchmarks" / "ijepa" / "trials.csv").open(newline="") as file:
        tried = [row for row in csv.DictReader(file) if (row["arm"], row["objective"]) == ("A", "ijepa")]
    best = min(tried, key=lambda row: float(row["cv_log_loss"]))
    options = json.loads(best["options"])["objective"]
    long = after(records, 250_000, "ijepa-long")
    its = [r for r in long if r.objective == "ijepa" and options.items() <= r.options["objective"].items()]

    assert {run.objective for run in long} == {"ijepa", "untrained"}
    assert (len(tried), best["masker"], options["crop"]) == (12, "multiblock", None)
    assert {(run.seed, run.masker) for run in its} == {(seed, "multiblock") for seed in (11, 12, 13)}


def test_no_claim_sets_one_quarter_against_another():
    """As the answer says of its quarters of galaxies."""
    for page in ANSWERS:
        assert says(page, "(How quarters differ was not tested.)")
    asked = [claim for claim in CLAIMS.claims if "nuisance.accuracy_" in (claim.metric or "")]

    assert asked
    assert all(claim.compare is not None for claim in asked)


def test_how_many_galaxies_a_quarter_holds(records):
    """Equal quarters of the catalogue are nearly equal quarters of the test galaxies."""
    assert says("leaderboard/findings.md", "A quarter holds some 260 test galaxies.")
    quarters = {f"accuracy_{by}_{at}" for by in ("brightness", "size") for at in range(1, 5)}
    runs = after(records, 25_000, "gz2")
    counts = {s.metric: s.n for run in runs for s in run.scores if s.metric in quarters}

    assert counts.keys() == quarters
    assert round(sum(counts.values()) / 8, -1) == 260
    assert all(230 < count < 300 for count in counts.values())


def test_the_galaxies_of_every_record_are_listed(records):
    """Whoever wants to know which galaxies a record got wrong finds them; scores of classes are checked by them."""
    judged = {
        (run.identity["fingerprint"], score.n)
        for run in records
        for score in run.scores
        if f"{score.evaluator}.{score.metric}" in run.correct
    }

    assert judged
    for galaxies, n in judged:
        assert len(Store(BOARD).classes(galaxies)) == n


def test_how_many_galaxies_the_rarest_class_has(records):
    """Of Galaxy Zoo 2, on which its balanced accuracy rests."""
    assert says("leaderboard/findings.md", "rests, on Galaxy Zoo 2, on 22 cigar-shaped test galaxies.")
    (galaxies,) = {run.identity["fingerprint"] for run in after(records, 25_000, "gz2")}
    counts = np.bincount(Store(BOARD).classes(galaxies))

    assert counts.min() == 22
    assert np.sort(counts)[1] > 100
