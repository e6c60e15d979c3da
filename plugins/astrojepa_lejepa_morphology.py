"""LeJEPA that also measures: whole views of a galaxy tell what a morphologist would write down about it.

LeJEPA keeps what views of one galaxy share. A small view shows little of what classes are made of, how large,
round, concentrated and lopsided a galaxy is. Here these are asked for. With h̄ the mean of the tokens of a *global*
view and m the measurements of its galaxy,

    L = (1 - λ) prediction + λ SIGReg + w · mean over galaxies, global views and measurements of (A h̄ + b - m)²

The first two terms are those of `lejepa`, masks and all; the head A, b is thrown away after training. m are the
numbers of the encoder `profile` (fluxes, colours, light in rings, radii, C, A, S, Gini, M20, ellipticity: 38 for
three bands). They are made from pixels alone: no label is seen. They are measured before a view is turned, moved,
brought nearer and made noisier, so the features learn to read them through all of that.

**In units of what galaxies differ by.** Fluxes of neighbouring rings say nearly the same, and a squared error on
them as they are would count brightness thirty times. So m is whitened: z-scores times the inverse square root of
their correlations, C^(-1/2), the symmetric one, which changes smoothly while C is still being learnt (axes of
principal components would swap and flip). C is that of all galaxies seen so far; .01 is added to its eigenvalues,
so that what is noise is not blown up, and what lies more than 4 from the mean counts as 4.

Cost: `lejepa` with as many views, and the measuring: some 400 galaxies of 64 px a second on one core. Its recipe
(batches of 32, a peak rate of 2e-3, a weight of 3) is the best of six trials, on Galaxy Zoo 2 without its test
galaxies (benchmarks/tuning/galaxy_suite_1.md).

**What it is told.** No label is seen, but classes are partly made of such numbers (the three smooth classes of
Galaxy Zoo 2 are bins of roundness). So it stands in a group of its own, whose floor is what a small network reads
from the measurements alone: encoder `profile`, evaluator `mlp`.

Expected: no figures are published. More than `lejepa` where classes are made of what is measured.

Source: Balestriero & LeCun 2025 (LeJEPA, arXiv 2511.08544); hand-made features as targets: Wei et al. 2022
(MaskFeat, arXiv 2112.09133), who predict oriented gradients of hidden patches. Deviations: whole galaxies are
measured, not patches; the whitening and the sum of both losses are this project's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from astrojepa_lejepa import LeJEPA
from jaxtyping import Float
from torch import Tensor, nn

from astrojepa_bench.plugin import (
    ConfigError,
    Draw,
    Encoder,
    GalaxyBatch,
    Loss,
    Objective,
    PatchGrid,
    Profile,
    Streams,
    gathered,
    hookimpl,
)

LEAST_EIGENVALUE = 0.01  # of correlations: directions narrower than this are mostly noise
REACH = 4.0  # in standard deviations: measurements of blank or crowded images can be anything
TINY = 1e-12  # the variance of what never varies, so that it gives zeros


class LeJEPAMorphology(LeJEPA):
    """Multi-view agreement with SIGReg, and classical measurements read from every whole view.

    Args:
        encoder: the encoder to train.
        grid: its patch grid, or None for a ConvNet (then local views are crops).
        classes: unused.
        weight: weight w of the measurements' squared error; 0 is `lejepa`.
        batch_size: galaxies a step; at the same images seen, small batches learn more.
    """

    group = "told by measurements"
    version = 1

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        weight: float = 3.0,
        lam: float = 0.2,
        learning_rate: float = 2e-3,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(
            encoder, grid, classes, lam=lam, learning_rate=learning_rate, batch_size=batch_size, **options
        )
        if weight < 0:
            raise ConfigError(f"objective.weight={weight}: expected 0 or more")
        self.weight = weight
        self.measure = Profile(encoder.spec)
        self.whitened = RunningWhitening(self.measure.dim)
        self.head = nn.Linear(encoder.dim, self.measure.dim)

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute LeJEPA's loss + w times the squared error of the measurements."""
        pooled = self.pooled(batch, draw, streams)
        agreement = self.agreement(self.embedded(pooled), streams)
        told = self.head(pooled[: self.global_views]).float()
        measurement = (told - self.measurements(batch.images)).square().mean()
        total = agreement.total + self.weight * measurement
        return Loss(total, {**agreement.terms, "measurement": measurement})

    @torch.no_grad()
    def measurements(
        self, images: Float[Tensor, "batch band height width"]
    ) -> Float[Tensor, "batch measurement"]:
        """Measure galaxies, in units of what galaxies differ by."""
        with torch.autocast(images.device.type, enabled=False):  # sums over thousands of pixels
            return self.whitened(self.measure(images.float()).values[:, 0])


class RunningWhitening(nn.Module):
    """Whitens rows by the mean and covariance of all rows that it was shown in training.

    Args:
        dim: numbers in a row.
    """

    seen: Tensor
    total: Tensor
    products: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))
        self.register_buffer("total", torch.zeros(dim, dtype=torch.float64))
        self.register_buffer("products", torch.zeros(dim, dim, dtype=torch.float64))

    def forward(self, rows: Float[Tensor, "row dim"]) -> Float[Tensor, "row dim"]:
        """Compute z-scores times C^(-1/2), C the regularised correlations, within ± 4."""
        wide = rows.double()
        if self.training:
            shown = gathered(wide)
            self.seen += len(shown)
            self.total += shown.sum(dim=0)
            self.products += shown.T @ shown
        mean = self.total / self.seen.clamp(min=1)
        covariance = self.products / self.seen.clamp(min=1) - mean[:, None] * mean
        spread = covariance.diagonal().clamp(min=TINY).sqrt()
        inverse_root = _inverse_root(covariance / spread / spread[:, None])
        return ((wide - mean) / spread @ inverse_root).clamp(-REACH, REACH).float()


def _inverse_root(correlation: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    values, axes = torch.linalg.eigh(correlation)
    return axes * (values.clamp(min=0) + LEAST_EIGENVALUE).rsqrt() @ axes.T


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `lejepa-morphology`."""
    return {"lejepa-morphology": LeJEPAMorphology}
