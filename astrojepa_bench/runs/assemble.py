"""Builds what a cell runs: encoder, masker, objective, each from its own random stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from astrojepa_bench.data.device import RESIDENT_BYTES, DeviceImages
from astrojepa_bench.data.galaxies import Galaxies, load_table
from astrojepa_bench.data.splitting.subset import nested_subset
from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.roles import Dataset, Encoder, Masker, Objective
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.streams import numpy_stream, scoped_global
from astrojepa_bench.types import GalaxyTable

PREPARE_IMAGES = 10_000
PREPARE_BYTES = 2 * 2**30


class SkipCell(Exception):  # noqa: N818 not an error: a pair that has no meaning
    """Raised when building shows that a cell cannot mean anything; carries the reason."""


def load_galaxies(
    component: Component,
    size_px: int,
    cache: Path,
    device: torch.device,
    resident_bytes: int = RESIDENT_BYTES,
) -> Galaxies:
    """Load a dataset at a size.

    Args:
        component: the dataset.
        size_px: side of the images [pixel].
        cache: folder of converted galaxies.
        device: where batches are wanted.
        resident_bytes: images up to this size are copied to the device at once.

    Raises:
        DataError: the source is missing or wrong.
    """
    dataset: Dataset = component.build()
    table = load_table(dataset, size_px, cache)
    return Galaxies(
        name=component.name,
        chain=component.chain,
        options=component.recorded(),
        dataset=dataset,
        table=table,
        images=DeviceImages(table.images, device, resident_bytes),
        cache=cache,
    )


@dataclass(frozen=True)
class Assembly:
    """What a cell runs. `masker` is None for encoders without patches."""

    objective: Objective
    masker: Masker | None


def assemble(cell: Cell, galaxies: Galaxies, pretraining: int | None = None) -> Assembly:
    """Build encoder, objective and masker of a cell; the encoder's start depends on the seed alone.

    Args:
        cell: what to build.
        galaxies: what it will see.
        pretraining: most galaxies that may be learnt from; None: all of `train` and the pool.

    Raises:
        SkipCell: the pieces do not fit together.
        ContractError: a factory gave something that is not of its role.
    """
    table, device = galaxies.table, galaxies.device
    with scoped_global(cell.seed, "encoder"):
        encoder = cell.encoder.build(table.spec)
    _check_role(cell.encoder, encoder, Encoder)
    _prepare(encoder, galaxies, pretraining)
    _check_fit(cell, encoder)
    _check_labels(cell, table)
    with scoped_global(cell.seed, "objective"):
        objective = cell.objective.build(encoder, encoder.grid, table.classes)
    _check_role(cell.objective, objective, Objective)
    masker = None
    if encoder.grid is not None:
        masker = cell.masker.build(encoder.grid)
        _check_role(cell.masker, masker, Masker)
    return Assembly(objective.to(device), masker)


def _prepare(encoder: Encoder, galaxies: Galaxies, pretraining: int | None) -> None:
    """Let an encoder fit what it fits without gradients, on a fixed sample of pretraining galaxies."""
    if type(encoder).fit_inputs is not Encoder.fit_inputs:  # nothing to fit: spare the images
        _fit(encoder.fit_inputs, galaxies, pretraining)


def fit_readout(encoder: Encoder, galaxies: Galaxies, pretraining: int | None) -> None:
    """Let a trained encoder fit how its features are read, on the same sample.

    Raises:
        SkipCell: the sample is too small for it.
    """
    if type(encoder).fit_readout is not Encoder.fit_readout:
        _fit(encoder.fit_readout, galaxies, pretraining)


def _fit(fit: Callable[[Tensor], None], galaxies: Galaxies, pretraining: int | None) -> None:
    try:
        fit(galaxies.images.batch(_preparation_rows(galaxies.table, pretraining)))
    except ConfigError as error:
        raise SkipCell(str(error)) from None


def _preparation_rows(table: GalaxyTable, pretraining: int | None) -> Int[np.ndarray, " row"]:
    image_bytes = 4 * int(np.prod(table.images.shape[1:]))
    room = min(PREPARE_IMAGES, PREPARE_BYTES // image_bytes)
    rows = nested_subset(table.ids, table.pretraining_rows, pretraining)
    return np.sort(numpy_stream(0, "prepare").permutation(rows)[:room])


def _check_fit(cell: Cell, encoder: Encoder) -> None:
    learns = any(parameter.requires_grad for parameter in encoder.parameters())
    if cell.objective.offer.declares("trains") and not learns:
        raise SkipCell(f"encoder '{cell.encoder.name}' has nothing to train")
    if encoder.grid is None and cell.masker.offer.declares("hides"):
        raise SkipCell(f"encoder '{cell.encoder.name}' has no patches to mask; use masker 'none'")
    if encoder.grid is None and cell.objective.offer.declares("masks") == "required":
        raise SkipCell(f"objective '{cell.objective.name}' needs patches; '{cell.encoder.name}' has none")


def _check_labels(cell: Cell, table: GalaxyTable) -> None:
    if not cell.objective.offer.declares("needs_labels"):
        return
    labels = table.label[table.rows("train")]
    classes = np.unique(labels[labels >= 0])
    if len(classes) < 2:
        raise SkipCell(
            f"objective '{cell.objective.name}' needs labels of two classes or more; {int((labels >= 0).sum())} of "
            f"{len(labels)} training galaxies carry one, of {len(classes)}"
        )


def _check_role(piece: Component, made: object, role: type) -> None:
    if not isinstance(made, role):
        raise ContractError(
            f"{piece.offer.title} gave a {type(made).__name__}; expected a subclass of {role.__name__}"
        )
