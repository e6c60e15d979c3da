"""Axes, and the small drawings of the page's table: geometry alone, which `templates/drawings.html` writes as SVG.

Coordinates are in pixels, rounded to a tenth, so that equal records give equal bytes. Colours are the page's own,
by class, so that a drawing is readable in the light and in the dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# --- axes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """A scale from values to pixels.

    Attributes:
        low, high: values at its ends.
        start, end: pixels there.
        log: whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Place a value; what lies beyond an end is drawn at it."""
        return round(self.start + self.share(value) * (self.end - self.start), 1)

    def share(self, value: float) -> float:
        """Return how far along the axis a value stands, from 0 to 1."""
        low, high, x = (math.log10(v) if self.log else v for v in (self.low, self.high, value))
        return min(max((x - low) / (high - low), 0.0), 1.0) if high > low else 0.5

    def holds(self, value: float) -> bool:
        """Whether a value lies between its ends."""
        return self.low <= value <= self.high

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Pixels and texts of round values."""
        return [(self.at(value), f"{value:g}") for value in self._round_values() if self.holds(value)]

    def _round_values(self) -> list[float]:
        """List 1, 2 and 5 times powers of ten, or else the multiples of such a step."""
        if self.log and self.high >= 10 * self.low:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            every = (1, 2, 5) if len(decades) < 4 else (1,)
            return [float(f"{step}e{power}") for power in decades for step in every]
        width = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(width)) if width > 0 else 1.0
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= width * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        return [float(f"{step * i:.10g}") for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def axis_over(
    values: Sequence[float], start: float, end: float, *, log: bool = False, margin: float = 0.06
) -> Axis:
    """Make an axis that holds some values with a margin at both ends.

    Args:
        values: at least one; positive where `log`.
        start: pixel of the low end.
        end: pixel of the high end.
        log: whether equal distances are equal ratios.
        margin: share of the width that is left free at each end.
    """
    low, high = min(values), max(values)
    if log:
        wide = (math.log10(high / low) or 1.0) * margin
        return Axis(low / 10**wide, high * 10**wide, start, end, log=True)
    wide = ((high - low) or abs(high) or 1.0) * margin
    return Axis(low - wide, high + wide, start, end)


# --- marks in the table -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """A mean with its interval, on an axis that a whole table shares.

    Attributes:
        x: of the mean.
        low, high: of the interval's ends; None for a single seed.
        reference: of what it is compared with by eye, the untrained encoder; None where there is none.
    """

    x: float
    low: float | None
    high: float | None
    reference: float | None


@dataclass(frozen=True)
class Strip:
    """The ranks that an entry may hold, among all: from `start`, so wide."""

    start: float
    width: float


def strip(ranks: tuple[int, int], entries: int, width: float) -> Strip:
    """Draw a range of ranks among so many entries."""
    first, last = ranks
    one = width / max(entries, last)
    return Strip(round((first - 1) * one, 1), round((last - first + 1) * one, 1))


def path_of(points: Sequence[tuple[float, float]], x: Axis, y: Axis, most: int) -> str:
    """Write a line through points as an SVG path, leaving points out evenly where there are more than `most`."""
    stride = max(1, math.ceil((len(points) - 1) / max(most - 1, 1)))
    kept = [*points[:-1:stride], points[-1]]
    return "M" + "L".join(f"{x.at(a):g},{y.at(b):g}" for a, b in kept)


@dataclass(frozen=True)
class Curves:
    """What went on during training: one line a seed.

    Attributes:
        title: what is drawn.
        paths: SVG paths, one a seed.
        x, y: the axes.
    """

    title: str
    paths: tuple[str, ...]
    x: Axis
    y: Axis


def curves(
    title: str, lines: Sequence[Sequence[tuple[float, float]]], size: tuple[float, float], most: int
) -> Curves | None:
    """Draw one curve a seed over the steps of training; None where none was recorded.

    Args:
        title: what is drawn.
        lines: points `(step, value)` of each seed.
        size: width and height of the drawing.
        most: points a line.
    """
    drawn = [line for line in lines if len(line) > 1]
    if not drawn:
        return None
    points = [point for line in drawn for point in line]
    left, right, top, bottom = 44.0, 8.0, 10.0, 22.0
    x = axis_over([step for step, _ in points], left, size[0] - right, margin=0)
    y = axis_over([value for _, value in points], size[1] - bottom, top)
    return Curves(title, tuple(path_of(line, x, y, most) for line in drawn), x, y)
