"""Layers of every shipped encoder: the last is the output to the bit, and no layer sees what is hidden."""

import pytest
import torch
from astrojepa_vit import AstroJEPAViT
from torch import nn
from torch.nn import functional as F

from astrojepa_bench.encoders.floors import Pixels
from astrojepa_bench.encoders.profile import Profile
from astrojepa_bench.encoders.projected import Projected
from astrojepa_bench.encoders.ring_vit import RingViT
from astrojepa_bench.encoders.timm_models import TimmEncoder
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.types import ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.2, 0.3, 0.1), (0.1, 0.2, 0.3))
IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
SMALL = {"patch": 8, "width": 32, "depth": 3, "heads": 2}
PATCHED = {
    "vit": lambda: TokenViT(SPEC, **SMALL),
    "rings": lambda: RingViT(SPEC, axes=2, **SMALL),
    "astrojepa-vit": lambda: AstroJEPAViT(SPEC, **SMALL),
    "projected": lambda: Projected(TokenViT(SPEC, **SMALL), nn.Linear(32, 8)),
    "timm:test_vit": lambda: TimmEncoder.member("test_vit")(SPEC),
    "timm:eva02_tiny_patch14_224": lambda: TimmEncoder.member("eva02_tiny_patch14_224")(
        ImageSpec(SPEC.bands, 28, SPEC.mean, SPEC.std)
    ),
}
UNPATCHED = {
    "timm:test_convnext": lambda: TimmEncoder.member("test_convnext")(SPEC),
    "pixels": lambda: Pixels(SPEC),
    "profile": lambda: Profile(SPEC),
}


def built(make):
    with scoped_global(0, "tests"):
        encoder = make().eval()
        for parameter in encoder.parameters():
            nn.init.normal_(parameter, std=0.1)  # norms and biases too, to be told from their start
    return encoder


def shown(encoder):
    return F.interpolate(IMAGES, size=(encoder.spec.size_px,) * 2)


def kept(encoder):
    """A different half of the patches for each image, not in order."""
    every = torch.arange(encoder.grid.patches)
    return torch.stack([every.roll(3 * row).flip(0)[: max(1, len(every) // 2)] for row in range(3)])


@pytest.mark.parametrize("name", PATCHED)
@torch.no_grad()
def test_the_last_layer_is_the_output_and_hidden_patches_reach_none(name):
    """Whole and in part; other pixels where nothing is kept leave every layer as it is, to the bit."""
    encoder = built(PATCHED[name])
    images, keep, grid = shown(encoder), kept(encoder), encoder.grid
    seen = torch.zeros(3, grid.patches).scatter(1, keep, 1.0).view(3, 1, grid.rows, grid.columns)
    pixels = F.interpolate(seen, scale_factor=grid.patch_px, mode="nearest").bool()
    changed = torch.where(pixels, images, 1 - images)

    for given in (None, keep):
        output, layers = encoder(images, given), encoder.layers(images, given)
        assert len(layers) >= 3
        assert torch.equal(layers[-1].values, output.values)
        assert torch.equal(layers[-1].positions, output.positions)
        assert all(each.values.shape == output.values.shape for each in layers)
    for before, after in zip(encoder.layers(images, keep), encoder.layers(changed, keep), strict=True):
        assert torch.equal(before.values, after.values)
        assert torch.equal(before.positions, keep)
    assert not torch.equal(encoder.layers(images)[0].values, encoder.layers(changed)[0].values)


@pytest.mark.parametrize("name", UNPATCHED)
@torch.no_grad()
def test_an_encoder_without_patches_has_one_layer(name):
    """Its output."""
    encoder = built(UNPATCHED[name])
    (layer,) = encoder.layers(shown(encoder))

    assert torch.equal(layer.values, encoder(shown(encoder)).values)


@torch.no_grad()
def test_layers_are_what_a_shorter_encoder_ends_with():
    """After block 2 of 3, before the final norm, stand the tokens that blocks 1 and 2 make."""
    encoder = built(PATCHED["vit"])
    values, _ = encoder.patches(IMAGES, None)
    expected = encoder.blocks[1](encoder.blocks[0](values))

    torch.testing.assert_close(encoder.layers(IMAGES)[1].values, expected)
    torch.testing.assert_close(encoder.layers(IMAGES)[-1].values, encoder.norm(encoder.blocks[2](expected)))
