"""Masked LeJEPA: masked latent prediction held up by SIGReg alone. Research: no working recipe is published.

One encoder, no teacher, no stopped gradient. It sees the context patches, and it sees the whole image; a narrow
predictor must give, from the context and the places of the hidden blocks, the *projected* tokens of the whole
image there. Both sides of the difference receive gradient, so the cheapest answer is a constant; only SIGReg
forbids it:

    L = (1 - λ) · mean over blocks, patches, dimensions of (predictor(context, positions) - z_t)²
        +  λ · ½ [SIGReg(z of the pooled image) + SIGReg(z of one hidden patch)],      z = projector(·)

Each statistic has one sample a galaxy, since tokens of one image are correlated. Both are needed: the pooled one
keeps galaxies apart, the patch one keeps the targets from shrinking to their galaxy's mean or to a constant.

LeJEPA's author considers masked prediction legitimate and unexplored (issue 31 of its repository); a user there
reports that token-level prediction without a teacher collapsed at once even with SIGReg.

Cost: 1.25 token-passes per patch in the encoder with gradient (I-JEPA: 0.25 with gradient, 1 without). Its recipe
(batches of 32, a peak rate of 5e-4, λ = .2) is the best of six trials, on Galaxy Zoo 2 without its test galaxies
(benchmarks/tuning/galaxy_suite_1.md); three others of the six ended `collapsed` under both maskers.

Expected: no figures are published. Pooled and single tokens may keep a rank around a common vector that outweighs
it, and a run is then flagged as `collapsed`.

Source: Balestriero & LeCun 2025 (arXiv 2511.08544) for SIGReg and the projector; Assran et al. 2023 (arXiv
2301.08243) for masks and predictor. Deviations: this combination is our own; the squared distance is between
projections, where I-JEPA compares normalised tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from astrojepa_crop import check_crop, cropped
from astrojepa_ijepa import Predictor
from astrojepa_sigreg import projector_to, sigreg
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.plugin import (
    ConfigError,
    Draw,
    Encoder,
    GalaxyBatch,
    Loss,
    Masks,
    MaskSizes,
    Objective,
    PatchGrid,
    Prediction,
    Recipe,
    Streams,
    drawn,
    hookimpl,
)


class MaskedLeJEPA(Objective):
    """Masked latent prediction with SIGReg and without a teacher.

    Args:
        encoder: the encoder to train.
        grid: its patch grid; required.
        classes: unused.
        lam: weight λ of SIGReg against the prediction term, between 0 and 1.
        target_gradient: whether the projected tokens that are predicted receive gradient; without it the method
            has SimSiam's stopped gradient.
        targets: target blocks an image.
        target_scale: share of the patches in a block, rounded to a rectangle.
        context_scale: share of the patches in the context.
        predictor_width: token width of the predictor.
        predictor_depth: blocks of the predictor.
        predictor_heads: attention heads of the predictor.
        slices: random directions of SIGReg, fresh at every step.
        projector: width of the projector's hidden layers.
        embedding: width of the projector's output.
        crop: smallest share of the image's area in a crop; None: whole images.
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
    """

    masks = "required"
    version = 2

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        lam: float = 0.2,
        target_gradient: bool = True,
        targets: int = 4,
        target_scale: float = 0.175,
        context_scale: float = 0.25,
        predictor_width: int = 64,
        predictor_depth: int = 2,
        predictor_heads: int = 4,
        slices: int = 256,
        projector: int = 512,
        embedding: int = 64,
        crop: float | None = None,
        learning_rate: float = 5e-4,
        batch_size: int = 32,
    ) -> None:
        super().__init__(encoder, grid, classes)
        if not 0 < lam < 1:
            raise ConfigError(f"objective.lam={lam}: expected a weight between 0 and 1")
        check_crop(crop)
        self.crop = crop
        self.sizes = MaskSizes.rounded(
            self.patch_grid, context=context_scale, targets=targets, target=target_scale
        )
        self.sizes.check(self.patch_grid)
        self.lam, self.slices, self.target_gradient = lam, slices, target_gradient
        self.projector = projector_to(encoder.dim, projector, embedding)
        self.predictor = Predictor(
            encoder.dim,
            self.patch_grid,
            width=predictor_width,
            depth=predictor_depth,
            heads=predictor_heads,
            out=embedding,
        )
        self._recipe = Recipe(learning_rate=learning_rate, batch_size=batch_size)

    def recipe(self) -> Recipe:
        """AdamW with LeJEPA's constant weight decay."""
        return self._recipe

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute (1 - λ) prediction + λ SIGReg.

        Raises:
            ConfigError: one galaxy while training, which the projector cannot normalise.
        """
        if self.training and len(batch.images) < 2:
            raise ConfigError(
                "objective 'masked-lejepa' was given a batch of one galaxy, which its projector cannot normalise; "
                "train on two or more"
            )
        images = batch.images
        if self.crop is not None:
            images = cropped(images, self.crop, streams.local("crop"))
        masks = draw(images, self.sizes)
        tokens = self.encoder(images).values
        hidden = self._hidden(tokens, masks)
        wanted = hidden if self.target_gradient else hidden.detach()
        prediction = (self._predicted(images, masks) - wanted).float().square().mean()
        patches = hidden.flatten(1, 2)
        where = drawn(torch.rand, (len(patches),), streams.local("patch"))
        galaxy = torch.arange(len(patches), device=patches.device)
        one_patch = patches[galaxy, (where * patches.shape[1]).long()]
        samples = torch.stack([self.projector(tokens.mean(dim=1)), one_patch])
        gaussianity = sigreg(samples, streams.shared("slices"), slices=self.slices)
        total = (1 - self.lam) * prediction + self.lam * gaussianity
        return Loss(total, {"prediction": prediction, "sigreg": gaussianity})

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Predict the projected tokens of every hidden block."""
        masks = draw(batch.images, self.sizes)
        hidden = self._hidden(self.encoder(batch.images).values, masks)
        return Prediction(self._predicted(batch.images, masks), hidden, masks.targets)

    def _predicted(
        self, images: Float[Tensor, "batch band height width"], masks: Masks
    ) -> Float[Tensor, "batch block target dim"]:
        context = self.encoder(images, keep=masks.context)
        predicted: Tensor = self.predictor(context.values, context.positions, masks.targets)
        return predicted

    def _hidden(
        self, tokens: Float[Tensor, "batch token width"], masks: Masks
    ) -> Float[Tensor, "batch block target dim"]:
        galaxy = torch.arange(len(tokens), device=tokens.device)[:, None, None]
        values = tokens[galaxy, masks.targets]
        projected: Tensor = self.projector(values.flatten(0, 2)).unflatten(0, values.shape[:3])
        return projected


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `masked-lejepa`."""
    return {"masked-lejepa": MaskedLeJEPA}
