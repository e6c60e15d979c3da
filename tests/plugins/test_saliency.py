"""Masker `saliency`: a round galaxy has nothing to show, arms come first, and neighbours are not arms."""

import numpy as np
import pytest
import torch
from astrojepa_brightness import Brightness
from astrojepa_saliency import Saliency, round_profile
from scipy.stats import spearmanr

from astrojepa_bench.plugin import MaskSizes, PatchGrid, covered

GRID = PatchGrid(8, 8, 8)
SIZE = 64


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def places(x=0.0, y=0.0):
    """Radius and angle of each pixel about a centre (x, y) from the image's centre."""
    axis = torch.arange(SIZE) - (SIZE - 1) / 2
    across, down = axis[None] - x, axis[:, None] - y
    return torch.hypot(down, across), torch.atan2(down, across)


def arms_about(x=0.0, y=0.0):
    """Two logarithmic arms that begin 6 px from the centre: 1 on their crests, 0 between them."""
    radius, angle = places(x, y)
    return torch.exp(3 * (torch.cos(2 * (angle - 2 * radius.clamp(min=1).log())) - 1)) * (radius > 6)


def galaxy(strength=0.0, x=0.0, y=0.0, batch=8, noise=0.02):
    """An exponential disc on a noisy sky, with arms of so many times its own light."""
    disc = 0.6 * torch.exp(-places(x, y)[0] / 8) * (1 + strength * arms_about(x, y))
    return 0.1 + disc + noise * torch.randn(batch, 3, SIZE, SIZE, generator=stream())


def ratio(images, **options):
    return Saliency(GRID, **options).ratio(images)


@pytest.mark.parametrize("x", [0.0, 2.7])
def test_a_round_galaxy_shows_nothing(x):
    """Twenty times the noise of light in its middle, and no patch above 1; on or off the image's centre."""
    images = galaxy(x=x, y=-x)

    assert Brightness(GRID).ratio(images).max() > 20
    assert ratio(images).max() < 1
    weight = Saliency(GRID).weight(ratio(images))
    assert torch.equal(weight, torch.full_like(weight, 1 / 64))


@pytest.mark.parametrize("x", [0.0, 2.7])
def test_arms_come_first(x):
    """The more of an arm a patch holds, the earlier it comes; in the order of light that is hardly so."""
    images, arms = galaxy(2.5, x=x, y=-x), GRID.patch_means(arms_about(x, -x))
    found = spearmanr(arms, ratio(images).mean(dim=0)).statistic
    by_light = spearmanr(arms, Brightness(GRID).ratio(images).mean(dim=0)).statistic
    first = ratio(images).mean(dim=0).argsort(descending=True)[:8]

    assert found > 0.7 > 0.5 > by_light
    assert arms[first].mean() > 1.5 * arms.mean()


def test_blocks_lie_on_arms_more_often_than_even_ones():
    """Drawn targets cover more of the arms' light than those of a temperature without preference."""
    images, arms = galaxy(2.5, batch=200), GRID.patch_means(arms_about() * (-places()[0] / 8).exp())

    def on_arms(temperature):
        masks = Saliency(GRID, temperature=temperature).draw(images, MaskSizes(16, 2, 4), stream())
        return float((covered(GRID, masks.targets) * arms).sum(dim=1).mean())

    assert on_arms(0.5) > 1.5 * on_arms(1e9)


def test_a_star_beside_the_galaxy_is_no_arm_and_hides_none():
    """A lone source gets nothing; all else stays, but for the noise that its patch takes from the rings."""
    plain = galaxy(2.5, x=-9.0)
    starry = plain.clone()
    starry[..., 3:6, 59:62] += 0.8
    apart = (ratio(starry) - ratio(plain)).view(-1, 8, 8)

    assert ratio(starry).view(-1, 8, 8)[:, 0, 7].max() == 0
    apart[:, 0, 7] = 0
    assert apart.abs().max() < 0.25


def test_rings_are_averaged_as_numpy_does():
    """On a ring the profile is the mean of the counted pixels around, weighted by how near they are to it."""
    light = torch.rand(1, 32, 32, generator=stream())
    counted = (torch.rand(1, 32, 32, generator=stream(1)) > 0.2).float()
    found = round_profile(light, counted, torch.tensor([[0.5, 0.5]]))[0].numpy()  # about pixel (16, 16)
    radius = np.hypot(*np.mgrid[-16:16, -16:16])

    for ring in (0, 1, 5, 12):
        weight = np.clip(1 - 2 * np.abs(radius - ring), 0, None) * counted[0].numpy()
        expected = (weight * light[0].numpy()).sum() / max(weight.sum(), 1e-9)
        assert found[16, 16 - ring] == pytest.approx(expected, abs=1e-6)


def test_a_round_image_is_its_own_profile():
    """Light that is linear in the radius stays as it is."""
    radius = places(1.5, -2.5)[0][None]
    found = round_profile(3 - radius / 40, torch.ones_like(radius), torch.tensor([[1.5, -2.5]]))

    assert (found - (3 - radius / 40)).abs().max() < 0.012
