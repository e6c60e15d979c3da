"""The sky and what stands above it: levels that are known, and the central source against SciPy's labels."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.geometry.sky import DETECTED, central_component, galaxy_light, signal_to_noise, sky

SMALL, STANDARD = PatchGrid(8, 8, 8), PatchGrid(14, 14, 16)


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def disc(size, row, column, *, peak=0.6, scale):
    """Exponential disc, face on."""
    axis = torch.arange(size) + 0.5
    return peak * (-torch.hypot(axis[:, None] - row, axis - column) / scale).exp()


def survey(light, *, batch=1, bands=3, level=0.1, noise=0.02, seed=0):
    """Light on a noisy sky."""
    grain = torch.randn(batch, bands, *light.shape[-2:], generator=stream(seed))
    return level + light + noise * grain


# --- level and noise


@pytest.mark.parametrize("grid", [SMALL, STANDARD], ids=str)
def test_sky_is_recovered_beside_a_galaxy_and_stars(grid):
    """Level and noise come out within 5 % of the noise, with 10 % of the border under stars."""
    size = grid.rows * grid.patch_px
    light = disc(size, size / 2, size / 2, scale=size / 20)
    light[: size // 14, : size // 3] += 0.4
    level, noise = sky(survey(light, batch=33, bands=1, level=0.2, noise=0.03)[:, 0])
    assert level.mean().item() == pytest.approx(0.2, abs=0.05 * 0.03)
    assert noise.mean().item() == pytest.approx(0.03, rel=0.05)


@pytest.mark.parametrize("side", [28, 64])
def test_sky_of_flat_noise_is_read_from_every_pixel_of_the_border(side):
    """Uniform noise loses nothing to the clip: the level is the border's median, the noise its lower half."""
    grey = torch.rand(2, side, side, generator=stream(5))
    wide = round(side / 14)
    for image, level, noise in zip(grey.numpy(), *sky(grey), strict=True):
        strips = image[:wide], image[-wide:], image[:, :wide], image[:, -wide:]
        border = np.sort(np.concatenate([strip.ravel() for strip in strips]))
        median, quartile = border[(len(border) - 1) // 2], border[(len(border) - 1) // 4]

        assert float(level) == pytest.approx(median)
        assert float(noise) == pytest.approx(1.4826 * (median - quartile))


@pytest.mark.parametrize("side", [65, 160, 224])
def test_sky_of_a_mirrored_image_is_the_same(side):
    """Also where pixels are skipped and where a side is odd."""
    grey = torch.rand(4, side, side, generator=stream(6)) + torch.linspace(0, 0.5, side)

    for turned in (grey.flip(1), grey.flip(2), grey.transpose(1, 2)):
        torch.testing.assert_close(sky(turned), sky(grey), rtol=0, atol=0)


def test_sky_of_a_border_full_of_light_is_sought_inside():
    """A ring of light along the border is not mistaken for the sky."""
    light = torch.full((64, 64), 0.5)
    light[8:-8, 8:-8] = 0
    level, noise = sky(survey(light, batch=33, bands=1)[:, 0])
    assert level.mean().item() == pytest.approx(0.1, abs=0.003)
    assert noise.mean().item() == pytest.approx(0.02, rel=0.1)


def test_sky_noise_is_at_least_one_level():
    """A noise-free sky has the noise of its 8-bit steps, so that nothing is divided by zero."""
    level, noise = sky(torch.full((2, 64, 64), 0.3))
    assert level.tolist() == pytest.approx([0.3, 0.3])
    assert noise.tolist() == pytest.approx([1 / 255] * 2)


# --- the central source


def spiral(side):
    """Wind a path from the corner to the centre: on 14x14 the flood needs 96 of its 97 steps."""
    path = torch.zeros(side + 4, side + 4, dtype=torch.bool)  # two patches of margin on every side
    row, column, down, right, turns = 2, 2, 0, 1, 0
    path[row, column] = True
    while turns < 2:
        onward = 2 <= row + down < side + 2 and 2 <= column + right < side + 2
        if onward and not path[row + down, column + right] and not path[row + 2 * down, column + 2 * right]:
            row, column, turns = row + down, column + right, 0
            path[row, column] = True
        else:
            down, right, turns = right, -down, turns + 1
    return path[2:-2, 2:-2]


def labelled(mask, side):
    """Return the groups at the smallest distance from the centre by SciPy's labels."""
    groups, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    axis = np.arange(side) - (side - 1) / 2
    distance = np.where(mask, axis[:, None] ** 2 + axis**2, np.inf)
    return np.isin(groups, groups[mask & (distance == distance.min())])


@pytest.mark.parametrize("side", [7, 8, 14])
def test_central_source_agrees_with_connected_components(side):
    """The flood finds what SciPy's labelling finds, near percolation and along the longest path."""
    random = torch.rand(60, side, side, generator=stream()) < torch.linspace(0.05, 0.6, 60)[:, None, None]
    masks = torch.cat(
        [random, spiral(side)[None], spiral(side).T[None], torch.zeros(1, side, side, dtype=bool)]
    )
    found = central_component(masks.flatten(1), PatchGrid(side, side, 1)).view_as(masks).numpy()
    for mask, group in zip(masks.numpy(), found, strict=True):
        np.testing.assert_array_equal(group, labelled(mask, side))


# --- the galaxy's light


def test_light_of_the_galaxy_is_what_was_painted():
    """Of a disc and a star on the sky, the disc's light comes back within 3 %, the star's not at all."""
    galaxy, star = disc(64, 30, 34, peak=0.5, scale=6), torch.zeros(64, 64)
    star[2:6, 58:62] = 0.8
    found = galaxy_light(survey(galaxy + star, batch=200, noise=0.004), SMALL).mean(dim=0)
    painted = SMALL.patch_means(galaxy)
    bright = painted > 0.05
    torch.testing.assert_close(found[bright], painted[bright], rtol=0.03, atol=0.002)
    assert float(found[7]) == 0


def test_a_blank_image_has_no_galaxy():
    """Noise alone and a flat image hold no light of a galaxy."""
    assert not galaxy_light(survey(torch.zeros(64, 64), batch=33), SMALL).any()
    assert not galaxy_light(torch.full((2, 3, 64, 64), 0.3), SMALL).any()


def test_light_and_signal_mark_the_same_galaxy():
    """Where the galaxy's light is, the signal to noise is above the threshold and not set back."""
    images = survey(disc(64, 30, 34, scale=6), batch=8)
    light, ratio = galaxy_light(images, SMALL) > 0, signal_to_noise(images, SMALL)
    assert light.any(dim=1).all()
    assert (ratio[light] > DETECTED).all()
