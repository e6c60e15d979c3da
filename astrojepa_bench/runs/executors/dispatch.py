"""Where the cells of a request run: in this process, in one of their own, several at once, or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Protocol

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.files import LockedError
from astrojepa_bench.runs.cell import CellResult, run_cell
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.isolated import run_cell_isolated
from astrojepa_bench.runs.executors.pool import LOOK_EVERY_S, CellPool
from astrojepa_bench.runs.request import RunRequest


class RunCells(Protocol):
    """Runs the cells of one plan of a request."""

    def __call__(self, cells: Sequence[Cell], context: RunContext, *, plan: int) -> list[CellResult]:
        """Return a result a cell, in their order; `plan` counts from 0."""


@contextmanager
def running(request: RunRequest) -> Iterator[RunCells]:
    """Yield what runs the cells of a request where it asks for; what that started ends with the block.

    Args:
        request: what is asked for, with absolute places.

    Raises:
        ConfigError: Ray is not installed, or no cluster answers at its address.
    """
    if request.executor == "ray":
        if find_spec("ray") is None:
            raise ConfigError('--executor ray: Ray is not installed; pip install "astrojepa-bench[ray]"')
        from astrojepa_bench.runs.executors.ray_tasks import on_cluster

        with on_cluster(request) as run_there:
            yield run_there
    elif request.jobs > 1:
        with CellPool(request) as pool:
            yield pool
    else:
        yield partial(_in_turn, request=request)


def _in_turn(
    cells: Sequence[Cell], context: RunContext, *, plan: int, request: RunRequest
) -> list[CellResult]:
    """Run one cell at a time; those that another command works on come last, whichever is free first."""
    run_one = partial(run_cell_isolated, request=request, plan=plan) if request.isolates else run_cell
    results, noted, pause = dict[int, CellResult](), set[int](), 0.0
    while len(results) < len(cells):
        time.sleep(pause)
        done = len(results)
        for index, cell in enumerate(cells, start=1):
            if index in results:
                continue
            try:
                results[index] = run_one(cell, context, index=index, total=len(cells), wait=False)
            except LockedError:
                if index not in noted:
                    place = f"[{index}/{len(cells)}] {cell.label}"
                    events.emit("note", text=f"{place}: another command is working on it; left until last")
                noted.add(index)
        pause = min(LOOK_EVERY_S, 2 * pause + 0.05) if len(results) == done else 0.0
    return [results[index] for index in sorted(results)]
