"""One run: train, keep the weights, encode, evaluate, record. Whatever is already there is not done again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluation.collapse import HealthWatch
from astrojepa_bench.evaluation.extras import ExtrasContext
from astrojepa_bench.results.environment import describe_environment, provenance
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import SCORED, Environment, Provenance, RunRecord, Status
from astrojepa_bench.results.store import Store
from astrojepa_bench.roles import Objective
from astrojepa_bench.runs.assemble import Assembly, SkipCell, assemble, fit_readout
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.runs.failures import classify
from astrojepa_bench.runs.scoring import add_judgement, score, unscored, without_stale
from astrojepa_bench.runs.weights import DataFacts, read_weights, write_weights
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.loop import Trainer, TrainingResult


@dataclass(frozen=True)
class RunContext:
    """What all cells of a request share.

    Attributes:
        galaxies: the dataset.
        budget: what every entry is given.
        evaluators: who judges.
        store: where records go.
        command: the words that asked for it.
    """

    galaxies: Galaxies
    budget: Budget
    evaluators: Sequence[Component]
    store: Store
    command: str


@dataclass
class _Draft:
    """What is known of a run so far; becomes its record."""

    status: Status = "ok"
    facts: dict[str, Any] = field(default_factory=dict)
    phase: str = "building"


def cell_identity(cell: Cell, bench: RunContext) -> RunIdentity:
    """Gather everything that can move the numbers of a cell."""
    return RunIdentity.of(cell, bench.galaxies, bench.budget)


def _pieces(cell: Cell) -> dict[str, Component]:
    return {"objective": cell.objective, "masker": cell.masker, "encoder": cell.encoder}


def finished(record: RunRecord | None, evaluators: Sequence[Component]) -> bool:
    """Whether nothing is left to do: scored by every evaluator asked for, or ended for good."""
    if record is None:
        return False
    if record.status in ("skipped", "diverged"):
        return True  # the same request would skip or diverge again
    return record.status in SCORED and not unscored(record, evaluators)


def run_cell(cell: Cell, bench: RunContext) -> RunRecord:
    """Do what is missing of one cell and write its record, whatever happens.

    Every failure becomes a typed status; only an interrupt passes through.
    """
    identity = cell_identity(cell, bench)
    known = bench.store.find(identity.run_id)
    if known is not None and finished(known, bench.evaluators):
        return known
    draft = _Draft()
    try:
        if cell.skip is not None:
            raise SkipCell(cell.skip)
        _fill(draft, cell, bench, identity.run_id, known)
    except SkipCell as reason:
        draft = _Draft("skipped", {"skip_reason": str(reason)})
    except Exception as error:
        offers = [piece.offer for piece in (cell.objective, cell.masker, cell.encoder)]
        outcome = classify(error, draft.phase, offers)
        draft = _Draft(outcome.status, {"failure": outcome.failure})
    record = _record(cell, bench, identity, draft)
    bench.store.write(record)
    if record.status in SCORED:
        Checkpointer(bench.store.checkpoint_path(record.run_id)).remove()
    return record


def _fill(draft: _Draft, cell: Cell, bench: RunContext, run_id: str, known: RunRecord | None) -> None:
    assembly = assemble(cell, bench.galaxies, bench.budget.galaxies)
    weights = bench.store.weights_path(run_id)
    if known is not None and known.status in SCORED and _kept_weights(assembly.objective, weights):
        draft.status, draft.facts = known.status, _kept(without_stale(known, bench.evaluators))
        missing = unscored(known, bench.evaluators)
    else:
        draft.phase = "training"
        _train(draft, assembly, bench, cell.seed, run_id)
        missing = list(bench.evaluators)
    draft.phase = "scoring"
    subject = ExtrasContext(assembly.objective, assembly.masker, bench.galaxies)
    add_judgement(draft.facts, score(subject, cell.seed, missing, bench.store.features_path(run_id)))


def _kept(record: RunRecord) -> dict[str, Any]:
    # Environment and provenance are those of the training: what was scored later rests on its weights.
    names = (
        "scores", "selection", "warnings", "not_scored", "evaluators", "health", "training", "cost",
        "environment", "provenance",
    )  # fmt: skip
    facts = record.facts()
    return {name: facts[name] for name in names}


def _train(draft: _Draft, assembly: Assembly, bench: RunContext, seed: int, run_id: str) -> None:
    objective, galaxies = assembly.objective, bench.galaxies
    watch = HealthWatch(objective, galaxies.table, galaxies.images)
    draft.facts = _empty_facts(assembly)
    if objective.trains:
        trainer = Trainer(
            objective, assembly.masker, galaxies.table, galaxies.images, bench.budget, seed, watch.rank
        )
        _reset_peak_memory(galaxies.device)
        result = trainer.run(Checkpointer(bench.store.checkpoint_path(run_id)))
        _note_training(draft.facts, trainer, result)
    collapsed, numbers = watch.verdict(objective)
    draft.facts["health"] |= {**numbers, **objective.health()}
    draft.status = "collapsed" if collapsed and objective.trains else "ok"
    # Only now: whitened features would hide a collapse.
    fit_readout(objective.scored_encoder, galaxies, bench.budget.galaxies)
    write_weights(bench.store.weights_path(run_id), objective, DataFacts.of(galaxies.table))
    bench.store.features_path(run_id).unlink(
        missing_ok=True
    )  # features of earlier weights, if there were any


def _empty_facts(assembly: Assembly) -> dict[str, Any]:
    parameters = sum(parameter.numel() for parameter in assembly.objective.scored_encoder.parameters())
    return {
        "scores": [], "selection": {}, "warnings": [], "not_scored": {}, "evaluators": {}, "health": {},
        "training": {"recipe": {}},
        "cost": {"parameters": parameters, "train_seconds": 0.0, "tokens": 0, "flops": 0.0},
    }  # fmt: skip


def _note_training(facts: dict[str, Any], trainer: Trainer, result: TrainingResult) -> None:
    seconds = result.state.seconds
    facts["training"] = {
        "steps": result.steps,
        "images_seen": result.images_seen,
        "epochs": round(result.images_seen / len(trainer.order.rows), 3),
        "loss_curve": [(step, terms["total"]) for step, terms in result.state.curve],
        "term_curves": _curves(result),
        "rank_curve": result.state.ranks,
        "recipe": dataclasses.asdict(trainer.recipe),
    }
    facts["cost"] |= {
        "train_seconds": round(seconds, 3),
        "tokens": result.cost.tokens * result.steps,
        "flops": float(result.cost.flops) * result.steps,
        "images_per_second": round(result.images_seen / max(seconds, 1e-9), 2),
        "peak_memory_bytes": _peak_memory(trainer.device),
    }
    facts["health"] |= dict(result.masks)


def _curves(result: TrainingResult) -> dict[str, list[tuple[int, float]]]:
    names = result.state.curve[-1][1] if result.state.curve else {}
    return {
        name: [(step, terms[name]) for step, terms in result.state.curve] for name in names if name != "total"
    }


def _reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak_memory(device: torch.device) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def _kept_weights(objective: Objective, path: Path) -> bool:
    """Load kept weights; false where there are none that fit: training gives them again."""
    try:
        read_weights(path, objective)
    except DataError:
        return False
    return True


def _record(cell: Cell, bench: RunContext, identity: RunIdentity, draft: _Draft) -> RunRecord:
    pieces = _pieces(cell)
    facts: dict[str, Any] = {
        "environment": Environment.model_validate(describe_environment(bench.galaxies.device)),
        "provenance": Provenance.model_validate(provenance(bench.command)),
        **draft.facts,
        **{kind: piece.name for kind, piece in pieces.items()},
        "dataset": bench.galaxies.name,
    }
    return RunRecord(
        run_id=identity.run_id,
        entry_id=identity.entry_id,
        status=draft.status,
        standing=cell.standing,
        seed=cell.seed,
        budget=bench.budget.name,
        pretraining=bench.budget.galaxies,
        options={
            **{kind: piece.recorded() for kind, piece in pieces.items()},
            "dataset": dict(bench.galaxies.options),
        },
        altered=cell.altered,
        identity=identity.facts(),
        **facts,
    )
