"""I-JEPA with SIGReg: masked latent prediction whose embeddings are held to an isotropic Gaussian.

Everything of I-JEPA stays: context encoder, moving-average teacher, predictor (see `ijepa`). One term joins it,
on the *online* branch, which is the one that learns:

    L = (1 - λ) · smooth-L1(predictor(context, positions), target)  +  λ · SIGReg(z),
    z = mean over the context tokens, one sample a galaxy

SIGReg alone forbids the constant solution, so with `teacher="none"` the teacher and the stopped gradient can be
taken away and the encoder still does not collapse: the central claim of LeJEPA, put to I-JEPA's own task.

Why the mean itself: tokens leave the encoder through a LayerNorm, with a fixed length, so their mean cannot have
unit variance along every slice and the statistic pulls for ever, which keeps galaxies apart. Behind a projector
(`tensor="projection"`) the projector alone can satisfy it; with version 4 of `ijepa`, at its learning rate of 1e-3,
features then shrank onto a common vector without a teacher, and cross-validated log-loss was worse with one. Why
one sample a galaxy: tokens of one image are correlated, and N counts independent samples.

λ means nothing without saying whether the statistic is multiplied by N. At the defaults it is (as published for
LeJEPA), and λ N / (1 - λ) = 6.7 at a batch of 128; AstroJEPA's printed values are without N, where λ = .6 is 1.5.

Its options `dense`, `depths`, `crop` and `joint`, which act on the prediction, are those of `ijepa`. Its recipe is
its own, the best of six trials as there (benchmarks/tuning/galaxy_suite_1.md): batches of 128, a peak rate of
2.5e-4, whole images. To compare the two in one term alone, give both the same recipe.

Cost: that of `ijepa`.
Expected: the AstroJEPA zoo reports 52 to 59.1 % on Galaxy10 DECaLS where its I-JEPA has 30 and 40 %. Without
teacher and stopped gradient SIGReg is what forbids the constant solution; with version 4 of `ijepa` 0 of 3 seeds
collapsed, and 3 of 3 of `ijepa` itself.

Source: Assran et al. 2023 (arXiv 2301.08243) and Balestriero & LeCun 2025 (arXiv 2511.08544); the combination is
that of the AstroJEPA zoo (github.com/FurqanBhat/AstroJEPA), which does not say which tensor its SIGReg saw.
Deviations from it: visible tokens are gathered instead of masked in the attention; the statistic is multiplied
by N (`scale_by_n=false` is the zoo's); those of `ijepa` from I-JEPA. That SIGReg acts on the mean of the context
tokens is the likeliest reading of the zoo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from astrojepa_ijepa import IJEPA
from astrojepa_sigreg import projector_to, sigreg
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
    Streams,
    Tokens,
    drawn,
    hookimpl,
)

Regularised: TypeAlias = Literal["pooled", "projection", "token"]


class IJEPASigReg(IJEPA):
    """Masked latent prediction with a teacher, and SIGReg on the online branch.

    Args:
        encoder: the encoder to train.
        grid: its patch grid; required.
        classes: unused.
        lam: weight λ of SIGReg against the prediction term, between 0 and 1.
        tensor: what SIGReg sees of each galaxy: its mean context token (`pooled`), the `projection` of that mean,
            or the projection of one of its context tokens, drawn anew at each step (`token`).
        scale_by_n: multiply the statistic by the batch size.
        slices: random directions of SIGReg, fresh at every step.
        knots: quadrature points of SIGReg.
        reach: largest frequency of SIGReg; 3 doubled, as 5 from -5 to 5, are published.
        projector: width of the projector's hidden layers, where `tensor` is behind one.
        embedding: width of the projector's output, likewise.
        crop: smallest share of the image's area in a crop; None: whole images.
        learning_rate: peak learning rate, as in `ijepa`.
        batch_size: galaxies a step; SIGReg wants at least 128.
    """

    version = 2

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        lam: float = 0.05,
        tensor: Regularised = "pooled",
        scale_by_n: bool = True,
        slices: int = 256,
        knots: int = 17,
        reach: float = 3.0,
        projector: int = 256,
        embedding: int = 64,
        crop: float | None = None,
        learning_rate: float | None = 2.5e-4,
        batch_size: int = 128,
        **options: Any,
    ) -> None:
        super().__init__(
            encoder, grid, classes, crop=crop, learning_rate=learning_rate, batch_size=batch_size, **options
        )
        if not 0 < lam < 1:
            raise ConfigError(f"objective.lam={lam}: expected a weight between 0 and 1")
        self.lam, self.tensor, self.scale_by_n = lam, tensor, scale_by_n
        self.slices, self.knots, self.reach = slices, knots, reach
        self.projector = None if tensor == "pooled" else projector_to(encoder.dim, projector, embedding)

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute (1 - λ) prediction + λ SIGReg."""
        prediction, terms, context = self.prediction(batch.images, draw, streams)
        gaussianity = sigreg(
            self.regularised(context, streams),
            streams.shared("slices"),
            slices=self.slices,
            knots=self.knots,
            reach=self.reach,
            scale_by_n=self.scale_by_n,
        )
        total = (1 - self.lam) * prediction + self.lam * gaussianity
        return Loss(total, {**terms, "sigreg": gaussianity})

    def regularised(self, context: Tokens, streams: Streams) -> Float[Tensor, "galaxy dim"]:
        """Return one sample a galaxy.

        Raises:
            ConfigError: one galaxy while training, which a projector cannot normalise.
        """
        if self.tensor == "token":
            tokens = context.values
            where = drawn(torch.rand, (len(tokens),), streams.local("token"))
            galaxy = torch.arange(len(tokens), device=tokens.device)
            values = tokens[galaxy, (where * tokens.shape[1]).long()]
        else:
            values = context.values.mean(dim=1)
        if self.projector is None:
            return values
        if self.training and len(values) < 2:
            raise ConfigError(
                f"objective 'ijepa-sigreg' was given a batch of one galaxy, which the projector of "
                f"objective.tensor={self.tensor} cannot normalise; train on two or more"
            )
        return self.projector(values)


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `ijepa-sigreg`."""
    return {"ijepa-sigreg": IJEPASigReg}
