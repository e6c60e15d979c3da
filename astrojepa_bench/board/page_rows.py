"""The rows of the page, and what each of them opens to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from astrojepa_bench.board.columns import LIFT, Column, mean_cost
from astrojepa_bench.board.drawings import Axis, Bar, Strip, axis_over, strip
from astrojepa_bench.board.entries import Row
from astrojepa_bench.board.metrics import MetricGroup, metric_groups
from astrojepa_bench.board.page_details import PageDetails, details_of, quantity
from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.text import (
    NOTHING,
    headline_of,
    rank_text,
    runs_by_row,
    seeds_text,
    short_label,
    state_of,
    usual_encoder,
)
from astrojepa_bench.board.verdicts import Comparison
from astrojepa_bench.results.record import RunRecord

BAR_PX, STRIP_PX = 130.0, 44.0
BALANCED, KNN = "linear.balanced_accuracy", "knn.accuracy"
ANOMALIES = ("anomaly.auroc_physical", "anomaly.auroc_held_out")
NARROW = ("lift", "masker", "objective")


@dataclass(frozen=True)
class Shown:
    """A cell: what it says, the number that it is sorted by, and what it says to who points at it."""

    text: str = NOTHING
    value: float | None = None
    hint: str = ""


@dataclass(frozen=True)
class PageRow:
    """One entry on the page: its cells, its drawings, and what it opens to."""

    entry_id: str
    label: str
    objective: str
    masker: str
    encoder: str
    standing: str
    group: str
    ranks: Shown
    strip: Strip | None
    letters: str
    score: Shown
    bar: Bar | None
    balanced: Shown
    lift: Shown
    knn: Shown
    anomalies: Shown
    cost: Shown
    tokens: Shown
    flops: Shown
    seeds: Shown
    provisional: bool
    state: str
    status: str
    details: PageDetails


@dataclass(frozen=True)
class Frame:
    """What all rows of a section share.

    Attributes:
        section: which.
        headline: the column that contestants are judged by.
        axis: of the bars, in the unit that is shown; None where nothing was scored.
        reference: score of the untrained encoder that most entries start from.
        ranked: how many entries are, by group.
        names: of entries, by id.
        lifts: verdicts on lifts, by entry id.
        close: comparisons within the narrow families, by entry id.
        groups: all scores, by evaluator.
        points: most points of a curve; 0 for none.
    """

    section: Section
    headline: Column
    axis: Axis | None
    reference: float | None
    ranked: Mapping[str, int]
    names: Mapping[str, str]
    lifts: Mapping[str, Comparison]
    close: Mapping[str, Sequence[Comparison]]
    groups: Sequence[MetricGroup]
    points: int


def page_rows(board: Board, frame: Frame) -> list[PageRow]:
    """Make the rows of a section, in its order."""
    section = frame.section
    placed = zip(section.rows, runs_by_row(board, section), strict=True)
    return [_page_row(frame, at, row, runs) for at, (row, runs) in enumerate(placed)]


def frame_of(board: Board, section: Section, points: int) -> Frame:
    """Find what all rows of a section share.

    Args:
        board: which holds the records.
        section: one of its sections.
        points: most points of a training curve; 0 leaves curves and the table of all scores out.
    """
    headline, verdicts = headline_of(section), section.verdicts
    close: dict[str, list[Comparison]] = {}
    for each in verdicts.comparisons if verdicts else ():
        if each.family in NARROW:
            close.setdefault(each.a, []).append(each)
            close.setdefault(each.b, []).append(each)
    reference = reference_of(section, headline)
    ends = [
        headline.scale * value
        for row in section.rows
        if row.standing != "floor" and (found := row.cells.get(headline.key))
        for value in (found.mean, found.low, found.high)
        if value is not None
    ]
    ends += [headline.scale * reference] if reference is not None and ends else []
    return Frame(
        section, headline,
        axis=axis_over(ends, 3.0, BAR_PX - 3, margin=0.03) if ends else None,
        reference=reference,
        ranked=Counter(row.group for row in section.rows if row.ranks),
        names={row.entry_id: short_label(section, row) for row in section.rows},
        lifts=verdicts.lifts if verdicts else {}, close=close,
        groups=metric_groups(board, section) if points else (),
        points=points,
    )  # fmt: skip


def reference_of(section: Section, headline: Column) -> float | None:
    """Return the score of the untrained encoder that most entries start from; None where it was not scored."""
    usual = usual_encoder(section)
    floors = [row for row in section.rows if row.standing == "floor" and row.encoder == usual]
    found = [row.cells[headline.key].mean for row in floors if headline.key in row.cells]
    return max(found, default=None)


def _page_row(frame: Frame, at: int, row: Row, runs: Sequence[RunRecord]) -> PageRow:
    section = frame.section
    ranks, lift, judged = row.ranks, row.cells.get(LIFT.key), frame.lifts.get(row.entry_id)
    columns = {column.key: column for column in section.columns}
    score = row.cells.get(frame.headline.key)
    anomalies = next((columns[key] for key in ANOMALIES if key in row.cells and key in columns), None)
    first, last = ranks or (row.rank, row.rank)
    return PageRow(
        row.entry_id, frame.names[row.entry_id], row.objective, row.masker, row.encoder, row.standing,
        group=row.group,
        ranks=Shown(rank_text(row), None if first is None else first + (last or 0) / 1e4),
        strip=strip(ranks, frame.ranked[row.group], STRIP_PX) if ranks else None,
        letters=row.letters or NOTHING,
        score=_score(frame, score),
        bar=_bar(frame, score),
        balanced=_shown(columns.get(BALANCED), row.cells.get(BALANCED)),
        lift=Shown(LIFT.text(lift), lift.mean, judged.verdict if judged else "") if lift else Shown(),
        knn=_shown(columns.get(KNN), row.cells.get(KNN)),
        anomalies=_shown(anomalies, row.cells.get(anomalies.key) if anomalies else None),
        cost=_spent(runs, "train_seconds", 1 / 60, "min"),
        tokens=_spent(runs, "tokens", 1e-6),
        flops=_spent(runs, "flops", 1e-12),
        seeds=Shown(seeds_text(row), float(len(row.seeds))),
        provisional=row.provisional,
        state=state_of(runs), status=row.status,
        details=details_of(
            row, runs, [(group, at) for group in frame.groups],
            (_comparison(frame, row.entry_id, each) for each in frame.close.get(row.entry_id, ())), frame.points,
        ),
    )  # fmt: skip


def _shown(column: Column | None, summary: Summary | None) -> Shown:
    if column is None or summary is None:
        return Shown()
    return Shown(column.number(summary.mean), summary.mean, f"{column.title}: {column.text(summary)}")


def _score(frame: Frame, summary: Summary | None) -> Shown:
    if summary is None:
        return Shown()
    text = frame.headline.text(summary)
    return Shown(text, summary.mean, f"{text}, 95 % interval {interval_text(frame.headline, summary)}")


def interval_text(column: Column, summary: Summary) -> str:
    """Write the interval of a mean; a single seed has none, nor have seeds that agree in what has no error."""
    if summary.low is None or summary.high is None:
        return "unknown: one seed" if summary.n == 1 else "unknown: all seeds agree"
    return f"[{column.number(summary.low)}, {column.number(summary.high)}]"


def _bar(frame: Frame, score: Summary | None) -> Bar | None:
    """Draw a score with its interval; None where it lies beyond the axis, which contestants and ceilings set."""
    axis, scale = frame.axis, frame.headline.scale
    if score is None or axis is None or not axis.holds(scale * score.mean):
        return None
    low, high, reference = (
        None if value is None else axis.at(scale * value)
        for value in (score.low, score.high, frame.reference)
    )
    return Bar(axis.at(scale * score.mean), low, high, reference)


def _spent(runs: Sequence[RunRecord], field: str, scale: float, unit: str = "") -> Shown:
    """Show what one training took of something; nothing where nothing trained, or nobody counted."""
    found = mean_cost(runs, field)
    return Shown(quantity(found * scale, unit).strip(), found) if found else Shown()


def _comparison(frame: Frame, entry: str, each: Comparison) -> tuple[str, str]:
    """Write what may be said of an entry and another: the verdict, and the difference that it rests on."""
    found = each.difference if each.a == entry else each.difference.turned()
    number = frame.headline.number
    interval = f"[{number(found.low_family)}, {number(found.high_family)}]"
    name = frame.names.get(found.b, found.b)
    told = f"{number(found.difference, '+')} {interval} against {name}{_what_would_tell(each)}"
    return found.verdict, told


def _what_would_tell(each: Comparison) -> str:
    """Tell what would decide an undecided pair."""
    return f"; {each.needed.in_words()}" if each.verdict == "undecided" and each.needed else ""
