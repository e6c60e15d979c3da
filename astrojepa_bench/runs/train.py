"""From an assembly to a trained one: trained now, or read back from what an earlier command kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import DataError, Unsuitable, named
from astrojepa_bench.evaluation.collapse import HealthWatch
from astrojepa_bench.events import emit
from astrojepa_bench.files import LeaseLostError
from astrojepa_bench.geometry.views import BASE_SHIFT_PX
from astrojepa_bench.options import KINDS, Offer, legible
from astrojepa_bench.ranks import Ranks
from astrojepa_bench.results.environment import describe_environment, provenance
from astrojepa_bench.results.packages import libraries_behind
from astrojepa_bench.results.record import SCORED, Cost, Environment, Provenance, RunRecord, Status, Training
from astrojepa_bench.roles import Masker, Objective
from astrojepa_bench.runs.assemble import Assembly, assemble, check_told, fit_readout
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.weights import read_weights
from astrojepa_bench.streams import python_and_numpy_kept
from astrojepa_bench.training.asked import health_of, scored_encoder
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.cost import UncountedError
from astrojepa_bench.training.loop import Trainer, TrainingResult
from astrojepa_bench.training.mask_health import MASK_HEALTH


@dataclass(frozen=True)
class Trained:
    """An objective that was trained to the end, and what its record says of that.

    Attributes:
        objective: in evaluation mode, on the galaxies' device.
        masker: None for encoders without patches.
        status: `collapsed` where the scored encoder has, else `ok`.
        training: steps, curves, recipe.
        cost: parameters, seconds, tokens, operations.
        health: numbers about the representation and the masks.
        environment, provenance: where, when and by which command it was trained; whatever is scored later rests
            on these weights.
    """

    objective: Objective
    masker: Masker | None
    status: Status
    training: Training
    cost: Cost
    health: Mapping[str, float]
    environment: Environment
    provenance: Provenance


def train(
    assembly: Assembly,
    galaxies: Galaxies,
    budget: Budget,
    seed: int,
    *,
    checkpoint: Checkpointer | None = None,
    command: str = "",
    offers: Mapping[str, Offer] | None = None,
    rebuild: Callable[[], Assembly] | None = None,
    together: Callable[[], AbstractContextManager[Ranks]] | None = None,
) -> Trained:
    """Train an objective, judge whether it collapsed, and fit how its features are read.

    An objective that fails while it loads its checkpoint may have loaded a part of it. It is thrown away with that
    checkpoint, and another one is trained from the start.

    Args:
        assembly: what to train; objectives that do not train are left as they are.
        galaxies: what it sees.
        budget: how many images, and of how many galaxies at most.
        seed: names every random stream.
        checkpoint: where the state is kept meanwhile.
        command: the command line or call that asked for it.
        offers: of the components, for the record.
        rebuild: builds once more what to train; without it, such a failure is raised.
        together: begins a training that several ranks share; None: this process trains alone.

    Raises:
        DivergedError: a loss term or gradient is not finite.
        Unsuitable: there are too few galaxies to fit the readout on.
    """
    resumes = checkpoint is not None and checkpoint.path.exists()
    try:
        return _train(assembly, galaxies, budget, seed, checkpoint, command, offers, together)
    except LeaseLostError:
        raise  # its checkpoint is another process's by now
    except Exception:
        if rebuild is None or checkpoint is None or not resumes or checkpoint.path.exists():
            raise
    emit("note", text="the objective is built anew and trains from the start")
    return _train(rebuild(), galaxies, budget, seed, checkpoint, command, offers, together)


def _train(
    assembly: Assembly,
    galaxies: Galaxies,
    budget: Budget,
    seed: int,
    checkpoint: Checkpointer | None,
    command: str,
    offers: Mapping[str, Offer] | None,
    together: Callable[[], AbstractContextManager[Ranks]] | None,
) -> Trained:
    objective, device = assembly.objective, galaxies.device
    watch = HealthWatch(objective, galaxies.table, galaxies.images)
    parameters = sum(parameter.numel() for parameter in scored_encoder(objective).parameters())
    training, cost = Training(), Cost(parameters=parameters, train_seconds=0.0, tokens=0, flops=0.0)
    masks: Mapping[str, float] = {}
    world_size = 1
    if objective.trains:
        trainer = Trainer(
            objective, assembly.masker, galaxies.table, galaxies.images, budget, seed, watch.rank
        )
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        try:
            with nullcontext() if together is None else together() as ranks:
                result = trainer.run(checkpoint)
                world_size = 1 if ranks is None else ranks.size
        except UncountedError as error:
            raise Unsuitable(str(error)) from None
        training, cost, masks = _curves(trainer, result), _spent(parameters, result, device), result.masks
    collapsed, numbers = watch.verdict(objective)
    health = {**masks, **numbers, **health_of(objective, {*MASK_HEALTH, *numbers})}
    # only now: whitening would hide a collapse
    fit_readout(scored_encoder(objective), galaxies, budget.galaxies)
    status: Literal["ok", "collapsed"] = "collapsed" if collapsed and objective.trains else "ok"
    environment, origin = circumstances(device, command, offers or {}, world_size)
    return Trained(objective, assembly.masker, status, training, cost, health, environment, origin)


def images_to_see(cell: Cell, context: RunContext) -> int:
    """Tell how many dataset images training a cell shows, without training it.

    Raises:
        Unsuitable: the components do not fit together, or the arithmetic to match cannot be counted.
    """
    budget, galaxies = context.budget, context.galaxies
    check_told(cell, galaxies.table)
    if not cell.objective.offer.declares("trains") or budget.flops is None:
        return budget.seen * bool(cell.objective.offer.declares("trains"))
    made = assemble(cell, galaxies, budget.galaxies)
    trainer = Trainer(made.objective, made.masker, galaxies.table, galaxies.images, budget, cell.seed)
    try:
        with python_and_numpy_kept():
            trainer.count()
        return trainer.steps * trainer.batch_size
    except UncountedError as error:
        raise Unsuitable(str(error)) from None


def _curves(trainer: Trainer, result: TrainingResult) -> Training:
    curve = result.state.curve
    terms = [
        name for name in dict.fromkeys(name for _, values in curve for name in values) if name != "total"
    ]
    return Training(
        steps=result.steps,
        images_seen=result.images_seen,
        epochs=round(result.images_seen / len(trainer.order.rows), 3),
        loss_curve=[(step, values["total"]) for step, values in curve],
        term_curves={
            name: [(step, values[name]) for step, values in curve if name in values] for name in terms
        },
        rank_curve=result.state.ranks,
        recipe={
            **dataclasses.asdict(trainer.recipe),
            "rate": trainer.paced.learning_rate,
            "base_augmentation": {
                "quarter_turns": True,
                "mirrored": trainer.mirror,
                "shift_px": BASE_SHIFT_PX,
            },
        },
    )


def _spent(parameters: int, result: TrainingResult, device: torch.device) -> Cost:
    return Cost(
        parameters=parameters,
        train_seconds=round(result.state.seconds, 3),
        tokens=None if result.cost is None else result.cost.tokens * result.steps,
        flops=None if result.cost is None else float(result.cost.flops) * result.steps,
        images_per_second=round(result.images_seen / max(result.state.seconds, 1e-9), 2),
        peak_memory_bytes=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def kept(record: RunRecord | None, cell: Cell, context: RunContext) -> Trained | None:
    """Read back what an earlier command trained; None where there is nothing, or it does not fit any more.

    The objective is built for it alone: what a load that failed may have left in it trains nothing.

    Raises:
        Unsuitable: the components do not fit together.
    """
    if record is None or record.status not in SCORED:
        return None
    weights = context.store.weights_path(record.run_id)
    if not weights.exists():
        asked = {each.name for each in context.evaluators}
        lost = sorted({score.evaluator for score in record.scores} - asked)
        scores = f", which replaces its scores by {', '.join(lost)}; ask for these too to keep them" * bool(
            lost
        )
        emit("note", text=f"{weights.name} is not here; run {record.run_id} is trained again{scores}")
        return None
    assembly = assemble(cell, context.galaxies, context.budget.galaxies)
    try:
        read_weights(weights, assembly.objective)
    except DataError as error:
        emit("note", text=f"{error}; run {record.run_id} is trained again")
        return None
    return Trained(
        objective=assembly.objective,
        masker=assembly.masker,
        status=record.status,
        training=record.training,
        cost=record.cost,
        health=record.health,
        environment=record.environment,
        provenance=record.provenance,
    )


def circumstances(
    device: torch.device, command: str, offers: Mapping[str, Offer], world_size: int = 1
) -> tuple[Environment, Provenance]:
    """Describe where, by which command and with whose code a run is made, as far as that can be told.

    No run is lost for it.

    Args:
        device: where it is computed.
        command: the command line or call that asked for it.
        offers: of its components, by kind; of its evaluators too, by any other name.
        world_size: how many processes train it together.
    """
    try:
        environment = Environment.model_validate(
            describe_environment(device, libraries_behind(offers.values()), world_size)
        )
        plugins = {kind: legible(offers[kind].package) for kind in KINDS if kind in offers}
        return environment, Provenance.model_validate({**provenance(command), "plugins": plugins})
    except Exception as error:  # a plugin has spoilt what they are asked of
        emit("note", text=f"where and how the run was made cannot be told: {named(error)}")
        return Environment(), Provenance()
