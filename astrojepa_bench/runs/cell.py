"""One run: train, keep the weights, score, record. Whatever is already there is not done again."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from astrojepa_bench import events
from astrojepa_bench.evaluation.extras import ExtrasContext
from astrojepa_bench.evaluation.score import Scored, score
from astrojepa_bench.files import locked
from astrojepa_bench.results.environment import describe_environment, provenance
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import SkipCell, assemble
from astrojepa_bench.runs.component import Cell, Component, RunContext
from astrojepa_bench.runs.failures import Phase, classify
from astrojepa_bench.runs.train import Trained, kept, train
from astrojepa_bench.runs.weights import DataFacts, write_weights
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.types import GalaxyTable


@dataclass(frozen=True)
class CellResult:
    """What became of a cell.

    Attributes:
        record: of its run.
        is_trained: whether it was trained now; else it was found, only scored, or has nothing to train.
    """

    record: RunRecord
    is_trained: bool = False


def run_cell(
    cell: Cell, context: RunContext, *, index: int = 1, total: int = 1, wait: bool = True
) -> CellResult:
    """Do what is missing of one cell and write its record, whatever happens.

    Every failure becomes a typed status; only an interrupt passes through. No other process works on the same
    cell meanwhile.

    Args:
        cell: what to run.
        context: on what, with what, and where to.
        index: place of the cell in its grid, for those who watch.
        total: how many cells the grid has.
        wait: whether to wait for another process that works on it.

    Raises:
        LockedError: another process works on it, and `wait` is false.
    """
    identity, store = RunIdentity.of(cell, context.galaxies, context.budget), context.store
    with locked(store.lease_path(identity.run_id), wait=wait):
        known = store.find(identity.run_id)
        if known is not None and is_finished(known, context.evaluators):
            events.emit("note", text=f"[{index}/{total}] {cell.label}: already done ({known.status})")
            return CellResult(known)
        store.remove_drafts(identity.run_id)
        events.emit("cell_started", index=index, total=total, label=cell.label)
        began = time.perf_counter()
        result = _attempt(cell, context, identity, known)
        record = result.record
        if known is None or known.status not in SCORED or record.status in SCORED:  # never a worse one
            write_record(record, store, context.galaxies.table)
        if record.status in {*SCORED, "diverged"}:  # nobody resumes it
            Checkpointer(store.checkpoint_path(record.run_id)).remove()
        summary, seconds = _summary(record), time.perf_counter() - began
        events.emit("cell_ended", label=cell.label, status=record.status, summary=summary, seconds=seconds)
        return result


def write_record(record: RunRecord, store: Store, table: GalaxyTable) -> Path:
    """Write a record, and before it the galaxies that its bits are of.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    if record.correct:
        test = table.rows("test")
        store.keep_galaxies(table.fingerprint, table.ids[test], table.label[test])
    return store.write(record)


def _attempt(cell: Cell, context: RunContext, identity: RunIdentity, known: RunRecord | None) -> CellResult:
    """Train and score a cell, or find out why not."""
    galaxies, budget, store, run_id = context.galaxies, context.budget, context.store, identity.run_id
    phase: Phase = "building"
    try:
        if cell.skip is not None:
            raise SkipCell(cell.skip)
        trained, earlier = kept(known, cell, context), known
        if trained is None:
            build = partial(assemble, cell, galaxies, budget.galaxies)
            assembly, earlier = build(), None
            phase = "training"
            checkpoint = Checkpointer(store.checkpoint_path(run_id))
            trained = train(
                assembly,
                galaxies,
                budget,
                cell.seed,
                checkpoint=checkpoint,
                command=context.command,
                rebuild=build,
            )
            store.features_path(run_id).unlink(
                missing_ok=True
            )  # of earlier weights; first, lest they outlive them
            write_weights(store.weights_path(run_id), trained.objective, DataFacts.of(galaxies.table))
        phase = "scoring"
        subject = ExtrasContext(trained.objective, trained.masker, galaxies)
        missing = unscored(earlier, context.evaluators)
        scored = score(subject, cell.seed, [each.ready() for each in missing], store.features_path(run_id))
        if earlier is not None:
            scored = _before(earlier, missing).plus(scored)
        is_trained = earlier is None and trained.objective.trains
        return CellResult(record_of(cell, context, identity, trained, scored), is_trained)
    except SkipCell as reason:
        return CellResult(_without_scores(cell, context, identity, status="skipped", skip_reason=str(reason)))
    except Exception as error:
        parts = [*cell.components.values(), *context.evaluators]
        ending = classify(error, phase, [part.offer for part in parts])
        status, failure = ending.status, ending.failure
        return CellResult(_without_scores(cell, context, identity, status=status, failure=failure))


# --- what is missing of a run ---------------------------------------------------------------------------------


def is_finished(record: RunRecord, evaluators: Iterable[Component]) -> bool:
    """Whether nothing is left to do: scored by every evaluator asked for, or ended for good."""
    if record.status in ("skipped", "diverged"):
        return True  # the same request would skip or diverge again
    return record.status in SCORED and not unscored(record, evaluators)


def unscored(record: RunRecord | None, evaluators: Iterable[Component]) -> list[Component]:
    """Choose the evaluators that have not scored a run yet, in this version and with these options."""
    done = Scored() if record is None else Scored.of_record(record.facts())
    return [each for each in evaluators if not done.holds(each.name, each.chain, each.recorded())]


def with_scores(record: RunRecord, replaced: Iterable[Component], scored: Scored) -> RunRecord:
    """Return a record with what some evaluators found, in place of what they found before."""
    return RunRecord.model_validate(_before(record, replaced).plus(scored).in_record(record.facts()))


def _before(record: RunRecord, replaced: Iterable[Component]) -> Scored:
    return Scored.of_record(record.facts()).without({each.name for each in replaced})


# --- the record -----------------------------------------------------------------------------------------------


def record_of(
    cell: Cell, context: RunContext, identity: RunIdentity, trained: Trained, scored: Scored
) -> RunRecord:
    """Assemble the record of a run that was trained and scored."""
    facts = {
        **_entry(cell, context, identity),
        "status": trained.status,
        "health": trained.health,
        "training": trained.training,
        "cost": trained.cost.model_dump(),
        "environment": trained.environment,
        "provenance": trained.provenance,
    }
    return RunRecord.model_validate(scored.in_record(facts))


def _without_scores(cell: Cell, context: RunContext, identity: RunIdentity, **ending: object) -> RunRecord:
    """Assemble the record of a run that has no scores: its status, and the reason or failure behind it."""
    facts = {
        **_entry(cell, context, identity),
        **ending,
        "environment": describe_environment(context.galaxies.device),
        "provenance": provenance(context.command),
    }
    return RunRecord.model_validate(facts)


def _entry(cell: Cell, context: RunContext, identity: RunIdentity) -> dict[str, Any]:
    """Collect what was asked for, and the ids that follow from it."""
    galaxies, options = context.galaxies, {kind: part.recorded() for kind, part in cell.components.items()}
    return {
        **{kind: part.name for kind, part in cell.components.items()},
        "dataset": galaxies.name,
        "run_id": identity.run_id,
        "entry_id": identity.entry_id,
        "identity": identity.facts(),
        "standing": cell.standing,
        "group": cell.group,
        "seed": cell.seed,
        "budget": context.budget.name,
        "pretraining": context.budget.galaxies,
        "options": {**options, "dataset": dict(galaxies.options)},
        "altered": cell.altered,
    }


def _summary(record: RunRecord) -> str:
    if record.failure is not None:
        return f"{record.failure.origin} failed while {record.failure.phase}: {record.failure.message}"
    if record.status not in SCORED:
        return record.skip_reason or ""
    named = {"linear": record.value("linear", "accuracy"), "k-NN": record.value("knn", "accuracy")}
    return ", ".join(f"{name} accuracy {value:.3f}" for name, value in named.items() if value is not None)
