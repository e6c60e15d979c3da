"""Patch geometry against counted positions and the laws of drawing without replacement."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.geometry.patches import PREFER, choose_patches, covered, draw_blocks, draw_square

DRAWS = 20_000


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def inclusion(chosen, patches):
    return torch.nn.functional.one_hot(chosen, patches).sum(dim=(0, 1)).double().numpy() / len(chosen)


def test_first_choice_follows_the_weights():
    """A single patch is drawn with probability proportional to its weight."""
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    counts = torch.bincount(choose_patches(weight.log().expand(DRAWS, -1), 1, stream()).flatten())
    assert stats.chisquare(counts.numpy(), DRAWS * weight.numpy() / 10).pvalue > 1e-3


def test_subsets_follow_successive_sampling():
    """Two patches are drawn one after the other: P(i) = w_i + sum over j of w_j w_i / (1 - w_j)."""
    weight = np.array([0.05, 0.15, 0.3, 0.5])
    expected = [w + sum(v * w / (1 - v) for v in np.delete(weight, i)) for i, w in enumerate(weight)]
    chosen = choose_patches(torch.tensor(weight).float().log().expand(DRAWS, -1), 2, stream())
    assert inclusion(chosen, 4) == pytest.approx(expected, abs=0.015)


def test_forbidden_patches_are_never_chosen_and_preferred_ones_always():
    """A weight of 0 forbids a patch; `PREFER` wins even over a weight 1e4 times as large."""
    log_weight = torch.zeros(DRAWS, 9)
    log_weight[:, :4] = -torch.inf
    log_weight[:, 4:6] = PREFER
    log_weight[:, 6] = np.log(1e4)
    chosen = choose_patches(log_weight, 3, stream())
    assert (chosen[:, :2] == torch.tensor([4, 5])).all()
    assert int(chosen[:, 2].min()) == 6


@pytest.mark.parametrize("size", [4, 6])
def test_blocks_follow_the_weight_they_cover(size):
    """Every position of a rectangle and of its turn is drawn in proportion to the weight below it."""
    grid = PatchGrid(4, 5, 1)
    weight = torch.rand(grid.patches, generator=stream(3)) ** 3 + 0.01
    drawn = draw_blocks(grid, weight.expand(DRAWS, -1), blocks=1, size=size, generator=stream())[:, 0]
    found = {
        tuple(row.tolist()): int(n) for row, n in zip(*drawn.unique(dim=0, return_counts=True), strict=True)
    }
    shape = grid.rectangle(float(size))
    index = np.arange(grid.patches).reshape(4, 5)
    places = [
        tuple(index[top : top + h, left : left + w].flatten().tolist())
        for h, w in {shape, shape[::-1]}
        for top, left in itertools.product(range(4 - h + 1), range(5 - w + 1))
    ]
    score = np.array([float(weight[list(place)].sum()) for place in places])
    assert set(found) <= set(places)
    counts = [found.get(place, 0) for place in places]
    assert stats.chisquare(counts, DRAWS * score / score.sum()).pvalue > 1e-3


def test_a_block_that_is_no_rectangle_is_refused():
    """Thirteen patches are no rectangle; the message names the nearest that is."""
    with pytest.raises(ConfigError, match="3x4 = 12"):
        draw_blocks(PatchGrid(8, 8, 8), torch.ones(1, 64), blocks=1, size=13, generator=stream())


def test_published_context_square_is_thirteen_wide_on_fourteen():
    """At scales .85 to 1 the published square has side 13 in every draw, here at all four positions."""
    grid = PatchGrid(14, 14, 16)
    generator = stream()
    squares = torch.cat([draw_square(grid, (0.85, 1.0), batch=64, generator=generator) for _ in range(30)])
    image = squares.view(-1, 14, 14)
    assert (image.any(dim=1).sum(dim=1) == 13).all()
    assert (image.any(dim=2).sum(dim=1) == 13).all()
    corners = image[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert corners.float().mean(dim=0).numpy() == pytest.approx([0.25] * 4, abs=0.04)


def test_square_area_follows_its_scale():
    """One square of area near the drawn share is marked per image, with one size for the batch."""
    grid = PatchGrid(16, 16, 1)
    area = draw_square(grid, (0.25, 0.25), batch=50, generator=stream()).sum(dim=1)
    assert (area == 64).all()


def test_covered_is_the_union():
    """A patch is covered when any set holds it; an image without sets is covered nowhere."""
    sets = torch.tensor([[[0, 1], [1, 5]]])
    assert covered(PatchGrid(2, 3, 1), sets).nonzero()[:, 1].tolist() == [0, 1, 5]
    assert not covered(PatchGrid(2, 3, 1), sets[:, :0]).any()
