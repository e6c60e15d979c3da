"""Which galaxies remain when fewer are learned from? The same for every seed; smaller sets lie in larger ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from astrojepa_bench.streams import stream_seed


def nested_subset(
    ids: np.ndarray, rows: Int[np.ndarray, " row"], most: int | None
) -> Int[np.ndarray, " galaxy"]:
    """Choose at most `most` rows by lot, in table order; all of them if None.

    Each galaxy draws its lot from its own id, so neither the seed of a run nor the order or length of the
    table decides who stays, and 500 galaxies are always among the 2,000.

    Args:
        ids: names of all rows of the table.
        rows: table rows to choose from.
        most: how many may stay.
    """
    if most is None or most >= len(rows):
        return rows
    lots = np.array([stream_seed(0, f"pretraining subset/{name}") for name in ids[rows]])
    return np.sort(rows[np.argsort(lots, kind="stable")[:most]])
