"""A process that runs cells for this one: whatever their code does there, this one goes on, and knows how it ended.

The process is a fresh interpreter that is handed cells as data (`errand.py`) and reads the galaxies from the shared
cache. It holds the lock of its cell and writes the record, as any process does.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

from astrojepa_bench.events import Event
from astrojepa_bench.runs.executors.autopsy import Death
from astrojepa_bench.runs.executors.errand import NO_MORE, sent

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

Answer: TypeAlias = dict[str, Any]
Tell: TypeAlias = Callable[[Event], None]


class Worker:
    """A process for errands: started when it is first asked, and again after it died or was dismissed.

    Args:
        variables: of its environment, besides those of this process.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def ask(self, errand: bytes, trace: Path, limit_s: float | None, tell: Tell) -> Answer | Death:
        """Let the process do one errand; return its answer, or how it ended without one.

        Args:
            errand: as `errand.packed` returns it.
            trace: the file in which it leaves its stack.
            limit_s: how long its cell may take [s]; None: as long as it wants.
            tell: hears the events of its cell.
        """
        process = self._running()
        with suppress(OSError):  # it is dead already; what it said tells why
            sent(process.stdin, errand)
        heard = _Heard(limit_s, tell)
        for message in self._messages(process, heard):
            heard.hear(message)
        if heard.answer is not None and "refused" not in heard.answer:
            return heard.answer
        out_of_time = heard.answer is None and heard.is_late()
        if out_of_time:
            _ask_where_it_is(process, trace)
        elif heard.answer is not None:
            self.leave(busy=False)
        self.end(0.0 if out_of_time else PATIENCE_S)
        stack = trace.read_text(errors="replace") if trace.exists() else ""
        death = Death(process.returncode, heard.phase, stack, limit_s if out_of_time else None)
        return replace(death, said=heard.answer["refused"]) if heard.answer else death

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.leave(busy=kind is not None)
        self.end(PATIENCE_S)

    def leave(self, *, busy: bool) -> None:
        """Ask the process to end: now if it is busy, else as soon as it has nothing left to do."""
        process = self._process  # the thread that asks it may be ending it
        if process is None:
            return
        with suppress(OSError, ValueError):
            if busy:
                process.send_signal(signal.SIGINT)
            else:
                sent(process.stdin, NO_MORE)

    def dismiss(self) -> None:
        """Let an idle process end; who asks again asks a new one."""
        self.leave(busy=False)
        self.end(PATIENCE_S)

    def end(self, patience_s: float) -> None:
        """See to it that nothing is left of the process and of what it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, patience_s))
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

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process, a new one in a group of its own if there is none that lives."""
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.end(0.0)
        words = [sys.executable, "-P", "-c", START, json.dumps(sys.path)]
        started = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **self.variables},
            start_new_session=os.name == "posix",
        )
        self._process, self._lines = started, queue.SimpleQueue()
        threading.Thread(target=_read_lines, args=(started.stdout, self._lines), daemon=True).start()
        return started

    def _messages(self, process: subprocess.Popen[bytes], heard: _Heard) -> Iterator[Answer]:
        """Yield what a process says until it has answered, ends, or is late."""
        lines = self._lines
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


@dataclass
class _Heard:
    """What a process said of an errand so far, and how much time it has left.

    Attributes:
        limit_s: how long it may take [s]; None: as long as it wants.
        tell: hears its events.
    """

    limit_s: float | None
    tell: Tell
    answer: Answer | None = None
    phase: str = "building"

    def __post_init__(self) -> None:
        self._until = self._end(SETTING_UP_S)

    def _end(self, more_s: float = 0.0) -> float | None:
        return None if self.limit_s is None else time.monotonic() + self.limit_s + more_s

    def is_late(self) -> bool:
        """Whether its time is over."""
        return self._until is not None and time.monotonic() >= self._until

    def hear(self, message: Answer) -> None:
        """Note an answer, and pass an event on."""
        if "event" in message:
            name, fields = message["event"], message["fields"]
            if name == "cell_started":
                self._until = self._end()
            self.phase = _phase(name, fields, self.phase)
            self.tell(Event(name, fields))
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


def _read_lines(stream: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
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
