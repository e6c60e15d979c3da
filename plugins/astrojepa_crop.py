"""Random crops, as masked image modelling is published with them. Offers nothing by itself."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.plugin import ConfigError, drawn

version = 1  # raise it whenever a number changes
ELONGATION = math.log(4 / 3)  # sides within 3:4 and 4:3, uniform in the logarithm
TRIES = 10  # crops that are drawn for one that fits


def cropped(
    images: Float[Tensor, "batch band height width"], smallest: float, generator: torch.Generator
) -> Float[Tensor, "batch band height width"]:
    """Draw a crop of each image and bring it back to the image's size, bilinearly.

    The crop holds a share of the area that is uniform in [`smallest`, 1]; its sides are as 3:4 to 4:3, uniform in
    the logarithm; it lies anywhere. Ten are drawn and the first that fits is taken; if none does, the whole image.

    Source: Szegedy et al. 2015 (arXiv 1409.4842) as in torchvision's `RandomResizedCrop`. Deviation: sides and
        corners are not rounded to pixels.
    """
    found = drawn(torch.rand, (4, TRIES, len(images)), generator, dim=2)
    area, stretch = smallest + (1 - smallest) * found[0], ELONGATION * (2 * found[1] - 1)
    sides = torch.stack([(area * stretch.exp()).sqrt(), (area * (-stretch).exp()).sqrt()])
    fits = (sides <= 1).all(dim=0)
    first = fits.int().argmax(dim=0, keepdim=True)
    width, height, right, down = (
        each.gather(0, first)[0] for each in (*torch.where(fits.any(dim=0), sides, 1.0), *found[2:])
    )
    none = torch.zeros_like(width)
    rows = [
        torch.stack([width, none, (1 - width) * (2 * right - 1)]),
        torch.stack([none, height, (1 - height) * (2 * down - 1)]),
    ]
    places = F.affine_grid(torch.stack(rows).permute(2, 0, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, places, padding_mode="border", align_corners=False)


def check_crop(crop: float | None) -> None:
    """Refuse a smallest crop that is no share of the image's area."""
    if crop is not None and not 0 < crop <= 1:
        raise ConfigError(f"objective.crop={crop}: expected a share of the area in (0, 1]; .3 is published")
