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

from scipy.stats import norm, spearmanr
from scipy.stats import t as student_t

from astrojepa_bench.metric import Z, binomial_se

CONFIDENCE = 0.95
POINTS = 100.0  # of a fraction
LEAST_SHARED = 5  # entries that two data sets share, below which a correlation says nothing
LEAST_LEFT = 3  # entries without one group, below which they have no order to speak of


@dataclass(frozen=True)
class Summary:
    """What some seeds say together.

    Attributes:
        n: how many seeds.
        mean: over the seeds.
        sd: sample standard deviation (n - 1); None for one seed.
        low, high: 95 % interval of the mean: Student's t over the seeds or, where all seeds agree, that of the test
            galaxies; None for one seed, and where nothing tells how sure the mean is.
    """

    n: int
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None


def summarise(values: Sequence[float], item_errors: Sequence[float | None] | None = None) -> Summary:
    """Summarise one value per seed.

    Args:
        values: one a seed.
        item_errors: of measured scores, the standard error of each from its test galaxies, None where no formula
            exists. Seeds that all agree, as where all are right of every galaxy, prove nothing by that: then these
            errors make the interval, and without them there is none. None for counts, which are exact.

    Raises:
        ValueError: there are no values.

    Source:
        Student's t interval, mean +- t(0.975, n - 1) sd / sqrt(n).
    """
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Summary(1, mean)
    sd = statistics.stdev(values)
    if sd == 0 and item_errors is not None:
        return Summary(len(values), mean, sd, *_by_galaxies(mean, item_errors))
    half = _quantile(len(values) - 1) * sd / math.sqrt(len(values))
    return Summary(len(values), mean, sd, mean - half, mean + half)


def _by_galaxies(mean: float, item_errors: Sequence[float | None]) -> tuple[float, float] | tuple[None, None]:
    """Compute the interval of a mean in which seeds agree; at 0 and at 1 it has one side, as a share's has."""
    known = [error for error in item_errors if error]
    if not known:
        return None, None
    half = Z * statistics.fmean(known)
    return (mean if mean == 0 else mean - half), (mean if mean == 1 else mean + half)


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


def share_of_clusters(clusters: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Compute the 95 % interval of a share over clusters whose trials come out together.

    Args:
        clusters: of each the trials, and how many of them came true.

    Source: proportions in cluster samples (Cochran 1977, Sampling Techniques, section 3.12), Student's t of the
    number of clusters less one. Never narrower than Wilson's interval of single trials.
    """
    k, count = len(clusters), sum(trials for trials, _ in clusters)
    share = sum(true for _, true in clusters) / count
    if k == 1:
        return wilson(share, 1)
    low, high = wilson(share, count)
    squares = math.fsum((true - share * trials) ** 2 for trials, true in clusters)
    half = _quantile(k - 1) * math.sqrt(k / (k - 1) * squares) / count
    return min(low, share - half), max(high, share + half)


def added(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Add independent variances, each with its degrees of freedom; the sum's are Satterthwaite's."""
    variance = math.fsum(part for part, _ in parts)
    return variance, variance**2 / math.fsum(part**2 / df for part, df in parts)


@dataclass(frozen=True)
class Correlation:
    """How far two lists of numbers order the same things alike.

    Attributes:
        rho: Spearman's rank correlation.
        low, high: its 95 % interval.
        n: how many things.
    """

    rho: float
    low: float
    high: float
    n: int


def rank_correlation(
    a: Sequence[float], b: Sequence[float], groups: Sequence[str] | None = None
) -> Correlation | None:
    """Correlate the ranks of the same things on two scales; None for too few, or where all are equal on one.

    Args:
        a: a number for each thing.
        b: another one for each, in the same order.
        groups: what each belongs to, where things of one group resemble each other. The interval then holds for
            other groups too: it is never narrower than one that lets whole groups come and go.

    Source:
        Interval by Fisher's transformation, with the variance of Bonett & Wright 2000 (Psychometrika 65, 23),
        (1 + rho^2 / 2) / (n - 3). Of groups: jackknife (Efron & Tibshirani 1993, chapter 11) over k groups of the
        transformed correlation, with Student's t of k - 1 degrees of freedom.
    Deviations: a perfect order counts as half a swap of neighbours, since no sample makes anything certain.
    """
    n = len(a)
    if n < LEAST_SHARED or len(set(a)) == 1 or len(set(b)) == 1:
        return None
    rho = float(spearmanr(a, b).statistic)
    z, half = _fisher(rho, n), float(norm.ppf((1 + CONFIDENCE) / 2)) * math.sqrt((1 + rho**2 / 2) / (n - 3))
    if groups is not None:
        half = max(half, _half_of_groups(a, b, groups))
    return Correlation(rho, math.tanh(z - half), math.tanh(z + half), n)


def _fisher(rho: float, n: int) -> float:
    most = 1 - 6 / (n * (n**2 - 1))
    return math.atanh(min(max(rho, -most), most))


def _half_of_groups(a: Sequence[float], b: Sequence[float], groups: Sequence[str]) -> float:
    """Compute the half-width for other groups, on Fisher's scale; infinite where one group is nearly all."""
    left, names = list[float](), sorted(set(groups))
    for name in names:
        pairs = [(x, y) for x, y, group in zip(a, b, groups, strict=True) if group != name]
        if len(pairs) < LEAST_LEFT or any(len(set(side)) == 1 for side in zip(*pairs, strict=True)):
            return math.inf
        left.append(_fisher(float(spearmanr(*zip(*pairs, strict=True)).statistic), len(pairs)))
    k, middle = len(names), statistics.fmean(left)
    variance = (k - 1) / k * math.fsum((z - middle) ** 2 for z in left)
    return _quantile(k - 1) * math.sqrt(variance)
