"""The board on a terminal: spreads and the least important columns are left out until it fits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from astrojepa_bench.board.columns import ACCURACY, Column
from astrojepa_bench.board.metrics import records_of, scoring_cost
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.text import (
    awaited,
    headings,
    short_label,
    short_rule,
    skipped_reasons,
    table_lines,
    unranked_reasons,
    view_title,
)

_GAP = 2
_ENTRY = 1  # position of the column of names


def board_view(board: Board, width: int) -> RenderableType:
    """Draw the board for a terminal of `width` characters."""
    parts: list[RenderableType] = [Text(awaited(board))] if awaited(board) else []
    for section in board.sections:
        columns = _fitting(section, width)
        remarks = [*section_remarks(section), *scoring_cost(records_of(board, section))]
        if tuple(columns) != section.columns:
            remarks.append("More columns and every spread stand in index.html.")
        table = [_table(section, columns, _entry_width(width))] if section.rows else []
        parts += [Text(view_title(section), style="bold"), Text(), *table, Text()]
        parts += [*(Text(f"· {line}", style="dim") for line in remarks), Text()]
    return Group(*parts)


def board_text(board: Board, width: int) -> str:
    """Return the board as plain text, at most `width` characters wide."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, force_terminal=False).print(board_view(board, width))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def section_remarks(section: Section) -> list[str]:
    """Return what a reader must know, and why entries have no rank or did not run."""
    remarks = [short_rule(section), *section.notes] if section.rows else [*section.notes]
    remarks += [f"Not ranked: {reason}" for reason in unranked_reasons(section)]
    return remarks + [f"Skipped: {reason}" for reason in skipped_reasons(section)]


def _fitting(section: Section, width: int) -> list[Column]:
    """Choose what fits: first all, then without most spreads, then ever fewer columns."""
    columns = list(section.columns)
    if _width(section, columns, _entry_width(width)) > width:
        kept = {column.key for column in columns if column.style == "interval"} | {ACCURACY.key}
        columns = [c if c.key in kept else replace(c, style="mean") for c in columns]
    while len(columns) > 1 and _width(section, columns, _entry_width(width)) > width:
        columns.remove(max(columns, key=lambda column: column.priority))
    return columns


def _entry_width(width: int) -> int:
    """Return the width at which names of entries fold: they may take a third of a narrow terminal."""
    return max(16, min(28, width // 3))


def _width(section: Section, columns: Sequence[Column], entry_width: int) -> int:
    """Measure the table, with headings, names and statuses folded as `_table` folds them."""
    lines = [*_lines(section, columns), [_longest_word(title) for title in headings(columns)]]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    widths[_ENTRY] = min(widths[_ENTRY], entry_width)
    widths[-1] = max(len(_longest_word(line[-1])) for line in lines)
    return sum(widths) + _GAP * (len(widths) - 1)


def _longest_word(text: str) -> str:
    return max(text.split(), key=len, default="")


def _lines(section: Section, columns: Sequence[Column]) -> list[list[str]]:
    """Return the rows as text, without the encoder that most of them share: it stands in the title."""
    lines = table_lines(section, columns)
    short = [short_label(section, row) for row in section.rows]
    return [[line[0], name, *line[2:]] for line, name in zip(lines, short, strict=False)] + lines[
        len(short) :
    ]


def _table(section: Section, columns: Sequence[Column], entry_width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    titles = headings(columns)
    for position, title in enumerate(titles):
        folds = position in (_ENTRY, len(titles) - 1)
        heading = Text("\n".join(title.split()))
        table.add_column(heading, justify="left" if folds else "right", no_wrap=not folds, overflow="fold")
    table.columns[_ENTRY].max_width = entry_width
    ranked = sum(row.rank is not None for row in section.rows)  # they come first
    for position, line in enumerate(_lines(section, columns)):
        table.add_row(*(Text(cell) for cell in line), style="" if position < ranked else "dim")
    return table
