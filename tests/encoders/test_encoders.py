"""Encoders: what is hidden stays hidden, and every part equals an independent computation."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch.nn import functional as F

from astrojepa_bench.encoders.floors import Majority, PixelPCA
from astrojepa_bench.encoders.positions import sincos_positions
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.types import ImageSpec


def spec_of(bands, size_px=32):
    return ImageSpec(tuple(f"b{i}" for i in range(bands)), size_px, (0.2,) * bands, (0.1,) * bands)


def images_of(batch, bands=3, size_px=32, seed=0):
    return torch.rand(batch, bands, size_px, size_px, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_all_patches_by_index_equal_all_patches_by_default(bands):
    """Naming every patch gives what naming none gives, for any number of bands."""
    encoder = TokenViT(spec_of(bands), patch=8, width=32, depth=2, heads=2).eval()
    images = images_of(4, bands)
    everything = torch.arange(16).expand(4, -1)

    torch.testing.assert_close(encoder(images).values, encoder(images, keep=everything).values)


def test_hidden_patches_cannot_reach_the_output():
    """Changing every pixel outside the kept patches changes nothing."""
    encoder = TokenViT(spec_of(3), patch=8, width=32, depth=2, heads=2).eval()
    images = images_of(2)
    changed = images_of(2, seed=1)
    changed[:, :, :8, :16] = images[:, :, :8, :16]  # patches 0 and 1
    keep = torch.tensor([[0, 1], [1, 0]])

    torch.testing.assert_close(encoder(images, keep=keep).values, encoder(changed, keep=keep).values)


def test_patches_are_embedded_as_a_strided_convolution_would():
    """Cutting and multiplying equals a convolution whose kernel is its stride."""
    encoder = TokenViT(spec_of(3), patch=8, width=32, depth=1, heads=2)
    images = images_of(2)
    kernel = encoder.embed.weight.view(32, 3, 8, 8)
    expected = F.conv2d((images - 0.2) / 0.1, kernel, encoder.embed.bias, stride=8).flatten(2).transpose(1, 2)
    values, _ = encoder.patches(images, None)

    torch.testing.assert_close(values - sincos_positions(4, 4, 32), expected, atol=1e-5, rtol=1e-5)


def test_positions_follow_the_published_formula():
    """Column first, row second; sines before cosines; frequencies 10000^(-4i/D)."""
    codes = sincos_positions(3, 5, 8)
    column, row = 3, 2
    wanted = [np.sin(column), np.sin(column * 0.01), np.cos(column), np.cos(column * 0.01)]
    wanted += [np.sin(row), np.sin(row * 0.01), np.cos(row), np.cos(row * 0.01)]

    np.testing.assert_allclose(codes[row * 5 + column].numpy(), wanted, rtol=1e-6)


def test_taps_are_the_pooled_tokens():
    """`last` is the mean of the output tokens; `last4` starts with it and has one more part a block."""
    encoder = TokenViT(spec_of(3), patch=8, width=32, depth=3, heads=2).eval()
    images = images_of(2)
    taps = encoder.taps(images)

    torch.testing.assert_close(taps["last"], encoder(images).values.mean(dim=1))
    assert taps["last4"].shape == (2, 32 * 4)
    torch.testing.assert_close(taps["last4"][:, :32], taps["last"])


def test_patch_that_does_not_tile_is_refused_with_the_numbers():
    """The message names the patch, the image and what would fit."""
    with pytest.raises(ConfigError, match=r"patch=7 does not tile an image of 32 px .* use one of"):
        TokenViT(spec_of(3), patch=7, width=32, depth=1, heads=2)


def test_components_equal_scikit_learns():
    """Projections equal scikit-learn's own transform of the same pixels."""
    images = images_of(60)
    floor = PixelPCA(spec_of(3), components=5, size=8)
    floor.fit_inputs(images)
    pixels = F.interpolate(images, size=(8, 8), mode="area").flatten(1).double().numpy()
    expected = PCA(5, svd_solver="covariance_eigh").fit(pixels).transform(pixels)

    np.testing.assert_allclose(floor(images).values[:, 0].numpy(), expected, atol=1e-4)


def test_majority_tells_nothing_apart():
    """Every image has the same single feature."""
    assert Majority(spec_of(3))(images_of(5)).values.unique().numel() == 1
