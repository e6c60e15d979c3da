r"""Masker `brightness-seed`: AstroJEPA's own collator, inverted as it is, kept for faithfulness.

AstroJEPA weights patches by the brightness of an image that it has normalised to [-1, 1], x = (g - 0.5) / 0.5
with g the mean over bands:

    b_i = mean over the patch of |x|,         p_i = b_i / sum_j b_j   (uniform where all b are 0)

Its intention is to follow the light. But the sky of a display image is dark: at a level of 32/255 it has
|x| = 0.75, while the grey light of a galaxy passes through x = 0. So the weights prefer blank sky (on real
cut-outs the weight of a patch correlates with its brightness at -0.8), and saturated cores.

A block is centred on a patch drawn by p and then shifted to lie inside the grid:

    top = clamp(centre row - floor(height / 2), 0, rows - height),         left likewise

which piles blocks up along the border: on a flat image a 3x4 block on 8x8 lies in a corner 4 to 6 times as
often as in any one place inside.
The context is what the targets leave of one more block drawn in this way, with sides of 0.5 to 0.7 of the
grid's, height and width independently.

Expected: blocks are centred on the galaxy less often than blocks placed uniformly, 0.5 to 0.7 times as often
on simulated galaxies at 8x8 patches, and targets hide less of its light (65 % where `multiblock` hides 80 %).

Cost: no sort and no flood; on one CPU core about 25,000 images/s at 64 px and 8x8 patches, 1,000 at 224 px and
14x14.

Source: github.com/FurqanBhat/AstroJEPA, the published collator and its description. Deviations:

* Sizes belong to the objective, as for every masker here, so that a comparison of maskers is never one of mask
  ratios. The published ones are targets with sides of 2 to 4 patches on 14x14 and what they leave of the
  context block; `objective.target_scale=0.05` comes near them.
* The context is cut to size by a random subset; where the block leaves too few, patches outside it and outside
  the targets fill up, at random. The published fallback (all that is no target, below 20 patches) does so too.
* Drawn for all images at once from the run's stream, where the published one mixes two global generators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from astrojepa_bench.plugin import (
    PREFER,
    Masker,
    Masks,
    MaskSizes,
    PatchGrid,
    choose_patches,
    covered,
    hookimpl,
    rectangle_of,
    rectangle_patches,
)

CONTEXT_SIDE = (0.5, 0.7)  # of the context block, as a share of the grid's


class BrightnessSeed(Masker):
    """AstroJEPA's collator as published, which prefers blank sky: centre a block on a bright patch, shift it in."""

    version: ClassVar[int | None] = 1

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> Masks:
        """Draw the targets, then the context from what they leave of another block.

        Raises:
            ConfigError: the grid cannot hold `sizes`, or a block is no rectangle.
        """
        sizes.check(self.grid)
        log_weight = patch_weight(images, self.grid).log()
        if not sizes.targets:
            context = self._rectangles(log_weight, 1, sizes.context, generator)[:, 0]
            return Masks(context, context.new_empty(len(images), 0, sizes.target))
        targets = self._rectangles(log_weight, sizes.targets, sizes.target, generator)
        preference = PREFER * self.context_block(log_weight, generator)
        hidden = covered(self.grid, targets)
        context = choose_patches(preference.masked_fill(hidden, -torch.inf), sizes.context, generator)
        return Masks(context, targets)

    def _rectangles(
        self, log_weight: Float[Tensor, "batch patch"], blocks: int, size: int, generator: torch.Generator
    ) -> Int[Tensor, "batch block target"]:
        """Draw rectangles of `size` patches, each upright or turned."""
        rows, columns = rectangle_of(self.grid, size)
        shape = (len(log_weight), blocks)
        turned = torch.randint(2, shape, generator=generator, device=log_weight.device) > 0
        height, width = torch.where(turned, columns, rows), torch.where(turned, rows, columns)
        top, left = self._corners(log_weight, height, width, generator)
        return rectangle_patches(self.grid, top, left, width, size)

    def context_block(
        self, log_weight: Float[Tensor, "batch patch"], generator: torch.Generator
    ) -> Bool[Tensor, "batch patch"]:
        """Mark one block with independent sides."""
        low, high = CONTEXT_SIDE
        height, width = (
            torch.randint(
                max(1, int(length * low)),
                max(1, int(length * high)) + 1,
                (len(log_weight), 1),
                generator=generator,
                device=generator.device,
            )
            for length in (self.grid.rows, self.grid.columns)
        )
        top, left = self._corners(log_weight, height, width, generator)
        index = torch.arange(self.grid.patches, device=log_weight.device)
        row, column = index // self.grid.columns, index % self.grid.columns
        return (row >= top) & (row < top + height) & (column >= left) & (column < left + width)

    def _corners(
        self,
        log_weight: Float[Tensor, "batch patch"],
        height: Int[Tensor, "batch block"],
        width: Int[Tensor, "batch block"],
        generator: torch.Generator,
    ) -> tuple[Int[Tensor, "batch block"], Int[Tensor, "batch block"]]:
        """Centre blocks on patches drawn by weight, and shift them inside the grid."""
        each = log_weight[:, None].expand(-1, height.shape[1], -1)
        centre = choose_patches(each, 1, generator)[..., 0]
        top = (centre // self.grid.columns - height // 2).clamp(min=0)
        left = (centre % self.grid.columns - width // 2).clamp(min=0)
        return torch.minimum(top, self.grid.rows - height), torch.minimum(left, self.grid.columns - width)


def patch_weight(
    images: Float[Tensor, "batch band height width"], grid: PatchGrid
) -> Float[Tensor, "batch patch"]:
    """Compute AstroJEPA's weight p of each patch, which sums to 1 over an image.

    Args:
        images: un-normalised images in [0, 1], any number of bands.
        grid: the patch grid.

    Source: the module's formula.
    """
    grey = images.detach().float().mean(dim=1)
    weight = grid.patch_means((2 * grey - 1).abs())
    total = weight.sum(dim=1, keepdim=True)
    return torch.where(total > 0, weight / total, 1 / grid.patches)


@hookimpl
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:
    """Offer `brightness-seed`."""
    return {"brightness-seed": BrightnessSeed}
