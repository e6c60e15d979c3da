"""What the masks of a run show and hide: how many patches, and how much of the galaxy.

Measured on the masks of the first batch, so nothing is read from the device while the run trains. Shares are
means over images; what a masker that ignores the galaxy would show or hide of it is the share of patches.

| name | meaning |
|---|---|
| `context_patches` | patches in the context |
| `context_share` | the same as a share of the grid |
| `target_share` | share of the grid in the union of the targets |
| `context_galaxy_share` | share of the galaxy's light in the context |
| `target_galaxy_share` | share of the galaxy's light in the union of the targets |

Light is what stands above the sky in the detected patches of the central source (`geometry.sky`); images
in which none is detected do not count. A run without targets has no target shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from astrojepa_bench.geometry.grids import Masks, PatchGrid
from astrojepa_bench.geometry.patches import covered
from astrojepa_bench.geometry.sky import galaxy_light

MASK_HEALTH = (
    "context_patches", "context_share", "target_share", "context_galaxy_share", "target_galaxy_share",
)  # fmt: skip
"""The names of all that may be measured of masks."""


def measure_masks(
    images: Float[Tensor, "batch band height width"], masks: Masks, grid: PatchGrid
) -> dict[str, float]:
    """Measure the masks of one batch (reads values from the device).

    Args:
        images: the images that the masks were drawn for, un-normalised.
        masks: their masks.
        grid: the patch grid.
    """
    light = galaxy_light(images, grid)
    numbers = {"context_patches": float(masks.context.shape[1])}
    numbers |= _shares("context", covered(grid, masks.context[:, None]), light)
    if masks.targets.numel():
        numbers |= _shares("target", covered(grid, masks.targets), light)
    return numbers


def averaged(measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the numbers of several draws, name by name."""
    names = dict.fromkeys(name for numbers in measured for name in numbers)
    values = {name: [numbers[name] for numbers in measured if name in numbers] for name in names}
    return {name: sum(found) / len(found) for name, found in values.items()}


def _shares(
    role: str, chosen: Bool[Tensor, "batch patch"], light: Float[Tensor, "batch patch"]
) -> dict[str, float]:
    """Compute the share of the grid, and of the light of those galaxies that were found."""
    numbers = {f"{role}_share": float(chosen.float().mean())}
    total = light.sum(dim=1)
    found = total > 0
    if bool(found.any()):
        inside = torch.where(chosen, light, 0).sum(dim=1)
        numbers[f"{role}_galaxy_share"] = float((inside[found] / total[found]).mean())
    return numbers
