"""Masker `radial`: a function of the distance from the centre alone, with a profile known by hand."""

import math

import pytest
import torch
from astrojepa_radial import Radial, centre_distance

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.plugin import MaskSizes, PatchGrid

SMALL, STANDARD = PatchGrid(8, 8, 8), PatchGrid(14, 14, 16)
CPU = torch.device("cpu")


def weight(masker, images):
    return masker.weight(masker.ratio(images))


def test_distances_are_those_of_the_middles_of_patches():
    """The middle of a corner patch of 8x8 lies at 7/8 along both axes, the four central ones at 1/8."""
    distance = centre_distance(SMALL, CPU).view(8, 8)
    assert float(distance[0, 0]) == pytest.approx(7 / 8 * math.sqrt(2))
    assert distance[3:5, 3:5].flatten().tolist() == pytest.approx([math.sqrt(2) / 8] * 4)
    assert float(centre_distance(PatchGrid(3, 3, 4), CPU)[4]) == 0


def test_weights_agree_with_the_formula():
    """With peak 45 and h = .22 the signal of the central patches is 20.1 and of the corner below 1."""
    p = weight(Radial(SMALL), torch.zeros(1, 1, 64, 64))[0]
    signal = [
        45 * math.exp(-math.hypot(2 * row - 7, 2 * column - 7) / 8 / 0.22)
        for row in range(8)
        for column in range(8)
    ]
    attraction = [max(1.0, value) for value in signal]
    assert signal[27] == pytest.approx(20.1, abs=0.1)
    assert p.tolist() == pytest.approx([0.1 / 64 + 0.9 * value / sum(attraction) for value in attraction])


@pytest.mark.parametrize("grid", [SMALL, STANDARD, PatchGrid(9, 9, 4)], ids=str)
def test_weights_are_the_same_for_every_image_and_fall_with_distance(grid):
    """What is on the image changes nothing, and no patch outweighs one that lies nearer to the centre."""
    size = grid.rows * grid.patch_px
    images = torch.rand(3, 2, size, size, generator=torch.Generator().manual_seed(0))
    p = weight(Radial(grid), images)
    assert torch.equal(p, p[:1].expand_as(p))
    order = centre_distance(grid, CPU).argsort()
    assert (p[0, order].diff() <= 1e-7).all()


def test_the_context_keeps_a_central_patch_while_there_is_one():
    """Patches where the standard galaxy has S > 3 are reserved for the context, as by `brightness`."""
    masker = Radial(SMALL, min_signal=2)
    masks = masker.draw(torch.zeros(500, 1, 64, 64), MaskSizes(16, 4, 12), torch.Generator().manual_seed(0))
    central = masker.ratio(torch.zeros(500, 1, 64, 64)) > 3
    left = central.scatter(1, masks.targets.flatten(1), False).sum(dim=1)
    assert (central.gather(1, masks.context).sum(dim=1) >= left.clamp(max=2)).all()


@pytest.mark.parametrize("options", [{"peak": 0.0}, {"scale_length": -1.0}, {"temperature": 0.0}])
def test_options_out_of_range_are_refused(options):
    """The message names the option, its value and what is allowed."""
    with pytest.raises(ConfigError, match=next(iter(options))):
        Radial(SMALL, **options)
