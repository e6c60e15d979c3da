"""Tokens to one vector: by hand, and what turning a galaxy must not change."""

import math

import pytest
import torch

from astrojepa_bench.encoders.pooling import pool, rings
from astrojepa_bench.geometry.grids import PatchGrid

GRID = PatchGrid(8, 8, 8)


def test_mean_maximum_or_both():
    """Three tokens by hand."""
    tokens, grid = torch.tensor([[[1.0, -4.0], [2.0, 0.0], [6.0, 1.0]]]), PatchGrid(1, 3, 8)
    assert pool(tokens, "mean", grid).tolist() == [[3.0, -1.0]]
    assert pool(tokens, "max", grid).tolist() == [[6.0, 1.0]]
    assert pool(tokens, "both", grid).tolist() == [[3.0, -1.0, 6.0, 1.0]]


@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (14, 14), (5, 5), (4, 6), (2, 2), (1, 1)])
def test_rings_share_out_all_patches(rows, columns):
    """Each patch lies in one ring; no ring is empty; the corners are in the last."""
    found = rings(rows, columns)

    assert sorted(patch for ring in found for patch in ring) == list(range(rows * columns))
    assert all(found)
    assert 0 in found[-1]


def test_rings_count_patches_as_their_areas_do():
    """On a fine grid a ring holds its part of the square: pi/64 (2k + 1), the last what is left."""
    shares = [len(ring) / 200**2 for ring in rings(200, 200)]
    areas = [math.pi / 64 * (2 * k + 1) for k in range(3)]

    assert shares == pytest.approx([*areas, 1 - sum(areas)], abs=2e-3)


def test_mean_and_spread_of_each_ring():
    """Tokens that are the number of their ring have that mean and no spread; noise has its own."""
    tokens = torch.zeros(1, 64, 1)
    for number, ring in enumerate(rings(8, 8)):
        tokens[0, list(ring)] = float(number)
    assert pool(tokens, "rings", GRID).tolist() == [[0, 1, 2, 3, 0, 0, 0, 0]]

    tokens = torch.randn(1, 64, 1, generator=torch.Generator().manual_seed(0))
    outer = tokens[0, list(rings(8, 8)[3]), 0].double()
    spread = (outer - outer.mean()).square().mean().sqrt()
    assert pool(tokens, "rings", GRID)[0, 7].item() == pytest.approx(spread.item(), rel=1e-5)


def test_turned_and_mirrored_galaxies_have_the_same_rings():
    """Patches that carry their content along; a shift is no such change."""
    tokens = torch.randn(2, 8, 8, 3, generator=torch.Generator().manual_seed(1))
    found = pool(tokens.flatten(1, 2), "rings", GRID)

    for moved in (tokens.rot90(1, (1, 2)), tokens.flip(1), tokens.transpose(1, 2)):
        torch.testing.assert_close(pool(moved.flatten(1, 2), "rings", GRID), found)
    shifted = pool(tokens.roll(2, 1).flatten(1, 2), "rings", GRID)
    assert not torch.allclose(shifted, found, atol=0.1)
