"""How long the cells of a plan are expected to take, told before the first of them runs, for those who watch.

What a cell costs follows from runs that the output folder holds, as for `plan`: median seconds of the same
components on the same galaxies with the same budget, device class and precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from astrojepa_bench import events
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.runs.cell import is_finished
from astrojepa_bench.runs.component import Cell, RunContext

_PACE = ("fingerprint", "budget", "device_class", "precision", "pretraining", "labels")


@contextmanager
def expecting(cells: Sequence[Cell], context: RunContext, at_once: int) -> Iterator[None]:
    """Tell what is to run in the block, and that it has ended.

    Args:
        cells: of one plan.
        context: on what, with what, and where to.
        at_once: how many run at once; 0 where nobody knows.
    """
    task = f"cells of {context.galaxies.name}"
    if len(cells) > 1:
        records = context.store.survey().records
        told = [_expected(cell, context, records) for cell in cells]
        events.emit("cells_expected", task=task, cells=told, at_once=at_once)
    try:
        yield
    finally:
        events.emit("task_ended", task=task)


def _expected(cell: Cell, context: RunContext, records: Sequence[RunRecord]) -> dict[str, object]:
    """Tell the class of cost of a cell, and how long it takes."""
    return {
        "label": cell.label,
        "kind": f"{cell.objective.name} + {cell.encoder.name}",
        "trains": bool(cell.objective.offer.declares("trains")),
        "seconds": 0.0 if cell.skip is not None else _seconds(cell, context, records),
    }


def _seconds(cell: Cell, context: RunContext, records: Sequence[RunRecord]) -> float | None:
    """Look up how long a cell takes [s]: 0 where it is done, None where nothing tells."""
    if any(isinstance(value, Path) for part in cell.components.values() for value in part.options.values()):
        return None  # each file would be hashed
    try:
        identity = RunIdentity.of(cell, context.galaxies, context.budget)
    except Exception:  # a plugin's; it is raised again, and recorded, where the cell runs
        return None
    known = next((record for record in records if record.run_id == identity.run_id), None)
    if known is not None and is_finished(known, context.evaluators):
        return 0.0
    facts, names = identity.facts(), (cell.objective.name, cell.encoder.name)
    alike = [
        record
        for record in records
        if (record.objective, record.encoder) == names
        and record.status in SCORED
        and all(record.identity.get(each) == facts.get(each) for each in _PACE)
    ]
    costs = [(each.cost.train_seconds or 0.0) + (each.cost.eval_seconds or 0.0) for each in alike]
    return median(costs) if costs else None
