"""Patch grids: sizes of rectangles by trial, and masks that break their word are told which one."""

import numpy as np
import pytest
import torch

from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid

GRID = PatchGrid(3, 4, 2)
SIZES = MaskSizes(context=2, targets=2, target=3)


def masks(context=((0, 1),), targets=(((2, 3, 4), (4, 5, 6)),)):
    return Masks(torch.tensor(context), torch.tensor(targets))


def test_a_grid_tiles_or_says_what_would():
    """Square images in square patches; the nearest sides that fit are named."""
    assert PatchGrid.tiling(48, 8) == PatchGrid(6, 6, 8)
    with pytest.raises(ConfigError, match=r"48 = 9·5 \+ 3\); use one of \[4, 6, 3\]"):
        PatchGrid.tiling(48, 5)
    with pytest.raises(ConfigError, match="patch=0"):
        PatchGrid.tiling(48, 0)


@pytest.mark.parametrize("wanted", [0.4, 1, 2.5, 5, 6.9, 7.5, 9, 14, 100])
def test_rectangles_are_the_nearest_of_all_that_are_allowed(wanted):
    """At most 3:2 and no larger than the grid; of equally near ones the squarer."""
    found = PatchGrid(5, 4, 1).rectangle(wanted)
    allowed = [(1, 1), (2, 2), (2, 3), (3, 3), (3, 4), (4, 4)]
    near = min(abs(a * b - wanted) for a, b in allowed)

    assert found in allowed
    assert abs(found[0] * found[1] - wanted) == near


def test_means_of_patches_are_taken_row_by_row():
    """Against patches that are cut by hand, on a grid that is no square."""
    values = torch.rand(2, 6, 8, generator=torch.Generator().manual_seed(0))
    by_hand = [
        [
            float(image[row : row + 2, column : column + 2].mean())
            for row in (0, 2, 4)
            for column in (0, 2, 4, 6)
        ]
        for image in values
    ]

    np.testing.assert_allclose(GRID.patch_means(values), by_hand, rtol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "fits"),
    [((12, 0, 0), True), ((13, 0, 0), False), ((4, 2, 4), True), ((5, 2, 4), False), ((0, 1, 4), False)],
)
def test_sizes_fit_while_the_grid_has_patches(sizes, fits):
    """Context and targets may fill the grid, and something must be seen."""
    if fits:
        MaskSizes(*sizes).check(GRID)
    else:
        with pytest.raises(ConfigError, match="do not fit a grid of 3x4 = 12 patches"):
            MaskSizes(*sizes).check(GRID)


@pytest.mark.parametrize("last", [0, 11])
def test_masks_that_keep_their_word_pass(last):
    """Every patch of the grid may be named, blocks may overlap, and there may be none."""
    masks(context=((1, last),)).validate(GRID, SIZES)
    Masks(torch.tensor([[last, 5]]), torch.zeros(1, 0, 0, dtype=torch.long)).validate(GRID, MaskSizes(2))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"context": ((0, 1, 7),)}, r"masks of sizes \(3, 2, 3\)"),
        ({"targets": (((2, 3, 4),),)}, r"masks of sizes \(2, 1, 3\)"),
        ({"context": ((0, 12),)}, "index 0..12 on a grid of 0..11"),
        ({"context": ((-1, 0),)}, "index -1..6 on a grid of 0..11"),
        ({"targets": (((2, 3, 4), (4, 5, 12)),)}, "index 0..12 on a grid of 0..11"),
        ({"context": ((1, 1),)}, "appears twice in one set"),
        ({"targets": (((2, 3, 3), (4, 5, 6)),)}, "appears twice in one set"),
        ({"context": ((0, 6),)}, "both context and target"),
    ],
)
def test_masks_that_break_their_word_are_told_which(wrong, said):
    """Sizes, the range of the grid, repeats within a set, and a context that shows what is to be predicted."""
    with pytest.raises(ContractError, match=said):
        masks(**wrong).validate(GRID, SIZES)
