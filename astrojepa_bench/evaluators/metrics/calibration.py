"""Whether a classifier is right as often as it says."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from astrojepa_bench.types import Score

version = 1  # raise it whenever a number changes

Probabilities = Float[np.ndarray, "galaxy class"]
BINS = 15


def nll_score(
    evaluator: str,
    truth: Int[np.ndarray, " galaxy"],
    log_probability: Probabilities,
    train: Int[np.ndarray, " train_galaxy"],
) -> Score:
    """Score the mean negative log-probability of the true class [nat].

    Chance is that of a guess which states the class shares of train for every galaxy. A single galaxy has no
    standard error.

    Args:
        evaluator: whose score it is.
        truth: class index of each galaxy, each a column of `log_probability`.
        log_probability: natural logarithm, one column per class.
        train: class index of the galaxies that were fitted, every class present.
    """
    n = len(truth)
    losses = -log_probability[np.arange(n), truth]
    shares = np.bincount(train) / len(train)
    chance = float(-np.log(shares[truth]).mean())
    error = float(losses.std()) / math.sqrt(n) if n > 1 else None
    return Score(evaluator, "nll", float(losses.mean()), False, n, chance, error)


def ece_score(
    evaluator: str, right: Bool[np.ndarray, " galaxy"], confidence: Float[np.ndarray, " galaxy"]
) -> Score:
    """Score the expected calibration error in 15 bins.

    It has no chance level: a guess that states the class shares is calibrated as well as can be.
    """
    return Score(evaluator, "ece", expected_calibration_error(right, confidence), False, len(right))


def expected_calibration_error(
    right: Bool[np.ndarray, " galaxy"], confidence: Float[np.ndarray, " galaxy"], bins: int = BINS
) -> float:
    """Return the mean gap between stated confidence and share of right answers, over bins of equal width.

    The scatter of few galaxies in a bin is a gap as well, so a calibrated classifier has an error above 0: about
    .02 for 2,000 galaxies.

    Args:
        right: whether each answer is right.
        confidence: its stated probability, 0 to 1.
        bins: how many.

    Source:
        Guo et al. 2017 (arXiv 1706.04599), equation 3; bins are open below and closed above, as there.
    """
    at = np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1).astype(int)
    gaps = np.bincount(at, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))
