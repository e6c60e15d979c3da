"""Whitening against scikit-learn, and the transformer that is read by whitened rings."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from astrojepa_bench.encoders.ring_vit import RingViT
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.encoders.whitening import WIDE, Whitening
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.types import ImageSpec

SPEC = ImageSpec(("g", "r", "z"), 32, (0.5,) * 3, (0.2,) * 3)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def features(galaxies=400, dim=12):
    """Correlated features whose spreads differ a thousandfold."""
    mixed = torch.randn(dim, dim, generator=stream(1)).double()
    return (torch.randn(galaxies, dim, generator=stream(2)).double() * torch.logspace(0, -3, dim)) @ mixed + 5


def ring_vit(axes=16):
    with scoped_global(0, "test"):
        return RingViT(SPEC, axes=axes, width=24, depth=2, heads=2).eval()


def images(count=100):
    return torch.rand(count, 3, 32, 32, generator=stream(3))


def test_whitened_features_are_those_of_scikit_learn():
    """Each axis has unit variance and equals scikit-learn's up to rounding."""
    whitening = Whitening(12, 8).double()
    whitening.fit(features())
    expected = PCA(8, whiten=True, svd_solver="covariance_eigh").fit_transform(features().numpy())
    np.testing.assert_allclose(whitening(features()).numpy(), expected, atol=1e-6)


def test_until_it_is_fitted_nothing_changes():
    """A watch for collapse sees the features themselves."""
    assert torch.equal(Whitening(12, 8)(features().float()), features().float())


def test_axes_that_rounding_alone_spans_give_nothing():
    """Whitening does not turn a collapsed encoder's rounding into features."""
    flat = torch.randn(200, 1, generator=stream()) * torch.ones(1, 12) + 1e-9 * torch.randn(
        200, 12, generator=stream(4)
    )
    whitening = Whitening(12, 4)
    whitening.fit(flat)
    assert whitening(flat).std(dim=0)[1:].max() == 0
    constant = Whitening(12, 4)
    constant.fit(torch.ones(200, 12))
    assert torch.equal(constant(torch.ones(3, 12)), torch.zeros(3, 4))


def test_too_few_galaxies_and_too_many_axes_are_refused():
    """The message names the option."""
    with pytest.raises(ConfigError, match=r"encoder\.axes=13: expected 1 to 12"):
        Whitening(12, 13)
    with pytest.raises(ConfigError, match=r"8 galaxies cannot give 8 axes; lower encoder\.axes"):
        Whitening(12, 8).fit(features(8))


def test_its_tokens_are_those_of_the_plain_transformer():
    """Only what is read differs: the same start, the same tokens."""
    with scoped_global(0, "test"):
        plain = ViTMicro(SPEC, width=24, depth=2, heads=2).eval()
    assert torch.equal(ring_vit()(images(4)).values, plain(images(4)).values)


@pytest.mark.parametrize("tap", ["last", "last4"])
def test_settled_features_are_uncorrelated(tap):
    """Unit covariance on the galaxies that it was fitted on."""
    encoder = ring_vit()
    encoder.fit_readout(images())
    found = encoder.taps(images())[tap]
    assert found.shape == (100, 16)
    torch.testing.assert_close(torch.cov(found.T), torch.eye(16), atol=2e-3, rtol=0)


@pytest.mark.parametrize("tap", ["last", "last4"])
def test_every_tap_is_that_of_scikit_learn(tap):
    """Rings of the plain transformer, by a full decomposition; each axis up to its sign, on galaxies unseen too."""
    encoder = ring_vit(axes=6)
    with scoped_global(0, "test"):
        plain = ViTMicro(SPEC, width=24, depth=2, heads=2, pooling="rings").eval()
    encoder.fit_readout(images())
    with torch.no_grad():
        fitted, unseen = plain.taps(images())[tap].double(), plain.taps(images(120)[100:])[tap].double()
        found = encoder.taps(images(120)[100:])[tap].numpy()
    expected = PCA(6, whiten=True, svd_solver="full").fit(fitted.numpy()).transform(unseen.numpy())
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=5e-3)


def test_wide_features_are_whitened_alike():
    """The few axes that are kept of thousands are found without all the others."""
    mixed = torch.randn(20, WIDE, generator=stream(5)).double()
    wide = (torch.randn(300, 20, generator=stream(6)).double() * torch.logspace(0, -2, 20)) @ mixed
    whitening = Whitening(WIDE, 8).double()
    whitening.fit(wide)
    expected = PCA(8, whiten=True, svd_solver="full").fit_transform(wide.numpy())
    np.testing.assert_allclose(np.abs(whitening(wide).numpy()), np.abs(expected), atol=1e-6)


def test_what_was_fitted_is_kept_with_the_weights():
    """Another instance gives the same features from the same file."""
    encoder, other = ring_vit(), ring_vit()
    encoder.fit_readout(images())
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other.taps(images(5))["last"], encoder.taps(images(5))["last"])


def test_there_is_no_timm_form():
    """The refusal names the encoder that has one."""
    with pytest.raises(ConfigError, match="export a run of encoder 'vit-micro'"):
        ring_vit().as_timm()
