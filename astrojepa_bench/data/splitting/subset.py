"""Which galaxies and labels remain when fewer are learnt from? For every seed the same, small sets in large."""

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


def labelled_subset(
    ids: np.ndarray,
    label: Int[np.ndarray, " galaxy"],
    rows: Int[np.ndarray, " row"],
    most: int | float | None,
) -> Int[np.ndarray, " told"]:
    """Choose the rows whose labels are told, each class by its share, in table order; all of them if None.

    The first two and more hold one of every class as far as they go, and smaller sets lie in larger ones. Lots are
    drawn as in `nested_subset`, and are others.

    Args:
        ids: names of all rows of the table.
        label: class of all rows.
        rows: labelled rows to choose from.
        most: how many, or which share of them (`label_count`).
    """
    count = label_count(most, len(rows))
    if count >= len(rows):
        return rows
    lots = np.array([stream_seed(0, f"label subset/{name}") for name in ids[rows]])
    order = np.lexsort([lots, label[rows]])  # class by class, by lot within each
    _, first, members = np.unique(label[rows][order], return_index=True, return_counts=True)
    place = np.arange(len(rows)) - np.repeat(first, members)
    share = place / np.repeat(members, members)  # of its class that stands before it
    chosen = order[np.lexsort([lots[order], share])[:count]]
    return np.sort(rows[chosen])


def label_count(most: int | float | None, labels: int) -> int:
    """Count the labels that may be read: a number from 1 on is itself, a share below 1 is of all, two at least.

    Example:
        >>> label_count(100, 2000), label_count(0.1, 2000), label_count(None, 2000), label_count(100, 50)
        (100, 200, 2000, 50)
    """
    count = labels if most is None else round(most * labels) if most < 1 else int(most)
    return min(labels, max(2, count))
