"""Our own training step, as the loop takes it, on images of noise."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.geometry.grids import Masks
from astrojepa_bench.plugin import Masker, Objective
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

MEAN, STD = 0.2, 0.1


@dataclass(frozen=True)
class Size:
    """A size at which steps are compared."""

    image_px: int
    patch_px: int
    width: int
    depth: int
    heads: int
    batch: int


def spec_of(size: Size) -> ImageSpec:
    """Return three bands."""
    return ImageSpec(("z", "r", "g"), size.image_px, (MEAN,) * 3, (STD,) * 3)


def encoder_of(size: Size) -> TokenViT:
    """Make an encoder; the same weights each time."""
    torch.manual_seed(0)
    return TokenViT(spec_of(size), patch=size.patch_px, width=size.width, depth=size.depth, heads=size.heads)


def trainer_of(
    objective: type[Objective],
    masker: type[Masker] | None,
    size: Size,
    *,
    bf16: bool = False,
    encoder: TokenViT | None = None,
    **options: Any,
) -> Trainer:
    """Put an objective into the loop, ready to step, with weights that are the same each time."""
    table = noise(size, 2 * size.batch)
    encoder = encoder or encoder_of(size)
    torch.manual_seed(1)
    built = objective(encoder, encoder.grid, 0, batch_size=size.batch, **options)
    budget = Budget("benchmark", size.image_px, size.patch_px, 1000 * size.batch, "vit", "timing")
    if bf16:
        budget = replace(budget, precision="bf16")
    drawn = None if masker is None else masker(encoder.grid)
    trainer = Trainer(built, drawn, table, DeviceImages(table.images, torch.device("cpu")), budget, 0)
    trainer.rehearses = False
    built.train()
    return trainer


def knows_precision() -> bool:
    """Whether a budget may ask for bfloat16."""
    return "precision" in {each.name for each in fields(Budget)}


def noise(size: Size, count: int) -> GalaxyTable:
    """Invent a table of train galaxies."""
    stream = np.random.default_rng(0)
    shape = (count, 3, size.image_px, size.image_px)
    return GalaxyTable(
        images=np.clip(stream.normal(255 * MEAN, 255 * STD, shape), 0, 255).astype(np.uint8),
        ids=np.array([f"g{row}" for row in range(count)]),
        split=np.array(["train"] * count),
        spec=spec_of(size),
        card=Card("noise", "", ""),
        fingerprint="noise",
        label=np.full(count, -1),
        anomaly=np.zeros(count, dtype=int),
        anomaly_type=np.array([""] * count),
    )


def drawn(trainer: Trainer, images: Tensor, step: int = 0) -> Masks:
    """Draw the masks that an objective asks for."""
    from astrojepa_bench.streams import Streams

    draw = MaskDraw(trainer.masker, Streams(0, step, images.device, progress=0.0))
    return draw(images, trainer.objective.sizes)
