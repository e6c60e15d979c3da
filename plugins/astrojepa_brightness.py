r"""Masker `brightness`: blocks follow the light of the galaxy, measured against its own sky.

On the un-normalised image, grey g = mean over bands, patch i of N:

    S_i = mean over the patch of max(0, g - m) / s      pseudo signal to noise; m, s: level, noise of the sky
    S_i <- kappa S_i    for S_i > 3 not connected to the source nearest the image centre (stars, neighbours)
    p_i = eps/N + (1 - eps) softmax_i( log(1 + max(0, S_i - 1)) / tau ),         eps = 0.1, kappa = 0.25

and a block takes a position with probability proportional to the sum of p over the patches that it covers.
The temperature tau is the one knob: tau -> infinity gives p_i = 1/N and with it the targets of `multiblock`,
so the masker contains its own control.

Sky: sigma-clipped median m and noise s of the image's border (1/14 of the side). Light only adds to a sky, so
s is the median absolute deviation of the pixels *below* the median, 1.4826 (m - first quartile), at least one
8-bit level. A border that stands more than 3 s above the darkest pixels of the image is full of light; then
the sky is clipped up from the darkest half of the whole image.

`signal` says which sets follow the light; the others are placed as in `multiblock`:

* `targets`: predict the galaxy from what is around it;
* `context`: the cut of the context to size prefers light, the targets lie anywhere;
* `both`.

Without targets the context is one rectangle that follows the light, whatever `signal` says.

A large block cannot be steered far, since its position probability is p averaged over the block: however
compact the galaxy, a block of t patches is at most (positions / t) times as likely to be centred on it as a
uniform one. That is 2.5 times for 3x4 patches on 8x8 and 2.3 times for 5x7 on 14x14.

S is per pixel, not per patch: the same galaxy has a larger S, and more of p, where pixels are coarser.

Cost: one sort of the sky's pixels and a flood over the grid; on one CPU core about 8,000 images/s at 64 px
and 8x8 patches, 800 at 224 px and 14x14.

Source: written for this benchmark. The idea of masking by light is AstroJEPA's
(github.com/FurqanBhat/AstroJEPA), which weights patches by |x| of images normalised to [-1, 1] and so prefers
blank sky. Deviations from it: the sky is subtracted; the weight of a patch grows with the logarithm of its
light at most as 1/tau; stars are set back; a block is placed by all that it covers, where centring it on a
drawn patch and shifting it inside piles blocks up at the border.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.plugin import (
    PREFER,
    ConfigError,
    Masker,
    Masks,
    MaskSizes,
    PatchGrid,
    choose_patches,
    covered,
    draw_blocks,
    draw_square,
    hookimpl,
)

Signal: TypeAlias = Literal["targets", "context", "both"]

DETECTED = 3.0  # signal to noise above which a patch shows a source
STAR_WEIGHT = 0.25  # kappa
UNIFORM_SHARE = 0.1  # eps: no patch is ever out of reach
CONTEXT_SCALE = (0.85, 1.0)  # `multiblock`'s context square

_BORDER = 1 / 14
_CLIP = 3.0
_CLIP_ROUNDS = 5
_MAD_TO_SIGMA = 1.4826
_ONE_LEVEL = 1 / 255
_SAMPLED_PX = 64  # larger images are sampled at about this many pixels a side: a sky needs no more


class Brightness(Masker):
    """Rectangles that follow signal to noise; the temperature leads to uniform ones."""

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        grid: PatchGrid,
        *,
        signal: Signal = "targets",
        temperature: float = 1.0,
        min_signal: int = 1,
    ) -> None:
        """Say what follows the light, and how closely.

        Args:
            grid: the encoder's patch grid.
            signal: which sets follow the light when there are targets: `targets`, `context` or `both`.
            temperature: tau; small values keep to the brightest patches, large ones ignore the light.
            min_signal: patches with S > 3 that the context keeps beside targets, as far as the targets leave
                any: nothing can be predicted from blank sky. They are reserved, not waited for by redrawing.

        Raises:
            ConfigError: `temperature` or `min_signal` is out of range.
        """
        super().__init__(grid)
        if not 0 < temperature < math.inf:
            raise ConfigError(f"masker.temperature={temperature} must be positive and finite; 1e9 is uniform")
        if min_signal < 0:
            raise ConfigError(f"masker.min_signal={min_signal} must be 0 or more patches")
        self.signal = signal
        self.temperature = temperature
        self.min_signal = min_signal

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> Masks:
        """Draw the targets, then the context from what they leave.

        Raises:
            ConfigError: the grid cannot hold `sizes`, or a block is no rectangle.
        """
        sizes.check(self.grid)
        ratio = signal_to_noise(images, self.grid)
        light = _probability(ratio, self.temperature)
        if not sizes.targets:
            context = draw_blocks(self.grid, light, blocks=1, size=sizes.context, generator=generator)
            return Masks(context[:, 0], context.new_empty(len(images), 0, sizes.target))
        even = torch.ones_like(light)
        weight = even if self.signal == "context" else light
        targets = draw_blocks(self.grid, weight, blocks=sizes.targets, size=sizes.target, generator=generator)
        preference = even if self.signal == "targets" else light
        hidden = covered(self.grid, targets)
        return Masks(self._context(hidden, ratio, preference, sizes.context, generator), targets)

    def _context(
        self,
        hidden: Bool[Tensor, "batch patch"],
        ratio: Float[Tensor, "batch patch"],
        weight: Float[Tensor, "batch patch"],
        size: int,
        generator: torch.Generator,
    ) -> Int[Tensor, "batch context"]:
        """Cut a square without the targets to size by a weighted subset, reserved patches first."""
        square = draw_square(self.grid, CONTEXT_SCALE, batch=len(hidden), generator=generator)
        log_weight = weight.log().masked_fill(hidden, -torch.inf)
        reserved = self._reserved(log_weight, ratio, min(self.min_signal, size), generator)
        return choose_patches(log_weight + PREFER * square + 2 * PREFER * reserved, size, generator)

    def _reserved(
        self,
        log_weight: Float[Tensor, "batch patch"],
        ratio: Float[Tensor, "batch patch"],
        count: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "batch patch"]:
        """Mark up to `count` patches with a source outside the targets."""
        useful = (ratio > DETECTED) & log_weight.isfinite()
        chosen = choose_patches(log_weight.masked_fill(~useful, -2 * PREFER), count, generator)
        return torch.zeros_like(useful).scatter(1, chosen, True) & useful


def patch_probability(
    images: Float[Tensor, "batch band height width"],
    grid: PatchGrid,
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "batch patch"]:
    """Give the weight p of each patch, which sums to 1 over an image.

    Args:
        images: un-normalised images in [0, 1], any number of bands.
        grid: the patch grid.
        temperature: tau; infinity is uniform.

    Source: the module's formula.
    """
    return _probability(signal_to_noise(images, grid), temperature)


def signal_to_noise(
    images: Float[Tensor, "batch band height width"], grid: PatchGrid
) -> Float[Tensor, "batch patch"]:
    """Give S of each patch: excess over the sky in units of its pixel noise, stars and neighbours set back.

    Unchanged by a stretch a g + b of the image (a > 0) as long as the noise stays above one 8-bit level.
    """
    grey = images.detach().float().mean(dim=1)
    level, noise = sky(grey)
    excess = (grey - level[:, None, None]).clamp(min=0)
    ratio = grid.patch_means(excess) / noise[:, None]
    detected = ratio > DETECTED
    return torch.where(detected & ~central_component(detected, grid), STAR_WEIGHT * ratio, ratio)


def sky(
    grey: Float[Tensor, "batch height width"],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Measure level and pixel noise of the sky of each image, on the image's scale."""
    border, everywhere = _samples(grey)
    level, noise = _clipped(_sorted(border), begin_with=1.0)
    dark_level, dark_noise = _clipped(_sorted(everywhere), begin_with=0.5)
    full_of_light = level > dark_level + _CLIP * dark_noise
    return torch.where(full_of_light, dark_level, level), torch.where(full_of_light, dark_noise, noise)


def central_component(detected: Bool[Tensor, "batch patch"], grid: PatchGrid) -> Bool[Tensor, "batch patch"]:
    """Mark the 8-connected group of detected patches that holds the image centre or is nearest to it.

    Groups at equal distance are all marked, so that a flipped image gives a flipped answer. The flood takes a
    fixed number of steps, so nothing is read back from the device: a shortest path visits at most two patches
    of any 2x2 square, which bounds its length.
    """
    distance = _centre_distance(grid, detected.device).masked_fill(~detected, torch.inf)
    seed = detected & (distance == distance.amin(dim=1, keepdim=True))
    flood, allowed = _batch_as_channels(seed, grid), _batch_as_channels(detected, grid)
    for _ in range(2 * math.ceil(grid.rows / 2) * math.ceil(grid.columns / 2) - 1):
        flood = F.max_pool2d(flood, kernel_size=3, stride=1, padding=1) * allowed
    return flood[0].flatten(1) > 0


def _probability(ratio: Float[Tensor, "batch patch"], temperature: float) -> Float[Tensor, "batch patch"]:
    attraction = (ratio - 1).clamp(min=0).log1p() / temperature
    return UNIFORM_SHARE / ratio.shape[1] + (1 - UNIFORM_SHARE) * attraction.softmax(dim=1)


def _centre_distance(grid: PatchGrid, device: torch.device) -> Float[Tensor, " patch"]:
    """Squared distance of each patch from the image centre [patch^2]."""
    rows = torch.arange(grid.rows, device=device) - (grid.rows - 1) / 2
    columns = torch.arange(grid.columns, device=device) - (grid.columns - 1) / 2
    return (rows[:, None] ** 2 + columns**2).flatten()


def _batch_as_channels(
    mask: Bool[Tensor, "batch patch"], grid: PatchGrid
) -> Float[Tensor, "1 batch row column"]:
    """Lay images out as channels, channels last: pooling a single channel is 30 times slower on a CPU."""
    return mask.T.float().contiguous().view(grid.rows, grid.columns, -1).permute(2, 0, 1)[None]


def _samples(
    grey: Float[Tensor, "batch height width"],
) -> tuple[Float[Tensor, "batch border"], Float[Tensor, "batch sample"]]:
    """Pick pixels of the border strips and of the whole image, mirror-symmetrically and evenly."""
    height, width = grey.shape[1:]
    step = max(1, min(height, width) // _SAMPLED_PX)
    edge_rows, edge_columns = (
        _inwards(side, max(1, round(side * _BORDER)), step) for side in (height, width)
    )
    all_rows, all_columns = (_inwards(side, (side + 1) // 2, step) for side in (height, width))
    border = _pixels(grey, edge_rows, all_columns) + _pixels(grey, all_rows, edge_columns)
    coarse_rows, coarse_columns = (_inwards(side, (side + 1) // 2, 2 * step) for side in (height, width))
    return torch.cat(border, dim=1), torch.cat(_pixels(grey, coarse_rows, coarse_columns), dim=1)


def _inwards(length: int, depth: int, step: int) -> tuple[slice, slice]:
    """Slice every `step`-th pixel from either end inwards, down to `depth`."""
    last = step * ((depth - 1) // step)
    return slice(0, depth, step), slice(length - 1 - last, length, step)


def _pixels(
    grey: Float[Tensor, "batch height width"], rows: tuple[slice, slice], columns: tuple[slice, slice]
) -> list[Float[Tensor, "batch sample"]]:
    return [grey[:, row, column].flatten(1) for row in rows for column in columns]


def _sorted(values: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))  # 10 times as fast as torch's on a CPU
    return values.sort(dim=1).values


def _clipped(
    ascending: Float[Tensor, "batch sample"], *, begin_with: float
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Clip iteratively at 3 sigma about the median, beginning with the darkest share of the pixels.

    In sorted pixels a clip is a range, its median and quartile are look-ups: one sort does for all rounds.
    """
    first = torch.zeros(len(ascending), 1, dtype=torch.long, device=ascending.device)
    end = torch.full_like(first, max(1, round(begin_with * ascending.shape[1])))
    for _ in range(_CLIP_ROUNDS):
        level = ascending.gather(1, (first + end - 1) // 2)
        quartile = ascending.gather(1, (3 * first + end - 1) // 4)
        noise = (_MAD_TO_SIGMA * (level - quartile)).clamp(min=_ONE_LEVEL)
        bounds = torch.cat([level - _CLIP * noise, level + _CLIP * noise], dim=1)
        first, end = torch.searchsorted(ascending, bounds).split(1, dim=1)
    return level[:, 0], noise[:, 0]


@hookimpl
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:
    """Offer `brightness`."""
    return {"brightness": Brightness}
