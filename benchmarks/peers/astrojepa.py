"""AstroJEPA's training step and mask collator, written again from their description; nothing of its code is used.

Described by github.com/FurqanBhat/AstroJEPA: images of 224 px in patches of 16, tokens 192 wide, six encoder and
six predictor layers of three heads, pre-norm, ReLU, dropout .1. One patch embedding serves both encoders, is
trained, and is no part of the moving average. The context encoder is given all 196 tokens and a padding mask over
those that are hidden; the predictor is given all 196 of its outputs, with those of one target replaced by a learnt
vector, and runs once a target. Positions are learnt, one table a network. The loss is the mean squared error at the
target's places against the teacher's tokens, averaged over four targets. 5,562,240 parameters are trained.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

TRAINED = 5_562_240
GRID, PATCH_PX = 14, 16
TARGETS, TARGET_SIDE, CONTEXT_SIDE, LEAST_CONTEXT = 4, (0.2, 0.3), (0.5, 0.7), 20
MOMENTUM = 0.996


class Layers(nn.Module):
    """Six transformer layers over all patches, with their own table of positions."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.1, activation="relu", batch_first=True, norm_first=True
        )
        self.positions = nn.Parameter(0.02 * torch.randn(1, GRID * GRID, width))
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        return self.norm(self.layers(tokens + self.positions, src_key_padding_mask=hidden))


class AstroJEPA(nn.Module):
    """The model and its step on a batch of images.

    Args:
        width, depth, heads: of both encoder and predictor.
    """

    def __init__(self, width: int = 192, depth: int = 6, heads: int = 3) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, PATCH_PX, PATCH_PX)
        self.encoder, self.predictor = Layers(width, depth, heads), Layers(width, depth, heads)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.teacher = copy.deepcopy(self.encoder).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            [each for each in self.parameters() if each.requires_grad], lr=1e-4, weight_decay=0.05
        )

    def loss(self, images: Tensor, context: Tensor, targets: Tensor) -> Tensor:
        """Predict each target from what the context encoder makes of all patches.

        Args:
            images: in [-1, 1].
            context: (batch, patch), true where seen.
            targets: (target, batch, patch), true where predicted.
        """
        tokens = self.embed(images).flatten(2).transpose(1, 2)
        seen = self.encoder(tokens, ~context)
        with torch.no_grad():
            actual = self.teacher(tokens)
        losses = []
        for target in targets:
            asked = torch.where(target[..., None], self.mask_token, seen)
            losses.append(F.mse_loss(self.predictor(asked)[target], actual[target]))
        return torch.stack(losses).mean()

    def step(self, images: Tensor) -> Tensor:
        """Draw masks image by image, descend, and move the teacher."""
        context, targets = collate(images)
        loss = self.loss(images, context, targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            for slow, fast in zip(self.teacher.parameters(), self.encoder.parameters(), strict=True):
                slow.mul_(MOMENTUM).add_(fast, alpha=1 - MOMENTUM)
        return loss.detach()


def collate(images: Tensor, side: int | None = None) -> tuple[Tensor, Tensor]:
    """Draw a context and four targets for each image, one image after the other.

    Args:
        images: in [-1, 1].
        side: of every target, where others draw targets of one size; None: sides are drawn.

    Returns:
        (batch, patch) and (target, batch, patch), true inside.
    """
    contexts, targets = [], []
    for image in images:
        weight = patch_weight(image)
        own = [
            block(weight, side or side_of(TARGET_SIDE), side or side_of(TARGET_SIDE)) for _ in range(TARGETS)
        ]
        hidden = torch.stack(own).any(dim=0)
        context = block(weight, side_of(CONTEXT_SIDE), side_of(CONTEXT_SIDE)) & ~hidden
        contexts.append(context if int(context.sum()) >= LEAST_CONTEXT else ~hidden)
        targets.append(torch.stack(own))
    return torch.stack(contexts), torch.stack(targets, dim=1)


def patch_weight(image: Tensor) -> Tensor:
    """Weigh patches by the mean brightness of their pixels' grey, in size."""
    grey = image.mean(dim=0).abs()
    tiles = grey.unfold(0, PATCH_PX, PATCH_PX).unfold(1, PATCH_PX, PATCH_PX)
    weight = torch.nan_to_num(tiles.mean(dim=(2, 3)).flatten()).clamp(min=0)
    return weight if float(weight.sum()) > 0 else torch.ones_like(weight)


def side_of(share: tuple[float, float]) -> int:
    """Draw the side of a block from its share of the grid's."""
    low, high = (max(1, int(GRID * each)) for each in share)
    return int(np.random.randint(low, high + 1))  # noqa: NPY002  (two global generators, as described)


def block(weight: Tensor, height: int, width: int) -> Tensor:
    """Mark a block around a patch drawn by weight, moved inside the grid."""
    centre = int(torch.multinomial(weight / weight.sum(), 1))
    top = min(max(0, centre // GRID - height // 2), GRID - height)
    left = min(max(0, centre % GRID - width // 2), GRID - width)
    mask = torch.zeros(GRID, GRID, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask.flatten()
