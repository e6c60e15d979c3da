"""A tiny file of galaxies with planted classes, and a tiny budget."""

import h5py
import numpy as np
import pytest

from astrojepa_bench.training.budgets import BUDGETS, Budget


@pytest.fixture
def galaxies(tmp_path):
    """Write 240 noisy galaxies of 64 px: round, elongated and ringed."""
    stream = np.random.default_rng(0)
    label = np.arange(240) % 3
    y, x = np.mgrid[-32:32, -32:32]
    shapes = [np.exp(-(x**2 + y**2) / 60), np.exp(-(x**2 / 200 + y**2 / 15))]
    shapes.append(np.exp(-((np.hypot(x, y) - 14) ** 2) / 10))
    images = np.stack([shapes[kind] for kind in label])[..., None] * [180, 200, 150]
    images = np.clip(images + stream.normal(20, 12, images.shape), 0, 255).astype(np.uint8)
    path = tmp_path / "tiny.h5"
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images, label
        file["ra"], file["dec"] = (
            np.arange(240.0),
            np.full(240, 10.0),
        )  # or copies would be looked for by pixels
    return path


@pytest.fixture
def tiny(monkeypatch):
    """Name a budget of 256 images."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 8, 256, "vit-micro", "tests"))
