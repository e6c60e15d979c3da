"""Asks evaluators for scores, and says why where there can be none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from astrojepa_bench import events
from astrojepa_bench.errors import BenchError, ContractError
from astrojepa_bench.features import Features, Request
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.runs.component import Component
from astrojepa_bench.types import Evaluation


@dataclass
class Judgement:
    """Everything the evaluators said.

    Attributes:
        scores: as recorded, each with its evaluator's version.
        selection: what each chose on validation.
        evaluators: version and options of each.
        not_scored: evaluators without an answer, and why.
        warnings: what a reader should know.
        predictions: per-galaxy answers by evaluator.
        seconds: how long each took [s].
    """

    scores: list[dict[str, Any]] = field(default_factory=list)
    selection: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluators: dict[str, dict[str, Any]] = field(default_factory=dict)
    not_scored: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    predictions: dict[str, Evaluation] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def judge(
    answers: Features, pieces: Sequence[Component], unmet: Mapping[Request, str] | None = None
) -> Judgement:
    """Evaluate frozen features. One failing evaluator leaves the others standing, and is named.

    Args:
        answers: features, facts, and what was requested.
        pieces: the evaluators.
        unmet: why a request has no answer.
    """
    judgement = Judgement()
    for piece in events.track(pieces, task="scoring", total=len(pieces), unit="evaluators"):
        began = time.perf_counter()
        evaluator: Evaluator = piece.build()
        judgement.evaluators[piece.name] = described(piece)
        reason = missing(answers, evaluator, unmet or {})
        if reason is None:
            reason = _evaluated(judgement, piece, evaluator, answers)
        if reason is not None:
            judgement.not_scored[piece.name] = reason
        judgement.warnings += _left_out(piece, evaluator, unmet or {})
        judgement.seconds[piece.name] = round(time.perf_counter() - began, 3)
    return judgement


def _evaluated(judgement: Judgement, piece: Component, evaluator: Evaluator, answers: Features) -> str | None:
    """Add what an evaluator says, or give the reason why it said nothing."""
    try:
        _add(judgement, piece, evaluator, evaluator.evaluate(answers))
    except BenchError as error:
        return str(error)
    return None


def _left_out(piece: Component, evaluator: Evaluator, unmet: Mapping[Request, str]) -> list[str]:
    optional = [request for request in evaluator.requests if request not in evaluator.requires]
    return [f"{piece.name}: without {each}: {unmet[each]}" for each in optional if each in unmet]


def described(piece: Component) -> dict[str, Any]:
    """Say which evaluator this is: a score of another version or with other options is another score."""
    return {"version": piece.chain, "options": piece.recorded()}


def _add(judgement: Judgement, piece: Component, evaluator: Evaluator, answer: object) -> None:
    if not isinstance(answer, Evaluation):
        raise ContractError(f"{piece.offer.title} answered {type(answer).__name__}; expected an Evaluation")
    for score in answer:
        judgement.scores.append(
            {
                "evaluator": piece.name,
                "evaluator_version": piece.version,
                "metric": score.metric,
                "value": score.value,
                "higher_is_better": score.higher_is_better,
                "n": score.n,
                "chance": score.chance,
                "item_se": score.item_se,
            }
        )
    judgement.selection[piece.name] = dict(answer.selection)
    judgement.warnings += [f"{piece.name}: {warning}" for warning in answer.warnings]
    judgement.predictions[piece.name] = answer


def missing(answers: Features, evaluator: Evaluator, unmet: Mapping[Request, str]) -> str | None:
    """Say what an evaluator requires and does not get, or None."""
    reasons = (_missing_one(answers, required, unmet) for required in evaluator.requires)
    return next((reason for reason in reasons if reason is not None), None)


def _missing_one(answers: Features, required: str, unmet: Mapping[Request, str]) -> str | None:
    met = {
        "label": _has_labels(answers),
        "anomaly": bool((answers.test.anomaly > 0).any()),
        "factors": bool(answers.test.factors),
    }
    if required in get_args(Request):
        return next((reason for request, reason in unmet.items() if request == required), None)
    if met.get(required, required in answers.test.columns):
        return None
    known = ", ".join(answers.test.columns) or "none"
    return _REASONS.get(required, f"the galaxies carry no column '{required}' (numeric columns: {known})")


_REASONS = {
    "label": "the galaxies carry too few labels (two classes in train, some in val and test)",
    "anomaly": "no known anomalies among the test galaxies",
    "factors": "the galaxies carry no physical truth",
}


def _has_labels(answers: Features) -> bool:
    train = np.unique(answers.train.label[answers.train.label >= 0])
    elsewhere = [bool((part.label >= 0).any()) for part in (answers.val, answers.test)]
    return len(train) >= 2 and all(elsewhere)
