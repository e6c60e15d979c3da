r"""Masker `brightness`: blocks follow the light of the galaxy, measured against its own sky.

On the un-normalised image, grey g = mean over bands, patch i of N:

    S_i = mean over the patch of max(0, g - m) / s      pseudo signal to noise; m, s: level, noise of the sky
    S_i <- kappa S_i    for S_i > 3 not connected to the source nearest the image centre (stars, neighbours)
    p_i = eps/N + (1 - eps) softmax_i( log(1 + max(0, S_i - 1)) / tau ),         eps = 0.1, kappa = 0.25

and a block takes a position with probability proportional to the sum of p over the patches that it covers.
The temperature tau is the one knob: tau -> infinity gives p_i = 1/N and with it the targets of `multiblock`,
so the masker contains its own control. How the sky is measured stands in `geometry/sky.py`, roles and
context in `astrojepa_weighted_blocks`.

S is per pixel, not per patch: the same galaxy has a larger S, and more of p, where pixels are coarser.

Expected: how much more often than uniform ones blocks are centred within an eighth of the side of the middle of
simulated galaxies, and in brackets anywhere on them, by true coverage (at 8x8 galaxies cover 22 % of the image
and at 14x14 10 %, which bounds the figures in brackets; large blocks have the bound of
`astrojepa_weighted_blocks`):

    tau     8x8: 1 patch   2x2         3x3         3x4         14x14: 2x2   5x6         5x7
    0.25    11.6 (4.0)     4.5 (2.8)   3.4 (1.9)   2.3 (1.5)   14.5 (7.9)   2.8 (2.2)   2.2 (1.8)
    0.5      9.1 (3.7)     3.9 (2.7)   3.0 (1.8)   2.1 (1.5)   10.2 (6.4)   2.5 (2.0)   2.0 (1.7)
    1        5.1 (2.8)     2.8 (2.1)   2.3 (1.5)   1.8 (1.4)    4.4 (3.4)   1.8 (1.6)   1.5 (1.4)
    2        2.6 (1.9)     1.8 (1.6)   1.7 (1.3)   1.4 (1.2)    2.2 (1.9)   1.4 (1.3)   1.2 (1.2)

Cost: one sort of the sky's pixels and a flood over the grid; on one CPU core about 8,000 images/s at 64 px
and 8x8 patches, 800 at 224 px and 14x14.

Source: written for this benchmark. The idea of masking by light is AstroJEPA's
(github.com/FurqanBhat/AstroJEPA), which weights patches by |x| of images normalised to [-1, 1] and so prefers
blank sky (`brightness-seed`). Deviations from it: the sky is subtracted; the weight of a patch grows with the
logarithm of its light at most as 1/tau; stars are set back; a block is placed by all that it covers, where
centring it on a drawn patch and shifting it inside piles blocks up at the border.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from astrojepa_weighted_blocks import WeightedBlocks, probability
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.plugin import Masker, PatchGrid, hookimpl, signal_to_noise


class Brightness(WeightedBlocks):
    """Rectangles that follow signal to noise; the temperature leads to uniform ones."""

    version: ClassVar[int | None] = 1

    def ratio(self, images: Float[Tensor, "batch band height width"]) -> Float[Tensor, "batch patch"]:
        """Measure the light of each patch above the sky of its image."""
        return signal_to_noise(images, self.grid)


def patch_probability(
    images: Float[Tensor, "batch band height width"],
    grid: PatchGrid,
    *,
    temperature: float = 1.0,
) -> Float[Tensor, "batch patch"]:
    """Compute the weight p of each patch, which sums to 1 over an image.

    Args:
        images: un-normalised images in [0, 1], any number of bands.
        grid: the patch grid.
        temperature: tau; infinity is uniform.

    Source: the module's formula.
    """
    return probability(signal_to_noise(images, grid), temperature)


@hookimpl
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:
    """Offer `brightness`."""
    return {"brightness": Brightness}
