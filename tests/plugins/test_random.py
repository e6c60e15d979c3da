"""Maskers `none` and `random`: sizes, disjointness, and that no patch is favoured."""

import astrojepa_random
import pytest
import torch
from scipy import stats

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.plugin import MaskSizes, PatchGrid

SMALL, STANDARD = PatchGrid(8, 8, 8), PatchGrid(14, 14, 16)
CASES = [
    (SMALL, MaskSizes(16, 4, 12)),
    (SMALL, MaskSizes(16)),
    (SMALL, MaskSizes(16, 1, 48)),
    (STANDARD, MaskSizes(50, 4, 35)),
    (STANDARD, MaskSizes(49)),
]


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def images(grid, batch, bands=1):
    return torch.rand(
        batch, bands, grid.rows * grid.patch_px, grid.columns * grid.patch_px, generator=stream()
    )


def draw(grid, sizes, batch=33, bands=1, seed=0):
    return astrojepa_random.RandomPatches(grid).draw(images(grid, batch, bands), sizes, stream(seed))


def test_none_hands_out_no_masks():
    """The masker `none` answers None, so that an objective can tell that it is not masked."""
    assert astrojepa_random.NoMasks(SMALL).draw(images(SMALL, 2), MaskSizes(16), stream()) is None


@pytest.mark.parametrize("batch", [1, 33])
@pytest.mark.parametrize(("grid", "sizes"), CASES)
def test_sizes_are_exact_and_sets_disjoint(grid, sizes, batch):
    """Every image gets exactly the patches asked for, and no context patch is a target."""
    draw(grid, sizes, batch).validate(grid, sizes)


def test_the_stream_alone_decides():
    """One stream gives one answer whatever the images show; another stream gives another."""
    first, again, other = (draw(SMALL, CASES[0][1], bands=b, seed=s) for b, s in ((1, 0), (3, 0), (1, 1)))
    assert torch.equal(first.context, again.context)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.context, other.context)


@pytest.mark.parametrize("part", ["context", "targets"])
def test_every_patch_is_drawn_equally_often(part):
    """Inclusion counts agree with uniform sampling without replacement (chi-square)."""
    masks = draw(SMALL, MaskSizes(16, 1, 12), batch=4000)
    sets = masks.context if part == "context" else masks.targets[:, 0]
    counts, share = torch.bincount(sets.flatten(), minlength=64).double(), sets.shape[1] / 64
    spread = 4000 * share * (1 - share) * 64 / 63
    assert stats.chi2.sf(float(((counts - 4000 * share) ** 2 / spread).sum()), df=63) > 1e-3


def test_targets_are_independent_of_one_another():
    """Two targets of 12 out of 48 hidden patches share 12 * 12 / 48 = 3 on average."""
    first, second = draw(SMALL, MaskSizes(16, 2, 12), batch=4000).targets.unbind(dim=1)
    shared = (first[:, :, None] == second[:, None, :]).sum(dim=(1, 2)).double()
    assert float(shared.mean()) == pytest.approx(3, abs=0.1)


def test_one_target_of_the_rest_is_the_complement():
    """With a single target as large as the rest, context and target partition the image, as published."""
    masks = draw(SMALL, MaskSizes(26, 1, 38))
    both = torch.cat([masks.context, masks.targets[:, 0]], dim=1).sort(dim=1).values
    assert (both == torch.arange(64)).all()


def test_sizes_beyond_the_grid_are_refused():
    """The message gives the numbers."""
    with pytest.raises(ConfigError, match="do not fit a grid of 8x8"):
        draw(SMALL, MaskSizes(30, 4, 12))


def test_both_maskers_are_on_offer():
    """The hook names `none` and `random`."""
    assert set(astrojepa_random.astrojepa_maskers()) == {"none", "random"}
