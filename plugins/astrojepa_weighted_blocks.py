r"""Blocks that follow a weight: what the maskers `brightness`, `inverse` and `radial` have in common.

Each of them says how strong the signal S_i of patch i is and what weight p_i it has; here S becomes

    p_i = eps/N + (1 - eps) softmax_i( log(1 + max(0, S_i - 1)) / tau ),         eps = 0.1

unless the masker says otherwise, and a block takes a position with probability proportional to the sum of p
over the patches that it covers. The maskers therefore differ in their weights and in nothing else: roles,
reserved patches, cut and filling of the context are the same code.

`signal` says which sets follow the weight; the others are placed as in `multiblock`:

* `targets`: predict the galaxy from what is around it;
* `context`: the cut of the context to size prefers weight, the targets lie anywhere;
* `both`.

Without targets the context is one rectangle that follows the weight, whatever `signal` says.

A large block cannot be steered far, since its position probability is p averaged over the block: however
peaked the weight, a block of t patches is at most (positions / t) times as likely to lie in one place as a
uniform one. That is 2.5 times for 3x4 patches on 8x8 and 2.3 times for 5x7 on 14x14.

Source: written for this benchmark. This module offers nothing by itself.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from astrojepa_bench.plugin import (
    DETECTED,
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
)

version = 1  # raise it whenever a number changes
Signal: TypeAlias = Literal["targets", "context", "both"]

UNIFORM_SHARE = 0.1  # eps: no patch is ever out of reach
CONTEXT_SCALE = (0.85, 1.0)  # `multiblock`'s context square


class WeightedBlocks(Masker):
    """Rectangles that follow a weight; the temperature leads to uniform ones."""

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        grid: PatchGrid,
        *,
        signal: Signal = "targets",
        temperature: float = 1.0,
        min_signal: int = 1,
    ) -> None:
        """Set what follows the weight, and how closely.

        Args:
            grid: the encoder's patch grid.
            signal: which sets follow the weight when there are targets: `targets`, `context` or `both`.
            temperature: tau; small values keep to the patches of largest weight, large ones ignore it.
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

    @abstractmethod
    def ratio(self, images: Float[Tensor, "batch band height width"]) -> Float[Tensor, "batch patch"]:
        """Measure the signal S of each patch."""

    def weight(self, ratio: Float[Tensor, "batch patch"]) -> Float[Tensor, "batch patch"]:
        """Turn S into the weight p of each patch, which sums to 1 over an image."""
        return probability(ratio, self.temperature)

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> Masks:
        """Draw the targets, then the context from what they leave.

        Raises:
            ConfigError: the grid cannot hold `sizes`, or a block is no rectangle.
        """
        sizes.check(self.grid)
        ratio = self.ratio(images)
        light = self.weight(ratio)
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
        """Cut a square without the targets to size by a weighted subset, patches with a signal reserved first."""
        square = draw_square(self.grid, CONTEXT_SCALE, batch=len(hidden), generator=generator)
        log_weight = weight.log().masked_fill(hidden, -torch.inf)
        useful = (ratio > DETECTED) & log_weight.isfinite()
        count = min(self.min_signal, size)
        chosen = choose_patches(log_weight.masked_fill(~useful, -2 * PREFER), count, generator)
        reserved = torch.zeros_like(useful).scatter(1, chosen, True) & useful
        return choose_patches(log_weight + PREFER * square + 2 * PREFER * reserved, size, generator)


def probability(ratio: Float[Tensor, "batch patch"], temperature: float) -> Float[Tensor, "batch patch"]:
    """Turn signal into weights that sum to 1 over an image.

    Args:
        ratio: S, in units of the noise of the sky.
        temperature: tau; infinity is uniform.

    Source: the module's formula.
    """
    attraction = (ratio - 1).clamp(min=0).log1p() / temperature
    return with_floor(attraction.softmax(dim=1))


def with_floor(share: Float[Tensor, "batch patch"]) -> Float[Tensor, "batch patch"]:
    """Mix shares of an image with equal ones, so that no patch is ever out of reach."""
    return UNIFORM_SHARE / share.shape[1] + (1 - UNIFORM_SHARE) * share
