r"""MAE: paint the hidden patches from the visible ones, pixel by pixel.

The encoder sees only the visible patches, half of the image. A light *decoder* is told where every patch lies,
holds one learnt vector at each hidden place, and must give the pixels there:

    L = mean over hidden patches and pixels of (decoder(visible tokens, positions) - target)²

No teacher, no negatives, no second view: pixels cannot collapse. The price is that pixels, noise included, are
all that it is asked for, so its features want more work from a probe than those of latent prediction.

**Targets.** With x the pixels of a patch, all bands, in units of the bands' spread over the training images:

    none         x
    patch-plain  (x - mean x) / sqrt(var x + 1e-6)                        as published
    patch        (x - mean x) / sqrt(max(var x, 9 s²) + 1e-6)             the default

Normalising each patch by itself makes faint structure count like bright structure, and that serves photographs.
In a galaxy image most patches are sky: divided by its own spread, pure noise gets unit variance, and most of
the loss is what nobody can predict. `patch` therefore never divides by less than three times the sky's noise s:
blank sky is left with a ninth of that variance, a patch that stands out by more than 3 s is treated as published.
A floor at s itself would change nothing, for blank sky has just that spread. s² is measured image by image, since
exposures differ in depth: the lower quartile, over the patches, of the variance within bands (a constant colour
of the sky is no noise). Where a galaxy leaves less than a quarter of the frame blank, s is too large and the
target nearer to `none`.

**Masks.** The masker is asked for the visible patches and for four blocks beside them; what is painted is
everything that is not visible, blocks and the rest alike. With `random` this is the published kind of mask; with
`multiblock` whole regions are missing; with `brightness` the galaxy is. With `blocks=0` a masker places the
visible patches alone (`multiblock` and `brightness`: as one rectangle).

Its recipe (half of the patches visible, batches of 32, a peak rate of 5e-4) is the best of six trials, on Galaxy
Zoo 2 without its test galaxies (benchmarks/tuning/galaxy_suite_1.md); `visible=.25` is the published share.

Cost: the visible patches through the encoder, the hidden ones through the decoder beside them: at the defaults
about .5 token-passes per patch in the encoder.

Expected: on Galaxy10 DECaLS a course report reads 66.2 % by a linear probe where the untrained encoder has 25.5
(ViT, 384 wide, 12 deep; github.com/Sizchode/SSL-Project). On photographs 84.1 % of Imagenette (ViT-S/16, 200
epochs; LeJEPA 87.1, I-JEPA 34.0; stable-pretraining, RESULTS.md of 2026-07-16).

Source: He et al. 2022 (arXiv 2111.06377), section 3. Deviations: half of the patches visible (the paper: a
quarter); the floor of the variance; a peak rate of 5e-4 at batches of 32 (by the paper's rule, 1.5e-4 · batch /
256, it would be 1.9e-5); a decoder 64 wide and 1 deep, for small encoders (the paper: 512 and 8); no class token
(the encoders here have none); no random-resized crop unless asked for (`crop`, .2 as published), beside the loop's
own turns and shifts, which serve every entry; blocks other than random ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    Recipe,
    Streams,
    Tokens,
    hookimpl,
    sincos_positions,
)

Norm: TypeAlias = Literal["patch", "patch-plain", "none"]

FLOOR = 3.0**2  # in units of the sky's variance: what a patch must exceed to be stretched to unit variance
SKY_SHARE = 0.25  # share of the patches taken to be blank
EPSILON = 1e-6  # as published


class Decoder(nn.Module):
    """A light transformer from visible tokens and places to the pixels at hidden places."""

    codes: Tensor

    def __init__(self, dim: int, grid: PatchGrid, pixels: int, *, width: int, depth: int, heads: int) -> None:
        from timm.models.vision_transformer import Block  # seconds that who builds none need not wait for

        super().__init__()
        self.enter = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(Block(width, heads, qkv_bias=True) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, pixels)
        self.mask_token = nn.Parameter(torch.empty(width))
        self.register_buffer("codes", sincos_positions(grid.rows, grid.columns, width), persistent=False)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(
        self, visible: Tokens, hidden: Int[Tensor, "batch target"]
    ) -> Float[Tensor, "batch target pixel"]:
        """Let the visible tokens and the mask tokens look at one another; answer at the hidden places."""
        seen = self.enter(visible.values) + self.codes[visible.positions]
        values = torch.cat([seen, self.mask_token + self.codes[hidden]], dim=1)
        for block in self.blocks:
            values = block(values)
        return self.leave(self.norm(values[:, seen.shape[1] :]))


class MAE(Objective):
    """Masked autoencoder: reconstructs the pixels of hidden patches.

    Args:
        encoder: the encoder to train.
        grid: its patch grid; required.
        classes: unused.
        visible: share of the patches that the encoder sees.
        blocks: blocks that the masker keeps free of visible patches, together as large as what is hidden; 0: none.
        norm: what pixels are measured against: `patch` (the patch's own spread, never less than 3 sigma of the
            sky), `patch-plain` (as published) or `none` (each band's spread over the training images).
        decoder_width: token width of the decoder, a multiple of 4 and of its heads.
        decoder_depth: blocks of the decoder.
        decoder_heads: attention heads of the decoder.
        crop: smallest share of the image's area in a crop, .2 as published; None: whole images.
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
    """

    masks = "required"
    version = 2
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        visible: float = 0.5,
        blocks: int = 4,
        norm: Norm = "patch",
        decoder_width: int = 64,
        decoder_depth: int = 1,
        decoder_heads: int = 4,
        crop: float | None = None,
        learning_rate: float = 5e-4,
        batch_size: int = 32,
    ) -> None:
        super().__init__(encoder, grid, classes)
        if decoder_width % decoder_heads:
            raise ConfigError(
                f"objective.decoder_width={decoder_width} is not a multiple of decoder_heads={decoder_heads}"
            )
        check_crop(crop)
        self.crop = crop
        self.sizes = mask_sizes(self.patch_grid, visible, blocks)
        self.patches, self.patch_px = self.patch_grid.patches, self.patch_grid.patch_px
        self.norm = norm
        pixels = len(encoder.spec.bands) * self.patch_px**2
        self.decoder = Decoder(
            encoder.dim,
            self.patch_grid,
            pixels,
            width=decoder_width,
            depth=decoder_depth,
            heads=decoder_heads,
        )
        self.register_buffer("mean", torch.tensor(encoder.spec.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(encoder.spec.std).view(-1, 1, 1), persistent=False)
        self._recipe = Recipe(learning_rate=learning_rate, batch_size=batch_size)

    def recipe(self) -> Recipe:
        """AdamW with betas (.9, .95) and weight decay .05, as published; rate and batch for small encoders."""
        return self._recipe

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute the mean squared error over the hidden patches."""
        images = batch.images
        if self.crop is not None:
            images = cropped(images, self.crop, streams.local("crop"))
        answer = self.painted(images, draw)
        error = F.mse_loss(answer.predicted.float(), answer.actual)
        return Loss(error, {"prediction": error})

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Paint every hidden patch of every galaxy: one block of all that is hidden."""
        return self.painted(batch.images, draw)

    def painted(self, images: Float[Tensor, "batch band height width"], draw: Draw) -> Prediction:
        """Paint every hidden patch of some images."""
        masks = draw(images, self.sizes)
        hidden = self.hidden(masks)
        predicted = self.decoder(self.encoder(images, keep=masks.context), hidden)
        pixels = cut((images - self.mean) / self.std, self.patch_px)
        targets = normalised(pixels, self.norm, bands=len(self.mean))
        actual = targets.gather(1, hidden[..., None].expand(-1, -1, targets.shape[-1]))
        return Prediction(predicted[:, None], actual[:, None], hidden[:, None])

    def hidden(self, masks: Masks) -> Int[Tensor, "batch hidden"]:
        """List the patches outside the context, in ascending order."""
        order = torch.zeros(len(masks.context), self.patches, device=masks.context.device)
        order = order.scatter(1, masks.context, 1.0).argsort(dim=1, stable=True)
        return order[:, : self.patches - self.sizes.context]

    def health(self) -> Mapping[str, float]:
        """Return the share of the patches that is painted: more than the masker's blocks."""
        return {"hidden_share": 1 - self.sizes.context / self.patches}


def mask_sizes(grid: PatchGrid, visible: float, blocks: int) -> MaskSizes:
    """Size the visible set, and the largest equal rectangles that fit beside it.

    Without blocks the visible set is rounded to a rectangle, since a masker may place it as one.

    Raises:
        ConfigError: nothing would be visible or nothing hidden, or there is no room for the blocks.

    Example:
        >>> mask_sizes(PatchGrid(8, 8, 8), visible=0.25, blocks=4)
        MaskSizes(context=16, targets=4, target=12)
    """
    if not 0 < visible < 1 or blocks < 0:
        raise ConfigError(
            f"objective.visible={visible}, blocks={blocks}: expected a share between 0 and 1 and no negative "
            "number of blocks"
        )
    if not blocks:
        sizes = MaskSizes.rounded(grid, context=visible)
        if sizes.context == grid.patches:
            raise ConfigError(f"all {grid.patches} patches would be visible; lower objective.visible")
        return sizes
    context = max(1, round(visible * grid.patches))
    room = (grid.patches - context) // blocks
    fitting = [size for size in range(1, room + 1) if math.prod(grid.rectangle(size)) == size]
    if not fitting:
        raise ConfigError(
            f"objective.visible={visible} leaves {grid.patches - context} of {grid.patches} patches, no room for "
            f"objective.blocks={blocks}; lower either"
        )
    return MaskSizes(context, blocks, fitting[-1])


def cut(
    images: Float[Tensor, "batch band height width"], patch_px: int
) -> Float[Tensor, "batch patch pixel"]:
    """Cut images into patches, row by row; the pixels of a patch are sorted by band first."""
    return F.pixel_unshuffle(images, patch_px).flatten(2).transpose(1, 2)


def normalised(
    pixels: Float[Tensor, "batch patch pixel"], norm: Norm, *, bands: int
) -> Float[Tensor, "batch patch pixel"]:
    """Compute the targets of the decoder: see the module's formula."""
    if norm == "none":
        return pixels
    variance, mean = torch.var_mean(pixels, dim=-1, keepdim=True, correction=0)
    if norm == "patch":
        variance = variance.maximum(FLOOR * sky_variance(pixels, bands)[:, None, None])
    return (pixels - mean) / (variance + EPSILON).sqrt()


def sky_variance(pixels: Float[Tensor, "batch patch pixel"], bands: int) -> Float[Tensor, " batch"]:
    """Measure the pixel variance of each image's sky: the quietest quarter of its patches, within bands."""
    within = pixels.unflatten(-1, (bands, -1)).var(dim=-1).mean(dim=-1)
    return within.quantile(SKY_SHARE, dim=1)


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `mae`."""
    return {"mae": MAE}
