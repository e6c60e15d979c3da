"""What is in a dataset? The counts and ranges that `data info` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from astrojepa_bench.types import SPLITS, GalaxyTable, class_name


@dataclass(frozen=True)
class Range:
    """How a number is distributed over the galaxies that have it.

    Attributes:
        known: how many do.
        least, median, greatest: of these; NaN if there are none.
    """

    known: int
    least: float
    median: float
    greatest: float

    @classmethod
    def of(cls, values: Float[np.ndarray, " galaxy"]) -> Range:
        """Measure a column, NaN where unknown."""
        known = values[~np.isnan(values)]
        if not len(known):
            return cls(0, *(float("nan"),) * 3)
        return cls(len(known), float(known.min()), float(np.median(known)), float(known.max()))


@dataclass(frozen=True)
class Description:
    """What `data info` prints.

    Attributes:
        counts: galaxies by row (class, "unlabelled", or anomaly type) and split.
        numbers: redshift, position, pixel scale and attributes, by name; those without any value left out.
        groups: sky groups with more than one galaxy, and how many galaxies they hold.
    """

    counts: Mapping[str, Mapping[str, int]]
    numbers: Mapping[str, Range]
    groups: tuple[int, int]


def describe(table: GalaxyTable) -> Description:
    """Count and measure a table."""
    facts = {"redshift": table.redshift, "ra [deg]": table.ra, "dec [deg]": table.dec}
    scale = (
        f"pixel scale at {table.spec.size_px} px [arcsec]"  # of images as they are trained on, not as stored
    )
    columns = {**facts, scale: table.pixel_scale, **table.factors}
    numbers = {name: Range.of(column) for name, column in columns.items() if column is not None}
    members = np.ones(1) if table.group is None else np.unique(table.group, return_counts=True)[1]
    shared = members[members > 1]
    return Description(
        {
            name: {split: int((rows & (table.split == split)).sum()) for split in SPLITS}
            for name, rows in _kinds(table).items()
        },
        {name: found for name, found in numbers.items() if found.known},
        (len(shared), int(shared.sum())),
    )


def _kinds(table: GalaxyTable) -> dict[str, Bool[np.ndarray, " galaxy"]]:
    labels = np.unique(table.label[table.label >= 0]).tolist()
    kinds = {class_name(table.card.class_names, label): table.label == label for label in labels}
    plain = (table.label < 0) & (table.anomaly == 0)
    if plain.any():
        kinds["unlabelled"] = plain
    odd = table.anomaly > 0
    return kinds | {
        f"anomaly: {name}": odd & (table.anomaly_type == name)
        for name in np.unique(table.anomaly_type[odd]).tolist()
    }
