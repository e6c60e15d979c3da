"""Tokens and operations of one training, beside the scores that they bought."""

import csv
import io
import json

import pytest

from astrojepa_bench.board.page import page_section
from astrojepa_bench.board.render import data, long_table
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli.board_view import board_text


@pytest.fixture(scope="module")
def board(make_run):
    """A dear entry of two seeds, one that could not be counted, and a floor, which does not train."""
    dear = {"train_seconds": 280.0, "tokens": 4_100_000}
    uncounted = {"train_seconds": 60.0, "tokens": None, "flops": None}
    free = {"train_seconds": 0.0, "tokens": 0, "flops": 0.0}
    alphas = [
        make_run("alpha", seed=0, cost={**dear, "flops": 12e12}),
        make_run("alpha", seed=1, cost={**dear, "flops": 13e12}),
    ]
    floor = make_run("untrained", "none", linear=0.5, standing="floor", cost=free)
    return build_board([*alphas, make_run("beta", linear=0.6, cost=uncounted), floor])


def test_columns_hold_means_over_seeds_and_nothing_of_what_does_not_train(board):
    """By hand: 4.1 million tokens and (12 + 13) / 2 TFLOP."""
    (section,) = board.sections
    columns = {column.key: column for column in section.columns}
    cells = [
        [columns[key].text(row.cells.get(key)) for key in ("cost.tokens", "cost.flops")]
        for row in section.rows
    ]
    assert cells == [["4.1", "12.5"], ["", ""], ["", ""]]
    assert [columns[key].title for key in ("cost.tokens", "cost.flops")] == ["M tokens", "TFLOP"]


def test_every_file_tells_them(board):
    """The long table a run, the data a row; what was not counted is empty and no nought."""
    lines = csv.DictReader(io.StringIO(long_table(board)))
    told = {(line["objective"], line["seed"]): (line["tokens"], line["flops"]) for line in lines}
    assert told == {
        ("alpha", "0"): ("4100000", "12000000000000.0"), ("alpha", "1"): ("4100000", "13000000000000.0"),
        ("beta", "0"): ("", ""), ("untrained", "0"): ("", ""),
    }  # fmt: skip
    (section,) = json.loads(data(board))["sections"]
    assert section["rows"][0]["cells"]["cost.flops"]["mean"] == 12.5e12
    assert "cost.flops" not in section["rows"][2]["cells"]


def test_the_page_has_a_column_of_each(board):
    """A dash where nothing was spent, or nobody counted; sorted by the number behind the text."""
    (section,) = board.sections
    shown = {row.objective: row for row in page_section(board, section, "", "", 0).rows}
    assert (shown["alpha"].tokens.text, shown["alpha"].flops.text) == ("4.1", "12")
    assert shown["alpha"].flops.value == 12.5e12
    assert {(shown[name].tokens.text, shown[name].flops.text) for name in ("beta", "untrained")} == {
        ("–", "–")
    }


def test_a_wide_terminal_shows_them(board):
    """Narrow ones drop them before scores."""
    assert "TFLOP" in board_text(board, 250)
    assert "TFLOP" not in board_text(board, 60)
