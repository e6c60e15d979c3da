"""A probe that looks at patches: one query attends to frozen tokens, a linear layer reads what it found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.streams import scoped_global, stream_seed

version = 1  # raise it whenever a number changes

TokenValues: TypeAlias = Float[Tensor, "galaxy token dim"]
BATCH = 128
WARMUP = 0.1  # share of the steps


class AttentionPool(nn.Module):
    """One query, cross-attending with several heads, then LayerNorm and a linear layer.

    With a single query, the product of query and key weights is one vector a head, so these are learned directly:
    the same function, with a small part of the arithmetic. They start from zero, which is the mean over tokens.

    Args:
        dim: width of a token.
        classes: how many.
        heads: of the attention; dim need not be a multiple of it.
    """

    def __init__(self, dim: int, classes: int, heads: int) -> None:
        super().__init__()
        self.heads, width = heads, math.ceil(dim / heads)
        self.query = nn.Parameter(torch.zeros(dim, heads))
        self.value = nn.Parameter(torch.empty(heads, dim, width))
        self.norm = nn.LayerNorm(heads * width)
        self.head = nn.Linear(heads * width, classes)
        nn.init.normal_(self.value, std=dim**-0.5)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: TokenValues) -> Float[Tensor, "galaxy class"]:
        """Return the logits of each galaxy."""
        attention = (tokens @ self.query).softmax(dim=1)
        found = torch.einsum("nth,ntd->nhd", attention, tokens)
        pooled = torch.einsum("nhd,hdw->nhw", found, self.value).flatten(1)
        logits: Tensor = self.head(self.norm(pooled))
        return logits


@dataclass(frozen=True)
class TokenScaling:
    """Mean and spread of each feature over the tokens of train.

    Attributes:
        mean, std: per feature.
    """

    mean: Float[Tensor, " dim"]
    std: Float[Tensor, " dim"]

    @classmethod
    def fit(cls, batches: Iterator[TokenValues]) -> TokenScaling:
        """Take both in one pass, in double precision; a feature without spread keeps its unit."""
        count, total, square = 0, torch.zeros(()), torch.zeros(())
        for tokens in batches:
            flat = tokens.flatten(0, 1).double()
            count, total = count + len(flat), total + flat.sum(dim=0)
            square = square + flat.square().sum(dim=0)
        mean = total / count
        variance = (square / count - mean.square()).clamp_min(0)
        floor = (1e-6 * (square / count)).clamp_min(1e-30)
        return cls(mean.float(), torch.where(variance > floor, variance, 1.0).sqrt().float())

    def __call__(self, tokens: TokenValues) -> TokenValues:
        """Standardise."""
        return (tokens - self.mean) / self.std


def fit_attention(
    read: Callable[[Int[Tensor, " batch"]], TokenValues],
    target: Int[Tensor, " galaxy"],
    *,
    dim: int,
    heads: int,
    epochs: int,
    rate: float,
    decay: float,
    seed: int,
) -> AttentionPool:
    """Train a pool on frozen tokens, for a fixed number of epochs, with the last weights kept.

    Args:
        read: returns the standardised tokens of some of the galaxies.
        target: class index 0 to K - 1 of each galaxy.
        dim: width of a token.
        heads: of the attention.
        epochs: passes over the galaxies.
        rate: peak learning rate; it warms up over a tenth of the steps and falls along a cosine.
        decay: weight decay of the matrices.
        seed: names the streams of start and order.

    Source: AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101).
    """
    with scoped_global(seed, "attention pool"):
        pool = AttentionPool(dim, int(target.max()) + 1, heads).train()
    matrices = [weight for weight in pool.parameters() if weight.ndim > 1]
    vectors = [weight for weight in pool.parameters() if weight.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    generator = torch.Generator().manual_seed(stream_seed(seed, "attention pool order"))
    steps, step = epochs * math.ceil(len(target) / BATCH), 0
    for _ in range(epochs):
        for rows in torch.randperm(len(target), generator=generator).split(BATCH):
            step += 1
            for group in optimiser.param_groups:
                group["lr"] = rate * _share(step, steps)
            loss = F.cross_entropy(pool(read(rows)), target[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return pool.eval()


def _share(step: int, steps: int) -> float:
    warm = max(1.0, WARMUP * steps)
    return min(step / warm, 0.5 * (1 + math.cos(math.pi * (step - 1) / steps)))
