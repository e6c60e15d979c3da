"""Supervised: plain cross-entropy of the labels, on labelled training galaxies only."""

import numpy as np
import pytest
import torch
from astrojepa_random import NoMasks
from astrojepa_supervised import Supervised

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.types import GalaxyBatch, ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)


def objective(classes=3, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=32, depth=2, heads=2)
        return Supervised(encoder, encoder.grid, classes, **options)


def batch(galaxies=24):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, rows % 3)


def no_masks(images, sizes):
    return NoMasks(None).draw(images, sizes, None)


def loss_of(method, given=None, step=0):
    return method.loss(batch() if given is None else given, no_masks, Streams(0, step, torch.device("cpu")))


def test_loss_is_the_surprise_of_the_labels():
    """NumPy's mean of -log softmax at the label is the loss."""
    method = objective(augmented=False)
    scores = method.logits(batch().images).detach().numpy().astype(np.float64)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = -np.log(chances[np.arange(24), batch().labels.numpy()]).mean()

    assert float(loss_of(method).total.detach()) == pytest.approx(expected, rel=1e-5)


def test_a_head_that_knows_nothing_is_surprised_by_the_number_of_classes():
    """With the head at zero the loss is ln 3 for three classes."""
    method = objective(augmented=False)
    for parameter in method.head.parameters():
        torch.nn.init.zeros_(parameter)

    assert float(loss_of(method).total.detach()) == pytest.approx(np.log(3))


@pytest.mark.parametrize("augmented", [False, True])
def test_every_parameter_learns(augmented):
    """Gradient reaches encoder and head, with and without further augmentation."""
    method = objective(augmented=augmented)
    loss = loss_of(method)
    loss.total.backward()

    assert loss.first_non_finite() is None
    assert all(p.grad is not None and p.grad.any() for p in method.parameters())


def test_galaxies_are_shown_as_they_are_or_as_views():
    """Two steps on one batch differ by the views that are drawn, and are equal without."""
    plain, turned = objective(augmented=False), objective()

    assert torch.equal(loss_of(plain, step=0).total, loss_of(plain, step=1).total)
    assert not torch.equal(loss_of(turned, step=0).total, loss_of(turned, step=1).total)


def test_it_is_the_ceiling_and_says_that_it_needs_labels():
    """It frames the board, asks for labels, and takes no masks."""
    facts = (Supervised.standing, Supervised.labels, Supervised.masks)

    assert facts == ("ceiling", "all", "ignored")


@pytest.mark.parametrize("classes", [0, 1])
def test_fewer_than_two_classes_are_refused(classes):
    """There is nothing to tell apart."""
    with pytest.raises(ConfigError, match="needs two classes"):
        objective(classes)


def test_preset_of_it_is_a_ceiling_that_needs_labels(tmp_path):
    """Facts are read through `functools.partial`: a preset must not pass for a contestant without labels."""
    path = tmp_path / "preset.py"
    path.write_text(
        "from functools import partial\n\n"
        "from astrojepa_supervised import Supervised\n\n"
        "from astrojepa_bench.plugin import hookimpl\n\n\n"
        "@hookimpl\n"
        "def astrojepa_objectives():\n"
        '    return {"slow-supervised": partial(Supervised, learning_rate=1e-4)}\n'
    )
    asked = {"objectives": "slow-supervised", "maskers": "random", "budget": "smoke", "floors": False}
    (cell,) = make_plan(make_request(asked), load_registry([path])).cells

    assert (cell.standing, cell.masker.name) == ("ceiling", "none")
    assert cell.objective.offer.declares("labels") == "all"
    assert cell.objective.options["learning_rate"] == 1e-4
