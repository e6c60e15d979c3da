"""Asks evaluators for scores, and says why where there can be none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from astrojepa_bench import events
from astrojepa_bench.errors import BenchError, ContractError
from astrojepa_bench.evaluators.answers import Answers
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.runs.pieces import Piece
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
    """

    scores: list[dict[str, Any]] = field(default_factory=list)
    selection: dict[str, dict[str, Any]] = field(default_factory=dict)
    evaluators: dict[str, dict[str, Any]] = field(default_factory=dict)
    not_scored: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    predictions: dict[str, Evaluation] = field(default_factory=dict)


def judge(answers: Answers, pieces: Sequence[Piece]) -> Judgement:
    """Evaluate frozen features. One failing evaluator leaves the others standing, and is named."""
    judgement = Judgement()
    for piece in events.track(pieces, task="scoring", total=len(pieces), unit="evaluators"):
        evaluator: Evaluator = piece.build()
        judgement.evaluators[piece.name] = described(piece)
        reason = missing_columns(answers, evaluator)
        if reason is not None:
            judgement.not_scored[piece.name] = reason
            continue
        try:
            _add(judgement, piece, evaluator, evaluator.evaluate(answers))
        except BenchError as error:
            judgement.not_scored[piece.name] = str(error)
    return judgement


def described(piece: Piece) -> dict[str, Any]:
    """Say which evaluator this is: a score of another version or with other options is another score."""
    return {"version": piece.version, "options": piece.recorded()}


def _add(judgement: Judgement, piece: Piece, evaluator: Evaluator, answer: object) -> None:
    if not isinstance(answer, Evaluation):
        raise ContractError(f"{piece.offer.title} answered {type(answer).__name__}; expected an Evaluation")
    for score in answer:
        judgement.scores.append(
            {
                "evaluator": piece.name,
                "evaluator_version": evaluator.version,
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


def missing_columns(answers: Answers, evaluator: Evaluator) -> str | None:
    """Say which column an evaluator needs that the galaxies do not have, or None."""
    for column in evaluator.requires:
        if column == "label" and not _has_labels(answers):
            return "the galaxies carry too few labels (two classes in train, some in val and test)"
        if column == "anomaly" and not (answers.test.anomaly > 0).any():
            return "no known anomalies among the test galaxies"
    return None


def _has_labels(answers: Answers) -> bool:
    train = np.unique(answers.train.label[answers.train.label >= 0])
    elsewhere = [bool((part.label >= 0).any()) for part in (answers.val, answers.test)]
    return len(train) >= 2 and all(elsewhere)
