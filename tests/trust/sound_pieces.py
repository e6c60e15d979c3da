"""Small sound pieces, beside which hostile ones are run: an encoder, objectives with and without masks, a score."""

import torch
from torch import nn

from astrojepa_bench.plugin import (
    Encoder,
    Evaluation,
    Evaluator,
    Loss,
    MaskSizes,
    Objective,
    PatchGrid,
    Recipe,
    Score,
    Tokens,
    hookimpl,
)


class Plain(Encoder):
    """One linear layer over patches of 16 pixels."""

    version = 1
    dim = 16

    def __init__(self, spec):
        super().__init__(spec)
        self.grid = PatchGrid.tiling(spec.size_px, 16)
        self.layer = nn.Conv2d(len(spec.bands), self.dim, 16, stride=16)

    def forward(self, images, keep=None):
        values = self.layer(images).flatten(2).transpose(1, 2)
        where = torch.arange(values.shape[1], device=images.device).expand(len(images), -1)
        if keep is not None:
            values, where = values.gather(1, keep[..., None].expand(-1, -1, self.dim)), keep
        return Tokens(values, where)


class Spreads(Objective):
    """Keeps the variance of pooled features near one."""

    version = 1
    masks = "ignored"

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.register_buffer("done", torch.zeros((), dtype=torch.long))

    def recipe(self):
        return Recipe(learning_rate=0.002, batch_size=32)

    def after_step(self, progress):
        self.done += 1

    def loss(self, batch, draw, streams):
        return self.spread(self.encoder(batch.images).values)

    def spread(self, values):
        total = (1 - values.mean(1).std(0)).square().mean()
        return Loss(total, {"spread": total})


class Follows(Spreads):
    """The same of visible patches, so it needs a masker."""

    version = 1
    masks = "required"

    def loss(self, batch, draw, streams):
        masks = draw(batch.images, MaskSizes(4, 1, 4))
        return self.spread(self.encoder(batch.images, keep=masks.context).values)


class Power(Evaluator):
    """The mean square of the features of the test galaxies."""

    version = 1

    def evaluate(self, features):
        values = features.test.features["last"]
        return Evaluation((Score("power", "mean_square", float(values.square().mean()), True, len(values)),))


@hookimpl
def astrojepa_encoders():
    return {"plain": Plain}


@hookimpl
def astrojepa_objectives():
    return {"spreads": Spreads, "follows": Follows}


@hookimpl
def astrojepa_evaluators():
    return {"power": Power}
