"""The words and cells of a board, in every format."""

from __future__ import annotations

from collections.abc import Iterable

from astrojepa_bench.board.columns import Column
from astrojepa_bench.board.entries import Row
from astrojepa_bench.board.table import Section

CHANCE = "chance"
FIXED = ("#", "entry", "seeds", "status")
PLACES = {"floor": "floor", "ceiling": "ceiling²"}


def section_title(section: Section) -> str:
    """Return the title of a section: its galaxies, its budget, and its device where there are several."""
    return section.heading


def section_facts(section: Section) -> str:
    """Return the galaxies, split, protocol and device of a section as one line."""
    facts = {
        "budget": section.effort,
        "galaxies": section.fingerprint[:12],
        "splits": section.splits[:12],
        "protocol": section.protocol,
        "device": section.device_class,
        "precision": section.precision,
    }
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value)


def table_lines(section: Section, columns: Iterable[Column]) -> list[list[str]]:
    """Return the rows of a section as text, and chance as the last row.

    Args:
        section: the section.
        columns: the columns between the fixed ones.
    """
    chosen, lines = list(columns), []
    for row in section.rows:
        place = PLACES.get(row.standing, place_of(row))
        seeds = f"{len(row.seeds)}{'¹' * row.provisional}"
        lines.append([place, row.label, seeds, *(c.text(row.cells.get(c.key)) for c in chosen), row.status])
    levels = [c.number(section.chance[c.key]) if c.key in section.chance else "" for c in chosen]
    return [*lines, ["", CHANCE, "", *levels, ""]] if any(levels) else lines


def place_of(row: Row) -> str:
    """Write the ranks that a contestant may hold, and the letters of its ties: `1–5 a`."""
    if row.ranks is None:
        return str(row.rank or "–")
    return f"{'–'.join(map(str, dict.fromkeys(row.ranks)))} {row.letters}".strip()


def headings(columns: Iterable[Column]) -> list[str]:
    """Return the headings of `table_lines`."""
    return [*FIXED[:3], *(column.title for column in columns), FIXED[3]]


def unranked_reasons(section: Section) -> list[str]:
    """Return why contestants have no rank, one line each."""
    lost = (row for row in section.rows if row.unranked and row.standing == "contestant")
    return [f"{row.label}: {row.unranked}" for row in lost]


def skipped_reasons(section: Section) -> list[str]:
    """Return why combinations were skipped, one line each."""
    return [f"{label}: {reason}" for label, reason in section.skipped]
