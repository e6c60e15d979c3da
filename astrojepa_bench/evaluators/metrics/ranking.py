"""Scores of a ranking by anomaly score, and what a random order would score."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from astrojepa_bench.errors import DataError
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.types import ANOMALY_KINDS, Score

version = 1  # raise it whenever a number changes

Scores = Float[np.ndarray, " galaxy"]
INSPECTED = 50  # pictures that a person looks through in an evening


def scores_by_kind(
    evaluator: str, found: Scores, kind: Int[np.ndarray, " galaxy"], prefix: str = ""
) -> list[Score]:
    """Score the ranking of all anomalies together, then of each kind without the other.

    Args:
        evaluator: whose scores they are.
        found: anomaly score of each galaxy, larger is more anomalous.
        kind: index into `ANOMALY_KINDS`, 0 for ordinary galaxies.
        prefix: put before the metrics' names.
    """
    present = [index for index in range(1, len(ANOMALY_KINDS)) if (kind == index).any()]
    rankings = [("", present), *((f"_{ANOMALY_KINDS[index]}", [index]) for index in present)]
    scores: list[Score] = []
    for suffix, wanted in rankings:
        ranked = np.isin(kind, [0, *wanted])
        scores += ranking_scores(evaluator, found[ranked], kind[ranked] > 0, suffix, prefix)
    return scores


def ranking_scores(
    evaluator: str, found: Scores, odd: Bool[np.ndarray, " galaxy"], suffix: str = "", prefix: str = ""
) -> list[Score]:
    """Score one ranking: AUROC, average precision, recall at the number of anomalies, precision at 50."""
    n, k = len(odd), int(odd.sum())
    top = min(INSPECTED, k)
    auroc, mean_precision = float(roc_auc_score(odd, found)), float(average_precision_score(odd, found))
    recall, precision = recall_at_k(odd, found, k), precision_at_k(odd, found, top)
    measured = {
        "auroc": (auroc, 0.5, auroc_standard_error(odd, found)),
        "average_precision": (mean_precision, average_precision_chance(k, n), binomial_se(mean_precision, k)),
        "recall_at_k": (recall, k / n, binomial_se(recall, k)),
        f"precision_at_{INSPECTED}": (precision, k / n, binomial_se(precision, top)),
    }
    return [
        Score(evaluator, f"{prefix}{metric}{suffix}", value, True, n, chance, error)
        for metric, (value, chance, error) in measured.items()
    ]


def recall_at_k(odd: Bool[np.ndarray, " galaxy"], score: Scores, k: int) -> float:
    """Return the share of anomalies among the k highest scores, in expectation over the order of equal ones."""
    return precision_at_k(odd, score, k) * k / float(odd.sum())


def precision_at_k(odd: Bool[np.ndarray, " galaxy"], score: Scores, k: int) -> float:
    """Return the share of the k highest scores that is anomalous, in expectation over the order of equal ones."""
    edge = np.sort(score)[::-1][k - 1]
    above, level = score > edge, score == edge
    drawn = (k - above.sum()) / level.sum()
    return float((odd & above).sum() + drawn * (odd & level).sum()) / k


def auroc_standard_error(odd: Bool[np.ndarray, " galaxy"], score: Scores) -> float | None:
    """Return DeLong's standard error; None where either side holds a single galaxy.

    DeLong's vanishes where every anomaly stands above every ordinary galaxy, or below. There both sides count as
    shares of 1, whose errors are Wilson's: cautious, since a galaxy out of place costs less than a whole one.
    """
    odd_count, ordinary_count = int(odd.sum()), int((~odd).sum())
    if min(odd_count, ordinary_count) < 2:
        return None
    ranks = rankdata(score)
    of_odd = (ranks[odd] - rankdata(score[odd])) / ordinary_count
    of_ordinary = (ranks[~odd] - rankdata(score[~odd])) / odd_count
    if of_odd.mean() in (0.0, 1.0):
        return math.hypot(binomial_se(1.0, odd_count), binomial_se(1.0, ordinary_count))
    return math.sqrt(of_odd.var(ddof=1) / odd_count + of_ordinary.var(ddof=1) / ordinary_count)


def average_precision_chance(odd: int, n: int) -> float:
    """Return the mean average precision of a random order of `n` galaxies, `odd` of them anomalies.

    The anomaly at rank i stands above (i - 1)(odd - 1)/(n - 1) others in expectation, so its precision is
    (1 + that) / i; the mean over all ranks i.
    """
    harmonic = float((1 / np.arange(1, n + 1)).mean())
    return harmonic + (odd - 1) / max(n - 1, 1) * (1 - harmonic)


def check_both_kinds(kind: Int[np.ndarray, " galaxy"]) -> None:
    """Refuse test galaxies among which there is nothing to rank.

    Args:
        kind: 0 for an ordinary galaxy.

    Raises:
        DataError: all are ordinary, or none is.
    """
    if not 0 < (kind > 0).sum() < len(kind):
        raise DataError(
            f"test holds {(kind > 0).sum()} anomalies of {len(kind)} galaxies; anomaly needs both kinds"
        )
