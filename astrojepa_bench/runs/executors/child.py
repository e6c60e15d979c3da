"""The process of one cell: reads its errand, does it with the same code as any other process, and answers.

It ends when its parent does. What plugins print goes to standard error.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

from astrojepa_bench.errors import BenchError
from astrojepa_bench.events import listening
from astrojepa_bench.files import LockedError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.runs.cell import run_cell
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.errand import Errand
from astrojepa_bench.runs.executors.settings import ARITHMETIC, is_same
from astrojepa_bench.runs.grid import cell_of

_encode = json.JSONEncoder(default=str).encode  # bound now: a plugin may replace what `json` offers
Say = Callable[..., None]


def main() -> int:
    """Do the errand on standard input; exit code 0 says that it was answered."""
    source, say = _channels()
    errand: Errand = pickle.load(source)
    threading.Thread(target=_end_with_parent, args=(source,), daemon=True).start()
    sys.argv[:] = errand.argv
    with errand.trace.open("w") as trace:
        faulthandler.enable(trace)
        if hasattr(faulthandler, "register"):  # not on Windows
            faulthandler.register(signal.SIGUSR1, trace, all_threads=True)
        try:
            _answer(errand, say)
        finally:
            faulthandler.disable()
    return 0


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


def _end_with_parent(source: BinaryIO) -> None:
    """Wait until the parent lets go of our standard input, which it does at the latest when it ends."""
    source.read()
    if hasattr(os, "killpg"):  # this process leads its own group: what it started ends too
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def _answer(errand: Errand, say: Say) -> None:
    try:
        cell, context = _set_up(errand)
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


def _set_up(errand: Errand) -> tuple[Cell, RunContext]:
    """Load plugins and galaxies, and find the cell in the request.

    Raises:
        BenchError: a plugin or the galaxies cannot be loaded; or the cell is another one by now.
    """
    for setting in ARITHMETIC:
        if setting.name in errand.settings and not is_same(setting.read(), errand.settings[setting.name]):
            setting.put(errand.settings[setting.name])
    # In silence: all that could be said of plugins and galaxies was said when the command planned.
    registry = load_registry(errand.request.plugins)
    cell, context = cell_of(errand.request, registry, errand.plan, errand.index, errand.command)
    found = RunIdentity.of(cell, context.galaxies, context.budget).run_id
    if found != errand.run_id:
        raise BenchError(
            f"the command planned run {errand.run_id} and its process finds {found}: code or data of this cell "
            "changed meanwhile; issue the command again"
        )
    return cell, context
