"""Dataset `template`: round and elongated blobs on a noisy sky, drawn on the spot.

Source: nothing to cite yet; name the survey, the release and every cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from astrojepa_bench.plugin import Card, ConfigError, Dataset, GalaxyTable, ImageSpec, hookimpl

CLASSES = ("round", "elongated")
BANDS = ("g", "r", "z")


class TemplateDataset(Dataset):
    """Galaxies of two classes, half of them to learn from.

    Args:
        galaxies: how many.
        seed: of everything random.
    """

    version = 1

    def __init__(self, *, galaxies: int = 1000, seed: int = 0) -> None:
        if galaxies < 40:
            raise ConfigError(f"dataset.galaxies={galaxies} does not fill three splits; give at least 40")
        self.galaxies, self.seed = galaxies, seed

    def load(self, size_px: int, cache_dir: Path) -> GalaxyTable:
        """Draw every galaxy; a slow source would be converted once and kept below `cache_dir`."""
        stream = np.random.default_rng(self.seed)
        label = np.arange(self.galaxies) % len(CLASSES)
        images = self._draw(size_px, label, stream)
        split = np.array(["train", "train", "val", "test"])[np.arange(self.galaxies) // 2 % 4]
        learnt = images[split == "train"] / 255
        mean, std = learnt.mean(axis=(0, 2, 3)).tolist(), learnt.std(axis=(0, 2, 3)).tolist()
        return GalaxyTable(
            images=images,
            ids=np.array([f"template-{row:06d}" for row in range(self.galaxies)]),
            split=split,
            spec=ImageSpec(BANDS, size_px, tuple(mean), tuple(std)),
            card=Card("template", licence="CC0", citation="nobody yet", class_names=CLASSES),
            fingerprint=hashlib.sha256(images.tobytes()).hexdigest()[:16],
            label=label,
            anomaly=np.zeros(self.galaxies, dtype=np.int64),
            anomaly_type=np.full(self.galaxies, "", dtype="<U1"),
        )

    def _draw(
        self, size_px: int, label: Int[np.ndarray, " galaxy"], stream: np.random.Generator
    ) -> UInt8[np.ndarray, "galaxy band height width"]:
        rows = len(label)
        y, x = np.mgrid[:size_px, :size_px] / size_px - 0.5
        angle = stream.uniform(0, np.pi, (rows, 1, 1))
        size = stream.uniform(0.04, 0.10, (rows, 1, 1))
        ratio = np.where(label == 0, 0.9, 0.35)[:, None, None]
        along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        profile = np.exp(-np.hypot(along, across / ratio) / size)[:, None]
        light = 0.1 + profile * stream.uniform(0.3, 0.9, (rows, len(BANDS), 1, 1))
        light += stream.normal(0, 0.03, (rows, len(BANDS), size_px, size_px))
        return (255 * light.clip(0, 1)).astype(np.uint8)


@hookimpl
def astrojepa_datasets() -> Mapping[str, type[Dataset]]:
    """Offer `template`."""
    return {"template": TemplateDataset}
