"""I-JEPA: predict the latents of hidden blocks from the visible patches; a moving-average teacher says the truth.

The *context encoder* sees only the context patches. The *target encoder*, a moving average of it, sees the whole
image; its tokens, normalised one by one to zero mean and unit variance, are the targets. A narrow *predictor*
is told where a hidden block lies and must give the targets there, each block on its own:

    L = mean over blocks, patches and dimensions of smooth-L1(predictor(context, positions), target)

Nothing but the teacher's slowness and the stopped gradient prevents collapse. The teacher's momentum rises
linearly from m₀ to 1; m₀ follows from a horizon h given as a share of the run (m₀ = 1 - 1/(h·steps)), so that
exp(-1/(2h)) of the teacher's initial weights is left at the end: 0.7 % at h = 0.1, whatever the budget.

Three published additions and a shortcut are options:

* `dense` (V-JEPA 2.1): the predictor must also give the latents at the *context* patches, or their tokens need say
  nothing of their own places. With d_i from context patch i to the nearest target patch [patch],

      L += dense · w(t) · mean over blocks, context patches and dimensions of smooth-L1 / √d_i

  where w is 0 for the first ninth of a run, rises to 1 over the second and stays. The published weight is .5.
* `depths` (V-JEPA 2.1): targets are taken after several blocks of the teacher, evenly spaced, the last among them,
  each normalised by itself; the predictor hears the context after the same blocks and predicts all depths at once.
* `crop`: both encoders see a crop with a share between `crop` and 1 of the image's area, .3 as published; `none`:
  whole images. On centred galaxies it also moves the centre and changes the size of what is to be predicted.
* `joint`: all target blocks of an image in one sequence of the predictor, for about half its arithmetic.

By default the context has 16 of 64 patches, which under `multiblock` hold a fifth of a centred galaxy's light (of
whole images, `crop=none`: a seventh), and must predict blocks that hold seven tenths (four fifths).
`--set masker.signal=context` gives the context more light and lets the targets lie anywhere (maskers `brightness`,
`radial`, `saliency`). At 64 px and patches of 8
px an upright block of 3 x 4 has 30 places, and most galaxies fill the central 4 x 4 patches: block masking has
little to vary there, and what comes out is no verdict on the method at 224 px.

Its recipe (batches of 32, a peak rate of 5e-4, crops) is the best of six trials, on Galaxy Zoo 2 without its test
galaxies (benchmarks/tuning/galaxy_suite_1.md). The published peak, 1e-3, is for batches of 2,048;
`learning_rate=none` takes it to other batches by the square-root rule (Krizhevsky 2014, arXiv 1404.5997): 2.5e-4
at batches of 128, 1.25e-4 at 32.

Cost: about 1.25 token-passes per patch in the encoders and 1.75 in the (narrow) predictor at the defaults.
Expected: the paper reports 72.9 % on ImageNet for ViT-B/16 and 79.3 % for ViT-H/14 (linear probe; 600 and 300
epochs). On Galaxy10 DECaLS the authors of LeJEPA read 62.9 % from a frozen ViT-H/14 of ImageNet-22k (arXiv
2511.08544, table 5); the AstroJEPA zoo reports 30 and 40 % for small models trained there. Without teacher and
stopped gradient (`teacher="none"`) nothing forbids the constant solution. By the rule of an experiment of its own
(benchmarks/ijepa, written down before it ran; `crop=none`, seeds 11 to 13): I-JEPA learns on galaxies: +15.1 points
[+11.9, +18.4] of linear accuracy after 250,000 images, over the same encoder untrained (Galaxy Zoo 2).

Source: Assran et al. 2023 (I-JEPA, arXiv 2301.08243), section 3 and appendix A; `dense` and `depths`: Mur-Labadia
et al. 2026 (V-JEPA 2.1, arXiv 2603.14482). Deviations: block and context sizes are fixed by rounding to a rectangle
instead of drawn per batch; predictor 64 wide and 2 deep for small encoders, its matrices started at PyTorch's
fan-in scale (with version 4, at the published std of .02, so narrow a predictor hardly heard its context); the
loop's own turns and shifts, which serve every entry, beside the crop; batches of 32 at half the peak instead of
2,048; the teacher's momentum starts by its horizon (.987 in a run of 781 steps at h = .1; published: .996);
gradients are clipped at norm 1 (published: not at all); the rate falls to 0 (published: 1e-6). Of `dense`:
smooth-L1 instead of L1; distances to the targets of all blocks, in two dimensions; one output layer for context and
targets; a warm-up by share of the run (in the code: from step 15,000 to 30,000 of 135,000). Of `depths`: the
predictor's first layer joins the depths linearly instead of by an MLP. Of `joint`, which is the form of
stable-pretraining: targets attend to the places of all blocks, where each block is predicted on its own as
published.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import torch
from astrojepa_crop import check_crop, cropped
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

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
    Progress,
    Recipe,
    Streams,
    Tokens,
    hookimpl,
    sincos_positions,
)

version = 1  # of what is no class here; raise it whenever a number changes
Teacher: TypeAlias = Literal["ema", "none"]
Judge: TypeAlias = Literal["teacher", "online"]

PUBLISHED_RATE, PUBLISHED_BATCH = 1e-3, 2048
WARM_FROM, WARM_TO = 1 / 9, 2 / 9  # of a run, for `dense`


class Predictor(nn.Module):
    """A narrow transformer from context tokens and places to the latents at those places.

    Args:
        dim: width of the context tokens.
        grid: where patches can lie.
        width, depth, heads: of the transformer.
        out: width of the latents; that of the tokens if None.
    """

    version = 1
    codes: Tensor

    def __init__(
        self, dim: int, grid: PatchGrid, *, width: int, depth: int, heads: int, out: int | None = None
    ) -> None:
        from timm.models.vision_transformer import Block  # seconds that who builds none need not wait for

        super().__init__()
        self.enter = nn.Linear(dim, width)
        self.leave = nn.Linear(width, out or dim)
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.mask_token = nn.Parameter(torch.empty(width))
        self.register_buffer("codes", sincos_positions(grid.rows, grid.columns, width), persistent=False)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self,
        context: Float[Tensor, "batch token dim"],
        seen: Int[Tensor, "batch token"],
        targets: Int[Tensor, "batch block target"],
    ) -> Float[Tensor, "batch block target out"]:
        """Predict each block separately: blocks lie along the batch axis, contexts repeated beside them."""
        answers = self.leave(self.norm(self.attended(context, seen, targets)[:, seen.shape[1] :]))
        return answers.unflatten(0, (-1, targets.shape[1]))

    def dense(
        self,
        context: Float[Tensor, "batch token dim"],
        seen: Int[Tensor, "batch token"],
        targets: Int[Tensor, "batch block target"],
    ) -> tuple[Float[Tensor, "batch block target out"], Float[Tensor, "batch block token out"]]:
        """Predict each block, and the context beside it."""
        answers = self.leave(self.norm(self.attended(context, seen, targets)))
        at_context, at_targets = answers.unflatten(0, (-1, targets.shape[1])).tensor_split(
            (seen.shape[1],), dim=2
        )
        return at_targets, at_context

    def attended(self, context: Tensor, seen: Tensor, targets: Tensor) -> Float[Tensor, "row token width"]:
        """Let context and one block at a time attend to one another, context tokens first."""
        blocks = targets.shape[1]
        visible = self.enter(context) + self.codes[seen]
        asked = (self.mask_token + self.codes[targets]).flatten(0, 1)
        values = torch.cat([visible.repeat_interleave(blocks, dim=0), asked], dim=1)
        for block in self.blocks:
            values = block(values)
        return values


class IJEPA(Objective):
    """Masked latent prediction with a moving-average teacher.

    Args:
        encoder: the encoder to train.
        grid: its patch grid; required.
        classes: unused.
        targets: target blocks an image.
        target_scale: share of the patches in a block, rounded to a rectangle.
        context_scale: share of the patches that the context encoder sees.
        horizon: memory of the teacher at the start, as a share of the run.
        predictor_width: token width of the predictor.
        predictor_depth: blocks of the predictor.
        predictor_heads: attention heads of the predictor.
        teacher: `ema`, or `none` for the online encoder in its place, gradient and all: what is published
            without the two things that keep it from collapse, for showing that they do.
        judge: which encoder is scored where there are two, the teacher as published or the online one.
        dense: final weight of the loss on context patches, .5 as published by V-JEPA 2.1; 0: targets alone.
        depths: after how many blocks of the teacher targets are taken; 1: the last alone.
        crop: smallest share of the image's area in a crop, .3 as published; None: whole images.
        joint: whether all target blocks of an image share one sequence of the predictor; published: one each.
        learning_rate: peak learning rate; None: 1e-3 at batches of 2,048, as published, by the square-root rule.
        batch_size: galaxies a step.
    """

    masks = "required"
    version = 6
    start_left: Tensor

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        targets: int = 4,
        target_scale: float = 0.175,
        context_scale: float = 0.25,
        horizon: float = 0.1,
        predictor_width: int = 64,
        predictor_depth: int = 2,
        predictor_heads: int = 4,
        teacher: Teacher = "ema",
        judge: Judge = "teacher",
        dense: float = 0.0,
        depths: int = 1,
        crop: float | None = 0.3,
        joint: bool = False,
        learning_rate: float | None = 5e-4,
        batch_size: int = 32,
    ) -> None:
        super().__init__(encoder, grid, classes)
        if not 0 < horizon <= 0.1:
            raise ConfigError(
                f"objective.horizon={horizon}: expected a share in (0, 0.1], beyond which more than 1 % of the "
                "teacher's initial weights would be left at the end"
            )
        _check_choices(dense, depths, crop)
        self.sizes = MaskSizes.rounded(
            self.patch_grid, context=context_scale, targets=targets, target=target_scale
        )
        self.sizes.check(self.patch_grid)
        self.horizon, self.judge = horizon, judge
        self.dense, self.depths, self.crop, self.joint = dense, depths, crop, joint
        self.teacher = copy.deepcopy(encoder).requires_grad_(False) if teacher == "ema" else None
        sizes = {"width": predictor_width, "depth": predictor_depth, "heads": predictor_heads}
        self.predictor = Predictor(depths * encoder.dim, self.patch_grid, **sizes)
        self.register_buffer("start_left", torch.ones((), dtype=torch.float64))
        self._recipe = Recipe(
            learning_rate=PUBLISHED_RATE if learning_rate is None else learning_rate,
            scales_with="sqrt" if learning_rate is None else "none",
            reference_batch=PUBLISHED_BATCH,
            batch_size=batch_size,
            betas=(0.9, 0.999),
            weight_decay=0.04,
            weight_decay_end=0.4,
            warmup=0.1,
        )

    @property
    def scored_encoder(self) -> Encoder:
        """The teacher, as published, unless there is none or the online encoder was asked for."""
        return self.encoder if self.teacher is None or self.judge == "online" else self.teacher

    def recipe(self) -> Recipe:
        """AdamW, weight decay rising from 0.04 to 0.4, as published; rate and batch for small encoders."""
        return self._recipe

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute the smooth-L1 distance between predicted and actual latents."""
        total, terms, _ = self.prediction(batch.images, draw, streams)
        return Loss(total, terms)

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Predict every target block of every galaxy, of the whole image."""
        masks = draw(batch.images, self.sizes)
        context = self.seen(batch.images, masks)
        predicted = self.predictor(joined(context), context[-1].positions, self.sequences(masks))
        actual = at(self.latents(batch.images), masks.targets)
        return Prediction(predicted.reshape(actual.shape), actual, masks.targets)

    def prediction(
        self, images: Float[Tensor, "batch band height width"], draw: Draw, streams: Streams
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor], Tokens]:
        """Compute what predicting costs, its terms, and the context tokens that it was predicted from."""
        if self.crop is not None:
            images = cropped(images, self.crop, streams.local("crop"))
        masks = draw(images, self.sizes)
        targets, layers, latents = self.sequences(masks), self.seen(images, masks), self.latents(images)
        context, actual = layers[-1], at(latents, targets)
        if not self.dense:
            predicted = self.predictor(joined(layers), context.positions, targets)
            distance = F.smooth_l1_loss(predicted.float(), actual)
            return distance, {"prediction": distance}, context
        predicted, visible = self.predictor.dense(joined(layers), context.positions, targets)
        distance = F.smooth_l1_loss(predicted.float(), actual)
        known = at(latents, context.positions[:, None]).expand_as(visible)
        apart = F.smooth_l1_loss(visible.float(), known, reduction="none").mean(dim=-1)
        nearby = nearest_target(context.positions, targets, self.patch_grid).rsqrt()
        near_context = (apart * nearby[:, None]).mean()
        weight = self.dense * warmed(streams.progress)
        return distance + weight * near_context, {"prediction": distance, "context": near_context}, context

    def sequences(self, masks: Masks) -> Int[Tensor, "batch sequence target"]:
        """Lay out the targets by the sequences of the predictor: a block each, or all blocks in one."""
        return masks.targets.flatten(1)[:, None] if self.joint else masks.targets

    def seen(self, images: Tensor, masks: Masks) -> Sequence[Tokens]:
        """Encode the context, at each of the depths."""
        if self.depths == 1:
            return [self.encoder(images, keep=masks.context)]
        return self._spaced(self.encoder.layers(images, keep=masks.context))

    def latents(self, images: Tensor) -> Float[Tensor, "batch patch out"]:
        """Compute what can be predicted: the whole image's tokens at each depth, normalised one by one."""
        teacher = self.teacher or self.encoder
        with torch.set_grad_enabled(self.teacher is None and torch.is_grad_enabled()):
            layers = [teacher(images)] if self.depths == 1 else self._spaced(teacher.layers(images))
            values = [tokens.values.float() for tokens in layers]
            return torch.cat([F.layer_norm(each, each.shape[-1:]) for each in values], dim=-1)

    def _spaced(self, layers: Sequence[Tokens]) -> list[Tokens]:
        """Choose evenly spaced layers, the last among them.

        Raises:
            ConfigError: the encoder has fewer.
        """
        if self.depths > len(layers):
            raise ConfigError(
                f"objective.depths={self.depths}: the encoder has {len(layers)} layers; ask for as many at most"
            )
        return [layers[round((each + 1) * len(layers) / self.depths) - 1] for each in range(self.depths)]

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Move the teacher towards the encoder, exactly once an optimiser step."""
        if self.teacher is None:
            return
        momentum = self.momentum(progress)
        teacher: list[Tensor] = list(self.teacher.parameters())
        online: list[Tensor] = list(self.encoder.parameters())
        torch._foreach_lerp_(teacher, online, 1 - momentum)
        self.start_left *= momentum

    def momentum(self, progress: Progress) -> float:
        """Rise linearly from m₀ = 1 - 1/(horizon · steps), at least 0, to 1 at the end of the run."""
        start = max(0.0, 1 - 1 / (self.horizon * progress.steps))
        return start + (1 - start) * (progress.step - 1) / progress.steps

    def health(self) -> Mapping[str, float]:
        """Return the share of the teacher's initial weights that is left."""
        return {} if self.teacher is None else {"teacher_start_left": float(self.start_left)}


def warmed(progress: float) -> float:
    """Return w: 0 for a ninth of a run, then rising to 1 over the second ninth."""
    return min(1.0, max(0.0, (progress - WARM_FROM) / (WARM_TO - WARM_FROM)))


def nearest_target(
    seen: Int[Tensor, "batch token"], targets: Int[Tensor, "batch block target"], grid: PatchGrid
) -> Float[Tensor, "batch token"]:
    """Measure how far each seen patch is from the nearest patch of any target, centre to centre [patch]."""
    here, there = (
        torch.stack([patches // grid.columns, patches % grid.columns], dim=-1).float()
        for patches in (seen, targets.flatten(1))
    )
    return torch.cdist(here, there, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=-1)


def at(
    latents: Float[Tensor, "batch patch out"], places: Int[Tensor, "batch block place"]
) -> Float[Tensor, "batch block place out"]:
    """Look latents up, block by block."""
    galaxy = torch.arange(len(latents), device=latents.device)[:, None, None]
    return latents[galaxy, places]


def joined(layers: Sequence[Tokens]) -> Float[Tensor, "batch token out"]:
    """Join the context's tokens at several depths; those before the last have passed no norm and get one here."""
    *earlier, last = (tokens.values for tokens in layers)
    return torch.cat([*(F.layer_norm(each, each.shape[-1:]) for each in earlier), last], dim=-1)


def _check_choices(dense: float, depths: int, crop: float | None) -> None:
    if not 0 <= dense < math.inf:
        raise ConfigError(f"objective.dense={dense}: expected a weight of 0 or more; .5 is published")
    if depths < 1:
        raise ConfigError(f"objective.depths={depths}: expected 1 or more layers of the encoder")
    check_crop(crop)


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `ijepa`."""
    return {"ijepa": IJEPA}
