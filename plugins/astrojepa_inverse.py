r"""Masker `inverse`: the weights of `brightness` turned over, so that blocks prefer blank sky.

With p_i the weight that `brightness` gives patch i at the same temperature,

    q_i = eps/N + (1 - eps) (1/p_i) / sum_j (1/p_j),         eps = 0.1

and everything else (block positions, roles, reserved patches, sizes) is as in `brightness`. On a flat image
and for tau -> infinity q is uniform.

It is the control for the sign of the idea: if a bias towards light helps, its inverse must not. It does
openly what AstroJEPA's collator does by accident (`brightness-seed`), with the sky subtracted first.

Expected: on simulated galaxies at 8x8 patches, centres of 2x2, 3x3 and 3x4 blocks lie on the galaxy 0.5, 0.7 and
0.8 times as often as those of uniform ones. The bias is weaker than that of `brightness`, because most patches
are sky already: of a weight that is spread over nearly all of the image no block can gather much more than its
share.

Cost: that of `brightness`.

Source: written for this benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from astrojepa_weighted_blocks import WeightedBlocks, probability, with_floor
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.plugin import Masker, hookimpl, signal_to_noise


class Inverse(WeightedBlocks):
    """Rectangles that prefer blank sky: control for the sign of `brightness`."""

    version: ClassVar[int | None] = 1

    def ratio(self, images: Float[Tensor, "batch band height width"]) -> Float[Tensor, "batch patch"]:
        """Measure the light of each patch above the sky of its image."""
        return signal_to_noise(images, self.grid)

    def weight(self, ratio: Float[Tensor, "batch patch"]) -> Float[Tensor, "batch patch"]:
        """Compute the inverse of `brightness`'s weights, which sums to 1 over an image."""
        rarity = 1 / probability(ratio, self.temperature)
        return with_floor(rarity / rarity.sum(dim=1, keepdim=True))


@hookimpl
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:
    """Offer `inverse`."""
    return {"inverse": Inverse}
