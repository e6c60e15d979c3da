"""Augmentations keep a galaxy a galaxy: exact quarter turns, kept handedness, kept brightness."""

import pytest
import torch

from astrojepa_bench.views import augment, base_augment


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def blob(x, y, width, size=64):
    """Give a Gaussian blob at (x, y), in pixels from the centre."""
    axis = torch.arange(size) - (size - 1) / 2
    return torch.exp(-((axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2) / (2 * width**2))


def handedness(images):
    """Give the sign of the triangle that the three bands' centroids span."""
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
