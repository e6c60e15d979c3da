"""Patch geometry that maskers share: random subsets, rectangles, squares, all batched on the device.

Everything random is an exponential race (Gumbel-max): add Gumbel noise to log weights and keep the largest.
One race draws a weighted subset without replacement, another one position of a block. torch.multinomial runs
the same race but reads its weights back from the device to check them, which holds up a GPU at every step.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import PatchGrid

version = 1  # raise it whenever a number changes
PREFER = 100.0
"""Added to a log weight, it has a patch taken before all others: Gumbel noise spans no more than -4 to 28."""

# an exponential draw of exactly 0 would be infinite noise, and NaN on a forbidden patch
_SHORTEST_WAIT = 1e-12


def choose_patches(
    log_weight: Float[Tensor, "*batch patch"], size: int, generator: torch.Generator
) -> Int[Tensor, "*batch context"]:
    """Choose `size` patches without replacement, each next one with probability proportional to its weight.

    Equal weights give a uniform subset. Add `PREFER` to take patches before others, use -inf to forbid them.

    Args:
        log_weight: logarithm of the weight of each patch; at least `size` of a row must be finite.
        size: how many patches.
        generator: the only source of randomness, on the device of `log_weight`.

    Returns:
        Flat patch indices in ascending order.

    Source: Efraimidis & Spirakis 2006 (doi 10.1016/j.ipl.2005.11.003); as Gumbel top-k, Kool et al. 2019
    (arXiv 1903.06059).
    """
    raced = log_weight + _gumbel(log_weight.shape, generator)
    return raced.topk(size, dim=-1).indices.sort(dim=-1).values


def draw_blocks(
    grid: PatchGrid,
    weight: Float[Tensor, "batch patch"],
    *,
    blocks: int,
    size: int,
    generator: torch.Generator,
) -> Int[Tensor, "batch block target"]:
    """Draw rectangles, each at a position with probability proportional to the weight that it would cover.

    All positions that fit are candidates, in both orientations, up to and including the last row and column.
    Equal weights place blocks uniformly. The blocks of an image are independent and may overlap.

    Args:
        grid: the patch grid.
        weight: non-negative weight of each patch, positive somewhere in every rectangle.
        blocks: rectangles per image.
        size: patches in a rectangle.
        generator: the only source of randomness.

    Returns:
        Flat patch indices in ascending order.

    Raises:
        ConfigError: `size` is not the area of a rectangle that `PatchGrid.rectangle` allows.
    """
    shape = rectangle_of(grid, size)
    log_score = _covered_weight(grid, weight, shape).log()[:, None].expand(-1, blocks, -1)
    place = (log_score + _gumbel(log_score.shape, generator)).argmax(dim=-1)
    return _patches_at(grid, shape, place)


def draw_square(
    grid: PatchGrid, scale: tuple[float, float], *, batch: int, generator: torch.Generator
) -> Bool[Tensor, "batch patch"]:
    """Mark one large square per image, placed uniformly; its area is drawn once for the batch.

    The side stays below that of the grid, so at scales near 1 it is the grid less one row and one column.

    Args:
        grid: the patch grid.
        scale: smallest and largest area, as a share of the grid.
        batch: how many images.
        generator: the only source of randomness; the mask lies on its device.

    Source: Assran et al. 2023 (arXiv 2301.08243) and its released sampler: area floor(N u), side
    round(sqrt(area)), reduced below the grid's. Deviation: the last position is included.
    """
    low, high = scale
    area = (grid.patches * (low + (high - low) * _uniform((), generator))).floor()
    side = area.sqrt().round().clamp(min=1)  # a tensor: reading it would hold up the device
    rows = _interval(grid.rows, side, _uniform((batch, 1), generator))
    columns = _interval(grid.columns, side, _uniform((batch, 1), generator))
    return (rows[:, :, None] & columns[:, None, :]).flatten(1)


def covered(grid: PatchGrid, sets: Int[Tensor, "batch block target"]) -> Bool[Tensor, "batch patch"]:
    """Mark the patches that lie in any of an image's sets."""
    nowhere = torch.zeros(len(sets), grid.patches, dtype=torch.bool, device=sets.device)
    return nowhere.scatter(1, sets.flatten(1), True)


def rectangle_of(grid: PatchGrid, size: int) -> tuple[int, int]:
    """Find the rectangle (rows <= columns) of exactly `size` patches.

    Raises:
        ConfigError: `size` is not the area of a rectangle that `PatchGrid.rectangle` allows.
    """
    rows, columns = grid.rectangle(float(size))
    if rows * columns != size:
        raise ConfigError(
            f"a block of {size} patches is no rectangle on a grid of {grid.rows}x{grid.columns}; "
            f"ask for the nearest, {rows}x{columns} = {rows * columns}, as MaskSizes.rounded does"
        )
    return rows, columns


def rectangle_patches(
    grid: PatchGrid,
    top: Int[Tensor, "batch block"],
    left: Int[Tensor, "batch block"],
    width: Int[Tensor, "batch block"],
    size: int,
) -> Int[Tensor, "batch block target"]:
    """List the patches of rectangles by corner and width, `size` patches each, in ascending order."""
    inside = torch.arange(size, device=top.device)
    row = top[..., None] + inside // width[..., None]
    column = left[..., None] + inside % width[..., None]
    return row * grid.columns + column


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device)


def _gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    wait = torch.empty(shape, device=generator.device).exponential_(generator=generator)
    return -wait.clamp(min=_SHORTEST_WAIT).log()


def _interval(length: int, side: Tensor, where: Float[Tensor, "batch 1"]) -> Bool[Tensor, "batch patch"]:
    """Mark `side` patches in a row, fewer than the grid has, at the relative position `where` in [0, 1)."""
    side = side.clamp(max=max(1, length - 1))
    first = (where * (length - side + 1)).floor()
    index = torch.arange(length, device=where.device)
    return (index >= first) & (index < first + side)


def _covered_weight(
    grid: PatchGrid, weight: Float[Tensor, "batch patch"], shape: tuple[int, int]
) -> Float[Tensor, "batch place"]:
    """Average the weight under every position of the rectangle, then under every position of it turned.

    Average pooling: what an integral image gives, without its loss of digits in differences of large sums.
    """
    image = weight.unflatten(1, (1, grid.rows, grid.columns))
    turns = [F.avg_pool2d(image, turned, stride=1).flatten(1) for turned in (shape, shape[::-1])]
    return torch.cat(turns, dim=1)


def _patches_at(
    grid: PatchGrid, shape: tuple[int, int], place: Int[Tensor, "batch block"]
) -> Int[Tensor, "batch block target"]:
    """List the patches of the rectangle at each place, in the order of `_covered_weight`."""
    rows, columns = shape
    upright = (grid.rows - rows + 1) * (grid.columns - columns + 1)
    turned = place >= upright
    width = torch.where(turned, rows, columns)
    place = torch.where(turned, place - upright, place)
    span = grid.columns - width + 1
    return rectangle_patches(grid, place // span, place % span, width, rows * columns)
