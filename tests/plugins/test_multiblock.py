"""Masker `multiblock`: published and counted coverage, and where it departs from the released sampler."""

import itertools

import astrojepa_multiblock
import numpy as np
import pytest
import torch

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.plugin import (
    MaskSizes,
    PatchGrid,
    covered,
    draw_blocks,
    draw_square,
)

SMALL, STANDARD = PatchGrid(8, 8, 8), PatchGrid(14, 14, 16)
CASES = [
    (SMALL, MaskSizes(16, 4, 12)),
    (SMALL, MaskSizes(12)),
    (STANDARD, MaskSizes(50, 4, 35)),
    (STANDARD, MaskSizes(49)),
]


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def images(grid, batch, bands=1):
    return torch.zeros(batch, bands, grid.rows * grid.patch_px, grid.columns * grid.patch_px)


def draw(grid, sizes, batch=33, seed=0, **options):
    masker = astrojepa_multiblock.Multiblock(grid, **options)
    return masker.draw(images(grid, batch), sizes, stream(seed))


def centre(marked):
    return marked.view(-1, 14, 14)[:, 5:9, 5:9].float().mean().item()


def counted_coverage(length, shapes, blocks):
    """Chance of each patch to lie in one of `blocks` rectangles, by listing all positions."""
    hit, places = np.zeros((length, length)), 0
    for h, w in shapes:
        for top, left in itertools.product(range(length - h + 1), range(length - w + 1)):
            hit[top : top + h, left : left + w] += 1
            places += 1
    return 1 - (1 - hit / places) ** blocks


def published_batch(rng, batch=128, side=14):
    """One batch of the released sampler, from its description: in targets, and left of the context square.

    One number draws area and aspect of the targets; the last position of every block is left out.
    """

    def sides(scale, aspect):
        u = rng.random()
        area, ratio = (
            int(side**2 * (scale[0] + u * (scale[1] - scale[0]))),
            aspect[0] + u * (aspect[1] - aspect[0]),
        )
        return [min(round(length), side - 1) for length in ((area * ratio) ** 0.5, (area / ratio) ** 0.5)]

    def marked(height, width):
        block = np.zeros((side, side), dtype=bool)
        top, left = rng.integers(0, side - height), rng.integers(0, side - width)
        block[top : top + height, left : left + width] = True
        return block

    target, context = sides((0.15, 0.2), (0.75, 1.5)), sides((0.85, 1.0), (1.0, 1.0))
    hidden = np.stack([np.any([marked(*target) for _ in range(4)], axis=0) for _ in range(batch)])
    return hidden, np.stack([marked(*context) for _ in range(batch)]) & ~hidden


def raster_cut(left):
    """Keep the first patches of each context row by row, as many as the smallest of the batch has."""
    flat = left.reshape(len(left), -1)
    return (flat & (flat.cumsum(axis=1) <= flat.sum(axis=1).min())).reshape(left.shape)


@pytest.fixture(scope="module")
def published():
    """Twenty published batches: in targets, left for the context, and what the raster cut keeps of it."""
    rng = np.random.default_rng(0)
    batches = [published_batch(rng) for _ in range(20)]
    hidden, left = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return hidden, left, np.concatenate([raster_cut(left) for _, left in batches])


def halves(seen):
    return seen[:, :7].mean(), seen[:, 7:].mean()


@pytest.mark.parametrize("truncation", ["random", "raster"])
@pytest.mark.parametrize("batch", [1, 33])
@pytest.mark.parametrize(("grid", "sizes"), CASES)
def test_sizes_are_exact_and_sets_disjoint(grid, sizes, batch, truncation):
    """Every image gets exactly the patches asked for, and no context patch is a target."""
    draw(grid, sizes, batch, truncation=truncation).validate(grid, sizes)


def test_the_stream_alone_decides():
    """One stream gives one answer, another stream another."""
    first, again, other = (draw(*CASES[0], seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.context, again.context)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.targets, other.targets)


def test_the_released_sampler_has_its_published_statistics(published):
    """44 % in targets, 42 % left, 26 % kept; 90 and 10 % of the core; 41 % of the top half, 11 % of the rest."""
    hidden, left, kept = published
    assert [part.mean() for part in published] == pytest.approx([0.44, 0.42, 0.26], abs=0.01)
    assert [part[:, 5:9, 5:9].mean() for part in (hidden, left)] == pytest.approx([0.90, 0.10], abs=0.01)
    assert 0.06 < kept[:, 5:9, 5:9].mean() < 0.085
    assert halves(kept) == pytest.approx((0.41, 0.11), abs=0.01)
    assert not hidden[:, -1].any()
    assert not hidden[:, :, -1].any()


@pytest.mark.parametrize(("truncation", "expected"), [("raster", (0.41, 0.11)), ("random", (0.27, 0.25))])
def test_both_cuts_treat_published_contexts_as_published(published, truncation, expected):
    """Cut by this masker, the released contexts show the halves 41 % and 11 %, or at random 27 % and 25 %."""
    masker, kept = astrojepa_multiblock.Multiblock(STANDARD, truncation=truncation), []
    for seed, left in enumerate(torch.from_numpy(published[1]).flatten(1).split(128)):
        chosen = masker.cut(left, ~left, int(left.sum(dim=1).min()), stream(seed))
        kept.append(covered(STANDARD, chosen[:, None]).view(-1, 14, 14))
    seen = torch.cat(kept).numpy()
    assert halves(seen) == pytest.approx(expected, abs=0.015)
    assert (seen == published[2]).all() == (truncation == "raster")


def test_published_positions_give_the_published_coverage():
    """Where the last row and column are left out, as published: 44 % in targets, 42 % left, 90 % of the core.

    A 13x13 grid set into the upper left of the 14x14 one has just the positions of the released sampler.
    Sizes 30, 35 and 36 stand for its range of .15 to .2 of the image.
    """
    inner, generator = PatchGrid(13, 13, 16), stream()
    sizes = [30, 35, 36] * 4
    parts = [draw_blocks(inner, torch.ones(128, 169), blocks=4, size=n, generator=generator) for n in sizes]
    hidden = torch.cat([covered(inner, part) for part in parts])
    in_core = hidden.view(-1, 13, 13)[:, 5:9, 5:9].float().mean().item()
    assert hidden.sum(dim=1).float().mean().item() / 196 == pytest.approx(0.44, abs=0.02)
    assert (~hidden).sum(dim=1).float().mean().item() / 196 == pytest.approx(0.42, abs=0.02)
    assert in_core == pytest.approx(0.90, abs=0.02)


def test_coverage_agrees_with_counted_positions():
    """With last row and column included, coverage is what listing all positions gives: 49 %, core 87 %."""
    expected = counted_coverage(14, [(5, 7), (7, 5)], blocks=4)
    hidden = covered(STANDARD, draw(STANDARD, MaskSizes(50, 4, 35), batch=3000).targets)
    found = hidden.float().mean(dim=0).view(14, 14).numpy()
    assert found == pytest.approx(expected, abs=0.04)
    assert found.mean() == pytest.approx(0.489, abs=0.005)
    assert centre(hidden) == pytest.approx(0.875, abs=0.01)


def test_last_row_and_column_are_predicted_too():
    """The released sampler never puts a target on the last row or column; this one treats all edges alike."""
    hidden = covered(STANDARD, draw(STANDARD, MaskSizes(50, 4, 35), batch=3000).targets).float().mean(dim=0)
    image = hidden.view(14, 14)
    edges = torch.stack([image[0].mean(), image[-1].mean(), image[:, 0].mean(), image[:, -1].mean()])
    assert edges.numpy() == pytest.approx([edges.mean().item()] * 4, abs=0.02)


def test_context_before_the_cut_is_what_the_targets_leave():
    """The square less the targets keeps 40 % of the patches, as listing all positions gives."""
    masks = draw(STANDARD, MaskSizes(50, 4, 35), batch=2000)
    square = draw_square(STANDARD, (0.85, 1.0), batch=2000, generator=stream(1))
    room = square & ~covered(STANDARD, masks.targets)
    assert room.float().mean().item() == pytest.approx(0.398, abs=0.01)


@pytest.mark.parametrize("truncation", ["random", "raster"])
def test_context_stays_inside_the_square(truncation):
    """A square of a quarter of the grid, and targets too small to empty it: the context never leaves 8x8."""
    masks = draw(
        PatchGrid(16, 16, 1),
        MaskSizes(20, 1, 4),
        batch=200,
        context_scale=(0.25, 0.25),
        truncation=truncation,
    )
    row, column = masks.context // 16, masks.context % 16
    for axis in (row, column):
        assert int((axis.max(dim=1).values - axis.min(dim=1).values).max()) <= 7


def test_small_contexts_are_filled_up_outside_the_square():
    """A square of 4 patches cannot hold 16: the rest comes from elsewhere, never from a target."""
    sizes = MaskSizes(16, 4, 12)
    draw(SMALL, sizes, batch=200, context_scale=(0.0625, 0.0625)).validate(SMALL, sizes)


@pytest.mark.parametrize(("truncation", "least", "most"), [("raster", 2.0, 5.0), ("random", 0.9, 1.1)])
def test_raster_truncation_favours_the_top_half(truncation, least, most):
    """Cutting row by row shows the top half several times as often as the bottom; a random cut does not."""
    masks = draw(STANDARD, MaskSizes(50, 4, 35), batch=2000, truncation=truncation)
    seen = covered(STANDARD, masks.context[:, None]).float().mean(dim=0).view(14, 14)
    assert least < (seen[:7].mean() / seen[7:].mean()).item() < most


def test_without_targets_the_context_is_one_rectangle():
    """A local view is a full rectangle, upright or turned, that reaches every corner of the grid."""
    masks = draw(SMALL, MaskSizes(12), batch=2000)
    row, column = masks.context // 8, masks.context % 8
    height = row.max(dim=1).values - row.min(dim=1).values + 1
    width = column.max(dim=1).values - column.min(dim=1).values + 1
    assert (height * width == 12).all()
    assert (height == 3).float().mean().item() == pytest.approx(0.5, abs=0.04)
    assert {0, 7, 56, 63} <= set(masks.context.flatten().tolist())


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.9, 0.8), (0.9, 1.1)])
def test_scales_out_of_range_are_refused(scale):
    """The message names the option, its value and what is allowed."""
    with pytest.raises(ConfigError, match="context_scale"):
        astrojepa_multiblock.Multiblock(SMALL, context_scale=scale)


@pytest.mark.parametrize("sizes", [MaskSizes(10, 4, 13), MaskSizes(13)])
def test_blocks_that_are_no_rectangles_are_refused(sizes):
    """Thirteen patches are no rectangle."""
    with pytest.raises(ConfigError, match="no rectangle"):
        draw(SMALL, sizes)
