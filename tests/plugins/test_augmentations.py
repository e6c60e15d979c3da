"""Whatever the views of an objective are drawn by is an option of it, and so it stands in every record."""

import sys

import pytest
import torch
from astrojepa_random import NoMasks

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.component import Component
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)
DRAWN = {"scale": (0.7, 0.8), "shift": 0.03, "noise": 0.01, "blur": 0.4}
CROPPED = {"crop_scale": (0.4, 0.45), "crop_shift": 0.11}
METHODS = {
    "lejepa": ("astrojepa_lejepa", CROPPED),
    "lejepa-morphology": ("astrojepa_lejepa", CROPPED),
    "vicreg": ("astrojepa_two_views", {}),
    "supervised": ("astrojepa_supervised", {}),
}


REGISTRY = load_registry()


def component(name, **options):
    return Component.of(REGISTRY.get("objective", name), {"objective": options})


def drawn(monkeypatch, name, **options):
    """Compute one loss and return what each call of `augment` was told."""
    module, calls = sys.modules[METHODS[name][0]], []
    real = module.augment

    def spy(images, generator, **told):
        calls.append(told)
        return real(images, generator, **told)

    monkeypatch.setattr(module, "augment", spy)
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=16, depth=1, heads=2)
        part = component(name, **options)
        method = part.offer.factory(encoder, encoder.grid, 3, **part.options)
    rows = torch.arange(8)
    batch = GalaxyBatch(torch.rand(8, 3, 32, 32), rows, rows % 3)
    numbers = Streams(0, 0, torch.device("cpu"))
    method.loss(batch, MaskDraw(NoMasks(method.grid), numbers), numbers)
    return calls


@pytest.mark.parametrize("name", METHODS)
def test_every_number_that_draws_a_view_can_be_set(monkeypatch, name):
    """No view is drawn by a value that is only in the code."""
    options = {**DRAWN, **METHODS[name][1]} | ({"augmented": True} if name == "supervised" else {})
    calls = drawn(monkeypatch, name, **options)
    told = [{key: value for key, value in call.items() if key in DRAWN} for call in calls]
    crops = {**DRAWN, "scale": CROPPED["crop_scale"], "shift": CROPPED["crop_shift"]}
    assert told[0] == DRAWN
    assert all(each in (DRAWN, crops) for each in told)
    assert (crops in told) == bool(METHODS[name][1])


@pytest.mark.parametrize("name", METHODS)
def test_records_name_them_though_nobody_set_them(name):
    """What is recorded holds every default."""
    recorded = component(name).recorded()
    assert {*DRAWN, *METHODS[name][1]} <= recorded.keys()
    assert recorded["shift"] == 0.05
    assert recorded["noise"] == (0.05 if name == "vicreg" else 0.02)
