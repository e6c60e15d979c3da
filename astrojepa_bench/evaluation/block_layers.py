"""Features after every block of the scored encoder, for evaluators that ask where in it the classes lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on
from astrojepa_bench.encoders.pooling import Pooling, pool
from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluation.extract import BATCH, ENCODED, check_finite
from astrojepa_bench.evaluation.kept_extra import ExtrasContext, KeptExtra
from astrojepa_bench.evaluation.store import Arrays
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import Split, Tokens


class BlockLayers(KeptExtra):
    """The tokens after every block (`Encoder.layers`), pooled as the encoder pools its last ones."""

    name = "layers"
    version = 1

    def rows(self, context: ExtrasContext) -> Int[np.ndarray, " row"]:
        """Return the galaxies of train, val and test, in this order."""
        return np.concatenate([context.table.rows(split) for split in ENCODED])

    @torch.no_grad()
    def compute(self, context: ExtrasContext) -> Arrays:
        """Encode every galaxy once and pool the tokens after each block.

        Raises:
            ContractError: the layers are no sequence of tokens of each image, or not finite, or their number or
                width differs from batch to batch.
        """
        rows, encoder, parts = self.rows(context), context.encoder, list[list[Tensor]]()
        starts = range(0, len(rows), BATCH)
        for start in events.track(starts, task="encoding layers", total=len(starts), unit="batches"):
            batch = context.galaxies.images.batch(rows[start : start + BATCH])
            with blamed_on(encoder):
                found = checked_layers(encoder, batch)
                if parts and [each.shape[1] for each in found] != [each.shape[1] for each in parts[0]]:
                    raise ContractError("the encoder's layers differ in number or width from batch to batch")
            parts.append([values.float().cpu() for values in found])
        layers = {_name(block): torch.cat(values) for block, values in enumerate(zip(*parts, strict=True))}
        with blamed_on(encoder):
            check_finite(layers, "after a block")
        return {name: values.numpy() for name, values in layers.items()}

    def attach(self, features: Features, arrays: Arrays, context: ExtrasContext) -> Features:
        """Attach them to every split, the first block first."""
        ends = np.cumsum([len(features.split(split).ids) for split in ENCODED])[:-1]
        blocks = [np.split(arrays[_name(block)], ends) for block in range(len(arrays))]

        def layered(place: int, split: Split) -> SplitFeatures:
            layers = tuple(torch.from_numpy(parts[place]) for parts in blocks)
            return dataclasses.replace(features.split(split), layers=layers)

        train, val, test = (layered(place, split) for place, split in enumerate(ENCODED))
        return dataclasses.replace(features, train=train, val=val, test=test)


def _name(block: int) -> str:
    return f"block_{block + 1}"


def checked_layers(
    encoder: Encoder, images: Float[Tensor, "batch band height width"]
) -> list[Float[Tensor, "batch _"]]:
    """Compute the pooled tokens after every block of a batch, on its device.

    Raises:
        ContractError: the encoder's layers are no sequence of tokens of each image.
    """
    layers: object = encoder.layers(images)
    if not isinstance(layers, Sequence) or not layers:
        raise ContractError(
            f"layers returned a {type(layers).__name__}; expected a sequence of Tokens, one a block"
        )
    for tokens in layers:
        if not isinstance(tokens, Tokens) or len(tokens.values) != len(images):
            raise ContractError(f"layers holds a {type(tokens).__name__}; expected Tokens of each image")
    return [_pooled(encoder, tokens) for tokens in layers]


def _pooled(encoder: Encoder, tokens: Tokens) -> Float[Tensor, "batch feature"]:
    """Pool as the encoder's option `pooling` says where it has one, else by the mean."""
    how: object = getattr(encoder, "pooling", "mean")
    grid = encoder.grid
    if grid is not None and how in get_args(Pooling) and tokens.values.shape[1] == grid.patches:
        return pool(tokens.values, how, grid)  # type: ignore[arg-type]
    return tokens.values.mean(dim=1)
