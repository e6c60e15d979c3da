"""The board on a terminal."""

import pytest

from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli.board_view import board_text


@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal(six_entries, make_run, width):
    """Columns give way, names fold, and nothing runs over the edge or is cut off."""
    long_name = make_run(options={"objective": {"a_rather_long_option": "short"}})
    text = board_text(build_board([*six_entries, long_name]), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_a_hundred_columns_show_what_matters(six_entries):
    """Ranks, entry, seeds, accuracy, lift with interval, floors, who used labels, chance, lost seeds."""
    text = board_text(build_board(six_entries), 100)
    for wanted in (
        "74.0 ± 1.0",
        "+11.0 [",
        "collapsed 1/3",
        "floor",
        "uses labels",
        "chance",
        "40.0",
    ):
        assert wanted in text
    assert "1 of 3 seeds diverged" in text


def test_wide_terminals_show_every_column(six_entries):
    """Nothing is left out where there is room."""
    text = board_text(build_board(six_entries), 250)
    assert "images/s" in text
    assert "More columns" not in text


def test_the_accuracy_stays_to_the_last(six_entries):
    """What the order rests on is never dropped."""
    assert "74.0 ± 1.0" in board_text(build_board(six_entries), 60)


def test_a_board_of_skipped_cells_says_why(lost_run):
    """Where nothing ran, the reasons still appear."""
    text = board_text(build_board([lost_run("skipped", skip_reason="needs masks")]), 100)
    assert "Skipped: alpha + random + vit-micro: needs masks" in text


def test_the_encoder_that_rows_share_stands_in_the_title_once(six_entries, make_run):
    """Names stay short where one encoder is usual, and whole where every row has its own."""
    text = board_text(build_board(six_entries), 120)
    assert text.count("encoder vit-micro unless another is named") == 1
    assert "untrained + none + pca" in text
    assert "alpha + random + vit-micro" not in text
    own = [make_run("alpha"), make_run("alpha", encoder="pca")]
    assert "unless another is named" not in board_text(build_board(own), 100)


def test_what_scoring_cost_stands_below(make_run):
    """Seconds of the core evaluators, as a share of training."""
    text = board_text(
        build_board([make_run(cost={"train_seconds": 200.0, "evaluation": {"linear": 20.0}})]), 100
    )
    assert "· Scoring a run: core 20 s (10 % of training). Seconds on each part: linear 20.0." in text


def test_what_has_no_labels_says_what_to_do_next(make_run):
    """Nothing is ranked, and a newcomer is told which commands show something."""
    only_shapes = [score for score in make_run().scores if score.evaluator == "kmeans"]
    text = " ".join(board_text(build_board([make_run(scores=only_shapes)]), 100).split())
    assert "No linear.accuracy was measured, so nothing is ranked." in text
    assert "`report RUN`" in text
    assert "so nothing is ranked" not in board_text(build_board([make_run()]), 100)


def test_rows_are_ordered_by_the_metric_of_their_lift(make_run):
    """A suite that judges by neighbours orders, lifts and says so by neighbours."""
    entries = {"near": (0.5, 0.7), "straight": (0.7, 0.5), "untrained": (0.4, 0.4)}
    runs = [
        make_run(name, seed=seed, linear=linear, standing="floor" if name == "untrained" else "contestant")
        for name, (linear, _) in entries.items()
        for seed in range(3)
    ]
    values = {name: knn for name, (_, knn) in entries.items()}
    told = [
        run.model_copy(
            update={
                "scores": [
                    score.model_copy(update={"value": values[run.objective] + 0.01 * run.seed})
                    if score.evaluator == "knn"
                    else score
                    for score in run.scores
                ]
            }
        )
        for run in runs
    ]
    board = build_board(told, Rules(headline="knn.accuracy"))
    rows = [row for row in board.sections[0].rows if row.standing == "contestant"]
    assert [row.objective for row in rows] == ["near", "straight"]
    assert [round(row.cells["lift.accuracy"].mean, 2) for row in rows] == [0.3, 0.1]
    assert "Ordered by k-NN %" in board_text(board, 120)
    assert "Gain in k-NN % over the same encoder" in html_page(board)
