"""AstroJEPA's checkpoints become runs: sizes are read off the file, weights are kept like those of any other run.

What such a model was trained on, and with what luck, is not known here. Its record says so, and stands on the board
under a budget of its own.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.data.published.releases import RELEASES
from astrojepa_bench.encoders.weights import read_state
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import emit
from astrojepa_bench.options import Settings
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.environment import describe_environment, provenance
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import Cost, Environment, Provenance, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.roles import Encoder, Objective
from astrojepa_bench.runs.cell import RunContext, run_cell
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.runs.weights import DataFacts, write_weights
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.types import ImageSpec

OBJECTIVE, ENCODER, MASKER = "astrojepa", "astrojepa-vit", "brightness-seed"
TRAINED_ON = "galaxy10"
BUDGET = "imported"
KERNEL, POSITIONS = "patch_embed.proj.weight", "target_encoder.pos_embed"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says of itself.

    Attributes:
        path: the file.
        size_px, patch, bands: of the images [pixel, pixel, -].
        width, depth, heads: of the encoders.
        predictor_depth: layers of the predictor.
        progress: epoch and validation loss, in words; empty where the file does not say.
    """

    path: Path
    size_px: int
    patch: int
    bands: int
    width: int
    depth: int
    heads: int
    predictor_depth: int
    progress: str

    @property
    def settings(self) -> Settings:
        """The options of the pieces that it is built from."""
        return {
            OBJECTIVE: {"weights": self.path, "depth": self.predictor_depth, "heads": self.heads},
            ENCODER: {"patch": self.patch, "width": self.width, "depth": self.depth, "heads": self.heads},
            MASKER: {},
        }

    @property
    def budget(self) -> Budget:
        """Its image size; what it has seen is not known."""
        return Budget(BUDGET, self.size_px, self.patch, 0, ENCODER, "models trained elsewhere")

    @property
    def warnings(self) -> list[str]:
        """What a reader of its numbers should know."""
        trained = RELEASES["decals"].title
        return [
            f"{self.path.name}: trained elsewhere{self.progress}, as published on {trained} in a random split; "
            "it has most likely seen test galaxies of that survey, without their labels"
        ]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the sizes of a checkpoint off its tensors, without running any code in it.

    Raises:
        ConfigError: there is no such file.
        DataError: it is damaged, would run code, or is no checkpoint of AstroJEPA.
    """
    state = read_state(path, "import-checkpoint")
    missing = [name for name in (KERNEL, POSITIONS) if name not in state]
    if missing or state[KERNEL].ndim != 4 or state[POSITIONS].ndim != 3:
        found = ", ".join(sorted(state)[:3])
        raise DataError(
            f"{path.name} is no checkpoint of AstroJEPA: no usable '{KERNEL}' and '{POSITIONS}' among {found}, …"
        )
    around = _around(path)
    bands, patch = state[KERNEL].shape[1:3]
    return Checkpoint(
        path=path,
        size_px=_side(path, state[POSITIONS]) * patch,
        patch=patch,
        bands=bands,
        width=state[POSITIONS].shape[2],
        depth=_layers(state, "target_encoder"),
        heads=_heads(path, around),
        predictor_depth=_layers(state, "predictor"),
        progress=_progress(around),
    )


def _side(path: Path, positions: Tensor) -> int:
    patches = positions.shape[1]
    side = isqrt(patches)
    if side * side != patches:
        raise DataError(
            f"{path.name} has {patches} positions, which fill no square; give a checkpoint of square images"
        )
    return side


def _layers(state: Mapping[str, Tensor], part: str) -> int:
    return len({found[1] for name in state if (found := re.match(rf"{part}\.blocks\.layers\.(\d+)\.", name))})


def _around(path: Path) -> Mapping[str, object]:
    """Read what stands beside the tensors; nothing in a file that holds tensors only."""
    try:
        found = torch.load(path, "cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):  # safetensors
        return {}
    return found if isinstance(found, Mapping) else {}


def _heads(path: Path, around: Mapping[str, object]) -> int:
    config = around.get("config")
    heads = config.get("num_heads") if isinstance(config, Mapping) else None
    if not isinstance(heads, int):
        raise DataError(
            f"{path.name} does not say how many attention heads it has (config.num_heads), and its tensors cannot "
            "tell; save the published dictionary around model_state_dict"
        )
    return heads


def _progress(around: Mapping[str, object]) -> str:
    named = {"epoch": around.get("epoch"), "validation loss": around.get("val_loss")}
    known = [f"{name} {value:.4g}" for name, value in named.items() if isinstance(value, int | float)]
    return f" ({', '.join(known)})" if known else ""


# --- from checkpoint to run ---------------------------------------------------------------------------------


def import_checkpoint(checkpoint: Checkpoint, registry: Registry, store: Store, command: str) -> RunRecord:
    """Make a run without scores: it can be opened, embedded, mapped and searched, on any galaxies of its size.

    Args:
        checkpoint: what was read.
        registry: whose pieces it is built from.
        store: where it goes.
        command: the words that asked for it.

    Raises:
        ConfigError: a piece is not installed.
        DataError: the weights do not fit.
    """
    cell = _cell(checkpoint, registry)
    dataset = Component.of(registry.get("dataset", TRAINED_ON), {})
    facts = _facts(checkpoint)
    with scoped_global(0, "imported"):  # initial weights are drawn and then overwritten
        encoder: Encoder = cell.encoder.build(facts.spec)
        objective: Objective = cell.objective.build(encoder, encoder.grid, facts.classes)
    record = _unscored(checkpoint, cell, dataset, command, _parameters(objective.scored_encoder))
    write_weights(store.weights_path(record.run_id), objective, facts)
    store.write(record)
    return record


def score_checkpoint(
    checkpoint: Checkpoint,
    registry: Registry,
    store: Store,
    command: str,
    galaxies: Galaxies,
    evaluators: Sequence[Component],
) -> list[RunRecord]:
    """Score a checkpoint on galaxies, and the same encoder untrained beside it.

    Args:
        checkpoint: what was read.
        registry: whose pieces it is built from.
        store: where records go.
        command: the words that asked for it.
        galaxies: loaded at the checkpoint's `size_px`.
        evaluators: who judges.

    Raises:
        ConfigError: a piece is not installed.
    """
    bench = RunContext(galaxies, checkpoint.budget, evaluators, store, command)
    own = _cell(checkpoint, registry)
    records = [_told(run_cell(cell, bench)) for cell in (own, *_floors(own, registry))]
    said = records[0].model_copy(update={"warnings": _with(records[0].warnings, checkpoint.warnings)})
    store.write(said)
    return [said, *records[1:]]


def _told(record: RunRecord) -> RunRecord:
    if record.failure is not None:
        emit(
            "note",
            text=f"{record.title}: {record.status} while {record.failure.phase}: {record.failure.message}",
        )
    return record


def _with(known: Sequence[str], more: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*more, *known]))


def _cell(checkpoint: Checkpoint, registry: Registry) -> Cell:
    settings = checkpoint.settings
    return Cell(
        Component.of(registry.get("objective", OBJECTIVE), {"objective": settings[OBJECTIVE]}),
        Component.of(registry.get("masker", MASKER), {"masker": settings[MASKER]}),
        Component.of(registry.get("encoder", ENCODER), {"encoder": settings[ENCODER]}),
        seed=0,
    )


def _floors(cell: Cell, registry: Registry) -> Iterator[Cell]:
    blind = next(offer for offer in registry.offers("masker") if not offer.declares("hides"))
    for offer in registry.offers("objective"):
        if offer.declares("standing") == "floor":
            yield Cell(Component.of(offer, {}), Component.of(blind, {}), cell.encoder, cell.seed)


def _facts(checkpoint: Checkpoint) -> DataFacts:
    release = RELEASES["decals"]
    colour = checkpoint.bands == len(release.bands)
    bands = release.bands if colour else tuple(f"band {i}" for i in range(checkpoint.bands))
    half = (0.5,) * checkpoint.bands  # as published: x = (g - 0.5) / 0.5
    spec = ImageSpec(bands, checkpoint.size_px, half, half)
    return DataFacts(spec, len(release.class_names), release.class_names, release.title)


def _parameters(encoder: Encoder) -> int:
    return sum(parameter.numel() for parameter in encoder.parameters())


def _unscored(
    checkpoint: Checkpoint, cell: Cell, dataset: Component, command: str, parameters: int
) -> RunRecord:
    pieces = {"objective": cell.objective, "masker": cell.masker, "encoder": cell.encoder, "dataset": dataset}
    names: dict[str, Any] = {kind: piece.name for kind, piece in pieces.items()}
    budget = checkpoint.budget
    identity = RunIdentity.of(cell, None, budget)
    return RunRecord(
        run_id=identity.run_id,
        entry_id=identity.entry_id,
        status="ok",
        **names,
        seed=cell.seed,
        budget=budget.name,
        options={kind: piece.recorded() for kind, piece in pieces.items()},
        altered=cell.altered,
        identity=identity.facts(),
        warnings=checkpoint.warnings,
        cost=Cost(parameters=parameters),
        environment=Environment.model_validate(describe_environment("cpu")),
        provenance=Provenance.model_validate(provenance(command)),
    )
