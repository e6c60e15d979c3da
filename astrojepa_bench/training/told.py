"""What an objective is told of the galaxies that it learns from: images, and of all else what it declares.

Labels of train and columns of train and the pool lie on the device once. Nothing of val or test does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.data.device import sent
from astrojepa_bench.data.splitting.subset import labelled_subset, nested_subset
from astrojepa_bench.errors import Unsuitable
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.types import GalaxyBatch, GalaxyTable


@dataclass(frozen=True)
class Told:
    """The galaxies that one objective learns from, and what it is told of them.

    Attributes:
        rows: of the table, in its order.
        labels: of every row of the table, -1 where it is not told.
        columns: of every row of the table by name, NaN where it is not told.
        places: which of `rows` each row of the table is, -1 where it is none.
        ids: of every row of the table.
    """

    rows: Int[np.ndarray, " galaxy"]
    labels: Int[Tensor, " row"]
    columns: Mapping[str, Tensor]
    places: Int[Tensor, " row"]
    ids: np.ndarray

    @classmethod
    def of(cls, objective: Objective, table: GalaxyTable, budget: Budget, device: torch.device) -> Told:
        """Collect what an objective declares that it reads, within the limits of a budget.

        First the galaxies are chosen, then the labels among them, each class by its share.

        Raises:
            Unsuitable: it reads labels, and those that are left are of fewer than two classes.
        """
        train = table.rows("train")
        labelled = train[table.label[train] >= 0]
        seen = labelled if objective.labels == "all" else table.pretraining_rows
        rows = nested_subset(table.ids, seen, budget.galaxies)
        labels, places = np.full((2, len(table)), -1, dtype=np.int64)
        if objective.labels != "none":
            among = np.intersect1d(labelled, rows)
            known = labelled_subset(table.ids, table.label, among, budget.labels)
            if len(np.unique(table.label[known])) < 2:
                raise Unsuitable(
                    f"of the {len(rows)} galaxies to learn from {len(known)} tell their label, of fewer than two "
                    "classes; allow more with --pretraining or --labels"
                )
            labels[known] = table.label[known]
            rows = known if objective.labels == "all" else rows
        places[rows] = np.arange(len(rows))
        columns = {name: _only(table.numbers[name], rows) for name in objective.columns}
        return cls(
            rows,
            torch.from_numpy(labels).to(device),
            {name: torch.from_numpy(column).to(device) for name, column in columns.items()},
            torch.from_numpy(places).to(device),
            table.ids,
        )

    def batch(
        self, rows: Int[np.ndarray, " batch"], images: Float[Tensor, "batch band height width"]
    ) -> GalaxyBatch:
        """Put images of some rows into a batch, with what is told of them."""
        index = sent(rows, images.device)
        columns = {name: column[index] for name, column in self.columns.items()}
        places, ids = self.places[index], self.ids[rows]
        return GalaxyBatch(images, index, self.labels[index], columns, len(self.rows), places, ids)


def _only(column: np.ndarray, rows: Int[np.ndarray, " galaxy"]) -> Float[np.ndarray, row * width]:
    told = np.full(column.shape, np.nan, dtype=np.float32)
    told[rows] = column[rows]
    return told
