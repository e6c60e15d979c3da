r"""Maskers `none` and `random`: no masks at all, and patches drawn like lots.

**random.** A uniform random subset of the patches is seen; each target is a uniform random subset of the
rest:

    context ~ Uniform{subsets of c patches},   target_m ~ Uniform{subsets of t patches outside the context}.

Targets are independent of one another and may overlap, as blocks may; with one target of all the rest this is
the random collator released with I-JEPA. It ignores the image, so it is the control for every masker that
looks at it. Its targets are easy: a lone patch can be guessed from its neighbours.

Cost: one sort of random numbers per set; about 60,000 images/s at 8x8 patches on one CPU core.

Source: Assran et al. 2023 (arXiv 2301.08243), the released random collator. Deviations: the sizes belong to
the objective and do not vary from batch to batch; more than one target is possible.

To write a masker of your own, copy this file: a class with `draw`, a hook that names it, one entry point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.plugin import Masker, Masks, MaskSizes, choose_patches, hookimpl


class NoMasks(Masker):
    """Hands out no masks: objectives that need none, or fall back on crops.

    Source: nothing to cite; what an objective falls back on stands on its own page.
    """

    hides: ClassVar[bool] = False
    version: ClassVar[int | None] = 1

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> None:
        """Return None, whatever was asked for."""
        return


class RandomPatches(Masker):
    """Uniform random patches, without regard to the image or to one another."""

    version: ClassVar[int | None] = 1

    def draw(
        self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes, generator: torch.Generator
    ) -> Masks:
        """Draw the context first, then each target from the patches outside it.

        Raises:
            ConfigError: the grid cannot hold `sizes`.
        """
        sizes.check(self.grid)
        anywhere = torch.zeros(len(images), self.grid.patches, device=images.device)
        context = choose_patches(anywhere, sizes.context, generator)
        outside = anywhere.scatter(1, context, -torch.inf)[:, None].expand(-1, sizes.targets, -1)
        return Masks(context, choose_patches(outside, sizes.target, generator))


@hookimpl
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:
    """Offer `none` and `random`."""
    return {"none": NoMasks, "random": RandomPatches}
