r"""VICReg: two views of a galaxy agree; every dimension keeps its spread, and no two say the same.

Each galaxy is seen in two augmented views of the whole image. With Z, Z' (batch N, dimensions D) the projected
means of their tokens,

    L = 25 · mean over galaxies and dimensions of (Z - Z')²                                     invariance
      + 25 · ½ Σ over both views of  mean_j max(0, 1 - sqrt(Var_j + 1e-4))                      variance
      +  1 · Σ over both views of  Σ_{i≠j} C_ij² / D,     C = covariance with N - 1             covariance

No teacher, no negatives, no stopped gradient. The hinge keeps each dimension from shrinking, the covariance term
keeps them from repeating one another; together they prevent collapse as SIGReg does, but look at two moments only.

Golden values: all embeddings on one point give an invariance of 0, a variance of 1 - sqrt(1e-4) = .99 and a
covariance of 0; D copies of one unit-variance dimension give a covariance of 2 (D - 1).

It has no use for a masker: both views show all patches. That also makes it the contestant for ConvNets.

Cost: two token-passes per patch. Its recipe (batches of 32, a peak rate of 1e-3) is the best of six trials, on
Galaxy Zoo 2 without its test galaxies (benchmarks/tuning/galaxy_suite_1.md).

Expected: no figures of galaxies are known to us. On photographs, ViT-S/16 on Imagenette for 200 epochs, a linear
probe reads 79.4 % (LeJEPA 87.1; stable-pretraining, RESULTS.md of 2026-07-16).

Source: Bardes, Ponce & LeCun 2022 (arXiv 2105.04906), section 4.1. The normalisations are those of its released
loss, which the weights 25, 25, 1 refer to: squared differences are averaged over dimensions (equation 5 sums
them) and the variance term is halved (equation 6 does not). Deviations: galaxy-valid views instead of colour
jitter, greyscale and solarisation; AdamW instead of LARS; a projector of 512 and 128 instead of 8192, for
thousands of galaxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from astrojepa_two_views import TwoViews, perceptron
from jaxtyping import Float
from torch import Tensor

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

EPSILON = 1e-4  # under the root of the variance, as published


class VICReg(TwoViews):
    """Two-view agreement with variance and covariance kept in bounds.

    Args:
        encoder: the encoder to train.
        grid: unused: views show all patches.
        classes: unused.
        invariance: weight of the squared difference between the views.
        variance: weight of the hinge on each dimension's standard deviation.
        covariance: weight of the squared covariances.
        projector: width of the projector's hidden layers.
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
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        projector: int = 512,
        embedding: int = 128,
        judge: Judge = "encoder",
        learning_rate: float = 1e-3,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(
            encoder, grid, classes, learning_rate=learning_rate, batch_size=batch_size, **options
        )
        weights = (invariance, variance, covariance)
        if min(weights) < 0:
            raise ConfigError(f"objective weights {weights}: expected none to be negative")
        self.weights = {"invariance": invariance, "variance": variance, "covariance": covariance}
        self.judge: Judge = judge
        self.projector = perceptron(encoder.dim, projector, projector, embedding)

    @property
    def scored_encoder(self) -> Encoder:
        """The encoder, as published, or the encoder behind its projector."""
        return Projected(self.encoder, self.projector) if self.judge == "projector" else self.encoder

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute the weighted sum; the terms are returned unweighted."""
        first, second = self._projected(batch, streams).unbind()
        terms = vicreg_terms(first, second)
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return Loss(total, terms)

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Set one view's projection beside the other's: one vector an image, so without positions."""
        first, second = self._projected(batch, streams).unbind()
        return Prediction(first[:, None, None], second[:, None, None])

    def _projected(self, batch: GalaxyBatch, streams: Streams) -> Float[Tensor, "view galaxy dim"]:
        projected: Tensor = self.projector(self.pooled(batch, streams).flatten(0, 1))
        return projected.float().unflatten(0, (2, -1))


def vicreg_terms(
    first: Float[Tensor, "batch dim"], second: Float[Tensor, "batch dim"]
) -> dict[str, Float[Tensor, ""]]:
    """Compute the three terms, unweighted, in float32: see the module's formula."""
    first, second = gathered(first.float()), gathered(second.float())
    return {
        "invariance": (first - second).square().mean(),
        "variance": (narrowness(first) + narrowness(second)) / 2,
        "covariance": redundancy(first) + redundancy(second),
    }


def narrowness(values: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """Average over dimensions how far the standard deviation falls short of 1."""
    return (1 - (values.var(dim=0) + EPSILON).sqrt()).relu().mean()


def redundancy(values: Float[Tensor, "batch dim"]) -> Float[Tensor, ""]:
    """Sum the squared covariances between different dimensions, per dimension."""
    centred = values - values.mean(dim=0)
    with torch.autocast(values.device.type, enabled=False):  # bfloat16 has three digits: too few to subtract
        covariance = centred.T @ centred / (len(values) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / values.shape[1]


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `vicreg`."""
    return {"vicreg": VICReg}
