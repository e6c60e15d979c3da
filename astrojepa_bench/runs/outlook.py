"""What a request would do, before it does it: which runs are there, which are missing, and how long those take.

Minutes follow from runs that the output folder holds: the same components on the same galaxies, images of the same
size and the same class of device. Where there is none, nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from astrojepa_bench.results.identity import RunIdentity, canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.runs.cell import is_finished, unscored
from astrojepa_bench.runs.component import Cell, Component, RunContext


@dataclass(frozen=True)
class PlannedCell:
    """One run of a plan.

    Attributes:
        cell: what would run.
        dataset: on which galaxies.
        run_id: under which it is, or will be, recorded.
        state: `cached` where nothing is left to do, `skipped` where it cannot mean anything, else `missing`.
        reason: why it is skipped, or why a run that has a record is missing or done without scores.
        minutes: how long it will take, as far as earlier runs tell; None where they do not.
    """

    cell: Cell
    dataset: str
    run_id: str
    state: Literal["cached", "missing", "skipped"]
    reason: str | None
    minutes: float | None

    def facts(self) -> dict[str, object]:
        """Return it as programs read it."""
        names = {kind: part.name for kind, part in self.cell.components.items()}
        about = {"run_id": self.run_id, "state": self.state, "reason": self.reason, "minutes": self.minutes}
        return {**names, "dataset": self.dataset, "seed": self.cell.seed, **about}


def look_ahead(cells: Iterable[Cell], context: RunContext) -> list[PlannedCell]:
    """Tell of each cell whether `run_cell` would find it done, and how long it would take."""
    measured = [record for record in context.store.records() if record.status in SCORED]
    return [_planned(cell, context, measured) for cell in cells]


def total_minutes(planned: Iterable[PlannedCell]) -> float | None:
    """Add up; None as soon as one missing cell takes nobody knows how long."""
    minutes = [each.minutes for each in planned]
    return None if None in minutes else round(sum(each for each in minutes if each is not None), 2)


def _planned(cell: Cell, context: RunContext, measured: Sequence[RunRecord]) -> PlannedCell:
    identity, dataset = RunIdentity.of(cell, context.galaxies, context.budget), context.galaxies.name
    run_id, known = identity.run_id, context.store.find(identity.run_id)
    if known is not None and is_finished(known, context.evaluators):
        if known.status == "skipped":
            return PlannedCell(cell, dataset, run_id, "skipped", known.skip_reason, 0.0)
        return PlannedCell(
            cell, dataset, run_id, "cached", None if known.status == "ok" else known.status, 0.0
        )
    if cell.skip is not None:
        return PlannedCell(cell, dataset, run_id, "skipped", cell.skip, 0.0)
    missing = unscored(known if known and known.status in SCORED else None, context.evaluators)
    trains = known is None or known.status not in SCORED or not context.store.weights_path(run_id).exists()
    seconds = _seconds(cell, identity, context.budget.seen, measured, missing, trains)
    minutes = None if seconds is None else round(seconds / 60, 2)
    return PlannedCell(cell, dataset, run_id, "missing", _why_missing(known, missing, trains), minutes)


def _why_missing(known: RunRecord | None, missing: Sequence[Component], trains: bool) -> str | None:
    if known is None:
        return None
    if known.status not in SCORED:
        return f"{known.status} before" + (f": {known.failure.message}" if known.failure else "")
    asked = f"not scored by {', '.join(each.name for each in missing)} of today's version and options"
    return f"{asked}; its weights are not here, so it is trained again" if trains else asked


# --- how long -------------------------------------------------------------------------------------------------


def _seconds(
    cell: Cell,
    identity: RunIdentity,
    seen: int,
    measured: Sequence[RunRecord],
    missing: Sequence[Component],
    trains: bool,
) -> float | None:
    """Estimate a cell from the runs most like it: training by images, scoring by evaluator [s]."""
    alike = [record for record in measured if _comparable(record.identity) == _comparable(identity.facts())]
    kinds: tuple[tuple[str, ...], ...] = (("objective", "masker", "encoder"), ("objective", "encoder"))
    of_cell = {kind: (part.name, canonical_json(part.recorded())) for kind, part in cell.components.items()}
    for wanted in kinds:
        same = [
            record
            for record in alike
            if all(
                (getattr(record, k), canonical_json(record.options.get(k, {}))) == of_cell[k] for k in wanted
            )
        ]
        names = {each.name for each in missing}
        training = [rate for record in same if (rate := _seconds_an_image(record)) is not None]
        scoring = [spent for record in same if (spent := _scoring_seconds(record, names)) is not None]
        if scoring and (training or not trains):
            return (seen * median(training) if trains else 0.0) + median(scoring)
    return None


def _comparable(identity: dict[str, object]) -> tuple[object, ...]:
    """Return what sets the pace besides the components: galaxies, size of the images, class of device."""
    size = next((word for word in str(identity.get("budget", "")).split() if word.endswith("px")), "")
    return identity.get("fingerprint"), size, identity.get("device_class")


def _seconds_an_image(record: RunRecord) -> float | None:
    spent, seen = record.cost.train_seconds, record.training.images_seen
    if spent is None:
        return None
    return spent / seen if seen else 0.0  # what does not train takes no time for it


def _scoring_seconds(record: RunRecord, names: set[str]) -> float | None:
    """Sum what some evaluators and their features took; None where not all of them were timed."""
    spent = record.cost.evaluation
    if not names <= set(spent):
        return None
    return sum(seconds for name, seconds in spent.items() if name in names or name not in record.evaluators)
