"""The charts beside the table of the page: geometry alone, which `templates/drawings.html` writes as SVG.

A chart that would say nothing (too few entries, no effect) is None, and the page leaves it out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from astrojepa_bench.board.certificate import Entry
from astrojepa_bench.board.drawings import Axis, axis_over, path_of
from astrojepa_bench.board.statistics import rank_correlation

LETTER_PX = 6.6  # width of a letter of a label
BOLD_PX = 7.3  # of one that is told apart
EQUAL_COSTS = 1.05  # ratio up to which costs are one cost, as where budgets are matched by arithmetic
STRONGEST = 0.55  # opacity at which the ink on a tile is still read easily

# --- heat map -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """A place of the heat map: where it stands, how strong its colour is, and what it says in two lines."""

    x: float
    y: float
    strength: float
    text: str
    interval: str
    title: str


@dataclass(frozen=True)
class HeatMap:
    """Objectives (rows) and maskers (columns), with the mean and interval of each pair that was run.

    Attributes:
        rows, columns: pixel of the middle of each, with its name.
        tiles: what was run.
        tile: width and height of a tile.
        left: where the tiles begin.
        width, height: of the drawing.
    """

    rows: tuple[tuple[float, str], ...]
    columns: tuple[tuple[float, str], ...]
    tiles: tuple[Tile, ...]
    tile: tuple[float, float]
    left: float
    width: float
    height: float


def heat_map(values: Mapping[tuple[str, str], tuple[float, str, str]]) -> HeatMap | None:
    """Draw a value for each pair of row and column; None for fewer than two rows or columns.

    Args:
        values: by row and column: the value, its text, and that of its interval.
    """
    rows = _by_mean(values, 0)
    columns = _by_mean(values, 1)
    if len(rows) < 2 or len(columns) < 2:
        return None
    wide, high, top = 82.0, 40.0, 26.0
    left = round(min(max(map(len, rows)), 28) * LETTER_PX + 12, 1)
    shades = axis_over([value for value, _, _ in values.values()], 0.04, STRONGEST, margin=0)
    tiles = tuple(
        Tile(
            x=round(left + columns.index(column) * wide, 1),
            y=top + rows.index(row) * high,
            strength=round(shades.start + shades.share(value) * (shades.end - shades.start), 3),
            text=text,
            interval=interval,
            title=f"{row} + {column}: {text} {interval}".strip(),
        )
        for (row, column), (value, text, interval) in sorted(values.items())
    )
    return HeatMap(
        tuple((top + (i + 0.5) * high, name) for i, name in enumerate(rows)),
        tuple((round(left + (i + 0.5) * wide, 1), name) for i, name in enumerate(columns)),
        tiles, (wide, high), left, round(left + wide * len(columns) + 2, 1), top + high * len(rows) + 2,
    )  # fmt: skip


def _by_mean(values: Mapping[tuple[str, str], tuple[float, str, str]], side: int) -> list[str]:
    """Order the names of one side: those with most partners first, then by their mean."""
    found: dict[str, list[float]] = {}
    for key, (value, _, _) in sorted(values.items()):
        found.setdefault(key[side], []).append(value)
    return sorted(
        found, key=lambda name: (-len(found[name]), -math.fsum(found[name]) / len(found[name]), name)
    )


# --- forest -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ForestLine:
    """One effect of a forest plot: its name, its place and interval, what it says, and whether it is decided."""

    y: float
    label: str
    x: float
    low: float
    high: float
    text: str
    decided: bool


@dataclass(frozen=True)
class Forest:
    """Effects with intervals around zero."""

    lines: tuple[ForestLine, ...]
    x: Axis
    zero: float
    left: float
    width: float
    height: float


def forest(effects: Sequence[tuple[str, float, float, float, str, bool]]) -> Forest | None:
    """Draw effects with intervals; None where there are none.

    Args:
        effects: label, effect, low and high, text, and whether it can be told from zero.
    """
    if not effects:
        return None
    left = round(min(max(len(label) for label, *_ in effects), 44) * BOLD_PX + 10, 1)
    middle, words, line, top = 260.0, 178.0, 24.0, 10.0
    ends = [end for _, _, low, high, _, _ in effects for end in (low, high)]
    x = axis_over([*ends, 0.0], left, left + middle)
    lines = tuple(
        ForestLine(top + (i + 0.5) * line, label, x.at(effect), x.at(low), x.at(high), text, decided)
        for i, (label, effect, low, high, text, decided) in enumerate(effects)
    )
    return Forest(lines, x, x.at(0.0), left, left + middle + words, top + line * len(effects) + 26)


# --- scatter ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Dot:
    """A point of a scatter plot, with its interval upwards, a label (which may be empty) and what it says.

    Attributes:
        anchor: on which side of the point the label stands, in the words of SVG.
        kind: class of its colour.
    """

    x: float
    y: float
    low: float | None
    high: float | None
    label: str
    anchor: str
    title: str
    kind: str


@dataclass(frozen=True)
class Scatter:
    """Points, and a line through some of them or across."""

    dots: tuple[Dot, ...]
    path: str
    level: tuple[float, str] | None
    x: Axis
    y: Axis
    x_title: str
    y_title: str
    width: float
    height: float


@dataclass(frozen=True)
class CostPoint:
    """An entry as a cost and a score."""

    name: str
    cost: float
    score: float
    low: float | None
    high: float | None
    text: str
    kind: str


def pareto_front(points: Sequence[CostPoint]) -> list[CostPoint]:
    """Find the entries that no other beats at the same cost or less, cheapest first."""
    front = list[CostPoint]()
    for point in sorted(points, key=lambda p: (p.cost, -p.score, p.name)):
        if not front or point.score > front[-1].score:
            front.append(point)
    return front


def cost_plot(
    points: Sequence[CostPoint], level: tuple[float, str] | None, titles: tuple[str, str]
) -> Scatter | None:
    """Draw scores against costs, with the front that contestants make; None for fewer than three, or for one cost.

    Args:
        points: entries with a cost above 0; those of kind `contestant` make the front.
        level: a score to draw as a line across, and what it is.
        titles: of the two axes.
    """
    costs = [p.cost for p in points]
    if len(points) < 3 or max(costs) < EQUAL_COSTS * min(costs):
        return None
    width, height = 560.0, 340.0
    scores = [p.score for p in points] + ([level[0]] if level else [])
    x = axis_over(costs, 52.0, width - 14, log=True)
    y = axis_over(scores, height - 44, 14.0, margin=0.12)
    front = pareto_front([p for p in points if p.kind == "contestant"])
    labelled = _spread_labels([(x.at(p.cost), y.at(p.score), p.name) for p in front])
    dots = [
        Dot(
            x.at(p.cost), y.at(p.score),
            low=None if p.low is None else y.at(p.low), high=None if p.high is None else y.at(p.high),
            label=p.name if p in front and p.name in labelled else "",
            anchor="end" if x.at(p.cost) > width / 2 else "start",
            title=f"{p.name}: {p.text}", kind="front" if p in front else p.kind,
        )
        for p in sorted(points, key=lambda p: (p in front, p.name))
    ]  # fmt: skip
    steps = [(p.cost, p.score) for p in front]
    corners = [corner for a, b in itertools.pairwise(steps) for corner in (a, (b[0], a[1]))]
    path = path_of([*corners, *steps[-1:]], x, y, 10**6) if len(steps) > 1 else ""
    return Scatter(
        tuple(dots), path, (y.at(level[0]), level[1]) if level else None, x, y, *titles, width, height
    )


def _spread_labels(places: Sequence[tuple[float, float, str]]) -> set[str]:
    """Choose labels that do not stand on one another, the best entries first."""
    kept = list[tuple[float, float, str]]()
    for x, y, name in sorted(places, key=lambda place: place[1]):
        if all(abs(y - other[1]) > 13 for other in kept):
            kept.append((x, y, name))
    return {name for _, _, name in kept}


@dataclass(frozen=True)
class Agreement:
    """How far two data sets order the same entries alike.

    Attributes:
        rho: Spearman's rank correlation.
        low, high: its 95 % interval.
        entries: how many both have.
        plot: the entries, by their scores on the two.
    """

    rho: float
    low: float
    high: float
    entries: int
    plot: Scatter


def agreement(
    points: Mapping[Entry, tuple[float, float]], titles: tuple[str, str], objectives: Mapping[Entry, str]
) -> Agreement | None:
    """Correlate the scores of entries on two data sets; None where too few stand on both, or all are equal.

    Args:
        points: by entry: its score on each.
        titles: of the data sets.
        objectives: by entry: that of each, whose maskers resemble each other.
    """
    a, b = [p[0] for p in points.values()], [p[1] for p in points.values()]
    found = rank_correlation(a, b, [objectives[entry] for entry in points])
    if found is None:
        return None
    side = 300.0
    x, y = axis_over(a, 52.0, side - 12), axis_over(b, side - 44, 12.0)
    dots = tuple(
        Dot(x.at(p[0]), y.at(p[1]), None, None, "", "start", f"{title}: {p[0]:.1f}, {p[1]:.1f}", "contestant")
        for (title, _), p in sorted(points.items())
    )
    plot = Scatter(dots, "", None, x, y, *titles, side, side)
    return Agreement(found.rho, found.low, found.high, found.n, plot)
