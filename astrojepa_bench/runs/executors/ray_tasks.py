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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import ray
import torch

from astrojepa_bench import events
from astrojepa_bench.errors import BenchError, ConfigError, said_by
from astrojepa_bench.events import Event
from astrojepa_bench.files import LockedError, is_locked
from astrojepa_bench.owners import Signature
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import Failure
from astrojepa_bench.runs.cell import CellResult, run_cell
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.asked import RayCell, read_ray
from astrojepa_bench.runs.executors.autopsy import Death
from astrojepa_bench.runs.executors.isolated import asking, identity_to_run, record_ending, settled
from astrojepa_bench.runs.executors.settings import read_arithmetic
from astrojepa_bench.runs.executors.worker import PATIENCE_S, Answer, Worker
from astrojepa_bench.runs.failures import Ending
from astrojepa_bench.runs.request import RunRequest

RETRIES = 3
"""How often a cell is tried again whose worker or node was lost."""
STORE_BYTES = 100_000_000
"""What a cluster that is started here may hold of what tasks return, which is little [byte]."""
MARKER = ".ray."
KNOCK_S = 10.0
LOOK_EVERY_S = 1.0
"""How often a cell that somebody else works on is looked at [s]."""
_TOLD = ("note", "cell_started", "cell_ended")


@dataclass(frozen=True)
class RayErrand:
    """A cell, and what a node must have to run it.

    Attributes:
        request: which the cell is of, as it runs there: on that node, on a device that is named.
        command: the command line or call that asked for it.
        plan: which plan of the request, from 0.
        index, total: which cell of the plan, from 1, of how many.
        run_id: of the cell; there it must be the same.
        settings: what torch computes with here, by name of the setting.
        argv: the words of this process's command line.
        folder: the current folder of the command, from which its paths start.
        marker: a file in the output folder that exists while the command runs.
        threads: that the cell computes with.
    """

    request: RunRequest
    command: str
    plan: int
    index: int
    total: int
    run_id: str
    settings: Mapping[str, object]
    argv: tuple[str, ...]
    folder: Path
    marker: Path
    threads: int


@contextmanager
def on_cluster(request: RunRequest) -> Iterator[Callable[..., list[CellResult]]]:
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
    """Connect to a cluster, or start one for this process.

    Raises:
        ConfigError: nobody answers at the address.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="ray")  # of its own next versions
        try:
            host, _, port = address.rpartition("://")[2].rpartition(":")
            if port.isdecimal() and host:  # Ray itself tries for minutes, and then ends the process
                socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_S).close()
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own if address == "local" else {}),
            )
        except (OSError, ValueError, RuntimeError, SystemExit) as error:
            raise ConfigError(
                f"--ray-address {address}: no cluster of Ray answers ({_first_line(error)}); expected HOST:PORT of "
                "its head node, and this machine must be one of its nodes"
            ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _run_cells(
    cells: Sequence[Cell], context: RunContext, *, request: RunRequest, plan: int
) -> list[CellResult]:
    """Run every cell on the cluster, and tell of each as it ends.

    Raises:
        ConfigError: a node lacks the disk or the code of this process, or nothing can be written.
    """
    results, there = dict[int, CellResult](), dict[int, RunIdentity]()
    for index, cell in enumerate(cells, start=1):
        identity = identity_to_run(cell, context)
        if identity is None:  # nothing of a plugin runs
            results[index] = run_cell(cell, context, index=index, total=len(cells))
        else:
            there[index] = identity
    if there:
        with _marker(context.store.leases) as marker:
            queue = _Queue(cells, context, request, plan, there, marker)
            results |= dict(queue.ended())
    return [results[index] for index in sorted(results)]


@contextmanager
def _marker(folder: Path) -> Iterator[Path]:
    """Yield a file that lies in a folder while the block runs, and clear away those of drivers that were killed."""
    for left in folder.glob(f"{MARKER}*"):
        owner = Signature.read(left.name)
        if owner is not None and owner.alive is False:
            left.unlink(missing_ok=True)
    path = folder / f"{MARKER}{Signature.new()}"
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@dataclass
class _Queue:
    """Cells that are on the cluster, or wait for a lease that somebody holds.

    Attributes:
        cells: all of the plan.
        context: on what, with what, and where to.
        request: which they are of.
        plan: which plan of the request, from 0.
        identities: of the cells that are to run, by their place from 1.
        marker: a file in the output folder that exists while the command runs.
    """

    cells: Sequence[Cell]
    context: RunContext
    request: RunRequest
    plan: int
    identities: Mapping[int, RunIdentity]
    marker: Path
    _running: dict[Any, int] = field(default_factory=dict)
    _waiting: list[int] = field(default_factory=list)
    _noted: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._began = time.perf_counter()
        self._takes = _resources(read_ray(self.request.executor_options), self.context.galaxies.device)
        self._do_cell = ray.remote(do_cell).options(max_retries=RETRIES, **self._takes)

    def ended(self) -> Iterator[tuple[int, CellResult]]:
        """Yield place and result of each cell as it ends."""
        self._waiting = [*self.identities]
        _tell_if_too_large(self._takes)
        try:
            while self._running or self._waiting:
                for index in [*filter(self._is_free, self._waiting)]:
                    self._waiting.remove(index)
                    self._submit(index)
                if not self._running:
                    time.sleep(LOOK_EVERY_S)
                    continue
                ready, _ = ray.wait([*self._running], timeout=LOOK_EVERY_S)
                for task in ready:
                    index = self._running.pop(task)
                    try:
                        yield index, self._heard(index, task)
                    except LockedError:  # by the worker that was lost, as far as other nodes can tell yet
                        self._waiting.append(index)
        finally:
            self._cancel()

    def _is_free(self, index: int) -> bool:
        """Whether nobody holds the lease of a cell; a reader is told once of one that is held."""
        is_free = not is_locked(self.context.store.lease_path(self.identities[index].run_id))
        if not is_free and index not in self._noted:
            self._noted.add(index)
            place, label = f"[{index}/{len(self.cells)}]", self.cells[index - 1].label
            events.emit("note", text=f"{place} {label}: another command is working on it; left until last")
        return is_free

    def _submit(self, index: int) -> None:
        there = {"executor": "local", "executor_options": (), "ray_address": None, "isolate": True}
        threads = self._takes["num_cpus"]
        errand = RayErrand(
            request=self.request.model_copy(update=there | {"device": self.context.galaxies.device.type}),
            command=self.context.command,
            plan=self.plan,
            index=index,
            total=len(self.cells),
            run_id=self.identities[index].run_id,
            settings=read_arithmetic(threads),
            argv=tuple(sys.argv),
            folder=Path.cwd(),
            marker=self.marker,
            threads=threads,
        )
        self._running[self._do_cell.remote(errand)] = index

    def _heard(self, index: int, task: Any) -> CellResult:  # noqa: ANN401 Ray's reference
        """Return what became of a task.

        Raises:
            LockedError: its cell has to wait.
            ConfigError: its node cannot run cells of this command.
        """
        try:
            answer, told = ray.get(task)
        except ray.exceptions.RayTaskError as error:
            raise ConfigError(
                f"a node of the cluster cannot run cells ({_first_line(error.cause or error)}); every node needs "
                "the same astrojepa-bench and the same plugins"
            ) from None
        except ray.exceptions.RayError as error:
            return self._lost(index, error)
        for event in told:
            _tell(event)
        if isinstance(answer, str):
            raise ConfigError(answer)
        cell, identity = self.cells[index - 1], self.identities[index]
        return settled(answer, cell, self.context, identity, self._began, _tell)

    def _lost(self, index: int, error: Exception) -> CellResult:
        """Record a cell whose worker was lost each time."""
        is_oom = isinstance(error, ray.exceptions.OutOfMemoryError)
        lower = "lower objective.batch_size, or set memory aside with --executor-option memory=8G"
        text = (
            f"its worker was lost {RETRIES + 1} times ({type(error).__name__}: {_first_line(error)}); "
            f"{lower if is_oom else 'look at the logs of Ray, and run it again'}"
        )
        failure = Failure(origin="infrastructure", phase="training", message=text[:2000])
        ending, cell = Ending("oom" if is_oom else "failed", failure), self.cells[index - 1]
        result = record_ending(cell, self.context, self.identities[index], ending)
        ended = {"label": cell.label, "status": result.record.status, "summary": text}
        events.emit("cell_ended", **ended, seconds=time.perf_counter() - self._began)
        return result

    def _cancel(self) -> None:
        """Interrupt what still runs, so that it lets go of its lease."""
        with suppress(Exception):  # the cluster may be gone
            for task in self._running:
                ray.cancel(task)
            if self._running:
                ray.wait([*self._running], num_returns=len(self._running), timeout=PATIENCE_S)


def _tell(event: Event) -> None:
    events.emit(event.name, **event.fields)


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


def do_cell(errand: RayErrand) -> tuple[Answer | Death | str, list[Event]]:
    """Run a cell in a process of its own on this node.

    Returns:
        What the process said, or how it died; or why this node cannot run the cell. And what is to be told of it.
    """
    told: list[Event] = []
    try:
        os.chdir(errand.folder)
        if not errand.marker.exists():
            raise ConfigError(
                f"{errand.marker.parent} is another folder there; nodes must share the disk of --out"
            )
        sys.argv[:] = errand.argv
        ask = asking(
            errand.request, errand.command, errand.plan, errand.index, errand.total, errand.run_id,
            errand.settings, wait=False,
        )  # fmt: skip
        with Worker({"OMP_NUM_THREADS": str(errand.threads)}) as worker:  # other libraries than torch read it
            answer = ask(worker, lambda event: told.append(event) if event.name in _TOLD else None)
    except (BenchError, OSError) as error:
        return _refusal(said_by(error)), []
    return _refusal(answer.said) if isinstance(answer, Death) and answer.said else answer, told


def _refusal(why: str) -> str:
    return f"node {socket.gethostname()} of the cluster cannot run this: {why}"
