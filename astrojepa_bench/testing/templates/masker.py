"""Masker `template`: sees patches near the middle of the image, and hides scattered ones around them.

Source: nothing to cite yet; name the paper, the equation and every deviation.
"""

import torch
from torch import Tensor

from astrojepa_bench.plugin import Masker, Masks, MaskSizes, PatchGrid, choose_patches, hookimpl


class TemplateMasker(Masker):
    """Prefers central patches as context; the targets are scattered over the others.

    Args:
        width: how far from the centre the preference reaches [patch]; large values are uniform.
    """

    version = 1

    def __init__(self, grid: PatchGrid, *, width: float = 2.0) -> None:
        super().__init__(grid)
        row, column = torch.arange(grid.rows) + 0.5, torch.arange(grid.columns) + 0.5
        distance = torch.hypot(row[:, None] - grid.rows / 2, column - grid.columns / 2)
        self.log_weight = -distance.flatten() / width

    def draw(self, images: Tensor, sizes: MaskSizes, generator: torch.Generator) -> Masks:
        """Draw the context, then the targets from the patches outside it."""
        sizes.check(self.grid)
        weights = self.log_weight.to(images.device).expand(len(images), -1)
        context = choose_patches(weights, sizes.context, generator)
        outside = torch.zeros_like(weights).scatter(1, context, -torch.inf)
        targets = choose_patches(outside[:, None].expand(-1, sizes.targets, -1), sizes.target, generator)
        return Masks(context, targets)


@hookimpl
def astrojepa_maskers() -> dict[str, type[Masker]]:
    """Offer `template`."""
    return {"template": TemplateMasker}
