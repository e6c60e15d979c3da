"""Galaxies, views and witnesses for the tests of objectives."""

import importlib
import os

import pytest
import torch

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.roles import Encoder
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Progress, Tokens

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)


class LinearEncoder(Encoder):
    """One token an image, linear in the pixels: what collapses here does so because of the loss."""

    grid = None

    def __init__(self, spec, dim=16):
        super().__init__(spec)
        self.dim = dim
        self.layer = torch.nn.Linear(len(spec.bands) * spec.size_px**2, dim)

    def forward(self, images, keep=None):
        values = self.layer(images.flatten(1) - 0.5)[:, None]
        return Tokens(values, torch.zeros(len(images), 1, dtype=torch.long))


class Bench:
    """What an objective is given: encoders, batches, streams, steps of training."""

    spec = SPEC

    def build(self, kind, encoder="vit", **options):
        """Build an objective around a small vision transformer, or around a linear encoder of 8 px."""
        with scoped_global(0, "tests"):
            made = (
                TokenViT(SPEC, patch=8, width=32, depth=2, heads=2)
                if encoder == "vit"
                else LinearEncoder(ImageSpec(SPEC.bands, 8, SPEC.mean, SPEC.std))
            )
            return kind(made, made.grid, 0, **options)

    def batch(self, galaxies=24, size=32):
        """Draw galaxies: noise that is smooth over a quarter of the side, so that a view resembles its like."""
        numbers = torch.Generator().manual_seed(0)
        coarse = torch.rand(galaxies, 3, 4, 4, generator=numbers)
        images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
        rows = torch.arange(galaxies)
        return GalaxyBatch(images, rows, torch.full_like(rows, -1))

    def streams(self, step=0, progress=0.0):
        """Return the streams of a step."""
        return Streams(0, step, torch.device("cpu"), progress=progress)

    def train(self, method, steps, learning_rate=5e-3, galaxies=64):
        """Train as the loop does, on views that are new at every step."""
        given = self.batch(galaxies, method.encoder.spec.size_px)
        optimiser = torch.optim.AdamW(
            [each for each in method.parameters() if each.requires_grad], lr=learning_rate
        )
        for step in range(steps):
            loss = method.loss(given, no_masks, self.streams(step, step / steps))
            optimiser.zero_grad(set_to_none=True)
            loss.total.backward()
            method.before_step(Progress(step + 1, steps))
            optimiser.step()
            method.after_step(Progress(step + 1, steps))
        return method

    def spread(self, values):
        """Measure how far apart rows point: 1 where they point everywhere, 0 where they all point one way."""
        directions = torch.nn.functional.normalize(values.detach(), dim=-1)
        return float(directions.var(dim=0, correction=0).sum())


def no_masks(images, sizes, hint=None):
    """Refuse to draw: the objectives of these tests ignore masks."""
    raise AssertionError("an objective that ignores masks must not ask for any")


@pytest.fixture(scope="session")
def bench():
    """Lend what an objective is given."""
    return Bench()


@pytest.fixture(scope="session")
def no_draw():
    """Lend a draw that nobody may call."""
    return no_masks


@pytest.fixture(scope="session")
def descend():
    """Lend the training of a linear map on two noisy views of few causes, without images."""

    def trained(loss_of, steps=200, dim=8, samples=128):
        numbers = torch.Generator().manual_seed(0)
        mixing = torch.randn(6, 24, generator=numbers)
        with scoped_global(0, "tests"):
            layer = torch.nn.Linear(24, dim)
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
        for _ in range(steps):
            causes = torch.randn(samples, 6, generator=numbers) @ mixing
            noise = 2 * torch.randn(2, samples, 24, generator=numbers)
            views = layer(causes + noise)
            loss = loss_of(*views)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return views.detach()

    return trained


@pytest.fixture(scope="session")
def lightly_losses():
    """Lend the losses of lightly, the independent witness; without it skip, unless WITNESSES=required as in CI."""
    if os.environ.get("WITNESSES") == "required":
        return importlib.import_module("lightly.loss")
    return pytest.importorskip("lightly.loss")
