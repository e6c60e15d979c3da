"""Encoder `template`: each patch through a small network of its own, without a look at its neighbours.

Source: nothing to cite yet; name the paper, the equation and every deviation.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.plugin import Encoder, ImageSpec, PatchGrid, Tokens, hookimpl, sincos_positions


class TemplateEncoder(Encoder):
    """Two layers a patch, with fixed sine-cosine positions.

    Args:
        spec: bands and their training statistics.
        patch: side of a patch [pixel].
        width: token width, a multiple of 4.
    """

    version = 1

    mean: Tensor
    std: Tensor

    def __init__(self, spec: ImageSpec, *, patch: int = 8, width: int = 64) -> None:
        super().__init__(spec)
        self.grid = PatchGrid.tiling(spec.size_px, patch)
        self.dim, self.patch = width, patch
        self.register_buffer("mean", torch.tensor(spec.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(-1, 1, 1))
        self.enter = nn.Linear(len(spec.bands) * patch**2, width)
        self.leave = nn.Sequential(nn.GELU(), nn.Linear(width, width), nn.LayerNorm(width))

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Encode the patches in `keep`, or all of them; an image may be larger or smaller than usual."""
        grid = PatchGrid.tiling(images.shape[-1], self.patch)
        pixels = F.pixel_unshuffle((images - self.mean) / self.std, self.patch).flatten(2).transpose(1, 2)
        if keep is None:
            keep = torch.arange(grid.patches, device=images.device).expand(len(images), -1)
        seen = pixels.gather(1, keep[..., None].expand(-1, -1, pixels.shape[-1]))
        places = sincos_positions(grid.rows, grid.columns, self.dim).to(images.device)
        return Tokens(self.leave(self.enter(seen) + places[keep]), keep)


@hookimpl
def astrojepa_encoders() -> Mapping[str, type[Encoder]]:
    """Offer `template`."""
    return {"template": TemplateEncoder}
