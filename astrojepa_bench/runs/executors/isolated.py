"""A cell in a process of its own: whatever its code does there, this process goes on, and knows how it ended.

Where that process dies without a record, or is out of time, the record is written here.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import Event
from astrojepa_bench.files import LockedError, is_locked, locked
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.runs.cell import CellResult, ended_elsewhere, is_finished, run_cell, write_record
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.autopsy import Death, ending_of
from astrojepa_bench.runs.executors.errand import Errand, packed
from astrojepa_bench.runs.executors.settings import read_arithmetic
from astrojepa_bench.runs.executors.worker import Answer, Tell, Worker
from astrojepa_bench.runs.failures import Ending
from astrojepa_bench.runs.request import RunRequest


def run_cell_isolated(
    cell: Cell, context: RunContext, *, index: int, total: int, wait: bool, request: RunRequest, plan: int
) -> CellResult:
    """Do what is missing of one cell in a process of its own, within the time limit of its request.

    Args:
        cell: what to run.
        context: on what, with what, and where to.
        index: place of the cell in its plan, from 1.
        total: how many cells the plan has.
        wait: whether to wait for another process that works on it; the time limit does not count that.
        request: which the cell is of.
        plan: which plan of the request, from 0.

    Raises:
        LockedError: another process works on it, and `wait` is false.
        ConfigError: the output folder cannot be written, or the request cannot be handed over.
    """
    identity = identity_to_run(cell, context)
    if identity is None:  # nothing of a plugin runs
        return run_cell(cell, context, index=index, total=total, wait=wait)
    if not wait and is_locked(context.store.lease_path(identity.run_id)):
        raise LockedError(f"another process works on {cell.label}; wait for it to end, or stop it")
    began = time.perf_counter()
    settings = read_arithmetic()
    ask = asking(request, context.command, plan, index, total, identity.run_id, settings, wait=wait)
    with Worker({}) as worker:
        answer = ask(worker, _tell)
    return settled(answer, cell, context, identity, began, _tell)


def _tell(event: Event) -> None:
    """Show an event of another process as if it were one of this process."""
    events.emit(event.name, **event.fields)


def asking(
    request: RunRequest, command: str, plan: int, index: int, total: int, run_id: str,
    settings: Mapping[str, object], *, wait: bool,
) -> Callable[[Worker, Tell], Answer | Death]:  # fmt: skip
    """Write the errand of a cell, and return what asks a process to do it and tells its events.

    Raises:
        ConfigError: the request cannot be handed over.
    """
    scratch = tempfile.TemporaryDirectory(prefix="astrojepa-cell-")
    trace = Path(scratch.name) / "stack.txt"
    alone = request.model_copy(update={"isolate": False, "timeout": None, "jobs": 1})
    errand = packed(
        Errand(alone, command, plan, index, total, run_id, wait, settings, tuple(sys.argv), trace)
    )

    def ask(worker: Worker, tell: Tell) -> Answer | Death:
        with scratch:
            answer = worker.ask(errand, trace, request.timeout, tell)
        if request.isolates:
            worker.dismiss()
        return answer

    return ask


def settled(
    answer: Answer | Death, cell: Cell, context: RunContext, identity: RunIdentity, began: float, tell: Tell
) -> CellResult:
    """Return what became of a cell in its process, and write its record if that could not.

    Args:
        answer: what the process said, or how it died.
        cell: what was to run.
        context: on what, with what, and where to.
        identity: of its run.
        began: when the process was asked, by `time.perf_counter`.
        tell: hears how a cell ended that its process does not tell of.

    Raises:
        LockedError: another process works on it.
        ConfigError: the output folder cannot be written.
    """
    if isinstance(answer, Death):
        parts = (*cell.components.values(), *context.evaluators)
        result = record_ending(
            cell, context, identity, ending_of(answer, [part.offer for part in parts]), wait=False
        )
        failure, seconds = result.record.failure, time.perf_counter() - began
        ended = {"label": cell.label, "status": result.record.status, "seconds": seconds}
        tell(Event("cell_ended", {**ended, "summary": failure.message if failure else ""}))
        return result
    if "locked" in answer:
        raise LockedError(answer["locked"])
    if "raised" in answer:
        raise ConfigError(answer["raised"])
    record = RunRecord.from_json(json.dumps(answer["record"]).encode(), context.store.runs)
    return CellResult(record, answer["is_trained"])


def identity_to_run(cell: Cell, context: RunContext) -> RunIdentity | None:
    """Tell which run a cell is; None where nothing of it has to be run, or where its plugin fails at once."""
    try:
        identity = RunIdentity.of(cell, context.galaxies, context.budget)
    except Exception:  # a plugin's: the cell does not get as far as running anything
        return None
    known = None
    with suppress(DataError):  # it is damaged; whoever runs the cell sets it aside, and says so
        known = context.store.find(identity.run_id)
    is_done = cell.skip is not None or (known is not None and is_finished(known, context.evaluators))
    return None if is_done else identity


def record_ending(
    cell: Cell, context: RunContext, identity: RunIdentity, ending: Ending, *, wait: bool = True
) -> CellResult:
    """Write the record of a cell whose process could not, unless it did so before it died.

    Raises:
        LockedError: another process works on it by now, and `wait` is false.
    """
    store = context.store
    with locked(store.lease_path(identity.run_id), wait=wait):
        known = store.recall(identity.run_id, set_aside=True)
        if known is not None and is_finished(known, context.evaluators):
            return CellResult(known, is_trained=True)
        record = ended_elsewhere(cell, context, identity, ending)
        try:
            if known is None or known.status not in SCORED:  # never a worse one
                write_record(record, store, context.galaxies.table)
        except ConfigError as error:  # a full disk; the other cells may have better luck
            events.emit("note", text=f"{cell.label}: it has no record: {error}")
        return CellResult(record)
