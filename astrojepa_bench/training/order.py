"""Which galaxies each step sees: a function of (seed, step) alone, so any step can be resumed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from astrojepa_bench.streams import numpy_stream


class DataOrder:
    """Shuffled passes over the pretraining rows, cut into batches without gaps.

    Args:
        rows: table rows to learn from.
        batch_size: rows a step; a batch may span the end of one pass and the start of the next.
        seed: names the permutations.
    """

    def __init__(self, rows: Int[np.ndarray, " row"], batch_size: int, seed: int) -> None:
        self.rows = rows
        self.batch_size = batch_size
        self.seed = seed
        self._passes: dict[int, Int[np.ndarray, " row"]] = {}

    def at(self, step: int) -> Int[np.ndarray, " batch"]:
        """Return the table rows of one step."""
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        passes, offsets = np.divmod(places, len(self.rows))
        parts = [self._pass(int(number))[offsets[passes == number]] for number in np.unique(passes)]
        return np.concatenate(parts)

    def _pass(self, number: int) -> Int[np.ndarray, " row"]:
        if number not in self._passes:
            self._passes = {k: v for k, v in self._passes.items() if k == number - 1}
            self._passes[number] = numpy_stream(self.seed, "order", number).permutation(self.rows)
        return self._passes[number]
