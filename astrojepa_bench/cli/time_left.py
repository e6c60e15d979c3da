"""How long a grid still takes: each cell is weighed by what it costs, as measured before or by now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any, NamedTuple


class _Waiting(NamedTuple):
    """A cell that has not ended, as the event `cells_expected` tells of it."""

    label: str
    kind: str
    trains: bool
    seconds: float | None


class TimeLeft:
    """What is left of the cells of one plan.

    Args:
        cells: those of the event `cells_expected`; whose seconds are 0 is done.
        at_once: how many run at once; 0 where nobody knows.

    Example:
        >>> kinds = ("deep", 9.0), ("deep", 9.0), ("flat", None)
        >>> cells = [{"label": str(n), "kind": k, "trains": True, "seconds": s} for n, (k, s) in enumerate(kinds)]
        >>> left = TimeLeft(cells, 1)
        >>> left.ended("0", 12.0)
        >>> left.done, left.total, left.seconds
        (1, 3, 24.0)
    """

    def __init__(self, cells: Iterable[Mapping[str, Any]], at_once: int) -> None:
        every = [_Waiting(each["label"], each["kind"], each["trains"], each["seconds"]) for each in cells]
        self._waiting = [each for each in every if each.seconds != 0.0]
        self._took: list[tuple[_Waiting, float]] = []
        self._at_once = at_once
        self.total = len(every)

    @property
    def done(self) -> int:
        """How many cells have ended, or were done before."""
        return self.total - len(self._waiting)

    def ended(self, label: str, seconds: float) -> None:
        """Hear that a cell ended, and after how long [s]."""
        for each in self._waiting:
            if each.label == label:
                self._waiting.remove(each)
                self._took.append((each, seconds))
                return

    @property
    def seconds(self) -> float | None:
        """How long the others take together [s]; None where nothing tells of one of them."""
        costs = [self._cost(each) for each in self._waiting]
        known = [cost for cost in costs if cost is not None]
        if len(known) < len(costs) or not self._at_once:
            return None
        return max([sum(known) / self._at_once, *known], default=0.0)

    def _cost(self, cell: _Waiting) -> float | None:
        """Return what cells of its kind took now, or before, or else what those like it in training took.

        What only scores tells nothing of what trains; the other way round it is too much rather than too little.
        """
        same = [seconds for each, seconds in self._took if each.kind == cell.kind]
        if same or cell.seconds is not None:
            return fmean(same) if same else cell.seconds
        like = [seconds for each, seconds in self._took if each.trains == cell.trains]
        like += [each.seconds for each in self._waiting if each.seconds and each.trains == cell.trains]
        if not like and not cell.trains:
            like = [seconds for _, seconds in self._took]
        return fmean(like) if like else None
