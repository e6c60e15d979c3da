"""Encoder `astrojepa-vit`: the small vision transformer of AstroJEPA, as published.

A strided convolution embeds patches, a *learned* position is added to each, and a stack of PyTorch's own
`TransformerEncoderLayer` follows: norm before each part, ReLU, four times as wide inside, dropout of 0.1 while
training, and a last LayerNorm. All layers of a fresh one start equal, because PyTorch clones the first.

Images are normalised as published, x = (g - 0.5) / 0.5 in every band, whatever the survey. Hidden patches are
dropped before the first layer; where AstroJEPA masks them as keys instead, the visible ones come out the same,
since they can attend to each other only.

Sizes: 192 wide, 3 heads, 6 layers (5.5 million parameters with as deep a predictor); the "25.3 M" models are 384
wide, and 8 layers with 6 in the predictor give their 25,290,240 parameters exactly.

Weights to start from may also be a checkpoint of AstroJEPA's zoo: its target encoder is taken.

Cost: that of a vision transformer of its size.

Source: github.com/FurqanBhat/AstroJEPA, the published module. Deviations: patches can be left out; at other image
sizes the table of positions is interpolated (Dosovitskiy et al. 2021, arXiv 2010.11929, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isqrt
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.plugin import ConfigError, Encoder, ImageSpec, PatchGrid, Tokens, hookimpl, load_weights

PUBLISHED = {"patch_embed.proj.": "embed.", "target_encoder.": "body."}
POSITIONS = "body.pos_embed"


class Transformer(nn.Module):
    """Learned positions, pre-norm layers of PyTorch, a last norm; names of its tensors as published.

    Args:
        patches: how many positions there are.
        width, depth, heads: of the transformer.
    """

    version = 1

    def __init__(self, patches: int, *, width: int, depth: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ConfigError(f"a width of {width} is not a multiple of {heads} heads; choose one that is")
        self.pos_embed = nn.Parameter(torch.empty(1, patches, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(
        self, tokens: Float[Tensor, "batch token dim"], hidden: Bool[Tensor, "batch token"] | None = None
    ) -> Float[Tensor, "batch token dim"]:
        """Transform tokens that were placed already; nothing attends to `hidden` ones, which attend themselves."""
        values: Tensor = self.norm(self.blocks(tokens, src_key_padding_mask=hidden))
        return values

    def layers(self, tokens: Float[Tensor, "batch token dim"]) -> list[Float[Tensor, "batch token dim"]]:
        """Return the tokens after each layer, the last one also normalised, at the end."""
        outputs = []
        for layer in self.blocks.layers:
            tokens = layer(tokens)
            outputs.append(tokens)
        return [*outputs, self.norm(tokens)]


class AstroJEPAViT(Encoder):
    """Vision transformer of AstroJEPA: learned positions, PyTorch's own layers, 192 wide and 6 deep.

    Args:
        spec: bands and size of the images; their statistics are not used.
        patch: side of a patch [pixel].
        width: token width.
        depth: number of layers.
        heads: attention heads.
        weights: file to start from, in safetensors or as a torch state dict, with our names or the zoo's; None: a
            random start.
    """

    version: ClassVar[int | None] = 1

    def __init__(
        self,
        spec: ImageSpec,
        *,
        patch: int = 16,
        width: int = 192,
        depth: int = 6,
        heads: int = 3,
        weights: Path | None = None,
    ) -> None:
        super().__init__(spec)
        self.grid: PatchGrid = PatchGrid.tiling(spec.size_px, patch)
        self.dim = width
        self.embed = nn.Conv2d(len(spec.bands), width, patch, patch)
        self.body = Transformer(self.grid.patches, width=width, depth=depth, heads=heads)
        if weights is not None:
            load_weights(self, weights, "encoder 'astrojepa-vit'")

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Encode the patches in `keep`, or all of them."""
        placed, keep = self.placed(images, keep)
        return Tokens(self.body(placed), keep)

    def layers(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Sequence[Tokens]:
        """Compute the tokens after every layer; those of the last have passed the final norm, as in `forward`."""
        placed, keep = self.placed(images, keep)
        *earlier, _, last = self.body.layers(placed)
        return [Tokens(values, keep) for values in (*earlier, last)]

    def taps(self, images: Float[Tensor, "batch band height width"]) -> Mapping[str, Tensor]:
        """Return `last` (mean of the normalised tokens, as published) and `last4` (it, and four layers' means)."""
        placed, _ = self.placed(images, None)
        *layers, last = (values.mean(dim=1) for values in self.body.layers(placed))
        return {"last": last, "last4": torch.cat([last, *layers[-4:]], dim=1)}

    def placed(
        self, images: Float[Tensor, "batch band height width"], keep: Int[Tensor, "batch token"] | None
    ) -> tuple[Float[Tensor, "batch token dim"], Int[Tensor, "batch token"]]:
        """Embed and place all patches, and gather those in `keep`, or all of them."""
        placed = self.patches(images) + self._positions(images.shape[-1])
        if keep is None:
            return placed, torch.arange(placed.shape[1], device=images.device).expand(len(images), -1)
        return placed.gather(1, keep[..., None].expand(-1, -1, self.dim)), keep

    def patches(self, images: Float[Tensor, "batch band height width"]) -> Float[Tensor, "batch patch dim"]:
        """Cut, normalise and embed all patches, not yet placed."""
        values: Tensor = self.embed((images - 0.5) / 0.5)
        return values.flatten(2).transpose(1, 2)

    def _positions(self, size_px: int) -> Float[Tensor, "1 patch dim"]:
        grid = PatchGrid.tiling(size_px, self.grid.patch_px)
        if grid == self.grid:
            return self.body.pos_embed
        table = self.body.pos_embed.transpose(1, 2).unflatten(2, (self.grid.rows, self.grid.columns))
        resized = F.interpolate(table, (grid.rows, grid.columns), mode="bicubic", antialias=True)
        return resized.flatten(2).transpose(1, 2)

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Understand the zoo's names (its target encoder is taken) and fit positions to the size of the images."""
        given = dict(state)
        if any(name.startswith("target_encoder.") for name in state):
            given = {
                ours + name.removeprefix(theirs): value
                for theirs, ours in PUBLISHED.items()
                for name, value in state.items()
                if name.startswith(theirs)
            }
        table = given.get(POSITIONS)
        if table is not None and table.ndim == 3 and table.shape[1] == isqrt(table.shape[1]) ** 2:
            from timm.layers.pos_embed import resample_abs_pos_embed  # seconds that few need wait for

            size = [self.grid.rows, self.grid.columns]
            given[POSITIONS] = resample_abs_pos_embed(table, size, num_prefix_tokens=0)
        return given


@hookimpl
def astrojepa_encoders() -> Mapping[str, Callable[..., Encoder]]:
    """Offer `astrojepa-vit`."""
    return {"astrojepa-vit": AstroJEPAViT}
