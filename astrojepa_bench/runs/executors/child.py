"""A process that runs cells for another: reads errands, does each with the same code as any process, and answers.

It ends when its parent does. What plugins print goes to standard error.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from astrojepa_bench.errors import BenchError
from astrojepa_bench.events import listening
from astrojepa_bench.files import LockedError
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.runs.cell import run_cell
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.errand import LENGTH, Errand
from astrojepa_bench.runs.executors.settings import compute_with
from astrojepa_bench.runs.grid import cell_of

_encode = json.JSONEncoder(default=str).encode  # bound now: a plugin may replace what `json` offers
Say = Callable[..., None]


def main() -> int:
    """Do the errands that come on standard input; exit code 0 says that each was answered."""
    source, say = _channels()
    bench = Bench()
    for errand in _errands(source):
        sys.argv[:] = errand.argv
        with errand.trace.open("w") as trace:
            faulthandler.enable(trace)
            if hasattr(faulthandler, "register"):  # not on Windows
                faulthandler.register(signal.SIGUSR1, trace, all_threads=True)
            try:
                _answer(errand, bench, say)
            finally:
                faulthandler.disable()
                if hasattr(faulthandler, "unregister"):
                    faulthandler.unregister(signal.SIGUSR1)
    return 0


def _errands(source: BinaryIO) -> Iterator[Errand]:
    """Yield errands as they come, until there are no more."""
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, inbox), daemon=True).start()
    while errand := inbox.get():
        yield pickle.loads(errand)


def _listen(source: BinaryIO, inbox: queue.SimpleQueue[bytes]) -> None:
    """Take in errands until the parent lets go of our standard input, which it does at the latest when it ends."""
    while length := source.read(LENGTH):
        inbox.put(source.read(int.from_bytes(length)))
    if hasattr(os, "killpg"):  # this process leads its own group: what it started ends too
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _channels() -> tuple[BinaryIO, Say]:
    """Keep standard input and output for the parent, out of the reach of plugins."""
    source = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    one_at_a_time = threading.Lock()

    def say(**message: object) -> None:
        with one_at_a_time:
            answers.write(_encode(message) + "\n")
            answers.flush()

    return source, say


def _answer(errand: Errand, bench: Bench, say: Say) -> None:
    try:
        cell, context = bench.set_up(errand)
    except BenchError as error:
        say(refused=str(error))
        return
    say(ready=True)
    try:
        with listening(lambda event: say(event=event.name, fields=dict(event.fields))):
            result = run_cell(cell, context, index=errand.index, total=errand.total, wait=errand.wait)
    except LockedError as error:
        say(locked=str(error))
    except BenchError as error:
        say(raised=str(error))
    else:
        say(record=json.loads(result.record.to_json()), is_trained=result.is_trained)


class Bench:
    """The plugins and galaxies of a plan, loaded once for all its errands."""

    def __init__(self) -> None:
        self._plan: int | None = None
        self._registry: Registry | None = None
        self._context: RunContext | None = None

    def set_up(self, errand: Errand) -> tuple[Cell, RunContext]:
        """Load what is not there yet, and find the cell in the request.

        Raises:
            BenchError: a plugin or the galaxies cannot be loaded; or the cell is another one by now.
        """
        compute_with(errand.settings)
        # In silence: all that could be said of plugins and galaxies was said when the command planned.
        if self._registry is None:
            self._registry = load_registry(errand.request.plugins)
        if self._plan != errand.plan:
            self._plan, self._context = errand.plan, None
        cell, context = cell_of(
            errand.request, self._registry, errand.plan, errand.index, errand.command, self._context
        )
        self._context = context
        found = RunIdentity.of(cell, context.galaxies, context.budget).run_id
        if found != errand.run_id:
            raise BenchError(
                f"the command planned run {errand.run_id} and its process finds {found}: code or data of this cell "
                "changed meanwhile; issue the command again"
            )
        return cell, context
