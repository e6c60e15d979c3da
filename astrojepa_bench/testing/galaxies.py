"""Invented galaxies: similar enough to real ones to learn from, drawn in milliseconds."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.types import GalaxyBatch, ImageSpec

SIZE_PX = 64
PATCH_PX = 8
CLASSES = 3
SKY, NOISE = 0.08, 0.02
BANDS = ("u", "g", "r", "i", "z")


def image_spec(bands: int = 3, size_px: int = SIZE_PX) -> ImageSpec:
    """Describe the images below."""
    return ImageSpec(BANDS[:bands], size_px, (0.12,) * bands, (0.11,) * bands)


def images(
    count: int, *, bands: int = 3, size_px: int = SIZE_PX, seed: int = 0
) -> Float[Tensor, "batch band height width"]:
    """Draw exponential discs of three axis ratios on a noisy sky, in [0, 1]; row i is of class i modulo 3."""
    return _drawn(count, bands, size_px, seed).clone()  # a component may change them in place


@functools.lru_cache(maxsize=16)
def _drawn(count: int, bands: int, size_px: int, seed: int) -> Float[Tensor, "batch band height width"]:
    stream = numpy_stream(seed, "invented galaxies")
    axis_ratio = np.array([0.9, 0.5, 0.2])[np.arange(count) % CLASSES][:, None, None]
    angle, size = stream.uniform(0, np.pi, count), stream.uniform(0.06, 0.12, count) * size_px
    y, x = np.mgrid[:size_px, :size_px] - (size_px - 1) / 2
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    radius = np.hypot(cos * x + sin * y, (cos * y - sin * x) / axis_ratio) / size[:, None, None]
    colour = stream.uniform(0.4, 0.9, (count, bands, 1, 1))
    light = (
        SKY + colour * np.exp(-radius)[:, None] + NOISE * stream.normal(size=(count, bands, size_px, size_px))
    )
    return torch.from_numpy(light.clip(0, 1)).float()


def batch_of(
    shown: Float[Tensor, "batch band height width"],
    *,
    labels: str = "none",
    columns: tuple[str, ...] | Mapping[str, int] = (),
) -> GalaxyBatch:
    """Put images into a batch, with labels (`some`: of every other one) and columns (unknown of the third)."""
    rows = torch.arange(len(shown))
    known = (rows >= 0) if labels == "all" else (rows % 2 == 0) & (labels == "some")
    stream, numbers = numpy_stream(0, "invented columns"), dict[str, Tensor]()
    for name, width in (columns if isinstance(columns, Mapping) else dict.fromkeys(columns, 1)).items():
        values = torch.from_numpy(stream.normal(size=(len(shown), width))).float()
        values[2:3] = torch.nan
        numbers[name] = values if width > 1 else values[:, 0]
    ids = np.array([f"invented-{row:02d}" for row in range(len(shown))])
    return GalaxyBatch(shown, rows, torch.where(known, rows % CLASSES, -1), numbers, len(shown), rows, ids)


def stored_edge_cases(size_px: int = SIZE_PX) -> Mapping[str, Float[Tensor, "band height width"]]:
    """Return 8-bit images that break careless arithmetic."""
    galaxy = images(1, size_px=size_px)[0]
    lone = torch.zeros_like(galaxy)
    lone[:, size_px // 3, size_px // 2] = 1.0
    star = galaxy.clone()
    star[:, :, size_px // 4 : size_px // 4 + 3] = 1.0  # the bleeding columns of a saturated star
    return {
        "all-zero image": torch.zeros_like(galaxy),
        "constant image": torch.full_like(galaxy, 0.5),
        "saturated image": torch.ones_like(galaxy),
        "single bright pixel": lone,
        "saturated star": star,
    }


def edge_cases(size_px: int = SIZE_PX) -> Mapping[str, Float[Tensor, "band height width"]]:
    """Return these, and products of image processing: negative sky, borders without data."""
    galaxy = images(1, size_px=size_px)[0]
    bordered = galaxy.clone()
    bordered[:, :4], bordered[:, :, -4:] = torch.nan, torch.nan
    return {
        **stored_edge_cases(size_px),
        "negative sky": galaxy - 2 * SKY,
        "NaN border": bordered,
    }
