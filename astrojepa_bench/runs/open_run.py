"""A finished run, opened again: its record, its objective with the trained weights, its masker.

Needs the record and the weights beside it, and nothing of the galaxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch

from astrojepa_bench.errors import DataError
from astrojepa_bench.events import emit
from astrojepa_bench.options import Kind, Offer
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.roles import Encoder, Masker, Objective
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.weights import DataFacts, read_facts, read_weights
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.types import ImageSpec
from astrojepa_bench.versions import version_text

OUT = Path("astrojepa-runs")


@dataclass(frozen=True)
class OpenRun:
    """A finished run, ready to encode, mask and predict, on the CPU and in evaluation mode.

    Attributes:
        record: what was run and how it scored.
        store: the output folder it lies in.
        objective: with its trained weights.
        masker: the run's masker; None for an encoder without patches.
        facts: what its images looked like and which classes they had.
    """

    record: RunRecord
    store: Store
    objective: Objective
    masker: Masker | None
    facts: DataFacts

    @property
    def encoder(self) -> Encoder:
        """The judged encoder: the one whose features were scored."""
        return self.objective.scored_encoder

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        held = next(chain(self.objective.parameters(), self.objective.buffers()), None)
        return torch.device("cpu") if held is None else held.device

    @property
    def spec(self) -> ImageSpec:
        """What the images of the run looked like."""
        return self.facts.spec

    @property
    def classes(self) -> int:
        """How many classes its galaxies have."""
        return self.facts.classes


def open_run(where: str | Path, *, out: Path | str = OUT, registry: Registry | None = None) -> OpenRun:
    """Open a finished run; its galaxies need not be at hand.

    Args:
        where: a record's file, or the first letters of its id.
        out: output folder in which ids are looked up.
        registry: whose pieces it is built from; all that are installed if None.

    Raises:
        ConfigError: no run, or more than one, has that id; a piece of it is not installed.
        DataError: the run has no scores, or its weights are missing, damaged or of another version.

    Example:
        >>> run = open_run("3f9a2c")  # doctest: +SKIP
        >>> run.encoder.taps(images)["last"]  # doctest: +SKIP
    """
    store, record = find_run(where, Path(out))
    facts = read_facts(store.weights_path(record.run_id))
    pieces = _pieces(record, registry or load_registry())
    objective, masker = _built(pieces, facts, record.seed)
    read_weights(store.weights_path(record.run_id), objective)
    return OpenRun(record, store, objective, masker, facts)


def find_run(where: str | Path, out: Path) -> tuple[Store, RunRecord]:
    """Find a scored record by its file or its id's first letters, and the output folder it lies in.

    Raises:
        ConfigError: nothing, or more than one, is found.
        DataError: the record has no scores.
    """
    path = Path(where)
    store = Store(out)
    if path.suffix == ".json":
        store = Store(_output_folder(path))
    else:
        path = store.locate(str(where))
    record = store.read(path)
    if record.status not in SCORED:
        raise DataError(
            f"run {record.run_id} ended as {record.status}: it has no weights; open one that is ok or collapsed"
        )
    return store, record


def _output_folder(path: Path) -> Path:
    """Climb from a record to its output folder: out / runs / dataset / pair / id.json."""
    above = path.absolute().parents
    return above[min(3, len(above) - 1)]


def _pieces(record: RunRecord, registry: Registry) -> dict[str, Component]:
    kinds: tuple[Kind, ...] = ("encoder", "objective", "masker")
    return {kind: recorded_piece(record, kind, registry) for kind in kinds}


def recorded_piece(record: RunRecord, kind: Kind, registry: Registry) -> Component:
    """Build again what a record names, with the options it had; another version of it is told.

    Raises:
        ConfigError: it is not installed, or has lost an option since.
    """
    offer = registry.get(kind, getattr(record, kind))
    piece = Component.of(offer, {kind: _without_files(offer, record.options.get(kind, {}))})
    if record.is_edition_1:
        now, was = piece.chain["own"], record.identity.get("versions", {}).get(kind)
    else:
        now, was = piece.version, version_text(record.identity["chain"][kind])
    if was not in (None, now):
        emit("note", text=f"run {record.run_id}: {offer.title} is {now} now, was {was}")
    return piece


def _without_files(offer: Offer, options: Mapping[str, object]) -> dict[str, object]:
    """Leave out files that weights once came from, where they need not be given: the run has its own now."""
    spare = {option.name for option in offer.options if "Path" in option.type and option.default is None}
    return {name: value for name, value in options.items() if name not in spare}


def _built(pieces: dict[str, Component], facts: DataFacts, seed: int) -> tuple[Objective, Masker | None]:
    with scoped_global(seed, "opened"):  # initial weights are drawn and then overwritten
        encoder: Encoder = pieces["encoder"].build(facts.spec)
        objective: Objective = pieces["objective"].build(encoder, encoder.grid, facts.classes)
    masker = None if encoder.grid is None else pieces["masker"].build(encoder.grid)
    return objective, masker
