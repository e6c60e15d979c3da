"""Models trained elsewhere become runs: read by an importer of a plugin, kept and scored like any other run.

How such a model was trained is not known here. Its record says so, and stands on the board under a budget of its
own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import BenchError, ConfigError, DataError, PluginError
from astrojepa_bench.events import emit
from astrojepa_bench.files import locked
from astrojepa_bench.importers import Imported, ImporterOffer
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import Cost, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.roles import Encoder, Objective
from astrojepa_bench.runs.cell import run_cell
from astrojepa_bench.runs.component import Cell, Component, RunContext
from astrojepa_bench.runs.train import circumstances
from astrojepa_bench.runs.weights import DataFacts, write_weights
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import Budget


def read_model(path: Path, registry: Registry, form: str | None = None) -> Imported:
    """Ask the importers on offer, by name, or the one of a given format, what a file holds.

    Raises:
        ConfigError: there is no such file or format, or no importer at all.
        DataError: every importer asked refuses the file; names each of them and its reason.
        PluginError: an importer fails.
    """
    offers = registry.importers() if form is None else (registry.importer(form),)
    if not offers:
        raise ConfigError("no installed plugin imports models; install one, or add it with --plugin FILE")
    if not path.expanduser().is_file():
        raise ConfigError(f"no file at {path}; give the path of a checkpoint")
    refusals = []
    for offer in offers:
        try:
            return _read_by(offer, path.expanduser())
        except DataError as error:
            refusals.append(f"{offer.title}: {error}")
    raise DataError(f"no importer takes {path.name}: {'; '.join(refusals)}")


def _read_by(offer: ImporterOffer, path: Path) -> Imported:
    try:
        found = offer.read(path)
    except BenchError:
        raise
    except Exception as error:
        raise PluginError(
            f"{offer.title} failed on {path.name}: {type(error).__name__}: {error}; ask its author"
        ) from error
    if not isinstance(found, Imported):
        raise PluginError(f"{offer.title} returned a {type(found).__name__}; expected Imported")
    return found


def import_run(imported: Imported, registry: Registry, store: Store, command: str) -> RunRecord:
    """Make a run without scores: it can be opened, embedded, mapped and searched, on any galaxies of its size.

    Args:
        imported: what was read.
        registry: whose components it is built from.
        store: where it goes.
        command: the command line, for the record.

    Raises:
        ConfigError: a component is not installed.
        DataError: the weights do not fit.
    """
    cell = _cell(imported, registry)
    facts = DataFacts(imported.spec, len(imported.class_names), imported.class_names, imported.galaxies)
    with scoped_global(0, "imported"):  # initial weights are drawn and then overwritten
        encoder: Encoder = cell.encoder.build(facts.spec)
        objective: Objective = cell.objective.build(encoder, encoder.grid, facts.classes)
    dataset = Component.of(registry.get("dataset", imported.dataset), {})
    budget = _budget(imported)
    identity = RunIdentity.of(cell, None, budget)  # no galaxies were looked at
    offers = {kind: part.offer for kind, part in {**cell.components, "dataset": dataset}.items()}
    environment, origin = circumstances(torch.device("cpu"), command, offers)
    record = RunRecord(
        run_id=identity.run_id,
        entry_id=identity.entry_id,
        status="ok",
        objective=imported.objective,
        masker=imported.masker,
        encoder=imported.encoder,
        dataset=imported.dataset,
        group=cell.group,
        seed=cell.seed,
        budget=budget.name,
        options={kind: part.recorded() for kind, part in {**cell.components, "dataset": dataset}.items()},
        altered=cell.altered,
        identity=identity.facts(),
        warnings=[*imported.warnings],
        cost=Cost(parameters=sum(each.numel() for each in objective.scored_encoder.parameters())),
        environment=environment,
        provenance=origin,
    )
    write_weights(store.weights_path(record.run_id), objective, facts)
    store.write(record)
    return record


def score_imported(
    imported: Imported,
    registry: Registry,
    store: Store,
    command: str,
    galaxies: Galaxies,
    evaluators: Sequence[Component],
) -> list[RunRecord]:
    """Score a model on galaxies, together with the same encoder untrained.

    Args:
        imported: what was read.
        registry: whose components it is built from.
        store: where records go.
        command: the command line, for the records.
        galaxies: loaded at the size of the model's images.
        evaluators: what scores it.

    Raises:
        ConfigError: a component is not installed.
    """
    context = RunContext(galaxies, _budget(imported), evaluators, store, command)
    own = _cell(imported, registry)
    blind = next(offer for offer in registry.offers("masker") if not offer.declares("hides"))
    floors = [
        Cell(Component.of(offer, {}), Component.of(blind, {}), own.encoder, own.seed)
        for offer in registry.offers("objective")
        if offer.declares("standing") == "floor"
    ]
    records = [run_cell(cell, context).record for cell in (own, *floors)]
    for record in records:
        if record.failure is not None:
            where = f"{record.title}: {record.status} while {record.failure.phase}"
            emit("note", text=f"{where}: {record.failure.message}")
    records[0] = _warned(records[0], imported)
    with locked(store.lease_path(records[0].run_id)):
        kept = store.find(records[0].run_id) or records[0]  # scores that another command has added stay
        store.write(_warned(kept, imported))
    return records


def _warned(record: RunRecord, imported: Imported) -> RunRecord:
    """Return a record with the warnings of the importer in front of its own."""
    warnings = list(dict.fromkeys([*imported.warnings, *record.warnings]))
    return record.model_copy(update={"warnings": warnings})


def _budget(imported: Imported) -> Budget:
    size_px, purpose = imported.spec.size_px, "models trained elsewhere"
    return Budget(imported.budget, size_px, imported.patch_px, 0, imported.encoder, purpose)


def _cell(imported: Imported, registry: Registry) -> Cell:
    return Cell(
        Component.of(registry.get("objective", imported.objective), imported.options),
        Component.of(registry.get("masker", imported.masker), imported.options),
        Component.of(registry.get("encoder", imported.encoder), imported.options),
        seed=0,
    )
