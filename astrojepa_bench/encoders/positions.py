"""Fixed two-dimensional sine-cosine position codes."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.errors import ConfigError

version = 1  # raise it whenever a number changes


def sincos_positions(rows: int, columns: int, dim: int) -> Float[Tensor, "patch dim"]:
    """Encode each patch's column in the first half of the vector and its row in the second.

    Each half is sin(p·f_i) for all i, then cos(p·f_i) for all i, with f_i = 10000^(-4i/dim).

    Raises:
        ConfigError: `dim` is not a multiple of 4.

    Source: Assran et al. 2023 (arXiv 2301.08243), following Vaswani et al. 2017; no deviation.
    """
    if dim % 4:
        raise ConfigError(f"a width of {dim} cannot hold 2-D sine-cosine positions; use a multiple of 4")
    frequencies = 10000.0 ** (-torch.arange(dim // 4, dtype=torch.float64) * 4 / dim)
    row, column = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64), torch.arange(columns, dtype=torch.float64), indexing="ij"
    )
    halves = [_waves(column.flatten(), frequencies), _waves(row.flatten(), frequencies)]
    return torch.cat(halves, dim=1).float()


def _waves(places: Tensor, frequencies: Tensor) -> Tensor:
    phases = places[:, None] * frequencies
    return torch.cat([phases.sin(), phases.cos()], dim=1)
