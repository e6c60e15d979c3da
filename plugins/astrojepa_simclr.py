r"""SimCLR: of all views in the batch, the other view of the same galaxy is found by its likeness.

Each galaxy is seen in two augmented views of the whole image; 2 N embeddings z of unit length result. For view i,
with j(i) the other view of its galaxy,

    L = mean over i of  -log [ exp(z_i · z_j(i) / τ) / Σ_{k ≠ i} exp(z_i · z_k / τ) ]          (NT-Xent)

The 2 N - 2 views of other galaxies are the negatives; they alone prevent collapse.

Golden values: all embeddings on one point give log(2 N - 1); orthogonal pairs (N galaxies on N axes, both views
on one) give log(1 + (2 N - 2) e^(-1/τ)).

It has no use for a masker: both views show all patches. Cost: two token-passes per patch. Its recipe (batches of
32, a peak rate of 5e-4, τ = .2) is the best of six trials, on Galaxy Zoo 2 without its test galaxies
(benchmarks/tuning/galaxy_suite_1.md).

Expected: on galaxies, contrastive pretraining (MoCo v2 on SDSS) needs two to four times fewer labels than
training with labels alone (Hayat et al. 2021, arXiv 2012.13083). On photographs, a linear probe reads 69.3 % of
ImageNet (ResNet-50, batch 4096, 1000 epochs; the paper) and 74.9 % of Imagenette (ViT-S/16, 200 epochs; VICReg
79.4; stable-pretraining, RESULTS.md of 2026-07-16).

Source: Chen et al. 2020 (SimCLR, arXiv 2002.05709), equation 1 and algorithm 1; τ = .2, between the .1 that it
finds best on ImageNet and the .5 on small images (appendix B.9). Deviations: galaxy-valid views (turned, mirrored,
moved, nearer, noisier) instead of colour jitter, greyscale and blur, since colour carries physics; AdamW at a peak
rate of 5e-4 for batches of 32 instead of LARS with a rate of .3 · batch / 256, made for batches of thousands; a
projector of 512 and 128 instead of 2048 and 128, for thousands of galaxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from astrojepa_two_views import TwoViews, perceptron
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.plugin import (
    ConfigError,
    Draw,
    Encoder,
    GalaxyBatch,
    Loss,
    Objective,
    PatchGrid,
    Prediction,
    Projected,
    Streams,
    gathered,
    hookimpl,
)

Judge: TypeAlias = Literal["encoder", "projector"]


class SimCLR(TwoViews):
    """Each view finds the other view of its galaxy among all views of the batch.

    Args:
        encoder: the encoder to train.
        grid: unused.
        classes: unused.
        temperature: τ, by which likenesses are divided.
        projector: width of the projector's hidden layer.
        embedding: width of the projector's output.
        judge: whether the encoder is scored, as published, or what the projector makes of it.
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
    """

    version = 2

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        temperature: float = 0.2,
        projector: int = 512,
        embedding: int = 128,
        judge: Judge = "encoder",
        learning_rate: float = 5e-4,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(
            encoder, grid, classes, learning_rate=learning_rate, batch_size=batch_size, **options
        )
        if temperature <= 0:
            raise ConfigError(f"objective.temperature={temperature}: expected a number above 0")
        self.temperature, self.judge = temperature, judge
        self.projector = perceptron(encoder.dim, projector, embedding)

    @property
    def scored_encoder(self) -> Encoder:
        """The encoder, as published, or the encoder behind its projector."""
        return Projected(self.encoder, self.projector) if self.judge == "projector" else self.encoder

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute the cross-entropy of finding the other view."""
        first, second = self.embedded(batch, streams).unbind()
        contrast = nt_xent(first, second, self.temperature)
        return Loss(contrast, {"contrast": contrast})

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Set one view's unit embedding beside the other's: one vector an image, so without positions."""
        first, second = self.embedded(batch, streams)[:, :, None, None].unbind()
        return Prediction(first, second)

    def embedded(self, batch: GalaxyBatch, streams: Streams) -> Float[Tensor, "2 galaxy embedding"]:
        """Project both views and scale them to unit length; the projector normalises over both, as published."""
        projected = self.projector(self.pooled(batch, streams).flatten(0, 1)).unflatten(0, (2, -1))
        return F.normalize(projected.float(), dim=-1)


def nt_xent(
    first: Float[Tensor, "galaxy dim"], second: Float[Tensor, "galaxy dim"], temperature: float
) -> Float[Tensor, ""]:
    """Compute the normalised, temperature-scaled cross-entropy of two sets of unit vectors, in float32."""
    first, second = gathered(first.float()), gathered(second.float())
    views = torch.cat([first, second])
    with torch.autocast(
        views.device.type, enabled=False
    ):  # bfloat16 has three digits, and e^(1/τ) grows them
        likeness = views @ views.T / temperature
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    other = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(likeness.masked_fill(itself, -torch.inf), other)


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `simclr`."""
    return {"simclr": SimCLR}
