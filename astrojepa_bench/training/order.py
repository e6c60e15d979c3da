"""Which galaxies each step sees: a function of (seed, step) alone, so any step can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Int

from astrojepa_bench.streams import numpy_stream

WINDOW = 8  # blocks whose rows are mixed; what a batch shows comes from so many places of the table

Ahead = Callable[[Iterable[tuple[int, int]]], None]


class DataOrder:
    """Shuffled passes over the pretraining rows, cut into batches without gaps.

    Where the table is stored in blocks, every pass takes the blocks in another order and mixes the rows of each
    `WINDOW` of them: what is read at one time lies in a few places, and no more than a window is held. Rows that
    were written in random order are as well mixed by that as by a permutation of all.

    Args:
        rows: table rows to learn from.
        batch_size: rows a step; a batch may span the end of one pass and the start of the next.
        seed: names the permutations.
        block: rows of the table that are best read together; 0 where any order is as good.
        ahead: told the parts of the table, from a row to before another, that will be read next.
    """

    def __init__(
        self,
        rows: Int[np.ndarray, " row"],
        batch_size: int,
        seed: int,
        block: int = 0,
        ahead: Ahead | None = None,
    ) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self.ahead = ahead
        self._passes: dict[int, Int[np.ndarray, " row"]] = {}
        self._windows: dict[tuple[int, int], Int[np.ndarray, " row"]] = {}
        # where each block begins in `rows`; the end of the last one comes last
        starts = np.flatnonzero(np.diff(rows // block, prepend=-1)) if block else np.zeros(0, dtype=np.int64)
        self._bounds = np.append(starts, len(rows))

    def at(self, step: int) -> Int[np.ndarray, " batch"]:
        """Return the table rows of one step."""
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        passes, offsets = np.divmod(places, len(self.rows))
        parts = [self._of_pass(int(number), offsets[passes == number]) for number in np.unique(passes)]
        return np.concatenate(parts)

    def _of_pass(self, number: int, offsets: Int[np.ndarray, " some"]) -> Int[np.ndarray, " some"]:
        if len(self._bounds) == 1:
            return self._pass(number)[offsets]
        order = self._pass(number)
        ends = np.cumsum(np.diff(self._bounds)[order])[WINDOW - 1 :: WINDOW]  # but that of the last window
        windows = np.searchsorted(ends, offsets, side="right")
        firsts = np.concatenate([[0], ends])
        parts = [
            self._window(number, int(each))[offsets[windows == each] - firsts[each]]
            for each in np.unique(windows)
        ]
        return np.concatenate(parts)

    def _pass(self, number: int) -> Int[np.ndarray, " row"]:
        """Return the rows of a pass in their order, or its blocks where there are any."""
        if number not in self._passes:
            self._passes = {k: v for k, v in self._passes.items() if k == number - 1}
            blocks = len(self._bounds) - 1
            what = np.arange(blocks) if blocks else self.rows
            self._passes[number] = numpy_stream(self.seed, "order", number).permutation(what)
        return self._passes[number]

    def _window(self, number: int, window: int) -> Int[np.ndarray, " row"]:
        """Return the rows of a window of a pass in their order."""
        if (number, window) not in self._windows:
            last = next(reversed(self._windows), None)  # a batch may span two
            self._windows = {last: self._windows[last]} if last is not None else {}
            spans = self._spans(number, window)
            rows = np.concatenate([self.rows[first:stop] for first, stop in spans])
            draw = numpy_stream(self.seed, f"order in pass {number}", window)
            self._windows[number, window] = draw.permutation(rows)
            if self.ahead is not None:
                coming = self._spans(number, window + 1) or self._spans(number + 1, 0)
                self.ahead((int(self.rows[a]), int(self.rows[b - 1]) + 1) for a, b in (*spans, *coming))
        return self._windows[number, window]

    def _spans(self, number: int, window: int) -> list[tuple[int, int]]:
        """Return where the blocks of a window begin and end in `rows`."""
        chosen = self._pass(number)[WINDOW * window : WINDOW * (window + 1)]
        return [(int(self._bounds[each]), int(self._bounds[each + 1])) for each in chosen]
