"""Rules for what objectives are told beside images: labels and columns as declared, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import torch

from astrojepa_bench.roles import Objective
from astrojepa_bench.testing import galaxies
from astrojepa_bench.testing.checks import RuleSet
from astrojepa_bench.testing.objective import FINITE, REPEATABLE
from astrojepa_bench.testing.rehearsal import BATCH, build, loss_of, told_batch
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.types import GalaxyBatch

rules = RuleSet("objective", after=("acts", "settings"))


@rules(
    "labels",
    "It reads labels if and only if it declares that it does.",
    'set `labels = "all"` or `"some"` on the class of an objective that reads batch.labels',
    (*FINITE, *REPEATABLE),
)
def find_labels(piece: Subject) -> str | None:
    """Compare the losses of two fresh copies under two sets of labels."""
    objective: Objective = build(piece).eval()
    told = "all" if objective.labels == "none" else objective.labels
    batch = galaxies.batch_of(galaxies.images(BATCH), labels=told, columns=objective.columns)
    moved = torch.where(batch.labels < 0, -1, (batch.labels + 1) % galaxies.CLASSES)
    losses = _losses(piece, batch, replace(batch, labels=moved))
    if (losses[0] != losses[1]) == (objective.labels != "none"):
        return None
    return f"labels = '{objective.labels}', but other labels give {losses[1]:.4g} for {losses[0]:.4g}"


@rules(
    "columns",
    "It reads each column that it declares, and no other.",
    "name on the class, as `columns`, what is read of batch.columns, and mind that NaN means unknown",
    (*FINITE, *REPEATABLE),
)
def find_columns(piece: Subject) -> str | None:
    """Compare the losses of fresh copies where the values of one column are others."""
    objective: Objective = build(piece).eval()
    batch = told_batch(objective, galaxies.images(BATCH))
    for name in objective.columns:
        other = replace(batch, columns={**batch.columns, name: 1.5 - batch.columns[name]})
        losses = _losses(piece, batch, other)
        if losses[0] == losses[1]:
            return f"it declares the column '{name}', but other values change nothing"
    more = {**batch.columns, "undeclared": torch.linspace(0, 1, BATCH)}
    losses = _losses(piece, batch, replace(batch, columns=more))
    return None if losses[0] == losses[1] else "a column that it does not declare changes the loss"


def _losses(piece: Subject, *batches: GalaxyBatch) -> list[float]:
    return [float(loss_of(build(piece).eval(), batch).total.detach()) for batch in batches]
