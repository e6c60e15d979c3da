"""Scores of predicted classes, and what a guess that never looks at the galaxy would score."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int
from sklearn.metrics import f1_score, recall_score

from astrojepa_bench.metric import binomial_se
from astrojepa_bench.types import Score

version = 1  # raise it whenever a number changes

Classes = Int[np.ndarray, " galaxy"]


def accuracy(truth: Classes, predicted: Classes) -> float:
    """Return the share of galaxies whose class was predicted."""
    return float((truth == predicted).mean())


def accuracy_score(
    evaluator: str, truth: Classes, predicted: Classes, train: Int[np.ndarray, " train_galaxy"]
) -> Score:
    """Score the accuracy, with its binomial standard error and which galaxies were right.

    Chance is the share, in test, of the class that is most frequent in train (the lowest of equals).
    """
    value, n = accuracy(truth, predicted), len(truth)
    chance = float((truth == np.bincount(train).argmax()).mean())
    return Score(evaluator, "accuracy", value, True, n, chance, binomial_se(value, n), truth == predicted)


def balanced_accuracy_score(evaluator: str, truth: Classes, predicted: Classes) -> Score:
    """Score the mean recall over the classes in test.

    Chance is 1 / classes for any guess, however it is spread. The standard error adds the binomial ones of
    the recalls.
    """
    recalls = _recalls(truth, predicted)
    members = np.unique(truth, return_counts=True)[1]
    error = math.hypot(*map(binomial_se, recalls.tolist(), members.tolist())) / len(members)
    return Score(
        evaluator, "balanced_accuracy", float(recalls.mean()), True, len(truth), 1 / len(members), error
    )


def macro_f1_score(evaluator: str, truth: Classes, predicted: Classes) -> Score:
    """Score the mean F1 over the classes in test.

    Chance is 1 / classes: the best that a guess can do, spread as the classes are.
    """
    present = np.unique(truth)
    value = f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    return Score(evaluator, "macro_f1", float(value), True, len(truth), 1 / len(present))


def recall_scores(evaluator: str, truth: Classes, predicted: Classes) -> tuple[Score, ...]:
    """Score the recall of each class in test as `recall_<class index>`, with its binomial standard error.

    A single recall has no chance level: always answering one class gives that class 1.
    """
    present, members = np.unique(truth, return_counts=True)
    return tuple(
        Score(evaluator, f"recall_{index}", recall, True, n, item_se=binomial_se(recall, n))
        for index, n, recall in zip(
            present.tolist(), members.tolist(), _recalls(truth, predicted).tolist(), strict=True
        )
    )


def _recalls(truth: Classes, predicted: Classes) -> Float[np.ndarray, " class"]:
    recalls = recall_score(truth, predicted, labels=np.unique(truth), average=None, zero_division=0)
    return np.asarray(recalls, dtype=float)
