"""Schedules: linear warm-up, then as the recipe says, usually a cosine to zero; weight decay on matrices only."""

from __future__ import annotations

import math

import numpy as np
import torch

from astrojepa_bench.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Compute the learning rate of optimiser step `step` (from 0) of `steps`.

    Example:
        >>> recipe = Recipe(learning_rate=1.0, warmup=0.1)
        >>> [round(learning_rate(recipe, step, 100), 3) for step in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    warm = max(1, round(recipe.warmup * steps))
    if step < warm:
        return recipe.learning_rate * _factor(recipe, 0.0) * (step + 1) / warm
    return recipe.learning_rate * _factor(recipe, (step - warm) / max(1, steps - warm))


def _factor(recipe: Recipe, share: float) -> float:
    """Compute the factor of the rate when a share of what follows the warm-up is done."""
    if not isinstance(recipe.schedule, str):
        return float(np.interp(share, [*recipe.schedule], [*recipe.schedule.values()]))
    if recipe.schedule == "constant":
        return 1.0
    falling = _cosine(share) if recipe.schedule == "cosine" else 1 - share
    return recipe.final + (1 - recipe.final) * falling


def weight_decay(recipe: Recipe, step: int, steps: int) -> float:
    """Compute the weight decay of a step: constant, or a cosine from start to end."""
    if recipe.weight_decay_end is None:
        return recipe.weight_decay
    span = recipe.weight_decay - recipe.weight_decay_end
    return recipe.weight_decay_end + span * _cosine(step / steps)


def _cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def set_schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    """Write this step's learning rate and weight decay into the optimiser."""
    rate = learning_rate(recipe, step, steps)
    for group in optimiser.param_groups:
        group["lr"] = rate * group["factor"]
        if group["decays"]:
            group["weight_decay"] = weight_decay(recipe, step, steps)
