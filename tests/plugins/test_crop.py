"""Random crops: drawn as torchvision's, and seen by all that an objective trains."""

import numpy as np
import pytest
import torch
from astrojepa_crop import cropped
from astrojepa_mae import MAE
from astrojepa_masked_lejepa import MaskedLeJEPA
from astrojepa_random import RandomPatches
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec


def windows(smallest, count=2000):
    """Left and top edge, width and height of crops, as shares of the side, read off ramps that were cropped."""
    place = (torch.arange(32) + 0.5) / 32
    ramps = torch.stack(torch.broadcast_tensors(place[None, :], place[:, None]))
    across, down = cropped(
        ramps.expand(count, -1, -1, -1), smallest, torch.Generator().manual_seed(0)
    ).unbind(1)
    width, height = 32 * (across[:, 16, 17] - across[:, 16, 16]), 32 * (down[:, 17, 16] - down[:, 16, 16])
    left, top = across[:, 16, 16] - 16.5 / 32 * width, down[:, 16, 16] - 16.5 / 32 * height
    return torch.stack([left, top, width, height]).double().numpy()


@pytest.mark.parametrize("smallest", [0.3, 0.9])
def test_crops_are_drawn_as_torchvisions(smallest):
    """Areas, shapes and places have the distribution of its `RandomResizedCrop`; nothing lies outside."""
    left, top, width, height = windows(smallest)
    with scoped_global(0, "tests"):
        image = torch.empty(1, 1, 1).expand(1, 10**6, 10**6)  # corners are rounded to pixels
        theirs = [RandomResizedCrop.get_params(image, (smallest, 1.0), (3 / 4, 4 / 3)) for _ in range(2000)]
    down, right, tall, wide = np.array(theirs).T / 10**6
    pairs = [(width * height, wide * tall), (width / height, wide / tall), (left, right), (top, down)]

    assert min(left.min(), top.min(), (1 - left - width).min(), (1 - top - height).min()) > -1e-5
    assert min(ks_2samp(*pair).pvalue for pair in pairs) > 0.001


def method_of(kind, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(
            ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3), patch=4, width=32, depth=1, heads=2
        )
        return kind(encoder, encoder.grid, 0, **options)


def galaxies(images):
    rows = torch.arange(len(images))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def answer_of(method, verb, images):
    streams = Streams(0, 0, torch.device("cpu"))
    return getattr(method, verb)(galaxies(images), MaskDraw(RandomPatches(method.grid), streams), streams)


@pytest.mark.parametrize("kind", [MAE, MaskedLeJEPA])
def test_what_is_trained_sees_the_crop_and_predictions_the_whole_image(kind):
    """The loss of a crop is the plain loss of the cropped images, drawn from the stream of its name."""
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    crops = cropped(images, 0.3, Streams(0, 0, torch.device("cpu")).local("crop"))
    found = answer_of(method_of(kind, crop=0.3), "loss", images)

    torch.testing.assert_close(found.total, answer_of(method_of(kind), "loss", crops).total)
    assert not torch.isclose(found.total, answer_of(method_of(kind), "loss", images).total, rtol=1e-4)
    whole, plain = (answer_of(method_of(kind, crop=crop), "predict", images) for crop in (0.3, None))
    assert torch.equal(whole.actual, plain.actual)


@pytest.mark.parametrize("kind", [MAE, MaskedLeJEPA])
@pytest.mark.parametrize("crop", [0.0, 1.5])
def test_no_share_of_the_area_is_refused(kind, crop):
    """The message names the option and what it may be."""
    with pytest.raises(ConfigError, match=rf"objective\.crop={crop}: expected a share of the area"):
        method_of(kind, crop=crop)
