"""What ranks of the tests train: every shipped objective on a few invented galaxies, with plain descent.

Descent by SGD: AdamW divides gradients by their own size, so where a gradient is zero but for rounding, as that of a
bias in front of a BatchNorm, it would turn the last digit into a whole step.
"""

from __future__ import annotations

import dataclasses
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch

from astrojepa_bench import ranks
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.roles import Objective
from astrojepa_bench.runs.assemble import assemble, load_galaxies
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.loop import Trainer

BATCH, STEPS, GALAXIES, SIZE_PX = 8, 3, 48, 32
BUDGET = Budget("ranks", SIZE_PX, 4, STEPS * BATCH, "vit-micro", "tests")


@cache
def registry() -> Registry:
    """Load what is shipped."""
    return load_registry()


@cache
def galaxies() -> Galaxies:
    """Invent a few galaxies."""
    dataset = Component.of(registry().get("dataset", "synthetic"), {"dataset": {"galaxies": GALAXIES}})
    with tempfile.TemporaryDirectory() as cache_dir:
        return load_galaxies(dataset, SIZE_PX, Path(cache_dir), torch.device("cpu"))


def train(task: dict[str, Any]) -> dict[str, Any]:
    """Train one objective; return the gradients of the first step, the curve, the weights, and what it drew alone."""
    settings = {"objective": {"batch_size": BATCH, **task.get("options", {})}, "encoder": task.get("encoder_options", {})}
    usual = {"patch": BUDGET.patch_px}
    parts = [
        Component.of(registry().get(role, task[role]), settings, usual)
        for role in ("objective", "masker", "encoder")
    ]
    made = assemble(Cell(*parts, seed=0), galaxies(), None)
    objective = made.objective
    recipe = dataclasses.replace(
        objective.recipe(), optimiser="sgd", learning_rate=task.get("rate", 0.1), momentum=0.0,
        accumulation=task.get("accumulation", 1), scales_with="none",
    )  # fmt: skip
    gradients = list[dict[str, torch.Tensor]]()
    before = objective.before_step

    def keep(progress: Any) -> None:
        gradients.append(
            {name: each.grad.clone() for name, each in objective.named_parameters() if each.grad is not None}
        )
        before(progress)

    object.__setattr__(objective, "recipe", lambda: recipe)
    object.__setattr__(objective, "before_step", keep)
    held = galaxies()
    result = Trainer(objective, made.masker, held.table, held.images, BUDGET, seed=0).run()
    return {
        "gradients": gradients,
        "curve": result.state.curve,
        "weights": kept(objective),
        "masks": dict(result.masks),
        "cost": None if result.cost is None else (result.cost.flops, result.cost.tokens),
        "size": ranks.size(),
    }


def kept(objective: Objective) -> dict[str, torch.Tensor]:
    """Copy what is kept of an objective."""
    return {name: each.clone() for name, each in objective.state_dict().items() if torch.is_tensor(each)}
