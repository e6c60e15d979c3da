"""All metrics on a terminal: one line each, with the level of chance, entries side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase

from astrojepa_bench.board.entries import Row
from astrojepa_bench.board.metrics import MetricGroup, MetricLine, metric_groups, records_of, scoring_cost
from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.text import PLACES, seeds_text, short_label, view_title
from astrojepa_bench.cli.board_view import section_remarks

_GAP = "  "
_NAME = 30  # longer names fold
_HEADINGS = ("", "", "chance")
_ODD = "†"  # a status that takes words
_EXPLAINED = "↑ higher is better, ↓ lower; chance: what knowing nothing scores (a range if features decide)."


@dataclass(frozen=True)
class _Cells:
    """One line of the table: what stands left of the entries, and under each of them."""

    left: tuple[str, str, str]
    values: tuple[str, ...]


def metrics_text(board: Board, width: int) -> str:
    """Write one table a section: a line a metric, a column an entry; at most `width` characters wide."""
    lines = [line for section in board.sections for line in _section_lines(board, section, width)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _section_lines(board: Board, section: Section, width: int) -> list[str]:
    groups = metric_groups(board, section)
    table = _table(section, groups, width) if section.rows else []
    remarks = [_EXPLAINED]
    counts = [f"{group.evaluator} {group.details}" for group in groups if group.details]
    if counts:
        remarks.append(f"More metrics stand in board.csv and in the records: {', '.join(counts)}.")
    remarks += scoring_cost(records_of(board, section))
    odd = [f"{_ODD} {short_label(section, row)}: {row.status}" for row in section.rows if row.status != "ok"]
    remarks = [*odd, *(remarks if table else []), *section_remarks(section)]
    title = _wrapped(view_title(section), width)
    return [
        *title,
        "",
        *table,
        "",
        *(line for text in remarks for line in _wrapped(f"· {text}", width, 2)),
        "",
    ]


def _wrapped(text: str, width: int, indent: int = 0) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False)


# --- the table: the first way of writing it that fits ----------------------------------------------------


def _table(section: Section, groups: Sequence[MetricGroup], width: int) -> list[str]:
    """Write entries by name where names fit, else by letters; with spreads where they fit, else without."""
    labels = [short_label(section, row) for row in section.rows]
    names = [_words(label, row) for label, row in zip(labels, section.rows, strict=True)]
    letters = [[letter(at)] for at in range(len(labels))]
    legend = [
        line for at, label in enumerate(labels) for line in _wrapped(f"{letter(at)}  {label}", width, 3)
    ]
    spread, plain = (_lines(section, groups, spreads=spreads) for spreads in (True, False))
    for titles, lines in ((names, spread), (letters, spread), (names, plain)):
        if _entry_width(titles, lines) <= _room(lines, width) // len(titles) - len(_GAP):
            return [*([*legend, ""] if titles is letters else []), *_written(titles, lines)]
    at_once = max(1, _room(plain, width) // (_entry_width(letters, plain) + len(_GAP)))
    written = [*legend]
    for start in range(0, len(letters), at_once):
        part = slice(start, start + at_once)
        lines = [replace(line, values=line.values[part]) for line in plain]
        written += ["", *_written(letters[part], lines)]
    return written


def _entry_width(titles: Sequence[Sequence[str]], lines: Sequence[_Cells]) -> int:
    values = (len(value) for line in lines for value in line.values)
    return max(*(len(word) for words in titles for word in words), *values)


def _left_widths(lines: Sequence[_Cells]) -> list[int]:
    widths = [max(len(cell) for cell in cells) for cells in zip(*(line.left for line in lines), strict=True)]
    return [min(_NAME, widths[0]), widths[1], max(widths[2], len(_HEADINGS[2]))]


def _room(lines: Sequence[_Cells], width: int) -> int:
    """Return how many characters are left for the entries."""
    return width - sum(_left_widths(lines)) - 2 * len(_GAP)


def _written(titles: Sequence[Sequence[str]], lines: Sequence[_Cells]) -> list[str]:
    lefts, entry = _left_widths(lines), _entry_width(titles, lines)
    height = max(map(len, titles))
    headings = [[""] * (height - len(words)) + list(words) for words in titles]
    above = [
        _Cells(("", "", _HEADINGS[2] if at == height - 1 else ""), tuple(words[at] for words in headings))
        for at in range(height)
    ]
    head = [text for line in above for text in _folded(line, lefts, entry)]
    return [
        *head,
        "-" * max(map(len, head)),
        *(text for line in lines for text in _folded(line, lefts, entry)),
    ]


def _folded(line: _Cells, lefts: Sequence[int], entry: int) -> list[str]:
    """Write a line; what does not fit of its name follows below."""
    name, *more = textwrap.wrap(line.left[0], lefts[0], subsequent_indent="    ", drop_whitespace=False) or [
        ""
    ]
    cells = [name.ljust(lefts[0]), line.left[1].ljust(lefts[1]), line.left[2].rjust(lefts[2])]
    return [_GAP.join([*cells, *(value.rjust(entry) for value in line.values)]), *more]


# --- what stands in it -----------------------------------------------------------------------------------


def letter(position: int) -> str:
    """Return the letter of an entry.

    Example:
        >>> letter(0), letter(25), letter(26)
        ('A', 'Z', 'AA')
    """
    before, last = divmod(position, len(ascii_uppercase))
    return (letter(before - 1) if before else "") + ascii_uppercase[last]


def _words(label: str, row: Row) -> list[str]:
    """Break the name of an entry into the words of its heading."""
    parts = label.split(" + ")
    if row.standing != "contestant" and len(parts) > 1 and row.masker == "none":
        parts.remove("none")  # floors and ceilings need no masks
    return [word for part in parts for word in part.split()]


def _lines(section: Section, groups: Sequence[MetricGroup], *, spreads: bool) -> list[_Cells]:
    lines = [*_standing(section)]
    for group in groups:
        blank = ("",) * len(section.rows)
        lines.append(_Cells((group.evaluator, "", ""), blank))
        lines += [_cells(line, spreads=spreads) for line in group.lines]
    return [*lines, *_training(section, spreads=spreads)]


def _standing(section: Section) -> list[_Cells]:
    rows = section.rows
    places = [PLACES.get(row.standing, str(row.rank or "–")) for row in rows]
    seeds = [seeds_text(row) for row in rows]
    facts = {
        "rank": places,
        "seeds": seeds,
        "status": [row.status if row.status == "ok" else _ODD for row in rows],
    }
    return [_Cells((name, "", ""), tuple(values)) for name, values in facts.items()]


def _training(section: Section, *, spreads: bool) -> list[_Cells]:
    """Return the lines of what the board knows besides scores: lift, cost, masks."""
    columns = [column for column in section.columns if column.place != "scores"]
    if not columns:
        return []
    lines = [_Cells(("training", "", ""), ("",) * len(section.rows))]
    for column in columns:
        shown = column if spreads else replace(column, style="mean")
        values = tuple(shown.text(row.cells.get(column.key)) for row in section.rows)
        lines.append(_Cells((f"  {column.title}", "", ""), values))
    return lines


def _cells(line: MetricLine, *, spreads: bool) -> _Cells:
    direction = "↑" if line.higher_is_better else "↓"
    levels = list(dict.fromkeys(number(level) for level in line.chance or ()))
    values = tuple(_value(cell, spreads=spreads) for cell in line.cells)
    return _Cells((f"  {line.metric}", direction, "–".join(levels)), values)


def _value(cell: Summary | None, *, spreads: bool) -> str:
    if cell is None:
        return "–"
    spread = f" ± {number(cell.sd)}" if spreads and cell.sd is not None else ""
    return number(cell.mean) + spread


def number(value: float) -> str:
    """Write a number with three decimals, and large ones with fewer.

    Example:
        >>> number(0.7123), number(-0.00004), number(26.04), number(309.7)
        ('0.712', '0.000', '26.0', '310')
    """
    size = abs(value)
    text = f"{value:.{3 if size < 10 else 1 if size < 100 else 0}f}"
    return text.removeprefix("-") if float(text) == 0 else text
