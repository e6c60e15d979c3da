r"""VISReg: views of one galaxy agree; embeddings keep centre and scale, and sliced, the shape of a Gaussian.

`lejepa` with another answer to collapse. With z the embeddings of one view over the batch (N galaxies, D
dimensions), mean m_j and standard deviation s_j of dimension j,

    L = (1 - λ) prediction + λ (w_scale · scale + w_shape · shape + w_centre · centre)
    scale  = mean_j (1 - s_j)²
    centre = mean_j m_j²
    shape  = mean over slices a and ranks i of  (x_(i) - Φ⁻¹(i / (N + 1)))²,    x = a · (z - m) / sg(s)

averaged over views; `prediction` is that of `lejepa`: views agree with the centre of the global ones. `shape` is
the squared Wasserstein distance of each slice from N(0, 1), in closed form: samples sorted, against quantiles. It
sees the embeddings in units of their spread, through which no gradient flows (sg), so shape never pays for scale.
The slope of `scale` stays at 2/D a dimension however small s_j is, where that of SIGReg fades with the spread.

Golden values: all embeddings on one point m give scale 1, centre mean_j m_j², and shape the mean squared quantile
(.94 at N = 128, towards 1). A sample at the quantiles of N(0, 1) gives a shape of 0 up to its own spread. Unit
spread and zero mean give scale and centre 0. Copies of one Gaussian dimension cost: a slice of them has a spread
of |Σ a_j| instead of 1, so shape tends to 2 - 2 E|Σ a_j| = 2 - 2√(2/π) = .40.

Cost: that of `lejepa`, at the defaults 2.6 token-passes per patch of the image; sorting replaces cosines.

Expected: no figures of galaxies are published. On photographs, ViT-S/16 on Imagenette for 200 epochs, a linear
probe reads 90.2 % (LeJEPA 87.1, VICReg 79.4; stable-pretraining, RESULTS.md of 2026-07-16).

Its recipe (batches of 32, a peak rate of 1e-3, λ = .8) is the best of six trials, on Galaxy Zoo 2 without its test
galaxies (benchmarks/tuning/galaxy_suite_1.md).

Source: Wu, Balestriero & Levine 2026 (VISReg, arXiv 2606.02572), equations 1 to 8 and algorithm 1; λ between the .6
that it recommends for small data sets and the .9 for ImageNet. Deviations: views, maskers and projector are those
of `lejepa`; 256 slices instead of 4096, for embeddings of 64 dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from astrojepa_lejepa import LeJEPA
from astrojepa_sigreg import random_slices
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.plugin import (
    ConfigError,
    Encoder,
    Loss,
    Objective,
    PatchGrid,
    Streams,
    gathered,
    hookimpl,
)

EPSILON = 1e-4  # beside the standard deviation that embeddings are divided by, as published


class VISReg(LeJEPA):
    """Multi-view agreement with centre, scale and sliced shape of the embeddings held to a Gaussian's.

    Args:
        encoder: the encoder to train.
        grid: its patch grid, or None for a ConvNet (then local views are crops).
        classes: unused.
        lam: weight λ of the regularisation against the prediction term, between 0 and 1.
        scale_weight: weight of the squared distance of standard deviations from 1.
        shape_weight: weight of the sliced distance from a Gaussian.
        centre_weight: weight of the squared mean.
        slices: random directions of the shape term, fresh at every step.
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
    """

    version = 2
    fixed_options = ("knots",)

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        lam: float = 0.8,
        scale_weight: float = 1.0,
        shape_weight: float = 1.0,
        centre_weight: float = 1.0,
        learning_rate: float = 1e-3,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(
            encoder, grid, classes, lam=lam, learning_rate=learning_rate, batch_size=batch_size, **options
        )
        weights = (scale_weight, shape_weight, centre_weight)
        if min(weights) < 0:
            raise ConfigError(
                f"objective: weights of scale, shape and centre are {weights}; expected 0 or more"
            )
        self.weights = dict(zip(("scale", "shape", "centre"), weights, strict=True))

    def agreement(self, views: Float[Tensor, "view batch dim"], streams: Streams) -> Loss:
        """Weigh how far views disagree against how far each view's embeddings are from a Gaussian.

        Raises:
            ConfigError: one galaxy, which has no distribution.
        """
        if views.shape[1] < 2:
            raise ConfigError(
                "objective 'visreg' was given a batch of one galaxy, which has no spread; train on two or more"
            )
        prediction = self.disagreement(views)
        terms = visreg_terms(views, streams.shared("slices"), slices=self.slices)
        regularisation = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return Loss(
            (1 - self.lam) * prediction + self.lam * regularisation, {"prediction": prediction, **terms}
        )


def visreg_terms(
    embeddings: Float[Tensor, "*view batch dim"], generator: torch.Generator, *, slices: int
) -> dict[str, Float[Tensor, ""]]:
    """Compute scale, shape and centre, unweighted, in float32: see the module's formula."""
    directions = random_slices(embeddings.shape[-1], slices, generator)
    with torch.autocast(embeddings.device.type, enabled=False):  # bfloat16 would sort by three digits
        values = gathered(embeddings.float(), dim=-2)
        centre, spread = values.mean(dim=-2, keepdim=True), values.std(dim=-2, correction=0, keepdim=True)
        projected = (values - centre) / (spread.detach() + EPSILON) @ directions
    return {
        "scale": (1 - spread).square().mean(),
        "shape": wasserstein_to_gaussian(projected).mean(),
        "centre": centre.square().mean(),
    }


def wasserstein_to_gaussian(samples: Float[Tensor, "*view batch slice"]) -> Float[Tensor, "*view slice"]:
    """Compute the squared 2-Wasserstein distance of each column from N(0, 1), by its quantiles at i / (N + 1)."""
    count = samples.shape[-2]
    ranks = torch.arange(1, count + 1, device=samples.device, dtype=torch.float32) / (count + 1)
    quantiles = torch.special.ndtri(ranks)
    return (samples.sort(dim=-2).values - quantiles[:, None]).square().mean(dim=-2)


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `visreg`."""
    return {"visreg": VISReg}
