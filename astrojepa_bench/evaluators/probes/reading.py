"""How evaluators read answers: checked, and in an order that the order of the table cannot change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.types import Split

version = 1  # raise it whenever a number changes


@dataclass(frozen=True)
class LabelledGalaxies:
    """The galaxies of one split that carry a label.

    Attributes:
        features: one tap.
        label: class index.
        ids: galaxy ids.
    """

    features: Float[Tensor, "galaxy dim"]
    label: Int[np.ndarray, " galaxy"]
    ids: np.ndarray


def read_labelled(answers: Features, split: Split, tap: str) -> LabelledGalaxies:
    """Read the labelled galaxies of a split; train and val are sorted by id, test keeps its order.

    Sums and random draws depend on the order of their terms in the last bits. Sorting what is fitted makes
    every score independent of the order of the table.

    Raises:
        ContractError: a feature is not finite.
        DataError: nothing in the split is labelled.
    """
    found = answers.split(split)
    rows = np.flatnonzero(found.label >= 0)
    if not len(rows):
        raise DataError(f"split '{split}' has no labelled galaxy; label some or leave this evaluator out")
    rows = rows if split == "test" else by_id(found, rows)
    return LabelledGalaxies(read_features(found, split, tap, rows), found.label[rows], found.ids[rows])


def read_features(
    found: SplitFeatures, split: Split, tap: str, rows: Int[np.ndarray, " row"]
) -> Float[Tensor, "row dim"]:
    """Read features of some rows in at least single precision.

    Raises:
        ContractError: a feature is not finite.
    """
    features = found.features[tap]
    features = features[torch.as_tensor(rows, device=features.device)]
    features = features if features.dtype == torch.float64 else features.float()
    broken = int((~features.isfinite()).any(dim=1).sum())
    if broken:
        raise ContractError(
            f"tap '{tap}' is not finite for {broken} of {len(features)} {split} galaxies; "
            "an encoder must give finite features (did training diverge?)"
        )
    return features


def by_id(found: SplitFeatures, rows: Int[np.ndarray, " row"]) -> Int[np.ndarray, " row"]:
    """Sort rows by galaxy id."""
    return rows[np.argsort(found.ids[rows], kind="stable")]


def read_ordinary(
    answers: Features, split: Split, tap: str, without: int | None = None
) -> Float[Tensor, "galaxy dim"]:
    """Read the features of all ordinary galaxies of a split, labelled or not, sorted by id.

    Args:
        answers: what is read.
        split: whose galaxies.
        tap: which features.
        without: a class that is left out.

    Raises:
        ContractError: a feature is not finite.
        DataError: the split is empty.
    """
    found = answers.split(split)
    rows = np.flatnonzero((found.anomaly == 0) & ((found.label != without) | (without is None)))
    if not len(rows):
        raise DataError(f"split '{split}' has no ordinary galaxy; this evaluator needs some")
    return read_features(found, split, tap, by_id(found, rows))
