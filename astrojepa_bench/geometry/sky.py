r"""The sky of an image and what stands above it: level, noise, signal to noise, the central source.

On the un-normalised image, grey g = mean over bands, for each patch i:

    S_i = mean over the patch of max(0, g - m) / s      pseudo signal to noise; m, s: level, noise of the sky
    S_i <- kappa S_i    for S_i > 3 not connected to the source nearest the image centre (stars, neighbours)

with kappa = 0.25. Sky: sigma-clipped median m and noise s of the image's border (1/14 of the side). Light only
adds to a sky, so s is the median absolute deviation of the pixels *below* the median, 1.4826 (m - first
quartile), at least one 8-bit level. A border that stands more than 3 s above the darkest pixels of the image
is full of light; then the sky is clipped up from the darkest half of the whole image.

S is per pixel, not per patch: the same galaxy has a larger S where pixels are coarser.

Cost: one sort of the sky's pixels and a flood over the grid; nothing is read back from the device.

Source: written for this benchmark; a clipped median is the classical sky of photometry (Stetson 1987, PASP
99, 191).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.geometry.grids import PatchGrid

version = 1  # raise it whenever a number changes
DETECTED = 3.0
"""Signal to noise above which a patch shows a source."""
STAR_WEIGHT = 0.25
"""What is left of the signal of a source that is not the central one."""

_BORDER = 1 / 14
_CLIP = 3.0
_CLIP_ROUNDS = 5
_MAD_TO_SIGMA = 1.4826
_ONE_LEVEL = 1 / 255
_SAMPLED_PX = 64  # larger images are sampled at about this many pixels a side: a sky needs no more


def signal_to_noise(
    images: Float[Tensor, "batch band height width"], grid: PatchGrid
) -> Float[Tensor, "batch patch"]:
    """Compute S of each patch: excess over the sky in units of its pixel noise, stars and neighbours set back.

    Unchanged by a stretch a g + b of the image (a > 0) as long as the noise stays above one 8-bit level.
    """
    excess, noise = _patch_excess(images, grid)
    ratio = excess / noise[:, None]
    detected = ratio > DETECTED
    return torch.where(detected & ~central_component(detected, grid), STAR_WEIGHT * ratio, ratio)


def galaxy_light(
    images: Float[Tensor, "batch band height width"], grid: PatchGrid
) -> Float[Tensor, "batch patch"]:
    """Compute each patch's light above the sky where the central source is detected, 0 elsewhere.

    On the scale of the image, averaged over the patch and over the bands. All 0 where nothing is detected.
    """
    excess, noise = _patch_excess(images, grid)
    return excess * central_component(excess / noise[:, None] > DETECTED, grid)


def _patch_excess(
    images: Float[Tensor, "batch band height width"], grid: PatchGrid
) -> tuple[Float[Tensor, "batch patch"], Float[Tensor, " batch"]]:
    """Average the light above the sky over each patch, and the pixel noise of the sky."""
    grey = images.detach().float().mean(dim=1)
    level, noise = sky(grey)
    return grid.patch_means((grey - level[:, None, None]).clamp(min=0)), noise


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
    rows, columns = (
        torch.arange(length, device=detected.device) - (length - 1) / 2
        for length in (grid.rows, grid.columns)
    )
    squares = (rows[:, None] ** 2 + columns**2).flatten()
    distance = squares.masked_fill(~detected, torch.inf)
    seed = detected & (distance == distance.amin(dim=1, keepdim=True))
    flood, allowed = _batch_as_channels(seed, grid), _batch_as_channels(detected, grid)
    for _ in range(2 * math.ceil(grid.rows / 2) * math.ceil(grid.columns / 2) - 1):
        flood = F.max_pool2d(flood, kernel_size=3, stride=1, padding=1) * allowed
    return flood[0].flatten(1) > 0


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
