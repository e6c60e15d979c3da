"""The grid of runs: one cell after the other, none able to stop the others."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from astrojepa_bench import events
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.cell import RunContext, cell_identity, finished, run_cell
from astrojepa_bench.runs.component import Cell
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import RunRequest
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
        DataError: the dataset cannot be loaded.
    """
    plan = make_plan(request, registry)
    device = choose_device(request.device)
    store = Store(request.out)
    store.prepare()
    for note in plan.notes:
        events.emit("note", text=note)
    galaxies = load_galaxies(plan.dataset, plan.budget.size_px, request.cache, device)
    budget = within(plan.budget, galaxies.table)
    bench = RunContext(galaxies, budget, plan.evaluators, store, command)
    before = {record.run_id: record.provenance for record in store.records()}
    records = [
        _run_and_tell(cell, bench, index, len(plan.cells)) for index, cell in enumerate(plan.cells, start=1)
    ]
    trained = [
        run.run_id for run in records if run.training.steps and before.get(run.run_id) != run.provenance
    ]
    return GridResult(tuple(records), tuple(store.path(record) for record in records), tuple(trained))


def within(budget: Budget, table: GalaxyTable) -> Budget:
    """Drop a limit on pretraining galaxies that limits nothing: such a run is the one without it."""
    found = len(table.pretraining_rows)
    if budget.galaxies is None or budget.galaxies < found:
        return budget
    events.emit("note", text=f"--pretraining {budget.galaxies}: there are {found} galaxies; all are used")
    return dataclasses.replace(budget, galaxies=None)


def choose_device(name: str) -> torch.device:
    """Resolve `auto` to the GPU where there is one.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ConfigError("--device cuda: no CUDA device was found; use --device cpu or auto")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def _run_and_tell(cell: Cell, bench: RunContext, index: int, total: int) -> RunRecord:
    known = bench.store.find(cell_identity(cell, bench).run_id)
    if known is not None and finished(known, bench.evaluators):
        events.emit("note", text=f"[{index}/{total}] {cell.label}: already done ({known.status})")
        return known
    events.emit("cell_started", index=index, total=total, label=cell.label)
    began = time.perf_counter()
    record = run_cell(cell, bench)
    events.emit(
        "cell_ended",
        label=cell.label,
        status=record.status,
        summary=_summary(record),
        seconds=time.perf_counter() - began,
    )
    return record


def _summary(record: RunRecord) -> str:
    if record.failure is not None:
        return f"{record.failure.origin} failed while {record.failure.phase}: {record.failure.message}"
    if record.status not in SCORED:
        return record.skip_reason or ""
    named = {"linear": record.value("linear", "accuracy"), "k-NN": record.value("knn", "accuracy")}
    return ", ".join(f"{name} accuracy {value:.3f}" for name, value in named.items() if value is not None)
