"""Licence and citation of the galaxies behind a board, for every page that shows results on them."""

from __future__ import annotations

from collections.abc import Mapping

from astrojepa_bench.board.table import Board


def terms_of(board: Board) -> dict[str, str]:
    """Write what the galaxies of a board may be used for and how to cite them, by what the board calls them.

    A suite's words go before those of the data set itself; galaxies of which nobody states anything are left out.
    """
    stated: dict[str, Mapping[str, str]] = {}
    for record in board.records:
        if record.terms:
            stated.setdefault(str(record.identity.get("fingerprint", "")), record.terms)
    stated |= board.rules.terms
    found = {each.title: stated[each.fingerprint] for each in board.sections if each.fingerprint in stated}
    return {title: terms_text(terms) for title, terms in found.items()}


def terms_text(terms: Mapping[str, str]) -> str:
    """Write licence and citation in a line.

    Example:
        >>> terms_text({"name": "mine", "licence": "CC BY 4.0", "citation": "Doe 2024"})
        'licence: CC BY 4.0. Cite: Doe 2024.'
    """
    words = {"licence": "licence: {}.", "citation": "Cite: {}."}
    return " ".join(words[key].format(terms[key].rstrip(".")) for key in words if terms.get(key))
