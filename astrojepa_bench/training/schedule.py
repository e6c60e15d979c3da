"""The one kind of schedule: linear warm-up, then cosine to zero; weight decay on matrices only."""

from __future__ import annotations

import math

import torch
from torch import nn

from astrojepa_bench.types import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Compute the learning rate of optimiser step `step` (from 0) of `steps`.

    Example:
        >>> recipe = Recipe(learning_rate=1.0, warmup=0.1)
        >>> [round(learning_rate(recipe, step, 100), 3) for step in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    warm = max(1, round(recipe.warmup * steps))
    if step < warm:
        return recipe.learning_rate * (step + 1) / warm
    return recipe.learning_rate * _cosine((step - warm) / max(1, steps - warm))


def weight_decay(recipe: Recipe, step: int, steps: int) -> float:
    """Compute the weight decay of a step: constant, or a cosine from start to end."""
    if recipe.weight_decay_end is None:
        return recipe.weight_decay
    span = recipe.weight_decay - recipe.weight_decay_end
    return recipe.weight_decay_end + span * _cosine(step / steps)


def _cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def make_optimiser(objective: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Make AdamW with weight decay on matrices only; frozen parameters stay out."""
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "decays": True},
        {"params": [p for p in trained if p.ndim < 2], "decays": False, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=recipe.betas, fused=True)


def set_schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Write this step's learning rate and weight decay into the optimiser."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(recipe, step, steps)
        if group["decays"]:
            group["weight_decay"] = weight_decay(recipe, step, steps)
