r"""Masker `radial`: `brightness` without looking, because galaxies are centred anyway.

Everything is as in `brightness`, but the signal to noise is that of one standard galaxy in every image, an
exponential disc seen face on, a function of the distance r from the image centre alone:

    S_i = peak exp(-r_i / h),         r and h in units of half the image's side

It is the control for "brightness means centre": only what `brightness` gains beyond this can be credited to the
light. Where galaxies are not centred (`dataset.shift`), the masks of the two part.

The profile is chosen so that its weights p_i (tau = 1) agree with the average weights of `brightness` on
centred galaxies of the small budget, 8x8 patches at 64 px, at the same time on simulated galaxies and on
Galaxy Zoo 2 (least squares over peak and h): peak = 45, h = 0.22. Share of a patch relative to a uniform one:

    r                      0.18   0.40   0.53   0.64   0.73   0.88   1.24
    brightness, simulated  5.19   2.02   1.11   0.73   0.55   0.41   0.36
    brightness, GZ2        5.19   2.25   1.20   0.73   0.51   0.35   0.29
    radial                 5.34   2.04   1.15   0.75   0.53   0.36   0.36

Other data need other numbers if the control is to stay one: fits at 224 px and 14x14 patches give peak = 20,
h = 0.16 (simulated, 59 arcsec a side) and peak = 30, h = 0.13 (Galaxy10 DECaLS, 67 arcsec). At tau = 0.5 the
average weights of `brightness` are less peaked than any single profile's, since galaxies differ in size.

Cost: that of `multiblock`: the images are not read.

Source: written for this benchmark; exponential disc: Freeman 1970, ApJ 160, 811.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from astrojepa_weighted_blocks import WeightedBlocks
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.plugin import ConfigError, Masker, PatchGrid, hookimpl


class Radial(WeightedBlocks):
    """Rectangles that follow the distance from the image centre: control for `brightness`."""

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        grid: PatchGrid,
        *,
        peak: float = 45.0,
        scale_length: float = 0.22,
        **options: Any,
    ) -> None:
        """Set the standard galaxy.

        Args:
            grid: the encoder's patch grid.
            peak: signal to noise of the standard galaxy at the image centre.
            scale_length: h of its exponential disc, in units of half the image's side.
            options: those of `WeightedBlocks`.

        Raises:
            ConfigError: an option is out of range.
        """
        super().__init__(grid, **options)
        if not (peak > 0 and scale_length > 0):
            raise ConfigError(
                f"masker.peak={peak} and masker.scale_length={scale_length} must be positive; "
                "the defaults are 45 and 0.22"
            )
        self.peak = peak
        self.scale_length = scale_length

    def ratio(self, images: Float[Tensor, "batch band height width"]) -> Float[Tensor, "batch patch"]:
        """Compute the standard galaxy's signal to noise, the same for every image."""
        profile = self.peak * (-centre_distance(self.grid, images.device) / self.scale_length).exp()
        return profile.expand(len(images), -1)


def centre_distance(grid: PatchGrid, device: torch.device) -> Float[Tensor, " patch"]:
    """Measure how far the middle of each patch is from the image centre [half the image's side]."""
    rows, columns = (
        (torch.arange(length, device=device) - (length - 1) / 2) * (2 / length)
        for length in (grid.rows, grid.columns)
    )
    return torch.hypot(rows[:, None], columns).flatten()


@hookimpl
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:
    """Offer `radial`."""
    return {"radial": Radial}
