r"""Barlow Twins: the same dimension of two views is correlated, and no two dimensions are.

Each galaxy is seen in two augmented views of the whole image. With Z, Z' (batch N, dimensions D) their
projections, each dimension brought to zero mean and unit variance over the batch, and C = Zᵀ Z' / N their
cross-correlation,

    L = Σ_i (1 - C_ii)²  +  λ Σ_i Σ_{j≠i} C_ij²
        invariance            redundancy

No teacher, no negatives, no stopped gradient. A constant dimension has no unit variance and so no correlation
with itself: that, and the redundancy term, prevent collapse.

Golden values: Z = Z' with uncorrelated dimensions gives 0; Z' = -Z gives an invariance of 4 D; D copies of one
dimension give a redundancy of D (D - 1) and an invariance of 0; one point gives an invariance of D. Independent
random Z and Z' give about D (1 + 1/N) and D (D - 1) / N.

It has no use for a masker: both views show all patches. Cost: two token-passes per patch. Its recipe (batches of
128, a peak rate of 2e-3) is the best of six trials, on Galaxy Zoo 2 without its test galaxies
(benchmarks/tuning/galaxy_suite_1.md).

Expected: no figures of galaxies are known to us. On photographs, a linear probe reads 73.2 % of ImageNet
(ResNet-50, 1000 epochs; the paper), more the wider the projection, up to 16,384 dimensions (its figure 4).

Source: Zbontar et al. 2021 (Barlow Twins, arXiv 2103.03230), equations 1 and 2, algorithm 1; λ = .005 and a
projector of three equally wide layers as published. Deviations: galaxy-valid views (turned, mirrored, moved,
nearer, noisier) instead of colour jitter, greyscale, blur and solarisation, since colour carries physics; AdamW
at the ruler's rate of 2e-3 instead of LARS with a rate of .2 · batch / 256 (.0048 for biases); a projector of 512
instead of 8192, for thousands of galaxies.
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
EPSILON = 1e-5  # under the root of the variance, as in the BatchNorm that is published


class BarlowTwins(TwoViews):
    """Cross-correlation of two views made the identity.

    Args:
        encoder: the encoder to train.
        grid: unused.
        classes: unused.
        lam: weight λ of the redundancy term.
        projector: width of all three layers of the projector, its output included.
        judge: whether the encoder is scored, as published, or what the projector makes of it.
    """

    version = 1

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        lam: float = 0.005,
        projector: int = 512,
        judge: Judge = "encoder",
        **options: Any,
    ) -> None:
        super().__init__(encoder, grid, classes, **options)
        if lam < 0:
            raise ConfigError(f"objective.lam={lam}: expected 0 or more")
        self.lam, self.judge = lam, judge
        self.projector = perceptron(encoder.dim, projector, projector, projector)

    @property
    def scored_encoder(self) -> Encoder:
        """The encoder, as published, or the encoder behind its projector."""
        return Projected(self.encoder, self.projector) if self.judge == "projector" else self.encoder

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute invariance + λ redundancy; the terms are returned unweighted."""
        terms = barlow_terms(*self.projected(batch, streams).unbind())
        return Loss(terms["invariance"] + self.lam * terms["redundancy"], terms)

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Set one view's projection beside the other's: one vector an image, so without positions."""
        first, second = self.projected(batch, streams)[:, :, None, None].float().unbind()
        return Prediction(first, second)

    def projected(self, batch: GalaxyBatch, streams: Streams) -> Float[Tensor, "2 galaxy embedding"]:
        """Project each view; the projector normalises over one view at a time, as published."""
        return torch.stack([self.projector(view) for view in self.pooled(batch, streams)])


def barlow_terms(
    first: Float[Tensor, "galaxy dim"], second: Float[Tensor, "galaxy dim"]
) -> dict[str, Float[Tensor, ""]]:
    """Compute both terms of the cross-correlation, unweighted, in float32: see the module's formula."""
    first, second = gathered(first.float()), gathered(second.float())
    with torch.autocast(first.device.type, enabled=False):  # bfloat16 has three digits: too few to subtract
        correlation = standardised(first).T @ standardised(second) / len(first)
    on_diagonal = correlation.diagonal()
    return {
        "invariance": (1 - on_diagonal).square().sum(),
        "redundancy": correlation.square().sum() - on_diagonal.square().sum(),
    }


def standardised(values: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "galaxy dim"]:
    """Bring each dimension to zero mean and unit variance over the batch."""
    return (values - values.mean(dim=0)) * (values.var(dim=0, correction=0) + EPSILON).rsqrt()


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `barlow-twins`."""
    return {"barlow-twins": BarlowTwins}
