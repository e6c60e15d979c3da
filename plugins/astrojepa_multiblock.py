r"""Masker `multiblock`: predict large rectangles from what a larger square leaves of the image.

Per image, on a grid of N patches:

    target_m  = a rectangle of t patches, upright or turned, uniform over all positions,   m = 1..M
    square    = side round(sqrt(floor(N s))) < the grid's, s ~ U(context_scale) per batch, uniform position
    context   = c patches of  square \ (target_1 u ... u target_M)

Where the square leaves fewer than c patches, patches outside it and outside the targets fill up, at random.
Without targets the context is one rectangle of c patches, uniform over all positions (a local view).

Large targets are what makes the task semantic: in the published ablation, targets of .15 to .2 of the image
reach 54 % where .1 to .2 reach 39 % (ViT-B/16, 1 % of ImageNet labels).

Cost: a race over the positions of each block; about 60,000 images/s at 8x8 patches on one CPU core.

Source: Assran et al. 2023 (arXiv 2301.08243), section 3 and the released multi-block collator. Deviations:

* Targets and square reach the last row and column. The released sampler leaves out the last position, so it
  never predicts the last row or column and always puts the square at the top left (issue 60 of its
  repository). On 14x14 with the published sizes four targets therefore cover 47 % of the patches and 85 % of
  the central 4x4, where the released sampler covers 45 % and 90 %; the square leaves 41 % against 42 %.
* The sizes belong to the objective, so they are the same in every batch; only the orientation of a rectangle
  is drawn. The published sampler draws area and aspect ratio with one and the same random number.
* The context is cut to c patches by a random subset. `truncation="raster"` keeps the first c row by row, as
  published, which shows the top half of the image several times as often as the bottom half.
* No rejection: contexts that are too small are filled up, never overlapped with targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

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


class Multiblock(Masker):
    """Rectangular targets anywhere; the context is a large square without them."""

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        grid: PatchGrid,
        *,
        context_scale: tuple[float, float] = (0.85, 1.0),
        truncation: Literal["random", "raster"] = "random",
    ) -> None:
        """Set the size of the context square and how it is cut.

        Args:
            grid: the encoder's patch grid.
            context_scale: smallest and largest area of the context square, as a share of the grid.
            truncation: which patches of the square stay: a random subset, or the first ones row by row.

        Raises:
            ConfigError: `context_scale` is out of range.
        """
        super().__init__(grid)
        if len(context_scale) != 2 or not 0 < context_scale[0] <= context_scale[1] <= 1:
            raise ConfigError(
                f"masker.context_scale={context_scale} must be two shares, 0 < low <= high <= 1"
            )
        self.context_scale = context_scale
        self.truncation = truncation

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> Masks:
        """Draw the targets, then the context from what they leave.

        Raises:
            ConfigError: the grid cannot hold `sizes`, or a block is no rectangle.
        """
        sizes.check(self.grid)
        targets = self._rectangles(len(images), sizes.targets, sizes.target, generator)
        if not sizes.targets:
            return Masks(self._rectangles(len(images), 1, sizes.context, generator)[:, 0], targets)
        return Masks(self._context(covered(self.grid, targets), sizes.context, generator), targets)

    def _rectangles(
        self, batch: int, blocks: int, size: int, generator: torch.Generator
    ) -> Int[Tensor, "batch block target"]:
        if not blocks:
            return torch.empty(batch, 0, size, dtype=torch.long, device=generator.device)
        level = torch.ones(batch, self.grid.patches, device=generator.device)
        return draw_blocks(self.grid, level, blocks=blocks, size=size, generator=generator)

    def _context(
        self, hidden: Bool[Tensor, "batch patch"], size: int, generator: torch.Generator
    ) -> Int[Tensor, "batch context"]:
        square = draw_square(self.grid, self.context_scale, batch=len(hidden), generator=generator)
        return self.cut(square, hidden, size, generator)

    def cut(
        self,
        square: Bool[Tensor, "batch patch"],
        hidden: Bool[Tensor, "batch patch"],
        size: int,
        generator: torch.Generator,
    ) -> Int[Tensor, "batch context"]:
        """Choose `size` patches of the square outside the targets, then others outside the targets."""
        index = torch.arange(self.grid.patches, device=hidden.device)
        turn = PREFER * (self.grid.patches - index if self.truncation == "raster" else torch.ones_like(index))
        return choose_patches((turn * square).masked_fill(hidden, -torch.inf), size, generator)


@hookimpl
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:
    """Offer `multiblock`."""
    return {"multiblock": Multiblock}
