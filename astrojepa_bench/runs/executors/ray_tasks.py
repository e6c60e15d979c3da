"""Cells on a cluster of Ray: a task a cell, on whichever node has room, each in a process of its own there.

A node needs the disk of this process (output folder, cache, plugin files, at the same paths) and the same package.
A task that is lost with its worker or its node comes again elsewhere, as soon as the lease of its cell is nobody's.
Until then, and while another command works on it, a cell waits here and takes no processor.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Protocol

import ray
import torch

from astrojepa_bench import events
from astrojepa_bench.errors import BenchError, ConfigError, said_by
from astrojepa_bench.events import Event, listening
from astrojepa_bench.files import LockedError, locked
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import Failure, RunRecord
from astrojepa_bench.runs.cell import CellResult
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.asked import RayCell, read_ray
from astrojepa_bench.runs.executors.child import set_up
from astrojepa_bench.runs.executors.errand import Errand
from astrojepa_bench.runs.executors.isolated import (
    PATIENCE_S,
    identity_to_run,
    record_ending,
    run_cell_isolated,
)
from astrojepa_bench.runs.executors.settings import ARITHMETIC, read_settings
from astrojepa_bench.runs.failures import Ending
from astrojepa_bench.runs.request import RunRequest

RETRIES = 3
"""How often a cell is tried again whose worker or node was lost."""
STORE_BYTES = 100_000_000
"""What a cluster that is started here may hold of what tasks return, which is little [byte]."""
_LOOK_EVERY_S = 1.0
_TOLD = ("note", "cell_started", "cell_ended")


class RunCells(Protocol):
    """Runs the cells of one plan of a request."""

    def __call__(self, cells: Sequence[Cell], context: RunContext, *, plan: int) -> list[CellResult]:
        """Return a result a cell, in their order; `plan` counts from 0."""


@dataclass(frozen=True)
class RayErrand:
    """A cell, and what a node must have to run it.

    Attributes:
        errand: the cell; its galaxies are loaded there.
        folder: the current folder of the command, from which its paths start.
        marker: a file in the output folder that exists while the command runs.
        threads: that the cell computes with.
    """

    errand: Errand
    folder: Path
    marker: Path
    threads: int


@contextmanager
def on_cluster(request: RunRequest) -> Iterator[RunCells]:
    """Connect to the cluster of a request while the block runs, and yield what runs cells there.

    Args:
        request: what is asked for, with absolute places.

    Raises:
        ConfigError: nobody answers at the address.
    """
    was_there = ray.is_initialized()  # by whoever called us
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))  # else for ever
    try:
        if not was_there:
            _connect(request.ray_address)
        yield partial(_run_cells, request=request)
    finally:
        if not was_there:
            ray.shutdown()


def _connect(address: str | None) -> None:
    """Connect to a cluster, or to the one that runs on this machine, or to one that is started for this process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="ray")  # of its own next versions
        try:
            ray.init(address=address or "auto", log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            if address is not None:
                raise ConfigError(
                    f"--ray-address {address}: no cluster of Ray answers there ({_first_line(error)}); expected "
                    "HOST:PORT of its head node, and this machine must be one of its nodes"
                ) from None
            ray.init(
                address="local", include_dashboard=False, object_store_memory=STORE_BYTES,
                log_to_driver=False, logging_level=logging.ERROR,
            )  # fmt: skip


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _run_cells(
    cells: Sequence[Cell], context: RunContext, *, request: RunRequest, plan: int
) -> list[CellResult]:
    """Run every cell on the cluster, and tell of each as it ends.

    Raises:
        ConfigError: a node lacks the disk or the code of this process, or nothing can be written.
    """
    results, there, total = dict[int, CellResult](), dict[int, RunIdentity](), len(cells)
    for index, cell in enumerate(cells, start=1):
        identity = identity_to_run(cell, context)
        if identity is not None:
            there[index] = identity
            continue
        results[index] = run_cell_isolated(
            cell, context, index=index, total=total, wait=True, request=request, plan=plan
        )
    with NamedTemporaryFile(dir=context.store.leases, prefix=".ray-") as marker:
        queue = _Queue(cells, context, request, plan, there, Path(marker.name))
        results |= dict(queue.ended())
    return [results[index] for index in sorted(results)]


class _Queue:
    """Cells that are on the cluster, or wait for a lease that somebody holds."""

    def __init__(
        self, cells: Sequence[Cell], context: RunContext, request: RunRequest, plan: int,
        identities: Mapping[int, RunIdentity], marker: Path,
    ) -> None:  # fmt: skip
        self._cells, self._context, self._identities = cells, context, identities
        self._plan, self._marker = plan, marker
        there = {"executor": "local", "executor_options": (), "ray_address": None, "isolate": True}
        self._request = request.model_copy(update=there | {"device": context.galaxies.device.type})
        self._takes = _resources(read_ray(request.executor_options), context.galaxies.device)
        self._do_cell = ray.remote(do_cell).options(max_retries=RETRIES, **self._takes)
        self._running: dict[Any, int] = {}
        self._waiting: set[int] = set()

    def ended(self) -> Iterator[tuple[int, CellResult]]:
        """Yield place and result of each cell as it ends."""
        try:
            for index in self._identities:
                self._submit(index)
            _tell_if_too_large(self._takes)
            while self._running or self._waiting:
                ready = list[Any]()
                if self._running:
                    ready, _ = ray.wait([*self._running], timeout=_LOOK_EVERY_S)
                else:
                    time.sleep(_LOOK_EVERY_S)
                for task in ready:
                    index = self._running.pop(task)
                    result = self._heard(index, task)
                    if result is not None:
                        yield index, result
                for index in [*filter(self._is_free, self._waiting)]:
                    self._waiting.remove(index)
                    self._submit(index)
        finally:
            self._cancel()

    def _submit(self, index: int) -> None:
        settings = {setting.name: value for setting, value in read_settings(ARITHMETIC).items()}
        threads = self._takes["num_cpus"]
        errand = Errand(
            self._request, self._context.command, self._plan, index, len(self._cells),
            self._identities[index].run_id, False, settings | {"torch's threads": threads}, tuple(sys.argv), Path(),
        )  # fmt: skip
        job = RayErrand(errand, Path.cwd(), self._marker, threads)
        self._running[self._do_cell.remote(job)] = index

    def _heard(self, index: int, task: Any) -> CellResult | None:  # noqa: ANN401 Ray's reference
        """Return what became of a task; None where its cell has to wait.

        Raises:
            ConfigError: its node cannot run cells of this command.
        """
        cell = self._cells[index - 1]
        try:
            answer: dict[str, Any] = ray.get(task)
        except ray.exceptions.RayTaskError as error:
            raise ConfigError(
                f"a node of the cluster cannot run cells ({_first_line(error.cause or error)}); every node needs "
                "the same astrojepa-bench and the same plugins"
            ) from None
        except ray.exceptions.RayError as error:
            return self._lost(index, error)
        if "refused" in answer:
            raise ConfigError(answer["refused"])
        for name, fields in answer["events"]:
            events.emit(name, **fields)
        if "locked" in answer:
            note = f"[{index}/{len(self._cells)}] {cell.label}: another command is working on it; it waits"
            events.emit("note", text=note)
            self._waiting.add(index)
            return None
        record = RunRecord.from_json(answer["record"].encode(), self._context.store.runs)
        return CellResult(record, answer["is_trained"])

    def _lost(self, index: int, error: Exception) -> CellResult:
        """Record a cell whose worker was lost each time."""
        is_oom = isinstance(error, ray.exceptions.OutOfMemoryError)
        lower = "lower objective.batch_size, or set memory aside with --executor-option memory=8G"
        text = (
            f"its worker was lost {RETRIES + 1} times ({type(error).__name__}: {_first_line(error)}); "
            f"{lower if is_oom else 'look at the logs of Ray, and run it again'}"
        )
        failure = Failure(origin="infrastructure", phase="training", message=text[:2000])
        ending = Ending("oom" if is_oom else "failed", failure)
        result = record_ending(self._cells[index - 1], self._context, self._identities[index], ending)
        told = {"label": self._cells[index - 1].label, "status": result.record.status, "seconds": 0.0}
        events.emit("cell_ended", **told, summary=text)
        return result

    def _is_free(self, index: int) -> bool:
        """Whether nobody holds the lease of a cell any more."""
        try:
            with locked(self._context.store.lease_path(self._identities[index].run_id), wait=False):
                return True
        except LockedError:
            return False

    def _cancel(self) -> None:
        """Interrupt what still runs, so that it lets go of its lease."""
        with suppress(Exception):  # the cluster may be gone
            for task in self._running:
                ray.cancel(task)
            if self._running:
                ray.wait([*self._running], num_returns=len(self._running), timeout=PATIENCE_S)


def _resources(asked: RayCell, device: torch.device) -> dict[str, Any]:
    """Tell Ray what a cell takes: as many processors as threads, lest its numbers differ from those made here."""
    gpus = asked.num_gpus if asked.num_gpus is not None else float(device.type == "cuda")
    taken = {"num_cpus": asked.num_cpus or torch.get_num_threads(), "num_gpus": gpus, "memory": asked.memory}
    return {name: number for name, number in taken.items() if number}


def _tell_if_too_large(takes: Mapping[str, Any]) -> None:
    """Note that no node has what a cell takes; a cluster may still grow one."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    needed = {"CPU": takes["num_cpus"], "GPU": takes.get("num_gpus", 0), "memory": takes.get("memory", 0)}
    if not any(all(node.get(name, 0) >= count for name, count in needed.items()) for node in nodes):
        wanted = ", ".join(f"{name} {count:g}" for name, count in needed.items() if count)
        events.emit(
            "note", text=f"no node has what a cell takes ({wanted}); cells wait until one joins the cluster"
        )


# --- on a node ------------------------------------------------------------------------------------------------


def do_cell(job: RayErrand) -> dict[str, Any]:
    """Run a cell in a process of its own on this node, and answer as such a process does (see `errand.py`)."""
    heard: list[Event] = []
    with listening(heard.append):
        answer = _answer(job)
    told = [(event.name, dict(event.fields)) for event in heard if event.name in _TOLD]
    return {**answer, "events": told}


def _answer(job: RayErrand) -> dict[str, Any]:
    errand = job.errand
    try:
        os.chdir(job.folder)
        if not job.marker.exists():
            raise ConfigError(
                f"{job.marker.parent} is not the same folder there; nodes must share the disk of --out"
            )
        sys.argv[:] = errand.argv
        os.environ["OMP_NUM_THREADS"] = str(job.threads)  # for all libraries of the cell's process
        with events.muted():  # all that could be said was said when the command planned
            cell, context = set_up(errand)
        result = run_cell_isolated(
            cell, context, index=errand.index, total=errand.total, wait=False,
            request=errand.request, plan=errand.plan,
        )  # fmt: skip
    except LockedError as error:
        return {"locked": str(error)}
    except (BenchError, OSError) as error:
        return {"refused": f"node {socket.gethostname()} of the cluster cannot run this: {said_by(error)}"}
    return {"record": result.record.to_json(), "is_trained": result.is_trained}
