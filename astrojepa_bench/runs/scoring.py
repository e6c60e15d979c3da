"""Scores a trained objective: features, what evaluators request, their scores, and what each galaxy got."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluation.extract import compute_features, load_features, save_features
from astrojepa_bench.evaluation.extras import ExtrasContext, requested, with_requests
from astrojepa_bench.evaluation.score import Judgement, described, judge, missing
from astrojepa_bench.evaluation.store import keep_arrays
from astrojepa_bench.features import Features
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.runs.component import Component


def score(subject: ExtrasContext, seed: int, evaluators: Sequence[Component], path: Path) -> Judgement:
    """Evaluate a trained objective; what was computed for it before is read and not computed again.

    Args:
        subject: objective, masker and galaxies.
        seed: of the run; names the evaluators' random streams.
        evaluators: who judges.
        path: the run's file of answers.

    Raises:
        ContractError: a feature is not finite.
    """
    began = time.perf_counter()
    features = _features(subject, seed, path)
    seconds = {"features": time.perf_counter() - began}
    able = [each for piece in evaluators if missing(features, each := piece.build(), {}) is None]
    met = with_requests(features, requested(able), subject, path)  # nothing for those that cannot answer
    judgement = judge(met.answers, evaluators, met.unmet)
    judgement.seconds = {**seconds, **met.seconds, **judgement.seconds}
    _keep_predictions(path, judgement)
    return judgement


def _features(subject: ExtrasContext, seed: int, path: Path) -> Features:
    known = load_features(path, subject.table, seed)
    if known is not None:
        return known
    answers = compute_features(subject.objective.scored_encoder, subject.table, subject.galaxies.images, seed)
    for tap in answers.taps:
        if not bool(torch.isfinite(answers.test.features[tap]).all()):
            raise ContractError(f"tap '{tap}' of the judged encoder holds non-finite features on test")
    save_features(path, answers)
    return answers


def _keep_predictions(path: Path, judgement: Judgement) -> None:
    made = {name: answer for name, answer in judgement.predictions.items() if answer.predictions}
    groups = {f"predictions/{name}": {**each.predictions, "ids": each.ids} for name, each in made.items()}
    if groups:
        keep_arrays(path, groups)


# --- from judgement to record -------------------------------------------------------------------------------


def unscored(record: RunRecord, evaluators: Iterable[Component]) -> list[Component]:
    """Choose the evaluators that have not scored a run yet, in this version and with these options."""
    return [piece for piece in evaluators if record.evaluators.get(piece.name) != described(piece)]


def without_stale(record: RunRecord, evaluators: Iterable[Component]) -> RunRecord:
    """Give a record without what these evaluators will replace."""
    stale = {piece.name for piece in unscored(record, evaluators)}
    return record.model_copy(
        update={
            "scores": [score for score in record.scores if score.evaluator not in stale],
            "selection": {name: chosen for name, chosen in record.selection.items() if name not in stale},
            "warnings": [text for text in record.warnings if text.split(":")[0] not in stale],
            "not_scored": {name: why for name, why in record.not_scored.items() if name not in stale},
        }
    )


def add_judgement(facts: dict[str, Any], judgement: Judgement) -> None:
    """Add what evaluators said, and how long it took, to the facts of a record."""
    facts["scores"] = [*facts["scores"], *judgement.scores]
    facts["warnings"] = [*facts["warnings"], *judgement.warnings]
    for name in ("selection", "evaluators", "not_scored"):
        facts[name] = {**facts[name], **getattr(judgement, name)}
    facts["cost"] = {**facts["cost"], **_with_time(facts["cost"], judgement.seconds)}


def _with_time(cost: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
    """Add seconds to what was spent before: in all, and on each part."""
    spent = dict(cost.get("evaluation") or {})
    for name, more in seconds.items():
        spent[name] = round(spent.get(name, 0.0) + more, 3)
    total = (cost.get("eval_seconds") or 0.0) + sum(seconds.values())
    return {"eval_seconds": round(total, 3), "evaluation": spent}
