"""Our vision transformer's tensors under the names of timm's `VisionTransformer`, and back.

Blocks and norm have equal names. The patch embedding is a matrix here and a strided convolution there, and
positions are a table there; both say the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from astrojepa_bench.encoders.positions import sincos_positions
from astrojepa_bench.encoders.timm_model import TimmModel

if TYPE_CHECKING:
    from astrojepa_bench.encoders.vit import TokenViT

version = 1  # raise it whenever a number changes
KERNEL, BIAS, POSITIONS = "patch_embed.proj.weight", "patch_embed.proj.bias", "pos_embed"
TEMPLATE = "vit_tiny_patch16_224"  # any plain one: every size is given


def as_timm(encoder: TokenViT, depth: int, pooling: str) -> TimmModel:
    """Make a timm model of an encoder's first `depth` blocks, for images of its own size."""
    bands = len(encoder.spec.bands)
    arguments = {
        "model_name": TEMPLATE, "num_classes": 0, "in_chans": bands, "img_size": encoder.spec.size_px,
        "patch_size": encoder.patch, "embed_dim": encoder.dim, "depth": depth, "num_heads": encoder.heads,
        "class_token": False, "global_pool": pooling, "fc_norm": False,
    }  # fmt: skip
    state = encoder.state_dict()
    wanted = ("norm.", *(f"blocks.{block}." for block in range(depth)))
    kept = {name: value for name, value in state.items() if name.startswith(wanted)}
    side, p = encoder.spec.size_px // encoder.patch, encoder.patch
    kernel = state["embed.weight"].unflatten(1, (-1, p, p))
    codes = sincos_positions(side, side, encoder.dim)[None]
    renamed = {KERNEL: kernel, BIAS: state["embed.bias"], POSITIONS: codes, **kept}
    mean, std = (tuple(state[name].flatten().tolist()) for name in ("mean", "std"))
    return TimmModel(arguments, renamed, mean, std)


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename timm's tensors to ours; what we have no place for keeps its name, and so is refused later.

    A table of positions is dropped only where it equals ours: learned positions are not fixed ones.
    """
    if not {KERNEL, BIAS} <= state.keys():
        return dict(state)
    given = {"embed.weight": state[KERNEL].flatten(1), "embed.bias": state[BIAS]}
    renamed = {KERNEL, BIAS} | ({POSITIONS} if _are_ours(state.get(POSITIONS)) else set())
    return given | {name: value for name, value in state.items() if name not in renamed}


def _are_ours(codes: Tensor | None) -> bool:
    if codes is None or codes.ndim != 3 or codes.shape[2] % 4:
        return False
    side = round(codes.shape[1] ** 0.5)
    if side * side != codes.shape[1]:
        return False
    return torch.allclose(codes[0], sincos_positions(side, side, codes.shape[2]), atol=1e-5)
