"""A table of invented galaxies and trainers small enough for one core."""

import numpy as np
import pytest
import torch
from astrojepa_ijepa import IJEPA
from astrojepa_lejepa import LeJEPA
from astrojepa_random import RandomPatches

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

OBJECTIVES = {
    "lejepa": lambda encoder: LeJEPA(
        encoder, encoder.grid, 0, projector=32, embedding=8, slices=16, batch_size=16
    ),
    "ijepa": lambda encoder: IJEPA(
        encoder, encoder.grid, 0, targets=2, predictor_width=32, predictor_depth=1, batch_size=16
    ),
}


@pytest.fixture(scope="session")
def table():
    """Forty galaxies to learn from (train and pool), twenty that training must never see."""
    rows = 60
    split = np.array(["train"] * 30 + ["test"] * 20 + ["pool"] * 10)
    return GalaxyTable(
        images=np.random.default_rng(0).integers(0, 256, (rows, 3, 32, 32), dtype=np.uint8),
        ids=np.array([f"galaxy-{row:03d}" for row in range(rows)]),
        split=split,
        spec=ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3),
        card=Card("invented", "CC0", "nobody"),
        fingerprint="invented",
        label=np.where(split == "pool", -1, np.arange(rows) % 3),
        anomaly=np.zeros(rows, dtype=np.int64),
        anomaly_type=np.array([""] * rows),
    )


@pytest.fixture
def make_encoder(table):
    """Build one and the same small transformer for a seed."""

    def make(seed=0):
        with scoped_global(seed, "initial weights"):
            return TokenViT(table.spec, patch=8, width=32, depth=2, heads=2)

    return make


@pytest.fixture
def make_objective(make_encoder):
    """Build an objective by name, or from a function of the encoder."""

    def make(kind, seed=0):
        with scoped_global(seed, "objective"):
            return OBJECTIVES.get(kind, kind)(make_encoder(seed))

    return make


@pytest.fixture
def make_trainer(table, make_objective):
    """Build a trainer of twelve steps of sixteen galaxies."""

    def make(kind="lejepa", seed=0, steps=12):
        objective = make_objective(kind, seed)
        images = DeviceImages(table.images, torch.device("cpu"))
        budget = Budget("tiny", 32, 8, 16 * steps, "vit-micro", "tests")
        return Trainer(objective, RandomPatches(objective.grid), table, images, budget, seed)

    return make
