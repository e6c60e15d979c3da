"""Plugin of the torchrun tests: objectives that fail on one rank, or draw for the galaxies of one rank alone."""

import os
import time

import torch
from torch.nn import functional as F

from astrojepa_bench.plugin import Loss, Objective, Recipe, hookimpl


class Steady(Objective):
    """Pulls all galaxies towards one direction, and draws nothing."""

    masks = "ignored"
    version = 1

    def recipe(self):
        """Learn from a hundred galaxies a step."""
        return Recipe(learning_rate=1e-3, batch_size=100)

    def loss(self, batch, draw, streams):
        """Compare the features with a fixed direction."""
        values = self.encoder(batch.images).values.mean(dim=1)
        total = F.mse_loss(values, torch.ones_like(values))
        return Loss(total, {})


class Drawing(Steady):
    """Draws a number of its own for each of its galaxies."""

    version = 1

    def loss(self, batch, draw, streams):
        """Weigh galaxies at random."""
        weights = torch.rand(len(batch.images), generator=streams.local("weights"))
        values = self.encoder(batch.images).values.mean(dim=(1, 2))
        return Loss((weights * (1 - values).square()).mean(), {})


class Stumbling(Steady):
    """Fails on the second rank, in its third step."""

    version = 1

    def loss(self, batch, draw, streams):
        """Fail there."""
        if os.environ.get("RANK") == "1" and streams.step == 2:
            raise ValueError("this rank has no third step")
        return super().loss(batch, draw, streams)


class Lasting(Steady):
    """Takes its time, so that it can be killed."""

    version = 1

    def loss(self, batch, draw, streams):
        """Wait."""
        time.sleep(0.5)
        return super().loss(batch, draw, streams)


@hookimpl
def astrojepa_objectives():
    """Offer them."""
    return {"steady": Steady, "drawing": Drawing, "stumbling": Stumbling, "lasting": Lasting}
