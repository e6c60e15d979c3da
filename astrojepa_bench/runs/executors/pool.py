"""Cells side by side: processes that take one cell at a time, as many at once as a request has jobs.

A process that dies costs its cell a record of how it ended, and is replaced. Cells that another command works on
are left, and taken up as soon as they are free: done by then, or abandoned.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.files import LockedError, is_locked, locked
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.runs.cell import CellResult, ended_elsewhere, is_finished, run_cell, write_record
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.autopsy import Death, ending_of
from astrojepa_bench.runs.executors.errand import Errand, packed
from astrojepa_bench.runs.executors.settings import ARITHMETIC, read_settings
from astrojepa_bench.runs.executors.worker import PATIENCE_S, Answer, Worker
from astrojepa_bench.runs.failures import Ending
from astrojepa_bench.runs.request import RunRequest

LOOK_EVERY_S = 1.0
"""How often a cell that another command works on is looked at [s]."""
THREADS = "torch's threads"


@dataclass
class _Task:
    """A cell that is to run in a process.

    Attributes:
        index, total: which cell of its plan, from 1, of how many.
        cell, identity: what it is.
        began: when it was last handed out.
        look_at: when to look again whether another command still works on it; 0: nothing is known of another.
    """

    index: int
    total: int
    cell: Cell
    identity: RunIdentity
    began: float = 0.0
    look_at: float = 0.0

    @property
    def place(self) -> str:
        """Its number, for a reader."""
        return f"[{self.index}/{self.total}]"


class CellPool:
    """Processes for the cells of a request; none is started before there is something to do.

    Each goes on to the next cell as a command does; where cells are isolated, it has one only. The threads that
    this process would compute with are divided among them, whether or not all have work: so a command computes the
    same numbers however much of it was done before.

    Args:
        request: which the cells are of; its paths are absolute.
        device: where they run. Of several GPUs, each process is given one.
    """

    def __init__(self, request: RunRequest, device: torch.device) -> None:
        self._request = request
        self._settings = {setting.name: value for setting, value in read_settings(ARITHMETIC).items()}
        shared = dict[str, str]()
        if request.jobs > 1:
            threads = max(1, torch.get_num_threads() // request.jobs)
            self._settings[THREADS] = threads
            shared["OMP_NUM_THREADS"] = str(threads)  # other libraries than torch read it
        gpus = _gpus() if device.type == "cuda" else []
        own = [{"CUDA_VISIBLE_DEVICES": gpus[k % len(gpus)]} if gpus else {} for k in range(request.jobs)]
        self._idle = [Worker(shared | variables) for variables in reversed(own)]
        self._busy: dict[Worker, _Task] = {}
        self._said = queue.SimpleQueue[tuple[Worker, events.Event | Answer | Death | BaseException]]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes; those that still work are interrupted, so that they give their locks back."""
        workers = [*self._idle, *self._busy]
        for worker in workers:
            worker.leave(busy=worker in self._busy)
        until = time.monotonic() + PATIENCE_S
        for worker in workers:
            worker.end(until - time.monotonic())

    def run(self, cells: Sequence[Cell], context: RunContext, plan: int) -> list[CellResult]:
        """Do what is missing of every cell of a plan.

        Args:
            cells: all of them.
            context: on what, with what, and where to.
            plan: which plan of the request, from 0.

        Raises:
            ConfigError: the output folder cannot be written, or the request cannot be handed over.
        """
        results, todo = dict[int, CellResult](), list[_Task]()
        for index, cell in enumerate(cells, start=1):
            found = self._known(cell, context, index, len(cells))
            if isinstance(found, _Task):
                todo.append(found)
            else:
                results[index] = found
        bar = f"cells of {context.galaxies.name}"
        if todo:
            events.emit("task_started", task=bar, total=len(todo), unit="cells")
        while todo or self._busy:
            while self._idle and (task := _next_free(todo, context)) is not None:
                todo.remove(task)
                self._hand_out(task, context.command, plan)
            ended = self._hear()
            if ended is None:
                continue
            task, answer = ended
            result = self._settled(task, answer, context)
            if result is None:
                _leave_until_later(task)
                todo.append(task)
            else:
                results[task.index] = result
                events.emit("task_advanced", task=bar, advance=1)
        events.emit("task_ended", task=bar)
        return [results[index] for index in sorted(results)]

    def _known(self, cell: Cell, context: RunContext, index: int, total: int) -> CellResult | _Task:
        """Return what is known of a cell without any process of its own, or else what is to do."""
        try:
            identity = RunIdentity.of(cell, context.galaxies, context.budget)
        except Exception:  # a plugin's: the cell does not get as far as running anything
            return run_cell(cell, context, index=index, total=total)
        task, known = _Task(index, total, cell, identity), None
        with suppress(DataError):  # it is damaged; whoever runs the cell tells so
            known = context.store.find(identity.run_id)
        if cell.skip is None and (known is None or not is_finished(known, context.evaluators)):
            return task
        try:
            return run_cell(cell, context, index=index, total=total, wait=False)  # nothing of a plugin runs
        except LockedError:
            return task

    def _hand_out(self, task: _Task, command: str, plan: int) -> None:
        """Let an idle process begin a cell.

        Raises:
            ConfigError: the request cannot be handed over.
        """
        scratch = tempfile.TemporaryDirectory(prefix="astrojepa-cell-")
        trace = Path(scratch.name) / "stack.txt"
        alone = self._request.model_copy(update={"isolate": False, "timeout": None, "jobs": 1})
        errand = packed(
            Errand(
                alone, command, plan, task.index, task.total, task.identity.run_id,
                self._settings, tuple(sys.argv), trace,
            )
        )  # fmt: skip
        worker, task.began = self._idle.pop(), time.perf_counter()
        self._busy[worker] = task

        def ask() -> None:
            try:
                with scratch:
                    answer = worker.ask(
                        errand, trace, self._request.timeout, lambda event: self._said.put((worker, event))
                    )
                if self._request.isolates:
                    worker.leave(busy=False)
                    worker.end(PATIENCE_S)
            except BaseException as error:
                self._said.put((worker, error))
            else:
                self._said.put((worker, answer))

        threading.Thread(target=ask, daemon=True).start()

    def _hear(self) -> tuple[_Task, Answer | Death] | None:
        """Wait a moment for what a process says; show an event, and return an answer.

        Raises:
            BaseException: what this process itself failed over while it asked.
        """
        try:
            worker, said = self._said.get(timeout=LOOK_EVERY_S / 2)
        except queue.Empty:
            return None
        task = self._busy[worker]
        if isinstance(said, events.Event):
            events.emit(said.name, **{**said.fields, "cell": task.place})
            return None
        del self._busy[worker]
        self._idle.append(worker)
        if isinstance(said, BaseException):
            raise said
        return task, said

    def _settled(self, task: _Task, answer: Answer | Death, context: RunContext) -> CellResult | None:
        """Return what became of a cell; None where it is another command's for now.

        Raises:
            ConfigError: the output folder cannot be written.
        """
        if isinstance(answer, Death):
            parts = (*task.cell.components.values(), *context.evaluators)
            return _recorded(task, context, ending_of(answer, [part.offer for part in parts]))
        if "locked" in answer:
            return None
        if "raised" in answer:
            raise ConfigError(answer["raised"])
        record = RunRecord.from_json(json.dumps(answer["record"]).encode(), context.store.runs)
        return CellResult(record, answer["is_trained"])


def _next_free(todo: Sequence[_Task], context: RunContext) -> _Task | None:
    """Choose the first cell that no other command works on."""
    for task in todo:
        if task.look_at > time.monotonic():
            continue
        if not is_locked(context.store.lease_path(task.identity.run_id)):
            return task
        _leave_until_later(task)
    return None


def _leave_until_later(task: _Task) -> None:
    if not task.look_at:
        text = f"{task.place} {task.cell.label}: another command is working on it; left until last"
        events.emit("note", text=text)
    task.look_at = time.monotonic() + LOOK_EVERY_S


def _recorded(task: _Task, context: RunContext, ending: Ending) -> CellResult | None:
    """Write the record of a cell whose process could not, unless it did so before it died.

    None where another command has taken the cell over: it was free from the moment the process died.
    """
    store, cell = context.store, task.cell
    try:
        with locked(store.lease_path(task.identity.run_id), wait=False):
            known = store.recall(task.identity.run_id, set_aside=True)
            if known is not None and is_finished(known, context.evaluators):
                return CellResult(known, is_trained=True)
            record = ended_elsewhere(cell, context, task.identity, ending)
            try:
                if known is None or known.status not in SCORED:  # never a worse one
                    write_record(record, store, context.galaxies.table)
            except ConfigError as error:  # a full disk; the other cells may have better luck
                events.emit("note", text=f"{cell.label}: it has no record: {error}")
    except LockedError:
        return None
    summary, seconds = ending.failure.message, time.perf_counter() - task.began
    ended: Mapping[str, object] = {"label": cell.label, "status": record.status, "cell": task.place}
    events.emit("cell_ended", summary=summary, seconds=seconds, **ended)
    return CellResult(record)


def _gpus() -> list[str]:
    """List the GPUs that a process may be given, by name; none where there is no choice."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
    return found if len(found) > 1 else []
