"""The grid of runs: what it would do, and doing it, one cell after the other, none able to stop the others.

Before anything runs, the minutes it will take follow from runs that the output folder holds: the same components on
the same galaxies, images of the same size, the same class of device and the same precision. Where there is none,
nothing is known.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

import torch

from astrojepa_bench import events
from astrojepa_bench.data.device import RESIDENT_BYTES
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.data.splitting.subset import label_count
from astrojepa_bench.errors import ConfigError, DataError, Unsuitable
from astrojepa_bench.files import locked
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.certificate import Certificate, starts_from_weights
from astrojepa_bench.results.galaxy_places import GalaxyPlaces
from astrojepa_bench.results.identity import RunIdentity, canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.cell import CellResult, is_finished, unscored
from astrojepa_bench.runs.component import Cell, Component, RunContext, why_unsuitable
from astrojepa_bench.runs.executors.dispatch import running
from astrojepa_bench.runs.executors.expected import expecting
from astrojepa_bench.runs.executors.restoring import restored
from astrojepa_bench.runs.plan import Plan, dealt, make_plan
from astrojepa_bench.runs.ranks.leader import led
from astrojepa_bench.runs.request import RunRequest
from astrojepa_bench.runs.suite_board import make_plans
from astrojepa_bench.runs.train import images_to_see

DONE_WELL = frozenset({"ok", "collapsed", "skipped"})


@dataclass(frozen=True)
class GridResult:
    """What a request left.

    Attributes:
        records: one a cell, in the order of the plan.
        paths: where they were written; a record that could not be has none.
        trained: ids of the runs that were trained now, and not found in the output folder.
    """

    records: tuple[RunRecord, ...]
    paths: tuple[Path, ...]
    trained: tuple[str, ...] = ()

    @property
    def all_well(self) -> bool:
        """Whether every cell is ok, collapsed or skipped for a reason."""
        return all(record.status in DONE_WELL for record in self.records)


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
        images: dataset images that training shows, at least; 0 where nothing trains, None where nobody can tell.
    """

    cell: Cell
    dataset: str
    run_id: str
    state: Literal["cached", "missing", "skipped"]
    reason: str | None
    minutes: float | None
    images: int | None = 0

    def facts(self) -> dict[str, object]:
        """Return it as programs read it."""
        names = {kind: part.name for kind, part in self.cell.components.items()}
        about = {"run_id": self.run_id, "state": self.state, "reason": self.reason, "minutes": self.minutes}
        about["images"] = self.images
        return {**names, "dataset": self.dataset, "seed": self.cell.seed, **about}


def run_grid(request: RunRequest, registry: Registry, command: str) -> GridResult:
    """Do what is missing of a request.

    Raises:
        ConfigError: the request names something unknown or impossible.
        DataError: the dataset cannot be loaded, or holds other galaxies than a suite asks for.
    """
    if request.executor == "slurm":
        raise ConfigError(
            "--executor slurm writes a script of a command: give it to `astrojepa-bench run`, or take local or ray"
        )
    plans = _plans(request, registry)
    device = device_of(request)
    store = Store(request.out)
    store.prepare()
    for plan in plans[1:]:  # the first one's turn comes at once; wrong files are known before it trains
        if any(isinstance(value, Path) for value in plan.dataset.options.values()):
            load_planned(plan, request.cache, device)
    results = list[CellResult]()
    here = request.model_copy(  # wherever a plugin may go meanwhile
        update={"out": request.out.absolute(), "cache": request.cache.absolute()}
    )
    with running(here) as run_cells:
        for number, plan in enumerate(plans):
            context = led(_context(plan, here, device, command), here, number, plan, command)
            fingerprint = context.galaxies.table.fingerprint
            GalaxyPlaces(here.out).keep(fingerprint, plan.dataset.name, plan.dataset.options)
            certificate = _certificate(request.overlap, plans, context)
            with expecting(plan.cells, context, here.jobs if here.executor == "local" else 0):
                found = run_cells(plan.cells, context, plan=number)
            results += (
                found if certificate is None else [_disclosed(each, certificate, context) for each in found]
            )
    records = tuple(result.record for result in results)
    trained = tuple(each.record.run_id for each in results if each.is_trained)
    paths = (store.path(record) for record in records)
    return GridResult(records, tuple(path for path in paths if path.exists()), trained)


def cell_of(
    request: RunRequest,
    registry: Registry,
    plan: int,
    index: int,
    command: str,
    known: RunContext | None = None,
) -> tuple[Cell, RunContext]:
    """Return one cell of a request with what it runs on: for a process that runs nothing else.

    Args:
        request: the whole of it.
        registry: what is on offer.
        plan: which of its plans, from 0.
        index: which cell of the plan, from 1.
        command: the command line or call that asked for it.
        known: what another cell of that plan ran on; None: the galaxies are loaded.

    Raises:
        ConfigError: the request names something unknown or impossible.
        DataError: the dataset cannot be loaded.
    """
    chosen = _plans(request, registry)[plan]
    context = known or _context(chosen, request, choose_device(request.device), command)
    return chosen.cells[index - 1], context


def plan_grid(request: RunRequest, registry: Registry) -> list[PlannedCell]:
    """Find out what `run_grid` would do of a request, without doing any of it.

    Galaxies are loaded, because they are part of the runs' ids; nothing is written below the output folder.

    Raises:
        ConfigError: the request names something unknown or impossible.
        DataError: the dataset cannot be loaded.
    """
    plans, device = _plans(request, registry), device_of(request)
    measured = [record for record in Store(request.out).survey().records if record.status in SCORED]
    planned = list[PlannedCell]()
    for plan in plans:
        context, counted = _context(plan, request, device, command="plan"), dict[str, int | str | None]()
        for cell in plan.cells:
            identity = RunIdentity.of(cell, context.galaxies, context.budget)
            entry = identity.entry_id
            if entry not in counted:  # all seeds of an entry see as many
                counted[entry] = None if cell.skip else _images(cell, context)
            planned.append(_planned(cell, identity, context, measured, counted[entry]))
    return planned


def total_minutes(planned: Iterable[PlannedCell]) -> float | None:
    """Add up; None as soon as one missing cell takes nobody knows how long."""
    minutes = [each.minutes for each in planned]
    return None if None in minutes else round(sum(each for each in minutes if each is not None), 2)


def _certificate(path: Path | None, plans: Sequence[Plan], context: RunContext) -> Certificate | None:
    """Read the certificate of a request before anything runs.

    Raises:
        ConfigError: no entry takes weights from a file.
        DataError: it is none, or is about other test galaxies.
    """
    if path is None:
        return None
    cells = [cell for plan in plans for cell in plan.cells]
    if not any(
        starts_from_weights({kind: part.options for kind, part in c.components.items()}) for c in cells
    ):
        raise ConfigError(
            f"--overlap {path}: no entry takes weights from a file, so there is nothing to disclose; leave it out"
        )
    return Certificate.read(path.expanduser(), context.galaxies.table)


def _disclosed(result: CellResult, certificate: Certificate, context: RunContext) -> CellResult:
    """Write into a record what its weights had seen, also into one that was there before."""
    record, store = result.record, context.store
    if record.status not in SCORED or not starts_from_weights(record.options):
        return result
    with locked(store.lease_path(record.run_id)):
        record = store.recall(record.run_id) or record  # another process may have scored it meanwhile
        told = certificate.disclosed_in(record, context.galaxies.table)
        if told.disclosed != record.disclosed:
            store.write(told)
    return dataclasses.replace(result, record=told)


def _plans(request: RunRequest, registry: Registry) -> tuple[Plan, ...]:
    """Plan a request, or one machine's part of it, and tell what was merged."""
    plans = make_plans(request, registry) if request.suite else (make_plan(request, registry),)
    for note in dict.fromkeys(note for plan in plans for note in plan.notes):
        events.emit("note", text=note)
    return dealt(plans, request.shard)


def _context(plan: Plan, request: RunRequest, device: torch.device, command: str) -> RunContext:
    """Load what all cells of a plan share."""
    resident = 0 if request.has_workers else RESIDENT_BYTES  # the processes of the cells hold their images
    galaxies, budget = load_planned(plan, request.cache, device, resident), plan.budget
    found = len(galaxies.table.pretraining_rows)
    if (
        budget.galaxies is not None and budget.galaxies >= found
    ):  # limits nothing: the run is the one without it
        events.emit("note", text=f"--pretraining {budget.galaxies}: there are {found} galaxies; all are used")
        budget = dataclasses.replace(budget, galaxies=None)
    if budget.labels is not None:
        told = int((galaxies.table.label[galaxies.table.rows("train")] >= 0).sum())
        count = label_count(budget.labels, told)
        if count == told:  # likewise
            events.emit("note", text=f"--labels {budget.labels:g}: there are {told} labels; all are told")
        budget = dataclasses.replace(budget, labels=None if count == told else count)
    return RunContext(galaxies, budget, plan.evaluators, Store(request.out), command)


def load_planned(
    plan: Plan, cache: Path, device: torch.device, resident_bytes: int = RESIDENT_BYTES
) -> Galaxies:
    """Load the galaxies of a plan.

    Raises:
        DataError: they cannot be loaded, or are not those that a suite asks for.
    """
    galaxies = load_galaxies(plan.dataset, plan.budget.size_px, cache, device, resident_bytes)
    found = galaxies.table.fingerprint
    if plan.fingerprint and found != plan.fingerprint:
        raise DataError(
            f"dataset '{plan.dataset.name}' holds galaxies with the fingerprint {found}, the suite asks for "
            f"{plan.fingerprint}; give the files it was made from, or name the galaxies with --dataset to run an "
            "experiment"
        )
    return galaxies


def device_of(request: RunRequest) -> torch.device:
    """Resolve the device that the cells of a request compute on, which need not be one of this machine.

    Raises:
        ConfigError: a GPU of this machine was asked for and there is none.
    """
    if request.takes_gpu or (request.executor != "local" and request.device == "cuda"):
        return torch.device("cuda")
    if request.executor == "slurm":  # whatever this machine has: a task has what was asked for
        return torch.device("cpu")
    return choose_device(request.device)


def choose_device(name: str) -> torch.device:
    """Resolve `auto` to the GPU where there is one.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ConfigError("--device cuda: no CUDA device was found; use --device cpu or auto")
    return torch.device("cuda" if found and name != "cpu" else "cpu")


# --- what a cell would do, and how long it would take ---------------------------------------------------------


def _images(cell: Cell, context: RunContext) -> int | str | None:
    """Find out how many images training will show, or why there is nothing to train."""
    try:
        with restored([*cell.components.values()]):
            return images_to_see(cell, context)
    except Unsuitable as reason:
        return why_unsuitable(reason)
    except (Exception, SystemExit):  # a plugin's; it is raised again, and recorded, where the cell runs
        return None


def _planned(
    cell: Cell,
    identity: RunIdentity,
    context: RunContext,
    measured: Sequence[RunRecord],
    images: int | str | None,
) -> PlannedCell:
    """Tell what would become of a cell; `images` that it sees, or why it sees none."""
    run_id, dataset = identity.run_id, context.galaxies.name
    known = context.store.recall(run_id)
    if known is not None and is_finished(known, context.evaluators):
        if known.status == "skipped":
            return PlannedCell(cell, dataset, run_id, "skipped", known.skip_reason, 0.0)
        ended = None if known.status == "ok" else known.status
        return PlannedCell(cell, dataset, run_id, "cached", ended, 0.0, known.training.images_seen)
    if cell.skip is not None or isinstance(images, str):
        return PlannedCell(cell, dataset, run_id, "skipped", cell.skip or str(images), 0.0)
    missing = unscored(known if known and known.status in SCORED else None, context.evaluators)
    trains = known is None or known.status not in SCORED or not context.store.weights_path(run_id).exists()
    seconds = None if images is None else _seconds(cell, identity, images, measured, missing, trains)
    minutes = None if seconds is None else round(seconds / 60, 2)
    why = _why_missing(known, missing, trains)
    return PlannedCell(cell, dataset, run_id, "missing", why, minutes, images)


def _why_missing(known: RunRecord | None, missing: Sequence[Component], trains: bool) -> str | None:
    if known is None:
        return None
    if known.status not in SCORED:
        return f"{known.status} before" + (f": {known.failure.message}" if known.failure else "")
    asked = f"not scored by {', '.join(each.name for each in missing)} of today's version and options"
    return f"{asked}; its weights are not here, so it is trained again" if trains else asked


def _seconds(
    cell: Cell,
    identity: RunIdentity,
    seen: int,
    measured: Sequence[RunRecord],
    missing: Sequence[Component],
    trains: bool,
) -> float | None:
    """Estimate a cell from the runs most like it: training by images, scoring by evaluator [s]."""
    names = {each.name for each in missing}
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
        training = [  # seconds an image; what does not train takes no time for it
            spent / record.training.images_seen if record.training.images_seen else 0.0
            for record in same
            if (spent := record.cost.train_seconds) is not None
        ]
        scoring = [  # by these evaluators, with their features, where all of them were timed
            sum(
                s
                for name, s in record.cost.evaluation.items()
                if name in names or name not in record.evaluators
            )
            for record in same
            if names <= record.cost.evaluation.keys()
        ]
        if scoring and (training or not trains):
            return (seen * median(training) if trains else 0.0) + median(scoring)
    return None


def _comparable(identity: dict[str, object]) -> tuple[object, ...]:
    """Return what sets the pace besides the components: galaxies, size of the images, device and precision."""
    size = next((word for word in str(identity.get("budget", "")).split() if word.endswith("px")), "")
    return identity.get("fingerprint"), size, identity.get("device_class"), identity.get("precision")
