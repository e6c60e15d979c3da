"""Cells side by side: processes that take one cell at a time, as many at once as a request has jobs.

A process that dies costs its cell a record of how it ended, and is replaced. Cells that another command works on
are left, and taken up as soon as they are free: done by then, or abandoned.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

from astrojepa_bench import events
from astrojepa_bench.events import Event
from astrojepa_bench.files import LockedError, is_locked
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.runs.cell import CellResult, run_cell
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.autopsy import Death
from astrojepa_bench.runs.executors.isolated import asking, identity_to_run, settled
from astrojepa_bench.runs.executors.settings import read_arithmetic
from astrojepa_bench.runs.executors.worker import PATIENCE_S, Answer, Worker
from astrojepa_bench.runs.request import RunRequest

LOOK_EVERY_S = 1.0
"""How often a cell that another command works on is looked at [s]."""


@dataclass
class _Task:
    """A cell that is to run in a process.

    Attributes:
        index: which cell of its plan, from 1.
        cell, identity: what it is.
        place: its number, for a reader.
        began: when it was last handed out.
        look_at: when to look again whether another command still works on it; 0: nothing is known of another.
    """

    index: int
    cell: Cell
    identity: RunIdentity
    place: str
    began: float = 0.0
    look_at: float = 0.0

    def tell(self, event: Event) -> None:
        """Show an event of its process, as one of its own among those of others."""
        events.emit(event.name, **{**event.fields, "cell": self.place})


class CellPool:
    """Processes for the cells of a request; each is started when there is a cell for it.

    It goes on to the next cell as a command does; where cells are isolated, it has one only. The threads that this
    process would compute with are divided among them, whether or not all have work: so a command computes the same
    numbers however much of it was done before.

    Args:
        request: which the cells are of; its paths are absolute.
    """

    def __init__(self, request: RunRequest) -> None:
        self._request = request
        threads = max(1, torch.get_num_threads() // request.jobs)
        self._settings = read_arithmetic(threads)
        shared = {"OMP_NUM_THREADS": str(threads)}  # other libraries than torch read it
        gpus = [] if request.device == "cpu" else _gpus()
        own = [{"CUDA_VISIBLE_DEVICES": gpus[k % len(gpus)]} if gpus else {} for k in range(request.jobs)]
        self._idle = [Worker(shared | variables) for variables in reversed(own)]
        self._busy: dict[Worker, _Task] = {}
        self._said = queue.SimpleQueue[tuple[Worker, Event | Answer | Death | BaseException]]()

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

    def __call__(self, cells: Sequence[Cell], context: RunContext, *, plan: int) -> list[CellResult]:
        """Do what is missing of every cell of a plan, and return a result a cell, in their order.

        Args:
            cells: all of them.
            context: on what, with what, and where to.
            plan: which plan of the request, from 0.

        Raises:
            ConfigError: the output folder cannot be written, or the request cannot be handed over.
        """
        results, todo = dict[int, CellResult](), list[_Task]()
        for index, cell in enumerate(cells, start=1):
            identity = identity_to_run(cell, context)
            if identity is None:  # nothing of a plugin runs
                results[index] = run_cell(cell, context, index=index, total=len(cells))
            else:
                todo.append(_Task(index, cell, identity, f"[{index}/{len(cells)}]"))
        if not todo:
            return [results[index] for index in sorted(results)]
        while todo or self._busy:
            while self._idle and (task := _next_free(todo, context)) is not None:
                todo.remove(task)
                self._hand_out(task, context.command, plan, len(cells))
            ended = self._hear()
            if ended is None:
                continue
            task, answer = ended
            try:
                results[task.index] = settled(
                    answer, task.cell, context, task.identity, task.began, task.tell
                )
            except LockedError:
                _leave_until_later(task)
                todo.append(task)
        return [results[index] for index in sorted(results)]

    def _hand_out(self, task: _Task, command: str, plan: int, total: int) -> None:
        """Let an idle process begin a cell, and a thread listen to it.

        Raises:
            ConfigError: the request cannot be handed over.
        """
        ask = asking(
            self._request, command, plan, task.index, total, task.identity.run_id, self._settings, wait=False
        )
        worker, task.began = self._idle.pop(), time.perf_counter()
        self._busy[worker] = task

        def listen() -> None:
            try:
                answer = ask(worker, lambda event: self._said.put((worker, event)))
            except BaseException as error:
                self._said.put((worker, error))
            else:
                self._said.put((worker, answer))

        threading.Thread(target=listen, daemon=True).start()

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
        if isinstance(said, Event):
            task.tell(said)
            return None
        del self._busy[worker]
        self._idle.append(worker)
        if isinstance(said, BaseException):
            raise said
        return task, said


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


def _gpus() -> list[str]:
    """List the GPUs that a process may be given, by name; none where there is no choice."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = named.split(",") if named else [str(number) for number in range(torch.cuda.device_count())]
    return found if len(found) > 1 else []
