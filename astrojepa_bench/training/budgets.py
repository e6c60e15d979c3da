"""Named budgets: how many dataset images every entry may see, and at which size.

A budget is a number of images, never of seconds: a record must mean the same on every machine. Where arithmetic
is matched it is a number of floating-point operations: those of its yardstick on all of its images
(`training.cost.count_image`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from astrojepa_bench.errors import ConfigError, nearest


@dataclass(frozen=True)
class Budget:
    """What every entry of a comparison is given.

    Attributes:
        name: part of a run's identity, with the numbers below.
        size_px: side of the images [pixel].
        patch_px: side of a patch [pixel].
        seen: dataset images seen in training.
        encoder: the encoder trained unless another is asked for.
        purpose: for whom.
        flops: floating-point operations spent in training, however many images that makes; None: images are equal.
        galaxies: most galaxies to pretrain on, the same number of images seen; None: all there are.
        labels: most labels of train that an objective that reads any is told, or which share of them; None: all.
        precision: of the arithmetic in training: `float32`, `bf16`, or `auto`, which the device decides.
    """

    name: str
    size_px: int
    patch_px: int
    seen: int
    encoder: str
    purpose: str
    flops: int | None = None
    galaxies: int | None = None
    labels: int | float | None = None
    precision: str = "auto"

    @property
    def effort(self) -> str:
        """What is equal for every entry, as it stands in the identity of a run."""
        equal = f"{self.seen} seen" if self.flops is None else f"{self.flops} {FLOP}"
        return f"{self.name} {self.size_px}px {equal}"

    def steps(self, batch_size: int) -> int:
        """Optimiser steps that show at least `seen` images."""
        return max(1, -(-self.seen // batch_size))


FLOP = "FLOP"


def is_flop_matched(effort: object) -> bool:
    """Whether a run was given arithmetic instead of images, by the effort in its identity."""
    return str(effort).endswith(f" {FLOP}")


def other_images(budget: str, effort: object) -> int | None:
    """Return the images that a run of some budget was given instead of the budget's own; None where it was not.

    Args:
        budget: its name.
        effort: of the run, by its identity.

    Example:
        >>> other_images("small", "small 64px 250000 seen"), other_images("small", "small 64px 25000 seen")
        (250000, None)
    """
    found = re.search(r" (\d+) seen$", str(effort))
    if found is None or budget not in BUDGETS or int(found[1]) == BUDGETS[budget].seen:
        return None
    return int(found[1])


GALAXY10 = 17_736  # images of Galaxy10 DECaLS, the published scale

BUDGETS = {
    budget.name: budget
    for budget in (
        Budget("smoke", 64, 8, 2_000, "vit-micro", "CI: a cell in about 20 s on two cores"),
        Budget("small", 64, 8, 25_000, "vit-micro", "a laptop: 2 to 4 min on two cores, seconds on a GPU"),
        Budget("standard", 224, 16, 100 * GALAXY10, "vit-tiny", "one GPU, the published scale"),
        Budget("long", 224, 16, 300 * GALAXY10, "vit-small", "one GPU, hours"),
    )
}


def find_budget(name: str) -> Budget:
    """Look a budget up.

    Raises:
        ConfigError: unknown name.
    """
    if name not in BUDGETS:
        raise ConfigError(f"unknown budget '{name}'; {nearest(name, BUDGETS)}")
    return BUDGETS[name]
