"""The board's own forecasts: made from the first three seeds, scored by every later one."""

import math

import numpy as np
import pytest
from scipy import stats

from astrojepa_bench.board.claim_answers import forecasts
from astrojepa_bench.board.columns import newest_versions
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.rules import Borrowed, Rules
from astrojepa_bench.board.table import build_board
from astrojepa_bench.board.track import track_record
from astrojepa_bench.board.verdicts import TrackRecord

QUIET = Rules(borrowed={"linear": Borrowed(same=0, other=0, rest=0)})


def runs_of(make_run, name, values, **changed):
    return [make_run(name, seed=seed, linear=value, **changed) for seed, value in enumerate(values)]


def test_a_forecast_by_hand(make_run):
    """Of .69, .70, .71 the next lies within t(.975, 4) * .01 sqrt(4/3): two of four later seeds do."""
    half = stats.t.ppf(0.975, 4) * 0.01 * math.sqrt(4 / 3)  # spread and its prior are the same entry's
    later = [0.70 + 0.99 * half, 0.70 - 1.01 * half, 0.70, 0.70 + 1.01 * half]
    records = runs_of(make_run, "alpha", [0.69, 0.70, 0.71, *later])

    found = track_record(by_entry(records), newest_versions(records), QUIET)
    assert found == TrackRecord(((4, 2),))
    board = build_board(records, QUIET)
    assert board.track_record == found
    assert any(note.startswith("2 of 4 later seeds fell inside") for note in board.sections[0].notes)


def test_nothing_later_enters_a_forecast(make_run):
    """Later seeds of any entry move no forecast, however wild they are."""
    quiet = runs_of(make_run, "alpha", [0.69, 0.70, 0.71, 0.9])
    wild = runs_of(make_run, "beta", [0.69, 0.70, 0.71, 0.1, 0.9])

    assert track_record(by_entry(quiet), newest_versions(quiet), QUIET) == TrackRecord(((1, 0),))
    both = [*quiet, *wild]
    assert track_record(by_entry(both), newest_versions(both), QUIET) == TrackRecord(((1, 0), (2, 0)))


def test_three_seeds_make_no_forecast(make_run):
    """There is nothing yet to score it with."""
    records = runs_of(make_run, "alpha", [0.69, 0.70, 0.71])
    assert track_record(by_entry(records), newest_versions(records), QUIET) == TrackRecord()


def test_a_board_of_three_and_twenty_seeds_counts_its_forecasts(make_run):
    """Five entries of twenty seeds make 85; those of three make none, and tell the spread in common."""
    rng = np.random.default_rng(3)
    counts = {**dict.fromkeys(("a", "b", "c", "d", "e"), 20), **dict.fromkeys(("f", "g", "h"), 3)}
    records = [
        run
        for name, seeds in counts.items()
        for run in runs_of(make_run, name, 0.7 + 0.01 * rng.normal(size=seeds))
    ]
    found = track_record(by_entry(records), newest_versions(records), QUIET)

    assert [made for made, _ in found.by_entry] == [17] * 5
    assert 0.85 < found.inside / 85 <= 1


def test_forecasts_come_true_as_often_as_they_say(make_run):
    """Of 30 boards of 10 entries of unequal spread about 95 % of 1,200 later seeds fall inside."""
    rng, made, inside = np.random.default_rng(0), 0, 0
    for _ in range(30):
        spreads = 0.01 * np.sqrt(6 / rng.chisquare(6, 10))
        records = [
            run
            for place, spread in enumerate(spreads)
            for run in runs_of(make_run, f"e{place}", 0.7 + spread * rng.normal(size=7))
        ]
        found = track_record(by_entry(records), newest_versions(records), QUIET)
        made, inside = made + found.forecasts, inside + found.inside

    assert made == 1200
    assert inside / made == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("inside", "verdict"),
    [
        ((9, 6), "kept"),  # of nine each; as eighteen trials they would give .83 [.61, .94]
        ((17, 17, 16, 17, 9), "kept"),  # one entry whose first seeds lay together
        ((15, 13, 14, 12, 13), "missed"),
        ((17,) * 5, "wide"),  # .95 ** 85 is .013
        ((1,), "kept"),
    ],
)
def test_all_forecasts_of_an_entry_miss_together(inside, verdict):
    """They rest on the same three seeds: the interval of the share is that of whole entries."""
    made = 9 if len(inside) == 2 else 17 if len(inside) == 5 else 1
    assert forecasts(TrackRecord(tuple((made, each) for each in inside))).verdict == verdict


def test_the_interval_of_whole_entries_by_hand():
    """Nine and six of nine: residuals of 1.5, so 12.7 sqrt(2 * 4.5) / 18 to either side."""
    low, high = TrackRecord(((9, 9), (9, 6))).interval()
    half = stats.t.ppf(0.975, 1) * math.sqrt(2 * 4.5) / 18

    assert (low, high) == pytest.approx((15 / 18 - half, 15 / 18 + half))


@pytest.mark.parametrize(("narrowed", "least", "most"), [(1.0, 0.0, 0.02), (0.5, 0.7, 1.0)])
def test_forecasts_that_are_too_narrow_are_found(narrowed, least, most):
    """Right ones are hardly ever called missed; of half the width most are, by five entries of twenty seeds."""
    rng, missed, rounds, df = np.random.default_rng(1), 0, 200, 22
    for _ in range(rounds):
        first = rng.normal(size=(5, 3))
        spread = np.sqrt((2 * first.var(axis=1, ddof=1) + 20 * rng.chisquare(20, 5) / 20) / df)
        half = narrowed * stats.t.ppf(0.975, df) * spread * math.sqrt(4 / 3)
        inside = np.abs(rng.normal(size=(5, 17)) - first.mean(axis=1)[:, None]) < half[:, None]
        missed += (
            forecasts(TrackRecord(tuple((17, int(each)) for each in inside.sum(axis=1)))).verdict == "missed"
        )

    assert least <= missed / rounds <= most
