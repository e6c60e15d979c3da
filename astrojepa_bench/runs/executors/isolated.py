"""A cell in a process of its own: whatever its code does there, this process goes on, and knows how it ended.

The process is a fresh interpreter that is handed the cell as data (`errand.py`) and reads the galaxies from the
shared cache. It holds the lock of the cell and writes the record, as any process does; only where it dies without
one, or is out of time, the record is written here.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.files import LockedError, locked
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.runs.cell import CellResult, ended_elsewhere, is_finished, run_cell, write_record
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.autopsy import Death, ending_of
from astrojepa_bench.runs.executors.errand import Errand
from astrojepa_bench.runs.executors.settings import ARITHMETIC, read_settings
from astrojepa_bench.runs.failures import Ending
from astrojepa_bench.runs.request import RunRequest

START = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
try:
    from astrojepa_bench.runs.executors.child import main
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
"""
PATIENCE_S = 5.0
"""How long a process may take to end by itself, once it was asked to or has said how its cell ended [s]."""
SETTING_UP_S = 300.0
"""How long a process may take to import everything and load the galaxies, besides its cell's time limit [s]."""
_LOOK_EVERY_S = 0.5


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
    try:
        identity = RunIdentity.of(cell, context.galaxies, context.budget)
    except Exception:  # a plugin's: the cell does not get as far as running anything
        return run_cell(cell, context, index=index, total=total, wait=wait)
    known = context.store.find(identity.run_id)
    if cell.skip is not None or (known is not None and is_finished(known, context.evaluators)):
        return run_cell(cell, context, index=index, total=total, wait=wait)  # nothing of a plugin runs
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="astrojepa-cell-") as scratch:
        alone = request.model_copy(update={"isolate": False, "timeout": None})
        errand = Errand(
            alone, context.command, plan, index, total, identity.run_id, wait,
            {setting.name: value for setting, value in read_settings(ARITHMETIC).items()},
            tuple(sys.argv), Path(scratch) / "stack.txt",
        )  # fmt: skip
        answer = _ask(errand, request.timeout)
    if isinstance(answer, Death):
        ending = ending_of(answer, [part.offer for part in (*cell.components.values(), *context.evaluators)])
        result = _recorded(cell, context, identity, ending)
        failure, seconds = result.record.failure, time.perf_counter() - began
        summary = failure.message if failure else ""
        events.emit(
            "cell_ended", label=cell.label, status=result.record.status, summary=summary, seconds=seconds
        )
        return result
    if "locked" in answer:
        raise LockedError(answer["locked"])
    if "raised" in answer:
        raise ConfigError(answer["raised"])
    record = RunRecord.from_json(json.dumps(answer["record"]).encode(), context.store.runs)
    return CellResult(record, answer["is_trained"])


def _recorded(cell: Cell, context: RunContext, identity: RunIdentity, ending: Ending) -> CellResult:
    """Write the record of a cell whose process could not, unless it did so before it died."""
    store = context.store
    with locked(store.lease_path(identity.run_id)):
        known = store.find(identity.run_id)
        if known is not None and is_finished(known, context.evaluators):
            return CellResult(known, is_trained=True)
        record = ended_elsewhere(cell, context, identity, ending)
        try:
            if known is None or known.status not in SCORED:  # never a worse one
                write_record(record, store, context.galaxies.table)
        except ConfigError as error:  # a full disk; the other cells may have better luck
            events.emit("note", text=f"{cell.label}: it has no record: {error}")
        return CellResult(record)


# --- the process ----------------------------------------------------------------------------------------------


def _ask(errand: Errand, limit_s: float | None) -> dict[str, Any] | Death:
    """Run the process of an errand; return its answer, or how it ended without one."""
    try:
        handed = pickle.dumps(errand)
    except Exception as error:
        raise ConfigError(
            f"--isolate: the request cannot be handed to another process ({type(error).__name__}: {error}); give "
            "its options as texts and numbers"
        ) from None
    with _process() as process:
        assert process.stdin is not None
        with suppress(OSError):  # it is dead already; what it said tells why
            process.stdin.write(handed)
            process.stdin.flush()
        heard = _Heard(limit_s)
        for message in _messages(process, heard):
            heard.hear(message)
        if heard.answer is not None and "refused" not in heard.answer:
            return heard.answer
        out_of_time = heard.answer is None and heard.is_late()
        if out_of_time:
            _ask_where_it_is(process, errand.trace)
        else:
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE_S)
    stack = errand.trace.read_text(errors="replace") if errand.trace.exists() else ""
    death = Death(process.returncode, heard.phase, stack, limit_s if out_of_time else None)
    return replace(death, said=heard.answer["refused"]) if heard.answer else death


@contextmanager
def _process() -> Iterator[subprocess.Popen[bytes]]:
    """Start a fresh interpreter in a group of its own; in the end nothing of that group is left."""
    words = [sys.executable, "-P", "-c", START, json.dumps(sys.path)]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=os.name == "posix"
    )
    try:
        yield process
    except KeyboardInterrupt:  # it does not hear the terminal's
        with suppress(OSError, subprocess.TimeoutExpired):
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
        raise
    finally:
        with suppress(OSError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


@dataclass
class _Heard:
    """What a process said so far, and how much time it has left.

    Attributes:
        limit_s: how long it may take [s]; None: as long as it wants.
    """

    limit_s: float | None
    answer: dict[str, Any] | None = None
    phase: str = "building"

    def __post_init__(self) -> None:
        self._until = self._end(SETTING_UP_S)

    def _end(self, more_s: float = 0.0) -> float | None:
        return None if self.limit_s is None else time.monotonic() + self.limit_s + more_s

    def is_late(self) -> bool:
        """Whether its time is over."""
        return self._until is not None and time.monotonic() >= self._until

    def hear(self, message: dict[str, Any]) -> None:
        """Note an answer, and show an event as if it were one of this process."""
        if "event" in message:
            name, fields = message["event"], message["fields"]
            if name == "cell_started":
                self._until = self._end()
            self.phase = _phase(name, fields, self.phase)
            events.emit(name, **fields)
        elif "ready" in message:
            self._until = None  # it may wait for another command now
        else:
            self.answer = message


def _phase(name: str, fields: dict[str, Any], before: str) -> str:
    """Tell from its events what a cell is at."""
    if name in ("cell_started", "step"):
        return "training"
    is_scoring = name == "task_started" and str(fields.get("task", "")).startswith(("encoding", "scoring"))
    return "scoring" if is_scoring else before


def _messages(process: subprocess.Popen[bytes], heard: _Heard) -> Iterator[dict[str, Any]]:
    """Yield what a process says until it has answered, ends, or is late."""
    assert process.stdout is not None
    lines: queue.Queue[bytes | None] = queue.Queue()
    threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True).start()
    while heard.answer is None and not heard.is_late():
        try:
            line = lines.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            if process.poll() is not None:  # dead, and what it started holds on to the pipe
                return
            continue
        if line is None:
            return
        with suppress(ValueError):  # no line of ours
            message = json.loads(line)
            if isinstance(message, dict):
                yield message


def _read_lines(stream: Any, lines: queue.Queue[bytes | None]) -> None:  # noqa: ANN401 a pipe
    with suppress(OSError, ValueError):  # closed by the other thread
        for line in stream:
            lines.put(line)
    lines.put(None)


def _ask_where_it_is(process: subprocess.Popen[bytes], trace: Path) -> None:
    """Let a process that is out of time write its stack, if it still can."""
    if not hasattr(signal, "SIGUSR1") or not trace.exists():
        return
    with suppress(OSError):
        process.send_signal(signal.SIGUSR1)
    until = time.monotonic() + 1.0
    while time.monotonic() < until and process.poll() is None and not trace.stat().st_size:
        time.sleep(0.02)
