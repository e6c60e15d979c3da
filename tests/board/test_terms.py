"""Licence and citation of the galaxies stand on every page of a board, and nothing where none are stated."""

import pytest

from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.render import page
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.table import build_board
from astrojepa_bench.board.terms import terms_of
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.types import UNSTATED, Card

CARD = Card("zoo", "CC BY 4.0", "Doe et al. 2024, MNRAS 1, 2")
TEXT = "licence: CC BY 4.0. Cite: Doe et al. 2024, MNRAS 1, 2."


@pytest.mark.parametrize("render", [html_page, page])
def test_pages_name_what_galaxies_ask_of_their_users(make_run, render):
    """By what the board calls the galaxies, once, however many runs there are."""
    board = build_board([make_run(seed=seed, terms=CARD.terms) for seed in range(3)])
    assert terms_of(board) == {"synthetic": TEXT}
    assert render(board).count("Doe et al. 2024") == 1


@pytest.mark.parametrize("render", [html_page, page])
def test_own_galaxies_have_nothing_to_cite(make_run, render):
    """What states neither a licence nor a citation is left out, not called unknown."""
    assert Card("mine", UNSTATED, UNSTATED).terms == Card("mine", "unknown", "").terms == {}
    board = build_board([make_run(terms=None)])
    assert terms_of(board) == {}
    assert "Cite:" not in render(board)


def test_a_suite_speaks_for_records_that_state_nothing(make_run):
    """Records older than their terms, on galaxies that a suite fixes."""
    rules = Rules(terms={"f00d": {"citation": "Doe 2024."}}, titles={"f00d": "Zoo"})
    assert terms_of(build_board([make_run()], rules)) == {"Zoo": "Cite: Doe 2024."}


def test_only_a_record_that_states_terms_has_the_key(make_run):
    """Older records keep their bytes."""
    silent, told = make_run(), make_run(terms=CARD.terms)
    assert "terms" not in silent.facts()
    assert RunRecord.model_validate(told.facts()).terms == CARD.terms
