"""The simulator's certificate, against what an audit found by other code, and on boards made by hand."""

import gzip
import json
from pathlib import Path

import pytest

from astrojepa_bench.board.certificate import SIMULATOR, certificates
from astrojepa_bench.board.page import agreements
from astrojepa_bench.board.render import data, page, write_board
from astrojepa_bench.board.table import build_board
from astrojepa_bench.builtin import astrojepa_datasets
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store

FROZEN = Path(__file__).parents[1] / "golden" / "board_2026_11_26.json.gz"


@pytest.mark.slow
def test_the_certificate_of_november():
    """What the audit of these records found by code of its own: five orders alike, anomalies the other way round.

    Contestants with the encoder `vit-micro` that stand on both: 22, those of the CPU among them.
    """
    facts = json.loads(gzip.decompress(FROZEN.read_bytes()))
    records = [RunRecord(**each) for each in facts if each["identity"].get("pretraining") is None]
    found = certificates(build_board(records))
    of_both = found[0]

    assert (of_both.encoder, of_both.budget) == ("vit-micro", "small")
    told = {line.metric: line.found for line in of_both.lines}
    audited = {
        "linear.accuracy": 0.88, "linear.balanced_accuracy": 0.84, "knn.accuracy": 0.60, "kmeans.ami": 0.65,
        "anomaly.auroc_physical": -0.56, "collapse.effective_rank": 0.81,
    }  # fmt: skip
    assert {metric: round(told[metric].rho, 2) for metric in audited} == audited
    assert {told[metric].n for metric in audited} == {22}
    anomalies = told["anomaly.auroc_physical"]
    assert (round(anomalies.low, 2), round(anomalies.high, 2)) == (-0.81, -0.15)
    low, high = next(line.objectives for line in of_both.lines if line.metric == "anomaly.auroc_physical")
    assert low < anomalies.low  # the maskers of an objective are much alike
    assert high > anomalies.high
    assert of_both.simulated_fingerprint != of_both.real_fingerprint


def test_the_simulator_is_the_rulers_own():
    """By the name under which the ruler offers it."""
    assert SIMULATOR in astrojepa_datasets()


@pytest.fixture(scope="module")
def both(make_run):
    """Make seven contestants on simulated and on real galaxies; in k-NN accuracy the orders are turned round."""

    def run(place, at, **changed):
        names = {"dataset": SIMULATOR, "fingerprint": "f00d"}
        names = names if place == "sim" else {"dataset": "hdf5", "fingerprint": "beef"}
        values = {("linear", "accuracy"): 0.6 + 0.03 * at,
                  ("knn", "accuracy"): 0.6 + 0.03 * (at if place == "sim" else -at)}  # fmt: skip
        scores = [
            dict(evaluator=e, metric=m, value=v, chance=0.4, higher_is_better=True, n=608)
            for (e, m), v in values.items()
        ]
        return make_run(f"o{at}", "random", **{"scores": scores, **names, **changed})

    return run


def rho(records):
    """Read the correlations of the one certificate."""
    (found,) = certificates(build_board(records))
    return {line.metric: (round(line.found.rho, 2), line.found.n) for line in found.lines}


def test_what_counts(both):
    """Ranked contestants of one name, encoder, device and budget; floors and what stands on one alone do not."""
    seven = [both(place, at) for place in ("sim", "real") for at in range(7)]
    assert rho(seven) == {"linear.accuracy": (1.0, 7), "knn.accuracy": (-1.0, 7)}

    more = [
        both("sim", 9), both("real", 8),  # not the same entry
        both("sim", 10, standing="floor"), both("real", 10, standing="floor"),
        both("sim", 11, encoder="other"), both("real", 11, encoder="other"),
        both("sim", 12, device_class="cuda"), both("real", 12),
    ]  # fmt: skip
    assert rho([*seven, *more]) == rho(seven)
    on_both = [*seven, both("sim", 13, device_class="cuda"), both("real", 13, device_class="cuda")]
    assert rho(on_both)["linear.accuracy"] == (1.0, 8)


def test_other_code_is_another_contestant(both):
    """A recipe that was changed between two places is no one entry, whatever its name."""
    newer = {"chain": {"objective": {"own": "v2"}, "dataset": {"own": "v9"}}}
    seven = [both("sim", at) for at in range(7)] + [both("real", at, **newer) for at in range(2)]
    rest = [both("real", at, chain={**newer["chain"], "objective": {"own": "v1"}}) for at in range(2, 7)]

    assert rho([*seven, *rest])["linear.accuracy"] == (1.0, 5)  # code of the data set is not the entry's


def test_the_encoder_of_most_entries_counts_not_of_most_scores(both):
    """Five entries with one encoder and many metrics, six with another and few."""

    def scored(place, at):
        run = both(place, at)
        more = [run.scores[0].model_copy(update={"metric": f"m{i}"}) for i in range(9)]
        return run.model_copy(update={"scores": [*run.scores, *more]})

    many = [scored(place, at) for place in ("sim", "real") for at in range(5)]
    most = [both(place, at, encoder="wide") for place in ("sim", "real") for at in range(6)]
    (found,) = certificates(build_board([*many, *most]))

    assert (found.encoder, found.lines[0].found.n) == ("wide", 6)


def test_too_few_or_another_budget_make_none(both):
    """Four entries say nothing, nor do runs that saw another number of images."""
    assert certificates(build_board([both(place, at) for place in ("sim", "real") for at in range(4)])) == ()
    budgets = {"sim": "small 64px 25000 seen", "real": "small 64px 250000 seen"}
    assert (
        certificates(build_board([both(p, at, budget=b) for p, b in budgets.items() for at in range(7)]))
        == ()
    )


@pytest.mark.slow
def test_it_stands_on_every_page(both, tmp_path):
    """In Markdown, on the page with charts, and for programs."""
    for place in ("sim", "real"):
        for at in range(7):
            Store(tmp_path).write(both(place, at))
    write_board(tmp_path)

    assert "| linear %" in (tmp_path / "README.md").read_text().partition("order contestants")[2]
    shown = (tmp_path / "index.html").read_text()
    assert "<caption>synthetic and hdf5, budget small, encoder vit-micro</caption>" in shown
    (facts,) = json.loads((tmp_path / "board.json").read_text())["certificates"]
    assert [line["rho"] for line in facts["lines"]] == [1.0, -1.0]
    assert (facts["real_fingerprint"], facts["lines"][0]["n"]) == ("beef", 7)


def test_a_place_where_nothing_was_scored_is_compared_with_none(both):
    """Its runs were lost: the page is written all the same."""
    lost = [both("real", at, status="failed", scores=[]) for at in range(7)]
    board = build_board([both("sim", at) for at in range(7)] + lost)

    assert agreements(board) == []
    assert certificates(board) == ()


def test_boards_without_a_simulator_say_nothing_of_it(six_entries):
    """Neither a heading nor a table, though there are eight entries to compare."""
    board = build_board(six_entries)
    assert certificates(board) == ()
    assert "order contestants" not in page(board, certified=certificates(board))
    assert json.loads(data(board, certificates(board)))["certificates"] == []
