"""How the tokens of an image become one vector of features."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.geometry.grids import PatchGrid

version = 1  # raise it whenever a number changes
Pooling: TypeAlias = Literal["mean", "max", "both", "rings"]
RINGS = 4


def pool(
    tokens: Float[Tensor, "batch token dim"], how: Pooling, grid: PatchGrid
) -> Float[Tensor, "batch feature"]:
    """Make one vector of an image's tokens.

    Args:
        tokens: one a patch, in row-major order.
        how: `mean` or `max` over tokens, `both` side by side, or `rings`: mean and standard deviation over the
            tokens of each of four rings around the centre of the image, from the inside out.
        grid: the patches that the tokens stand for.

    Source:
        Mean and maximum: the usual global pools. Rings: a radial profile, which is how photometry has
        summarised galaxies since de Vaucouleurs (1948); like the mean it is the same whichever way a galaxy
        is turned by a quarter or mirrored, and unlike it, it keeps how large and how concentrated it is.
    """
    if how == "rings":
        parts = [tokens[:, list(ring)] for ring in rings(grid.rows, grid.columns)]
        means = [part.mean(dim=1) for part in parts]
        return torch.cat([*means, *(part.std(dim=1, correction=0) for part in parts)], dim=1)
    if how == "both":
        return torch.cat([tokens.mean(dim=1), tokens.amax(dim=1)], dim=1)
    return tokens.mean(dim=1) if how == "mean" else tokens.amax(dim=1)


@lru_cache
def rings(rows: int, columns: int) -> tuple[tuple[int, ...], ...]:
    """List the patches of each ring, from the inside out.

    Rings are a quarter of half the side wide, the outermost reaches into the corners; one that is so narrow
    that no patch centre lies in it does not count.
    """
    down = (torch.arange(rows) + 0.5) / rows - 0.5
    across = (torch.arange(columns) + 0.5) / columns - 0.5
    ring = (2 * RINGS * torch.hypot(down[:, None], across)).long().clamp(max=RINGS - 1).flatten()
    found = [(ring == number).nonzero().flatten().tolist() for number in range(RINGS)]
    return tuple(tuple(patches) for patches in found if patches)
