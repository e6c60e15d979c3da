"""MAE: only hidden pixels count, sky does not rule the loss, and every masker says what is hidden."""

import numpy as np
import pytest
import torch
from astrojepa_brightness import Brightness
from astrojepa_mae import MAE, cut, mask_sizes, normalised, sky_variance
from astrojepa_multiblock import Multiblock
from astrojepa_random import NoMasks, RandomPatches

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import MaskSizes, PatchGrid
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec

MASKERS = [RandomPatches, Multiblock, Brightness]


def spec_of(bands=3, size=32):
    return ImageSpec(tuple("zrgiu"[:bands]), size, (0.4,) * bands, (0.2,) * bands)


def objective(bands=3, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(spec_of(bands), patch=4, width=32, depth=2, heads=2)
        return MAE(
            encoder, encoder.grid, 0, **{"decoder_width": 32, "decoder_depth": 1, "visible": 0.25, **options}
        )


def batch(galaxies=4, bands=3):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, bands, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def answer_of(method, verb="predict", masker=RandomPatches, given=None):
    streams = Streams(0, 0, torch.device("cpu"))
    draw = MaskDraw(masker(method.grid), streams)
    return getattr(method, verb)(batch() if given is None else given, draw, streams)


def sky_with_a_galaxy(noise=0.02):
    """Return images of blank noisy sky whose central four of 64 patches hold a bright galaxy."""
    generator = torch.Generator().manual_seed(1)
    images = 0.1 + noise * torch.randn(64, 3, 32, 32, generator=generator)
    axis = torch.arange(32) - 15.5
    galaxy = torch.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / 18)
    return images + 0.8 * galaxy


def pixels_by_hand(image, patch, index, columns):
    row, column = divmod(index, columns)
    return image[:, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch].reshape(-1)


@pytest.mark.parametrize("masker", MASKERS)
def test_exactly_what_is_not_visible_is_painted(masker):
    """Every masker leaves a quarter visible; the other three quarters are predicted, each patch once."""
    method = objective()
    answer = answer_of(method, masker=masker)
    hidden = answer.positions[:, 0].sort(dim=1).values

    assert answer.predicted.shape == (4, 1, 48, 48)
    assert all(len(set(row.tolist())) == 48 for row in hidden)


@pytest.mark.parametrize(("visible", "share"), [(0.25, 0.75), (0.5, 0.5)])
def test_health_tells_the_share_that_is_painted(visible, share):
    """Of 64 patches a quarter or half is seen; the rest is painted, blocks and what lies between them."""
    assert objective(visible=visible).health() == {"hidden_share": share}


def test_actual_pixels_are_those_of_the_hidden_places():
    """Target k is the patch at position k, cut by hand, in units of the band's spread."""
    method = objective(norm="none")
    answer = answer_of(method)
    images = (batch().images - 0.4) / 0.2

    for galaxy, k in ((0, 0), (2, 17), (3, 47)):
        place = int(answer.positions[galaxy, 0, k])
        torch.testing.assert_close(
            answer.actual[galaxy, 0, k], pixels_by_hand(images[galaxy], 4, place, columns=8)
        )


def test_loss_is_the_mean_square_over_hidden_pixels_only():
    """NumPy's mean of squares of the answers is the loss; other visible targets do not enter."""
    method = objective()
    answer = answer_of(method)
    loss = answer_of(method, "loss")
    gaps = (answer.predicted - answer.actual).detach().numpy().astype(np.float64)

    assert float(loss.total.detach()) == pytest.approx((gaps**2).mean(), rel=1e-5)
    assert list(loss.terms) == ["prediction"]


def test_hidden_pixels_do_not_reach_the_prediction():
    """Other pixels in the hidden patches change the target and leave every prediction, bit by bit."""
    method = objective()
    before = answer_of(method)
    hidden = torch.zeros(4, 64).scatter(1, before.positions[:, 0], 1.0).reshape(-1, 1, 8, 8)
    hidden = hidden.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3).bool()
    given = batch()
    changed = GalaxyBatch(torch.where(hidden, 1 - given.images, given.images), given.rows, given.labels)
    after = answer_of(method, given=changed)

    assert torch.equal(before.predicted, after.predicted)
    assert not torch.allclose(before.actual, after.actual)


def test_each_place_is_answered_by_its_own_position():
    """Asking for hidden places in another order gives the same answers in that order."""
    method = objective()
    visible = method.encoder(batch().images, keep=torch.arange(16).expand(4, -1))
    hidden = torch.arange(16, 64).expand(4, -1)
    forward, backward = method.decoder(visible, hidden), method.decoder(visible, hidden.flip(1))

    torch.testing.assert_close(forward, backward.flip(1))
    assert not torch.allclose(forward[:, 0], forward[:, 1])


@pytest.mark.parametrize("norm", ["patch", "patch-plain", "none"])
def test_every_parameter_learns(norm):
    """Gradient reaches the encoder, the decoder and the mask token."""
    method = objective(norm=norm)
    loss = answer_of(method, "loss")
    loss.total.backward()

    assert loss.first_non_finite() is None
    assert all(p.grad is not None and p.grad.any() for p in method.parameters())


def test_plain_targets_have_zero_mean_and_unit_variance():
    """As published, every patch is standardised by itself, whatever it shows."""
    targets = normalised(cut(sky_with_a_galaxy(), 4), "patch-plain", bands=3)

    torch.testing.assert_close(targets.mean(dim=-1), torch.zeros(64, 64), rtol=0, atol=1e-4)
    torch.testing.assert_close(targets.var(dim=-1, correction=0), torch.ones(64, 64), rtol=0, atol=0.01)


@pytest.mark.parametrize("noise", [0.005, 0.02, 0.05])
def test_blank_sky_keeps_a_ninth_of_the_variance_whatever_the_depth(noise):
    """Sky is divided by three times its own noise in deep and shallow exposures alike."""
    targets = normalised(cut(sky_with_a_galaxy(noise), 4), "patch", bands=3)
    sky = targets[:, [0, 7, 56, 63]]  # the corners

    assert float(sky.square().mean()) == pytest.approx(1 / 9, rel=0.15)


def test_sky_rules_the_plain_loss_and_not_the_floored_one():
    """Of the squares that a decoder must explain, blank sky makes most as published, a minority with the floor."""
    pixels = cut(sky_with_a_galaxy(), 4)
    blank = pixels.amax(dim=-1) < 0.25
    shares = {}
    for norm in ("patch", "patch-plain"):
        squares = normalised(pixels, norm, bands=3).square().mean(dim=-1)
        shares[norm] = float(squares[blank].sum() / squares.sum())

    assert shares["patch-plain"] > 0.75
    assert shares["patch"] < 0.4


def test_bright_patches_are_treated_as_published():
    """A patch that stands out far above the noise has unit variance under either rule."""
    pixels = cut(sky_with_a_galaxy(), 4)
    floored, plain = (normalised(pixels, norm, bands=3) for norm in ("patch", "patch-plain"))

    centre = [27, 28, 35, 36]
    torch.testing.assert_close(floored[:, centre], plain[:, centre])


def test_sky_variance_is_the_noise_that_was_put_in():
    """The quietest quarter of the patches tells the noise to 10 %, whatever the colour of the sky."""
    images = sky_with_a_galaxy(0.03) + torch.tensor([0.0, 0.1, 0.2]).view(3, 1, 1)
    found = sky_variance(cut(images, 8), bands=3).sqrt()

    assert float(found.mean()) == pytest.approx(0.03, rel=0.1)


def test_a_blank_image_gives_finite_targets():
    """Constant pixels have no spread to divide by; the target is zero."""
    for norm in ("patch", "patch-plain"):
        targets = normalised(torch.full((2, 16, 48), 0.3), norm, bands=3)
        torch.testing.assert_close(targets, torch.zeros_like(targets), rtol=0, atol=1e-3)


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_any_number_of_bands(bands):
    """A patch has as many target pixels as it has pixels in all bands."""
    answer = answer_of(objective(bands), given=batch(bands=bands))

    assert answer.actual.shape == (4, 1, 48, bands * 16)


@pytest.mark.parametrize(("side", "context", "block"), [(8, 16, 12), (14, 49, 36)])
def test_published_share_is_visible_on_either_grid(side, context, block):
    """A quarter is seen at 64 and at 224 px; four blocks fit beside it, as large as can be."""
    assert mask_sizes(PatchGrid(side, side, 8), 0.25, 4) == MaskSizes(context, 4, block)


@pytest.mark.parametrize("visible", [0.1, 0.25, 0.3, 0.4, 0.5, 0.75])
@pytest.mark.parametrize("blocks", [0, 1, 3, 4])
@pytest.mark.parametrize("masker", MASKERS)
def test_every_masker_serves_every_share(visible, blocks, masker):
    """Sizes always fit the grid and are rectangles, so no masker refuses them."""
    grid = PatchGrid(8, 8, 4)
    sizes = mask_sizes(grid, visible, blocks)
    generator = torch.Generator().manual_seed(0)

    masker(grid).draw(batch().images, sizes, generator).validate(grid, sizes)
    assert abs(sizes.context / 64 - visible) < 0.07


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"visible": 0.0}, "between 0 and 1"),
        ({"visible": 1.0}, "between 0 and 1"),
        ({"blocks": -1}, "no negative"),
        ({"visible": 0.99, "blocks": 4}, "no room"),
        ({"visible": 0.99, "blocks": 0}, "would be visible"),
        ({"decoder_width": 30, "decoder_heads": 4}, "multiple"),
    ],
)
def test_impossible_options_are_refused(wrong, said):
    """Nothing visible, nothing hidden, or heads that do not divide the width: mistakes of the request."""
    with pytest.raises(ConfigError, match=said):
        objective(**wrong)


def test_a_masker_without_masks_is_refused():
    """There is nothing to paint where nothing is hidden."""
    with pytest.raises(ConfigError, match="needs masks"):
        answer_of(objective(), "loss", NoMasks)


def test_an_encoder_without_patches_is_refused():
    """There is nothing to hide in front of a ConvNet."""
    with pytest.raises(ConfigError, match="needs an encoder with patches"):
        MAE(objective().encoder, None, 0)
