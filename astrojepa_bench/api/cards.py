"""What a notebook shows of a result: a short card in HTML, in which every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from astrojepa_bench.escaping import plain_value

MOST_ROWS = 12  # of a table
MOST_NOTES = 20


@cache
def _template() -> Template:
    templates = Environment(
        loader=PackageLoader("astrojepa_bench.api"), autoescape=True, finalize=plain_value,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return templates.get_template("card.html")


def card(
    title: str,
    facts: Iterable[tuple[str, object]] = (),
    tables: Iterable[tuple[Sequence[str], Sequence[Sequence[object]]]] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return a card.

    Args:
        title: one line.
        facts: names and values.
        tables: headings and rows; of more than 12 rows, the first ones and how many there are.
        notes: one line each; of more than 20, the first ones and how many there are.
    """
    shown, told = [], [*notes[:MOST_NOTES]]
    for headings, rows in tables:
        more = len(rows) - MOST_ROWS
        shown.append((headings, [*rows[:MOST_ROWS], *([[f"… {more} more"]] if more > 0 else [])]))
    if len(notes) > MOST_NOTES:
        told.append(f"… {len(notes) - MOST_NOTES} more")
    return _template().render(title=title, facts=[*facts], tables=shown, notes=told)
