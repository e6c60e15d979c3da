"""The sentences of the committed board: each holds, and each falls when the records behind it change."""

from pathlib import Path

import pytest

from astrojepa_bench.board.claim_checks import Checker
from astrojepa_bench.board.claims import read_claims
from astrojepa_bench.board.compare import entries_of
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.rules import read_rules
from astrojepa_bench.board.table import build_board
from astrojepa_bench.results.store import Store

BOARD = Path(__file__).parents[2] / "leaderboard"
CLAIMS = read_claims(BOARD)
FAR = 0.3
"""Further than any interval of this board reaches, as a fraction."""


@pytest.fixture(scope="module")
def board():
    return build_board(Store(BOARD).records(), read_rules(BOARD))


@pytest.fixture(scope="module")
def sections(board):
    """Return the records of each place, so that a change is judged without the rest of the board."""
    checker, runs = Checker(board, CLAIMS), by_entry(board.records)
    return {
        on: [run for entry in entries_of(checker.section(on), runs).values() for run in entry]
        for on in CLAIMS.places
    }


def shifted(record, metric, by):
    """Add to one score of a record; the bits that would contradict it go."""
    evaluator, name = metric.split(".", 1)
    scores = [
        score.model_copy(
            update={"value": score.value + by * (score.evaluator == evaluator and score.metric == name)}
        )
        for score in record.scores
    ]
    return record.model_copy(update={"scores": scores, "correct": {}})


def changed(claim, records, checker, section):
    """Change the records so that what the claim asserts is no longer so."""
    if claim.collapsed is not None:
        entry = checker.entry(section, claim.collapsed)
        status = "ok" if claim.at_least is not None else "collapsed"
        return [r.model_copy(update={"status": status}) if r.entry_id == entry else r for r in records]
    metric = claim.metric or checker.rules.headline
    if claim.entry is not None:
        moved, by = {checker.entry(section, claim.entry)}, -1.0 if claim.at_least is not None else 1.0
        by *= 100 if metric.startswith("collapse.") else 1
    elif claim.factor is not None:
        level = claim.factor[0].partition(":")[2]
        moved, by = {r.entry_id for r in records if r.masker == level}, FAR
    else:
        moved = {checker.entry(section, claim.compare[0])}
        falls = claim.asserts == "better" or (claim.asserts is None and claim.at_least is not None)
        by = -FAR if falls else FAR
    return [shifted(r, metric, by) if r.entry_id in moved else r for r in records]


def test_every_sentence_holds(board):
    """Whoever changes records, statistics or rules learns here which sentence must be written anew."""
    assert [each.fault for each in Checker(board, CLAIMS).checked() if each.fault] == []


@pytest.mark.slow
@pytest.mark.parametrize("claim", CLAIMS.claims, ids=lambda claim: claim.id)
def test_each_sentence_falls_when_its_records_change(board, sections, claim):
    """For the reason that it asserts something, not because it could no longer be looked up."""
    whole = Checker(board, CLAIMS)
    records = changed(claim, sections[claim.on], whole, whole.section(claim.on))
    fault = Checker(build_board(records, board.rules), CLAIMS).check(claim).fault

    assert fault.startswith("it asserts")
