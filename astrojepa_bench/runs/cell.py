"""One run: train, keep the weights, score, record. Whatever is already there is not done again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.memory import give_back
from astrojepa_bench.errors import ContractError, DataError, Unsuitable, said_by
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.evaluation.score import Scored, score, without_score
from astrojepa_bench.files import LeaseLostError, LockedError, locked, renew_leases
from astrojepa_bench.interrupts import interrupted, noting_interrupts
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import assemble
from astrojepa_bench.runs.component import Cell, Component, RunContext, made_ready, why_unsuitable
from astrojepa_bench.runs.executors.restoring import restored
from astrojepa_bench.runs.failures import Ending, Phase, classify, ends_the_command
from astrojepa_bench.runs.train import Trained, circumstances, kept, train
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

    Every failure becomes a typed status, and so does an exit or an interrupt that a plugin raises; only a person's
    interrupt passes through. No other process works on the same cell meanwhile. Where this one was silent for so
    long that another took the cell over, it is that one's: its record is waited for, and this one writes nothing.

    Args:
        cell: what to run.
        context: on what, with what, and where to.
        index: place of the cell in its grid, for those who watch.
        total: how many cells the grid has.
        wait: whether to wait for another process that works on it.

    Raises:
        LockedError: another process works on it, by now or from the start, and `wait` is false.
        KeyboardInterrupt: a person interrupted, whatever a plugin made of it.
    """
    began = time.perf_counter()
    with noting_interrupts():
        identity, fault = _identified(cell, context)
        try:
            with locked(context.store.lease_path(identity.run_id), wait=wait):
                result = _run_alone(cell, context, identity, fault, index, total)
        except LockedError as error:
            if not isinstance(error, LeaseLostError):
                raise
            ended = {"status": "taken over", "summary": "this process was silent for longer than its lease"}
            events.emit("cell_ended", label=cell.label, seconds=time.perf_counter() - began, **ended)
            if not wait:
                raise
            return run_cell(cell, context, index=index, total=total)
        except BaseException as error:
            if interrupted():  # and a plugin made something else of it
                raise KeyboardInterrupt from error
            # Not even a record could be written, as on a full disk; the other cells may have better luck.
            result = CellResult(_failed(cell, context, identity, error, "recording"))
            events.emit("note", text=f"{cell.label}: it has no record: {_summary(result.record)}")
        if interrupted():  # and a plugin swallowed it
            raise KeyboardInterrupt
        return result


def _run_alone(
    cell: Cell, context: RunContext, identity: RunIdentity, fault: Exception | None, index: int, total: int
) -> CellResult:
    """Do what is missing of a cell while no other process does."""
    store, run_id = context.store, identity.run_id
    known = store.recall(run_id, set_aside=True)
    if known is not None and is_finished(known, context.evaluators):
        events.emit("note", text=f"[{index}/{total}] {cell.label}: already done ({known.status})")
        return CellResult(known)
    store.remove_drafts(run_id)
    events.emit("cell_started", index=index, total=total, label=cell.label, run_id=run_id)
    began = time.perf_counter()
    if fault is None:
        result = _attempt(cell, context, identity, known)
    else:
        result = CellResult(_failed(cell, context, identity, fault, "building"))
    record = result.record
    if known is not None and known.disclosed is not None:  # of the same weights
        record = record.model_copy(update={"disclosed": known.disclosed})
        result = replace(result, record=record)
    renew_leases()
    if known is None or known.status not in SCORED or record.status in SCORED:  # never a worse one
        write_record(record, store, context.galaxies.table)
    if record.status in {*SCORED, "diverged"}:  # nobody resumes it
        Checkpointer(store.checkpoint_path(run_id)).remove()
    summary, seconds = _summary(record), time.perf_counter() - began
    events.emit("cell_ended", label=cell.label, status=record.status, summary=summary, seconds=seconds)
    return result


def _identified(cell: Cell, context: RunContext) -> tuple[RunIdentity, Exception | None]:
    """Tell what a cell is; where a plugin makes that impossible, by its names alone, and why."""
    try:
        identity = RunIdentity.of(cell, context.galaxies, context.budget)
        return identity if context.leader is None else context.leader.identified(cell, identity), None
    except Exception as error:
        names = {kind: part.name for kind, part in cell.components.items()}
        unknown = {kind: {"own": "unknown"} for kind in names}
        budget = context.budget
        bare = RunIdentity(names, {}, unknown, cell.seed, budget.name, budget.galaxies)
        return bare.on(context.galaxies, budget.precision), error


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
    parts = [*cell.components.values(), *context.evaluators]
    phase: Phase = "building"
    try:
        if cell.skip is not None:
            raise Unsuitable(cell.skip)
        with restored(parts):
            trained, earlier = kept(known, cell, context), known
        if trained is None:
            build = partial(assemble, cell, galaxies, budget.galaxies)
            with restored(parts):  # before it is scored: what training moved must not move its scores
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
                    offers=context.offers_of(cell),
                    rebuild=build,
                    together=None if context.leader is None else context.leader.call(cell),
                )
            renew_leases()
            # of earlier weights; first, lest they outlive them
            store.features_path(run_id).unlink(missing_ok=True)
            write_weights(store.weights_path(run_id), trained.objective, DataFacts.of(galaxies.table))
        give_back()  # what a step of training took
        phase = "scoring"
        subject = ExtrasContext(trained.objective, trained.masker, galaxies)
        missing = unscored(earlier, context.evaluators)
        with restored(parts):
            ready, unbuilt = made_ready(missing)
            scored = score(subject, cell.seed, ready, store.features_path(run_id)).plus(unbuilt)
        if earlier is not None:
            scored = _before(earlier, missing).plus(scored)
        phase = "recording"
        is_trained = earlier is None and trained.objective.trains
        return CellResult(record_of(cell, context, identity, trained, scored), is_trained)
    except LeaseLostError:
        raise
    except BaseException as error:
        if isinstance(error, Unsuitable) and phase in ("building", "training"):
            reason = why_unsuitable(error)
            return CellResult(_without_scores(cell, context, identity, status="skipped", skip_reason=reason))
        return CellResult(_failed(cell, context, identity, error, phase))


# --- what is missing of a run ---------------------------------------------------------------------------------


def is_finished(record: RunRecord, evaluators: Iterable[Component]) -> bool:
    """Whether nothing is left to do: scored by every evaluator asked for, or ended for good."""
    if record.status in ("skipped", "diverged"):
        return True  # the same request would skip or diverge again
    return record.status in SCORED and not unscored(record, evaluators)


def unscored(record: RunRecord | None, evaluators: Iterable[Component]) -> list[Component]:
    """Choose the evaluators that have not scored a run yet, in this version and with these options."""
    done = Scored() if record is None else Scored.of_record(record.facts())

    def is_done(each: Component) -> bool:
        try:
            return done.holds(each.name, each.chain, each.recorded())
        except Exception:  # its version cannot be told; it is blamed where it is built
            return False

    return [each for each in evaluators if not is_done(each)]


def with_scores(record: RunRecord, replaced: Iterable[Component], scored: Scored) -> RunRecord:
    """Return a record with what some evaluators found, in place of what they found before."""
    missing = [*replaced]
    return _sound(record.facts(), _before(record, missing).plus(scored), missing)


def _before(record: RunRecord, replaced: Iterable[Component]) -> Scored:
    return Scored.of_record(record.facts()).without({each.name for each in replaced})


# --- the record -----------------------------------------------------------------------------------------------


def record_of(
    cell: Cell, context: RunContext, identity: RunIdentity, trained: Trained, scored: Scored
) -> RunRecord:
    """Assemble the record of a run that was trained and scored."""
    with blamed_on(cell.objective.offer):  # whatever else a record holds was checked before
        facts = {
            **_entry(cell, context, identity),
            "status": trained.status,
            "health": trained.health,
            "training": trained.training,
            "cost": trained.cost.model_dump(),
            "environment": trained.environment,
            "provenance": trained.provenance,
        }
        return _sound(facts, scored, context.evaluators)


def _sound(facts: Mapping[str, Any], scored: Scored, evaluators: Iterable[Component]) -> RunRecord:
    """Make a record, without the evaluators that found what no record can hold; they are named.

    Raises:
        ContractError: without them it cannot be made either.
    """
    try:
        return _valid(scored.in_record(facts))
    except ContractError:
        asked = {each.name: each for each in evaluators}
        for name, each in asked.items():
            try:
                _valid(scored.without({*scored.evaluators} - {name}).in_record(facts))
            except ContractError as error:
                known = {"version": each.chain, "options": each.recorded(), "plugin": each.offer.package}
                scored = scored.without({name}).plus(without_score(name, known, error, each.offer.title))
        return _valid(scored.in_record(facts))


def _valid(facts: Mapping[str, Any]) -> RunRecord:
    """Make a record that can be written and read back.

    Raises:
        ContractError: something in it is of the wrong type.
    """
    try:
        record = RunRecord.model_validate(facts)
        RunRecord.from_json(record.to_json(), Path("record"))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ContractError(
            f"no record can hold {field} as {first['input']!r:.60}: {first['msg']}"
        ) from error
    except DataError as error:
        raise ContractError(f"the record could not be read back: {said_by(error)}") from error
    return record


def _failed(
    cell: Cell, context: RunContext, identity: RunIdentity, error: BaseException, phase: Phase
) -> RunRecord:
    """Assemble the record of a run that ended by an exception; with its names alone where nothing else will go in.

    Raises:
        BaseException: the exception itself, where it is meant for the whole command.
    """
    offers = [part.offer for part in [*cell.components.values(), *context.evaluators]]
    if ends_the_command(error, offers):
        raise error
    ending = classify(error, phase, offers)
    with suppress(Exception):
        return _without_scores(cell, context, identity, status=ending.status, failure=ending.failure)
    return RunRecord(
        run_id=identity.run_id,
        entry_id=identity.entry_id,
        status=ending.status,
        failure=ending.failure,
        objective=cell.objective.name,
        masker=cell.masker.name,
        encoder=cell.encoder.name,
        dataset=context.galaxies.name,
        seed=cell.seed,
        budget=context.budget.name,
        pretraining=context.budget.galaxies,
        labels=identity.labels,
        identity=identity.facts(),
    )


def _without_scores(cell: Cell, context: RunContext, identity: RunIdentity, **ending: object) -> RunRecord:
    """Assemble the record of a run that has no scores: its status, and the reason or failure behind it."""
    environment, origin = circumstances(context.galaxies.device, context.command, context.offers_of(cell))
    facts = {**_entry(cell, context, identity), **ending, "environment": environment, "provenance": origin}
    return _valid(facts)


def _entry(cell: Cell, context: RunContext, identity: RunIdentity) -> dict[str, Any]:
    """Collect what was asked for, and the ids that follow from it."""
    altered = cell.altered
    if identity.labels is not None:  # another entry than the one that is told all
        altered["objective"] = {**altered.get("objective", {}), "labels": identity.labels}
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
        "reads": cell.reads,
        "labels": identity.labels,
        "options": {**options, "dataset": dict(galaxies.options)},
        "altered": altered,
        "terms": galaxies.table.card.terms or None,
    }


def ended_elsewhere(cell: Cell, context: RunContext, identity: RunIdentity, ending: Ending) -> RunRecord:
    """Assemble the record of a cell that another process could not finish."""
    return _without_scores(cell, context, identity, status=ending.status, failure=ending.failure)


def _summary(record: RunRecord) -> str:
    if record.failure is not None:
        return f"{record.failure.origin} failed while {record.failure.phase}: {record.failure.message}"
    if record.status not in SCORED:
        return record.skip_reason or ""
    named = {"linear": record.value("linear", "accuracy"), "k-NN": record.value("knn", "accuracy")}
    return ", ".join(f"{name} accuracy {value:.3f}" for name, value in named.items() if value is not None)
