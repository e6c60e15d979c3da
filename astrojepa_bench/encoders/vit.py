"""The token vision transformer: patches in, one vector a visible patch out.

Hidden patches are dropped *before* the first block (a gather), never attended around: a patch that is not in
`keep` cannot reach the output through any path. Positions are fixed sine-cosine codes computed for whatever
grid the image gives, so any image size that the patch tiles is welcome.

What is read from it is a choice of the run, recorded like any other option: `encoder.layer` says after which
block, `encoder.pooling` how tokens become one vector. Objectives train all blocks, whatever is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from astrojepa_bench.encoders import timm_library, vit_layout
from astrojepa_bench.encoders.pooling import Pooling, pool
from astrojepa_bench.encoders.positions import sincos_positions
from astrojepa_bench.encoders.timm_model import TimmModel
from astrojepa_bench.encoders.weights import load_weights
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import ImageSpec, Tokens


class TokenViT(Encoder):
    """Vision transformer over the visible patches, pre-norm, without a class token.

    Args:
        spec: bands and their training statistics.
        patch: side of a patch [pixel].
        width: token width; a multiple of 4 and of `heads`.
        depth: number of blocks.
        heads: attention heads.
        layer: block after which features are read, counted from 1; None: the last.
        pooling: how tokens become one vector: their `mean`, their `max`, `both` side by side, or mean and spread in
            `rings` around the centre.
        weights: file to start from (safetensors or a torch state dict), with our names or those of timm's
            `VisionTransformer`; None: a random start.

    Source: Dosovitskiy et al. 2021 (arXiv 2010.11929); gathered visible tokens as in He et al. 2022
    (arXiv 2111.06377). Deviation: matrices of the blocks keep PyTorch's fan-in start (std .06 at width 96)
    where those papers take truncated normals of std .02: in budgets of hundreds of steps the small start
    was measured, by cross-validation without test galaxies, to cost every entry (untrained .62 against .65, the
    best trained entry .69 against .74). The patch embedding starts Xavier-uniform.
    """

    version = 3
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        spec: ImageSpec,
        *,
        patch: int = 8,
        width: int = 96,
        depth: int = 4,
        heads: int = 4,
        layer: int | None = None,
        pooling: Pooling = "mean",
        weights: Path | None = None,
    ) -> None:
        super().__init__(spec)
        _check_sizes(width, depth, heads, layer)
        self.grid = PatchGrid.tiling(spec.size_px, patch)
        self.dim = width
        self.patch, self.heads = patch, heads
        self.layer, self.pooling = layer or depth, pooling
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std).view(1, -1, 1, 1))
        self.embed = nn.Linear(len(spec.bands) * patch * patch, width)
        self.blocks = nn.ModuleList(
            timm_library.Block(width, heads, qkv_bias=True, norm_layer=timm_library.LayerNorm)
            for _ in range(depth)
        )
        self.norm = timm_library.LayerNorm(width)
        self._codes: dict[tuple[int, int, torch.device], Tensor] = {}
        nn.init.xavier_uniform_(self.embed.weight)
        nn.init.zeros_(self.embed.bias)
        if weights is not None:
            load_weights(self, weights, "vision transformer")

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Encode the patches in `keep`, or all of them."""
        values, positions = self.patches(images, keep)
        for block in self.blocks:
            values = block(values)
        return Tokens(self.norm(values), positions)

    def layers(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Sequence[Tokens]:
        """Compute the tokens after every block; those of the last have passed the final norm, as in `forward`."""
        values, positions = self.patches(images, keep)
        found = []
        for block in self.blocks:
            values = block(values)
            found.append(values)
        return [Tokens(each, positions) for each in (*found[:-1], self.norm(values))]

    def taps(self, images: Float[Tensor, "batch band height width"]) -> Mapping[str, Tensor]:
        """Return `last` (pooled, after the final norm) and `last4` (four blocks, pooled and joined).

        Both stop after block `layer`; the final norm is applied to it whichever it is. `last4` also holds
        the normalised last layer.

        Source: the two feature choices of Assran et al. 2023 (arXiv 2301.08243), appendix A.2. Earlier
        layers: Xie et al. 2022 (arXiv 2111.09886) probe the eighth of twelve, because what predicts pixels
        last says less about classes; the norm on them as in Oquab et al. 2024 (arXiv 2304.07193).
        """
        grid, (values, _) = PatchGrid.tiling(images.shape[-1], self.patch), self.patches(images, None)
        pooled = []
        for block in self.blocks[: self.layer]:
            values = block(values)
            pooled.append(pool(values, self.pooling, grid))
        last = pool(self.norm(values), self.pooling, grid)
        return {"last": last, "last4": torch.cat([last, *pooled[-4:]], dim=1)}

    def patches(
        self, images: Float[Tensor, "batch band height width"], keep: Int[Tensor, "batch token"] | None
    ) -> tuple[Float[Tensor, "batch token dim"], Int[Tensor, "batch token"]]:
        """Cut, gather, embed and place the visible patches."""
        grid = PatchGrid.tiling(images.shape[-1], self.patch)
        normalised, p = (images - self.mean) / self.std, grid.patch_px
        tiles = normalised.unflatten(-1, (grid.columns, p)).unflatten(2, (grid.rows, p))
        pixels = (
            tiles.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
        )  # (batch, patch, pixel), bands outermost
        if keep is None:
            keep = torch.arange(grid.patches, device=images.device).expand(len(images), -1)
        else:
            pixels = pixels.gather(1, keep[..., None].expand(-1, -1, pixels.shape[-1]))
        return self.embed(pixels) + self._positions(grid, images.device)[keep], keep

    def _positions(self, grid: PatchGrid, device: torch.device) -> Float[Tensor, "patch dim"]:
        key = (grid.rows, grid.columns, device)
        if key not in self._codes:
            self._codes[key] = sincos_positions(grid.rows, grid.columns, self.dim).to(device)
        return self._codes[key]

    # -- files of other programs --

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Understand timm's names; such a file leaves the normalisation to the images at hand."""
        given = vit_layout.from_timm(state)
        return given if given == state else {"mean": self.mean, "std": self.std, **given}

    def as_timm(self) -> TimmModel:
        """Return the same function as a timm `VisionTransformer`: tap `last` is its output.

        Raises:
            ConfigError: timm has no pooling of that kind.
        """
        if self.pooling not in ("mean", "max"):
            raise ConfigError(
                f"timm pools tokens by mean or by maximum and has no '{self.pooling}'; set encoder.pooling=mean"
            )
        return vit_layout.as_timm(self, self.layer, "avg" if self.pooling == "mean" else "max")


def _check_sizes(width: int, depth: int, heads: int, layer: int | None) -> None:
    if width % heads:
        raise ConfigError(f"encoder.width={width} is not a multiple of encoder.heads={heads}")
    if layer is not None and not 1 <= layer <= depth:
        raise ConfigError(
            f"encoder.layer={layer} is not one of {depth} blocks; use 1 to {depth}, or None for the last"
        )


class ViTMicro(TokenViT):
    """Vision transformer for CPUs: 96 wide, 4 deep, 4 heads."""


class PublishedViT(TokenViT):
    """Vision transformer in published proportions: 12 blocks over patches of 16 px."""

    def __init__(self, spec: ImageSpec, *, patch: int = 16, depth: int = 12, **options: Any) -> None:
        super().__init__(spec, patch=patch, depth=depth, **options)


class ViTTiny(PublishedViT):
    """Vision transformer of the ViT-Ti size: 192 wide, 12 deep, 3 heads."""

    def __init__(self, spec: ImageSpec, *, width: int = 192, heads: int = 3, **options: Any) -> None:
        super().__init__(spec, width=width, heads=heads, **options)


class ViTSmall(PublishedViT):
    """Vision transformer of the ViT-S size: 384 wide, 12 deep, 6 heads."""

    def __init__(self, spec: ImageSpec, *, width: int = 384, heads: int = 6, **options: Any) -> None:
        super().__init__(spec, width=width, heads=heads, **options)


class ViTBase(PublishedViT):
    """Vision transformer of the ViT-B size: 768 wide, 12 deep, 12 heads."""

    def __init__(self, spec: ImageSpec, *, width: int = 768, heads: int = 12, **options: Any) -> None:
        super().__init__(spec, width=width, heads=heads, **options)
