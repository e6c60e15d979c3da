"""Augmentations keep a galaxy a galaxy: exact quarter turns, kept handedness, kept brightness."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch

from astrojepa_bench.geometry.views import augment, base_augment, blurred


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def blob(x, y, width, size=64):
    """Return a Gaussian blob at (x, y), in pixels from the centre."""
    axis = torch.arange(size) - (size - 1) / 2
    return torch.exp(-((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / (2 * width**2))


def handedness(images):
    """Return the sign of the triangle that the three bands' centroids span."""
    axis = torch.arange(images.shape[-1]).float()
    total = images.sum(dim=(2, 3))
    x = (images.sum(dim=2) * axis).sum(dim=2) / total
    y = (images.sum(dim=3) * axis).sum(dim=2) / total
    return ((x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])).sign()


TRIANGLE = torch.stack([blob(-6, -4, 2), blob(7, -4, 2), blob(-6, 3, 2)])


def turns(image):
    return [torch.rot90(image, k, dims=(1, 2)) for k in range(4)]


def found_among(candidates, images):
    return [[torch.equal(image, candidate) for candidate in candidates] for image in images]


@pytest.mark.parametrize("mirror", [True, False])
def test_base_augment_permutes_pixels_exactly(mirror):
    """Without shifts every byte of every band is still there once."""
    images = torch.randint(0, 256, (64, 3, 16, 16), generator=stream(), dtype=torch.uint8)
    moved = base_augment(images, stream(1), mirror=mirror, shift_px=0)

    assert moved.dtype == torch.uint8
    assert torch.equal(moved.flatten(2).sort().values, images.flatten(2).sort().values)


def test_without_mirror_only_the_four_rotations_are_drawn():
    """Each image is one of four quarter turns, never a reflection, and all four occur."""
    image = torch.arange(3 * 16 * 16).reshape(3, 16, 16)
    moved = base_augment(image.repeat(200, 1, 1, 1), stream(), mirror=False, shift_px=0)
    hits = torch.tensor(found_among(turns(image), moved))

    assert (hits.sum(dim=1) == 1).all()
    assert (hits.sum(dim=0) > 25).all()


def test_with_mirror_all_eight_symmetries_are_drawn_alike():
    """The eight symmetries of the square each occur about once in eight."""
    image = torch.arange(3 * 16 * 16).reshape(3, 16, 16)
    moved = base_augment(image.repeat(400, 1, 1, 1), stream(), mirror=True, shift_px=0)
    hits = torch.tensor(found_among(turns(image) + turns(image.flip(2)), moved))

    assert (hits.sum(dim=1) == 1).all()
    assert (hits.sum(dim=0) > 25).all()


def test_shifts_stay_within_their_limit():
    """A single bright pixel lands at most two pixels off its turned places, and shifts do happen."""
    image = torch.zeros(1, 17, 17)
    image[0, 8, 8] = 1  # the centre, which no turn moves
    moved = base_augment(image.repeat(200, 1, 1, 1), stream(), mirror=True, shift_px=2)
    places = moved.flatten(1).argmax(dim=1)
    offsets = torch.stack([places // 17 - 8, places % 17 - 8])

    assert (moved.sum(dim=(1, 2, 3)) == 1).all()
    assert offsets.unique().tolist() == [-2, -1, 0, 1, 2]


def test_free_rotation_keeps_handedness_unless_mirrored():
    """Spin is a label for some datasets: without mirror no view has the other handedness."""
    images = TRIANGLE.repeat(200, 1, 1, 1)
    truth = handedness(TRIANGLE[None])
    kept = handedness(augment(images, stream(), mirror=False, noise=0))
    mixed = handedness(augment(images, stream(), mirror=True, noise=0))

    assert (kept == truth).all()
    assert 60 < int((mixed == truth).sum()) < 140


def test_turning_keeps_the_mean_of_a_centred_blob():
    """A round galaxy turned about its centre keeps its brightness to 1 % and its shape."""
    image = blob(0, 0, 6)
    images = image.expand(32, 1, -1, -1)
    views = augment(images, stream(), scale=(1, 1), shift=0, noise=0)

    torch.testing.assert_close(views.mean(dim=(1, 2, 3)), image.mean().expand(32), rtol=0.01, atol=0)
    torch.testing.assert_close(views, images, rtol=0, atol=0.02)


def test_showing_half_the_side_makes_a_blob_four_times_as_large():
    """Scale is the shown share of the side, so area grows with its inverse square."""
    image = blob(0, 0, 4)
    views = augment(image.expand(8, 1, -1, -1), stream(), scale=(0.5, 0.5), shift=0, noise=0)

    torch.testing.assert_close(views.mean(dim=(1, 2, 3)), 4 * image.mean().expand(8), rtol=0.02, atol=0)


def test_views_show_six_tenths_of_the_side_to_all_of_it():
    """Without further wishes a blob grows to at most 1 / .6² in area, and never shrinks."""
    image = blob(0, 0, 4)
    grown = (
        augment(image.expand(400, 1, -1, -1), stream(), shift=0, noise=0).mean(dim=(1, 2, 3)) / image.mean()
    )

    assert 0.98 < float(grown.min()) < 1.05
    assert 2.6 < float(grown.max()) < 1.02 / 0.36


def spread_of(width, size=65):
    """Blur a single bright pixel at the centre of an image."""
    point = torch.zeros(1, 1, size, size)
    point[0, 0, size // 2, size // 2] = 1
    return blurred(point, torch.tensor([width]))[0, 0]


@pytest.mark.parametrize("width", [1.0, 1.5, 3.0])
def test_a_point_becomes_a_gaussian_of_the_stated_width(width):
    """One bright pixel becomes the round Gaussian of that sigma, to 1 % of its peak."""
    gaussian = blob(0, 0, width, size=65) / (2 * torch.pi * width**2)

    torch.testing.assert_close(spread_of(width), gaussian, rtol=0, atol=0.01 * float(gaussian.max()))


@pytest.mark.parametrize("width", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("wave", [1, 5, 20, 31])
def test_a_wave_loses_what_the_convolution_theorem_says(width, wave):
    """Of a cosine of frequency w that reflects at the edges, exp(-s² w²/2) is left, at every width."""
    frequency = torch.pi * wave / 32
    image = torch.cos(frequency * (torch.arange(32) + 0.5)).expand(1, 1, 32, 32)
    left = math.exp(-((width * frequency) ** 2) / 2)

    torch.testing.assert_close(blurred(image, torch.tensor([width])), left * image, rtol=1e-4, atol=1e-5)


def test_blur_agrees_with_scipys_reflecting_gaussian_filter():
    """On a picture that the pixels resolve, SciPy's sampled kernel gives the same to three digits."""
    image = 100 * blob(-20, 9, 3.0) + blob(28, -28, 4.0)
    expected = scipy.ndimage.gaussian_filter(image.numpy(), 2.0, mode="reflect", truncate=6)

    found = blurred(image[None, None], torch.tensor([2.0]))[0, 0]
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3 * float(expected.max()))


def test_blurring_a_gaussian_adds_the_widths_in_squares():
    """A blob of sigma 3 through a point spread of sigma 4 is a blob of sigma 5 with the same flux."""
    sharp = blob(0, 0, 3.0) / (2 * torch.pi * 3**2)
    expected = blob(0, 0, 5.0) / (2 * torch.pi * 5**2)
    found = blurred(sharp[None, None], torch.tensor([4.0]))[0, 0]

    torch.testing.assert_close(found, expected, rtol=0, atol=0.01 * float(expected.max()))


def test_blur_conserves_flux_even_at_the_border():
    """What a point spread throws over the edge is reflected: band by band, the sum stays."""
    images = torch.rand(8, 3, 32, 32, generator=stream())
    found = blurred(images, torch.linspace(0, 6, 8))

    torch.testing.assert_close(found.sum(dim=(2, 3)), images.sum(dim=(2, 3)))


def test_no_blur_at_width_zero_and_none_of_a_flat_sky():
    """Width 0 gives the image back, and a flat image stays flat at any width."""
    images = torch.rand(2, 3, 32, 32, generator=stream())

    torch.testing.assert_close(blurred(images, torch.zeros(2)), images, rtol=0, atol=2e-6)
    flat = torch.full_like(images, 0.3)
    torch.testing.assert_close(blurred(flat, torch.tensor([1.0, 9.0])), flat)


def test_each_galaxy_is_blurred_by_its_own_width():
    """Views of one image have many widths, the largest near the limit, and none beyond it."""
    image = blob(0, 0, 3.0).expand(400, 1, -1, -1)
    views = augment(image, stream(), scale=(1, 1), shift=0, noise=0, blur=4.0)
    axis = (torch.arange(64) - 31.5).square()
    variance = (views.sum(dim=(1, 2)) @ axis) / views.sum(dim=(1, 2, 3))
    added = (variance - 9).clamp(min=0).sqrt()

    assert 3.8 < float(added.max()) < 4.15
    assert float(added.median()) == pytest.approx(2, abs=0.4)


def test_without_blur_the_random_numbers_are_those_of_before():
    """Views drawn with blur 0 are bit-identical to a formula that never heard of blur."""
    images = torch.rand(4, 3, 32, 32, generator=stream())
    generator = stream(5)
    sharp = augment(images, generator, noise=0)
    levels = 0.02 * torch.rand(4, 1, 1, 1, generator=generator)
    expected = sharp + levels * torch.randn(sharp.shape, generator=generator)

    assert torch.equal(augment(images, stream(5)), expected)
    assert not torch.equal(augment(images, stream(5), blur=1.0), expected)
