"""Means over seeds, and what a finite test set can tell apart.

The unit of inference is the pretraining seed: a run's many scores are one draw, not many.
Sums are exactly rounded (`statistics.fmean`), so a board does not depend on the order of its records.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from scipy.stats import norm
from scipy.stats import t as student_t

from astrojepa_bench.metric import binomial_se

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """What some seeds say together.

    Attributes:
        n: how many seeds.
        mean: over the seeds.
        sd: sample standard deviation (n - 1); None for one seed.
        low, high: 95 % t interval of the mean; None for one seed.
    """

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None


def summarise(values: Sequence[float]) -> Summary:
    """Summarise one value per seed.

    Raises:
        ValueError: there are no values.

    Source:
        Student's t interval, mean +- t(0.975, n - 1) sd / sqrt(n).
    """
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Summary(1, mean)
    sd = statistics.stdev(values)
    half = _quantile(len(values) - 1) * sd / math.sqrt(len(values))
    return Summary(len(values), mean, sd, mean - half, mean + half)


@cache
def _quantile(df: int) -> float:
    """Return Student's t(0.975, df); the library takes longer for one than for a table of them."""
    return float(student_t.ppf((1 + CONFIDENCE) / 2, df))


def resolvable_difference(share: float, n: int) -> float:
    """Compute the least difference of two accuracies near `share` that `n` galaxies resolve at 95 %.

    It takes the errors of the two entries as independent. Entries judged on the same galaxies mostly err
    together, so a paired test over galaxies can resolve less; this is the bound that needs no such test.
    """
    return float(student_t.ppf((1 + CONFIDENCE) / 2, math.inf)) * math.sqrt(2) * binomial_se(share, n)


def wilson(share: float, n: int, alpha: float = 1 - CONFIDENCE) -> tuple[float, float]:
    """Compute Wilson's interval of a share of `n`, which stays honest at 0 and at 1.

    Source: Wilson 1927 (J. Am. Stat. Assoc. 22, 209).
    """
    z = float(norm.ppf(1 - alpha / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half
