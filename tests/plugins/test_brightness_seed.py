"""Masker `brightness-seed`: AstroJEPA's collator as published, its inversion and its piles at the border."""

import itertools
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from astrojepa_brightness import patch_probability
from astrojepa_brightness_seed import CONTEXT_SIDE, BrightnessSeed, patch_weight
from scipy import stats

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.plugin import MaskSizes, PatchGrid, covered

SMALL, STANDARD = PatchGrid(8, 8, 8), PatchGrid(14, 14, 2)
REAL = Path(__file__).parents[2] / "../shared/data/galaxy10_decals_sample.h5"


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def flat(grid, batch, level=0.125):
    return torch.full((batch, 3, grid.rows * grid.patch_px, grid.columns * grid.patch_px), level)


def test_weights_agree_with_the_formula():
    """Sky at 1/8 has |x| = .75, a galaxy at 1/2 has none, a core at 7/8 weighs as much as the sky."""
    image = flat(SMALL, 1)
    image[:, :, 32:40, 32:40] = 0.5
    image[:, :, 24:32, 32:40] = 0.875
    weight = patch_weight(image, SMALL)[0]
    assert float(weight[36]) == 0
    assert float(weight[28]) == pytest.approx(1 / 63)
    assert float(weight[0]) == pytest.approx(1 / 63)


def test_absolute_value_is_taken_of_the_mean_over_bands():
    """Bands at 0 and 1 make a grey of 1/2 and no weight; the order of mean and absolute value matters."""
    image = flat(SMALL, 1)
    image[:, 0, :8, :8], image[:, 1, :8, :8], image[:, 2, :8, :8] = 0.0, 1.0, 0.5
    assert float(patch_weight(image, SMALL)[0, 0]) == pytest.approx(0, abs=1e-7)


def test_the_preference_turns_over_with_the_level_of_the_sky():
    """One galaxy repels blocks on a dark sky and attracts them on a grey one: the weight is no signal."""
    axis = torch.arange(64) + 0.5
    light = 0.4 * (-torch.hypot(axis[:, None] - 32, axis - 32) / 6).exp()
    bright = SMALL.patch_means(light)
    dark, grey = (patch_weight((level + light).expand(1, 3, 64, 64), SMALL)[0] for level in (0.1, 0.5))
    assert np.corrcoef(bright, dark)[0, 1] < -0.9
    assert np.corrcoef(bright, grey)[0, 1] > 0.9


@pytest.mark.skipif(not REAL.exists(), reason="no real galaxies beside the repository")
def test_weights_of_real_galaxies_are_inverted():
    """On Galaxy10 cut-outs the weight correlates with brightness below -.7, for nine galaxies of ten negatively."""
    with h5py.File(REAL) as file:
        images = torch.from_numpy(file["images"][:99]).permute(0, 3, 1, 2) / 255
    grid = PatchGrid.tiling(256, 16)
    weight, light = patch_weight(images, grid), grid.patch_means(images.mean(dim=1))
    found = np.array([np.corrcoef(*pair)[0, 1] for pair in zip(weight.numpy(), light.numpy(), strict=True)])
    brightest = light.topk(grid.patches // 10).indices
    assert found.mean() < -0.7
    assert (found < 0).mean() > 0.9
    share = [
        float(p.gather(1, brightest).sum(dim=1).mean()) for p in (weight, patch_probability(images, grid))
    ]
    assert share[0] < 0.08 < 0.3 < share[1]


def test_blocks_pile_up_at_the_border_as_clamping_has_it():
    """On a flat image each place of a 3x4 block is as frequent as the centres that are shifted to it."""
    targets = (
        BrightnessSeed(SMALL).draw(flat(SMALL, 5000), MaskSizes(16, 4, 12), stream()).targets.flatten(0, 1)
    )
    found = Counter((int(first), int(last)) for first, last in targets[:, [0, -1]])
    expected: Counter[tuple[int, int]] = Counter()
    for (height, width), row, column in itertools.product(((3, 4), (4, 3)), range(8), range(8)):
        top = min(max(row - height // 2, 0), 8 - height)
        left = min(max(column - width // 2, 0), 8 - width)
        first = 8 * top + left
        expected[first, first + 8 * (height - 1) + width - 1] += 1
    assert set(found) == set(expected)
    share = np.array(list(expected.values())) / 128
    assert stats.chisquare([found[place] for place in expected], 20_000 * share).pvalue > 1e-3
    assert max(expected.values()) == 6 * min(expected.values())


def test_context_block_leaves_the_published_share():
    """Four targets of 9 patches on 14x14 leave 27 % of the patches in the context block, as published."""
    images, masker = flat(STANDARD, 2000), BrightnessSeed(STANDARD)
    block = masker.context_block(patch_weight(images, STANDARD).log(), stream())
    hidden = covered(STANDARD, masker.draw(images, MaskSizes(20, 4, 9), stream(1)).targets)
    assert float(block.float().mean()) == pytest.approx(8**2 / 196, abs=0.01)  # sides of 7 to 9
    assert float((block & ~hidden).float().mean()) == pytest.approx(0.27, abs=0.01)
    assert [int(14 * share) for share in CONTEXT_SIDE] == [7, 9]


def test_context_lies_in_its_block_while_that_has_room():
    """A context of 10 patches beside one small target spans no more than the 9x9 of the largest block."""
    context = BrightnessSeed(STANDARD).draw(flat(STANDARD, 300), MaskSizes(10, 1, 4), stream()).context
    for axis in (context // 14, context % 14):
        assert int((axis.max(dim=1).values - axis.min(dim=1).values).max()) <= 8


def test_blocks_that_are_no_rectangles_are_refused():
    """Thirteen patches are no rectangle."""
    with pytest.raises(ConfigError, match="no rectangle"):
        BrightnessSeed(SMALL).draw(flat(SMALL, 2), MaskSizes(10, 4, 13), stream())
