"""The grid of runs: one cell after the other, none able to stop the others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from astrojepa_bench import events
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.files import LockedError
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.cell import CellResult, run_cell
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.outlook import PlannedCell, look_ahead
from astrojepa_bench.runs.plan import Plan, dealt
from astrojepa_bench.runs.request import RunRequest
from astrojepa_bench.runs.suite_board import make_plans
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.types import GalaxyTable

DONE_WELL = frozenset({"ok", "collapsed", "skipped"})


@dataclass(frozen=True)
class GridResult:
    """What a request left.

    Attributes:
        records: one a cell, in the order of the plan.
        paths: where they were written.
        trained: ids of the runs that were trained now, and not found in the output folder.
    """

    records: tuple[RunRecord, ...]
    paths: tuple[Path, ...]
    trained: tuple[str, ...] = ()

    @property
    def all_well(self) -> bool:
        """Whether every cell is ok, collapsed or skipped for a reason."""
        return all(record.status in DONE_WELL for record in self.records)


def run_grid(request: RunRequest, registry: Registry, command: str) -> GridResult:
    """Do what is missing of a request.

    Raises:
        ConfigError: the request names something unknown or impossible.
        DataError: the dataset cannot be loaded, or holds other galaxies than a suite asks for.
    """
    plans = _plans(request, registry)
    device = choose_device(request.device)
    store = Store(request.out)
    store.prepare()
    for plan in plans[1:]:  # the first one's turn comes at once; wrong files are known before it trains
        if any(isinstance(value, Path) for value in plan.dataset.options.values()):
            load_planned(plan, request.cache, device)
    results = list[CellResult]()
    for plan in plans:
        results += _run_cells(plan.cells, _context(plan, request, device, command))
    records = tuple(result.record for result in results)
    trained = tuple(each.record.run_id for each in results if each.is_trained)
    return GridResult(records, tuple(store.path(record) for record in records), trained)


def plan_grid(request: RunRequest, registry: Registry) -> list[PlannedCell]:
    """Find out what `run_grid` would do of a request, without doing any of it.

    Galaxies are loaded, because they are part of the runs' ids; nothing is written below the output folder.

    Raises:
        ConfigError: the request names something unknown or impossible.
        DataError: the dataset cannot be loaded.
    """
    plans, device = _plans(request, registry), choose_device(request.device)
    return [
        planned
        for plan in plans
        for planned in look_ahead(plan.cells, _context(plan, request, device, command="plan"))
    ]


def _plans(request: RunRequest, registry: Registry) -> tuple[Plan, ...]:
    """Plan a request, or one machine's part of it, and tell what was merged."""
    plans = make_plans(request, registry)
    for note in dict.fromkeys(note for plan in plans for note in plan.notes):
        events.emit("note", text=note)
    return dealt(plans, request.shard)


def _context(plan: Plan, request: RunRequest, device: torch.device, command: str) -> RunContext:
    """Load what all cells of a plan share."""
    galaxies = load_planned(plan, request.cache, device)
    budget = _within(plan.budget, galaxies.table)
    return RunContext(galaxies, budget, plan.evaluators, Store(request.out), command)


def load_planned(plan: Plan, cache: Path, device: torch.device) -> Galaxies:
    """Load the galaxies of a plan.

    Raises:
        DataError: they cannot be loaded, or are not those that a suite asks for.
    """
    galaxies = load_galaxies(plan.dataset, plan.budget.size_px, cache, device)
    found = galaxies.table.fingerprint
    if plan.fingerprint and found != plan.fingerprint:
        raise DataError(
            f"dataset '{plan.dataset.name}' holds galaxies with the fingerprint {found}, the suite asks for "
            f"{plan.fingerprint}; give the files it was made from, or name the galaxies with --dataset to run an "
            "experiment"
        )
    return galaxies


def choose_device(name: str) -> torch.device:
    """Resolve `auto` to the GPU where there is one.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ConfigError("--device cuda: no CUDA device was found; use --device cpu or auto")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def _within(budget: Budget, table: GalaxyTable) -> Budget:
    """Drop a limit on pretraining galaxies that limits nothing: such a run is the one without it."""
    found = len(table.pretraining_rows)
    if budget.galaxies is None or budget.galaxies < found:
        return budget
    events.emit("note", text=f"--pretraining {budget.galaxies}: there are {found} galaxies; all are used")
    return dataclasses.replace(budget, galaxies=None)


def _run_cells(cells: tuple[Cell, ...], context: RunContext) -> list[CellResult]:
    """Run every cell; those that another process is working on come last, and are waited for."""
    results: dict[int, CellResult] = {}
    total = len(cells)
    for wait in (False, True):
        for index, cell in enumerate(cells, start=1):
            if index in results:
                continue
            try:
                results[index] = run_cell(cell, context, index=index, total=total, wait=wait)
            except LockedError:
                note = f"[{index}/{total}] {cell.label}: another command is working on it; left until last"
                events.emit("note", text=note)
    return [results[index] for index in sorted(results)]
