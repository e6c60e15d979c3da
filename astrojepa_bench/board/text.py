"""The words and cells of a board, in every format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from astrojepa_bench.board.columns import ACCURACY, Column
from astrojepa_bench.board.entries import Row
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.verdicts import FactorEffect
from astrojepa_bench.results.record import RunRecord

CHANCE = "chance"
NOTHING = "–"
FIXED = ("#", "entry", "seeds", "status")
PLACES = {"floor": "floor", "ceiling": "ceiling²"}
LEAST_P = 0.001  # smaller ones are said to be smaller than that
STANDING_OUT = ("equal", "inside")  # what a run that was repeated elsewhere may come out as


def section_title(section: Section) -> str:
    """Return the title of a section, which no other section of its board has."""
    return section.heading


def awaited(board: Board) -> str:
    """Return the words that a suite's runs are not in yet; none for a board that has some."""
    rules = board.rules
    if board.records or not rules.suite:
        return ""
    return f"No run of suite {rules.suite}, version {rules.version}, is in yet."


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
        cells = (c.text(row.cells.get(c.key)) for c in chosen)
        place = f"{rank_text(row)} {row.letters}".strip()
        lines.append([place, row.label, seeds_text(row), *cells, row.status])
    levels = [c.number(section.chance[c.key]) if c.key in section.chance else "" for c in chosen]
    return [*lines, ["", CHANCE, "", *levels, ""]] if any(levels) else lines


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


# --- what may be said of an entry ---------------------------------------------------------------------------


def rank_text(row: Row) -> str:
    """Write the ranks that an entry may hold as a range; its place in the table where nothing was judged."""
    if row.ranks is None:
        return PLACES.get(row.standing, str(row.rank or NOTHING))
    return "–".join(str(rank) for rank in dict.fromkeys(row.ranks))


def seeds_text(row: Row) -> str:
    """Write how many seeds were trained to the end, with marks where they are too few or something is disclosed."""
    return f"{len(row.seeds)}{'¹' * row.provisional}{'³' * bool(row.disclosed)}"


def headline_of(section: Section) -> Column:
    """Return the column that contestants are judged by."""
    wanted = section.verdicts.metric if section.verdicts else ACCURACY.key
    return next((column for column in section.columns if column.key == wanted), ACCURACY)


def headline_name(headline: Column) -> str:
    """Name in words what contestants are ordered by, and what their lift is a gain in."""
    return "linear accuracy" if headline.key == ACCURACY.key else headline.title


def short_rule(section: Section) -> str:
    """Return in a line how the rows of a section are ordered."""
    name = headline_name(headline_of(section))
    return f"Ordered by {name}, mean ± spread over seeds; entries that share a letter are tied."


def state_of(runs: Iterable[RunRecord]) -> str:
    """Return who ran an entry: `re-run` where a repetition by somebody else agreed, else `reported`."""
    repeated = [each.verdict for run in runs for each in run.reproductions]
    if "outside" in repeated:
        return "re-run: outside"
    return "re-run" if any(verdict in STANDING_OUT for verdict in repeated) else "reported"


def runs_by_row(board: Board, section: Section) -> list[list[RunRecord]]:
    """Find the records behind each row of a section."""
    known = {record.run_id: record for record in board.records}
    return [[known[run] for run in row.runs] for row in section.rows]


# --- names without what most entries share ------------------------------------------------------------------


def interaction_text(effect: FactorEffect) -> str:
    """Tell that levels of a factor differ otherwise from block to block; the test is of all levels at once."""
    p, other = effect.p_interaction or 0.0, {"masker": "objective", "objective": "masker"}[effect.factor]
    small = f"p = {p:.3f}" if p >= LEAST_P else f"p < {LEAST_P}"
    return f"What the {effect.factor} does depends on the {other} (interaction {small}), which averages hide."


def usual_encoder(section: Section) -> str:
    """Return the encoder that several rows share most, or the only one; empty where every row has its own."""
    counts = Counter(row.encoder for row in section.rows)
    name, times = max(sorted(counts.items()), key=lambda item: item[1], default=("", 0))
    return name if times > 1 or len(counts) == 1 else ""


def short_label(section: Section, row: Row) -> str:
    """Return the name of an entry, without the encoder that most entries of the section share."""
    usual = usual_encoder(section)
    if row.encoder != usual:
        return row.label
    return re.sub(rf" \+ {re.escape(usual)}(?!\()", "", row.label, count=1)


def view_title(section: Section) -> str:
    """Name a section, and the encoder that its rows do not name."""
    usual = usual_encoder(section)
    return section_title(section) + (f", encoder {usual} unless another is named" if usual else "")
