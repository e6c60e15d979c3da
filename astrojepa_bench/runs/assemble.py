"""Builds what a cell runs: encoder, masker, objective, each from its own random stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import RESIDENT_BYTES, DeviceImages
from astrojepa_bench.data.galaxies import Galaxies, load_table
from astrojepa_bench.data.splitting.subset import nested_subset
from astrojepa_bench.encoders.facts import check_facts
from astrojepa_bench.errors import ConfigError, ContractError, Unsuitable, said_by
from astrojepa_bench.roles import Dataset, Encoder, Masker, Objective
from astrojepa_bench.runs.component import Cell, Component, reason_to_skip
from astrojepa_bench.runs.weights import check_keepable
from astrojepa_bench.streams import numpy_stream, scoped_global
from astrojepa_bench.training.asked import scored_encoder
from astrojepa_bench.types import GalaxyTable

FIT_IMAGES = 10_000
FIT_BYTES = 2 * 2**30


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
        Unsuitable: the dataset says that it cannot be used so.
    """
    try:
        dataset: Dataset = _built(component, Dataset)
        with blamed_on(component.offer):
            table = load_table(dataset, size_px, cache)
    except Unsuitable as error:
        raise Unsuitable(f"{component.offer.title}: {said_by(error)}; choose other galaxies") from error
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
        Unsuitable: the components do not fit together.
        ContractError: a factory returned something that is not of its role, or an objective scores no encoder or
            has weights that cannot be kept.
    """
    table = galaxies.table
    with scoped_global(cell.seed, "encoder"):
        encoder: Encoder = _built(cell.encoder, Encoder, table.spec)
    with blamed_on(encoder):
        check_facts(encoder, table.spec)
    if type(encoder).fit_inputs is not Encoder.fit_inputs:  # nothing to fit: spare the images
        _fit(encoder.fit_inputs, galaxies, pretraining)
    if cell.objective.offer.declares("trains") and not any(p.requires_grad for p in encoder.parameters()):
        raise Unsuitable(f"encoder '{cell.encoder.name}' has nothing to train")
    reason = reason_to_skip(cell.objective.offer, cell.masker.offer, cell.encoder.offer, encoder)
    if reason is not None:
        raise Unsuitable(reason)
    check_told(cell, table)
    with scoped_global(cell.seed, "objective"):
        objective: Objective = _built(cell.objective, Objective, encoder, encoder.grid, table.classes)
    masker: Masker | None = None if encoder.grid is None else _built(cell.masker, Masker, encoder.grid)
    scored_encoder(objective)
    check_keepable(objective)
    with blamed_on(objective):
        return Assembly(objective.to(galaxies.device), masker)


def fit_readout(encoder: Encoder, galaxies: Galaxies, pretraining: int | None) -> None:
    """Fit how features of a trained encoder are read, on the sample that its inputs were fitted on.

    Raises:
        Unsuitable: the sample is too small for it.
    """
    if type(encoder).fit_readout is not Encoder.fit_readout:
        _fit(encoder.fit_readout, galaxies, pretraining)


def _built(component: Component, role: type, *given: object) -> Any:  # noqa: ANN401 an instance of the role
    with blamed_on(component.offer):
        made: object = component.build(*given)
        if not isinstance(made, role):
            raise ContractError(
                f"{component.offer.title} returned a {type(made).__name__}; expected a subclass of {role.__name__}"
            )
        return made


def _fit(fit: Callable[[Tensor], None], galaxies: Galaxies, pretraining: int | None) -> None:
    """Fit something without gradients, on a fixed sample of pretraining galaxies."""
    table = galaxies.table
    room = min(FIT_IMAGES, FIT_BYTES // (4 * int(np.prod(table.images.shape[1:]))))
    rows = nested_subset(table.ids, table.pretraining_rows, pretraining)
    sample = np.sort(numpy_stream(0, "prepare").permutation(rows)[:room])
    images = galaxies.images.batch(sample)
    try:
        with blamed_on(getattr(fit, "__self__", None)):
            fit(images)
    except ConfigError as error:
        raise Unsuitable(said_by(error)) from None


def check_told(cell: Cell, table: GalaxyTable) -> None:
    """Look whether the galaxies have what the objective of a cell reads beside images.

    Raises:
        Unsuitable: labels or columns are missing.
    """
    if cell.reads_labels:
        _check_labels(cell.objective.name, table)
    _check_columns(cell.objective, table)


def _check_labels(objective: str, table: GalaxyTable) -> None:
    labels = table.label[table.rows("train")]
    classes = np.unique(labels[labels >= 0])
    if len(classes) < 2:
        raise Unsuitable(
            f"objective '{objective}' needs labels of two classes or more; {int((labels >= 0).sum())} of "
            f"{len(labels)} training galaxies carry one, of {len(classes)}"
        )


def _check_columns(objective: Component, table: GalaxyTable) -> None:
    """Refuse an objective that reads columns which the galaxies to learn from lack, or have of another width."""
    asked = objective.offer.declares("columns")
    learnt = {name: column[table.pretraining_rows] for name, column in table.numbers.items()}
    known = {name: column for name, column in learnt.items() if not np.isnan(column).all()}
    missing = [name for name in asked if name not in known]
    if missing:
        raise Unsuitable(
            f"objective '{objective.name}' reads {', '.join(missing)}, which the galaxies lack; they have "
            f"{', '.join(known) or 'no columns'}: give more with --set dataset.columns=FILE"
        )
    for name, width in asked.items() if isinstance(asked, Mapping) else ():
        found = known[name][0].size
        if found != width:
            raise Unsuitable(
                f"objective '{objective.name}' reads {width} numbers of '{name}' and the galaxies have {found}"
            )
