"""What the seeds of some entries can tell: moderated variances, verdicts within a family, rank ranges.

Three sources of error stand behind the difference of two entries: their pretraining seeds, the test galaxies that
happen to be in the test set, and galaxies that prefer one entry to another. Seeds are few, so each entry's variance
is moderated: drawn towards the spread that the entries of its section have in common. No spread below what the
test set alone makes can be real, so the test set sets a floor. The galaxies' own part shrinks with the size of
the test set only, never with the number of seeds.

Source: Smyth 2004 (Stat. Appl. Genet. Mol. Biol. 3, 3), the prior of variances; Holm 1979 (Scand. J. Stat. 6, 65).
Deviations: the prior's degrees of freedom are capped at the sum of the entries' own; those of a difference are
the smaller entry's plus the prior's, combined with the galaxies' by Satterthwaite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, ndtri, polygamma
from scipy.stats import t as student_t

ALPHA = 0.05
POWER = 0.8
LEAST_ENTRIES = 4  # below this number a prior cannot be fitted, and the variances are pooled

Verdict: TypeAlias = Literal["better", "worse", "equivalent", "undecided"]
OPPOSITE: Mapping[Verdict, Verdict] = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class Prior:
    """The spread `s0` that entries of a section have in common, worth `d0` degrees of freedom."""

    d0: float
    s0: float


@dataclass(frozen=True)
class SeedScores:
    """One entry: its scores over pretraining seeds, summarised.

    Attributes:
        n: number of seeds.
        mean: over the seeds.
        sd: sample standard deviation; None for one seed.
        var: moderated variance of one seed.
        df: degrees of freedom of `var`.
    """

    n: int
    mean: float
    sd: float | None
    var: float
    df: float


@dataclass(frozen=True)
class Difference:
    """Two entries compared within a family.

    Attributes:
        a, b: their names.
        verdict: what may be said of `a`.
        difference: mean of `a` minus mean of `b`.
        se: its standard error, galaxies included.
        df: degrees of freedom of `se`.
        low, high: interval of this difference alone.
        low_family, high_family: interval that holds for all differences of the family at once (Bonferroni).
        p: of no difference, alone.
        p_holm: adjusted within the family.
    """

    a: str
    b: str
    verdict: Verdict
    difference: float
    se: float
    df: float
    low: float
    high: float
    low_family: float
    high_family: float
    p: float
    p_holm: float

    def turned(self) -> Difference:
        """Return the same difference, seen from the other entry."""
        return replace(
            self, a=self.b, b=self.a, verdict=OPPOSITE.get(self.verdict, self.verdict), difference=-self.difference,
            low=-self.high, high=-self.low, low_family=-self.high_family, high_family=-self.low_family,
        )  # fmt: skip


@dataclass(frozen=True)
class TestSet:
    """What the test galaxies add to the error of a difference.

    Attributes:
        galaxies: how many there are.
        var_gal: variance component of galaxies that prefer one entry to the other, in squared units of the scores.
    """

    __test__ = False  # no test, in spite of its name

    galaxies: int | None = None
    var_gal: float = 0.0

    @property
    def part(self) -> float:
        """Variance of a difference that no number of seeds removes."""
        return self.var_gal / self.galaxies if self.galaxies else 0.0

    @property
    def df(self) -> int:
        """Degrees of freedom of `part`."""
        return max((self.galaxies or 2) - 1, 1)


# --- variances ----------------------------------------------------------------------------------------------


def trigamma_inverse(value: float) -> float:
    """Compute the x > 0 at which the trigamma function is `value`.

    Example:
        >>> round(trigamma_inverse(1.0), 5)
        1.42625
    """
    return math.exp(brentq(lambda x: float(polygamma(1, math.exp(x))) - value, -30, 30, xtol=1e-14))


def fit_prior(variances: Sequence[float], dfs: Sequence[float]) -> Prior:
    """Fit the common spread to the variances of several entries, by moments of their logarithms.

    Args:
        variances: sample variance of each entry's seeds; those that are 0 or of one seed are left out.
        dfs: their degrees of freedom, number of seeds - 1.

    Raises:
        ValueError: no entry has a variance.
    """
    kept = [(s2, d) for s2, d in zip(variances, dfs, strict=True) if s2 > 0 and d > 0]
    if not kept:
        raise ValueError("no entry has two seeds that differ; a common spread needs at least one that has")
    s2, d = np.array(kept, dtype=float).T
    if len(s2) < LEAST_ENTRIES:
        return Prior(float(d.sum()), math.sqrt((d * s2).sum() / d.sum()))
    z = np.log(s2) - digamma(d / 2) + np.log(d / 2)
    excess = float(z.var(ddof=1) - polygamma(1, d / 2).mean())
    if excess <= 0:  # the entries' variances differ no more than chance makes them
        return Prior(float(d.sum()), math.exp(float(z.mean()) / 2))
    d0 = 2 * trigamma_inverse(excess)
    log_s2 = float(z.mean() + digamma(d0 / 2) - math.log(d0 / 2))
    return Prior(min(d0, float(d.sum())), math.exp(log_s2 / 2))


def moderated(values: Sequence[float], prior: Prior, floor: float = 0.0) -> SeedScores:
    """Summarise the seeds of one entry, its variance drawn towards the prior and never below the floor."""
    n, mean, d = len(values), float(np.mean(values)), len(values) - 1
    sd = float(np.std(values, ddof=1)) if n > 1 else None
    var = (d * (sd or 0.0) ** 2 + prior.d0 * prior.s0**2) / (d + prior.d0)
    return SeedScores(n, mean, sd, max(var, floor), d + prior.d0)


# --- verdicts -----------------------------------------------------------------------------------------------


def holm(p: Sequence[float]) -> list[float]:
    """Adjust the p-values of one family so that a false claim in it has the chance of one test.

    Source: Holm 1979. Written out because the library's own takes 50 ms a family.
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def compare_family(
    entries: Mapping[str, SeedScores],
    pairs: Sequence[tuple[str, str]],
    *,
    margin: float,
    test_set: TestSet | Mapping[tuple[str, str], TestSet] = TestSet(),
    alpha: float = ALPHA,
) -> list[Difference]:
    """Compare the pairs of one family, and say of each what may be said at `alpha` for all of them together.

    Args:
        entries: summaries by name.
        pairs: who is compared with whom; all of them form the family.
        margin: differences below it are of no consequence, in the unit of the scores.
        test_set: the galaxies' part, the same for all pairs or one for each.
        alpha: chance of one false claim or more in the family.

    Returns:
        one difference a pair, in their order.
    """
    if not pairs:
        return []
    sets = [test_set if isinstance(test_set, TestSet) else test_set[pair] for pair in pairs]
    sides = [(entries[a], entries[b]) for a, b in pairs]
    difference = np.array([a.mean - b.mean for a, b in sides])
    seeds = np.array([a.var / a.n + b.var / b.n for a, b in sides])
    galaxies = np.array([each.part for each in sets])
    weight = seeds**2 / np.array([min(a.df, b.df) for a, b in sides])
    weight += galaxies**2 / np.array([each.df for each in sets])
    df, se = (seeds + galaxies) ** 2 / weight, np.sqrt(seeds + galaxies)
    p = 2 * student_t.sf(np.abs(difference) / se, df)
    alone = student_t.ppf(1 - alpha / 2, df) * se
    family = student_t.ppf(1 - alpha / len(pairs) / 2, df) * se
    reach = np.abs(difference) + student_t.ppf(1 - alpha / len(pairs), df) * se
    numbers = [difference, se, df, difference - alone, difference + alone]
    numbers += [difference - family, difference + family, p, np.array(holm(p.tolist()))]
    return [
        Difference(a, b, _verdict(row[0], row[-1] < alpha, bool(most < margin)), *row)
        for (a, b), row, most in zip(pairs, np.stack(numbers, axis=1).tolist(), reach, strict=True)
    ]


def _verdict(difference: float, told_apart: bool, within_margin: bool) -> Verdict:
    """Phrase what a test of a difference and a test of equivalence found."""
    if told_apart:
        return "better" if difference > 0 else "worse"
    return "equivalent" if within_margin else "undecided"


def rank_ranges(names: Sequence[str], differences: Sequence[Difference]) -> dict[str, tuple[int, int]]:
    """Compute the ranks that each entry may hold: from 1 + those better to all less those worse."""
    better, worse = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for each in differences:
        if each.verdict in ("better", "worse"):
            winner, loser = (each.a, each.b) if each.verdict == "better" else (each.b, each.a)
            better[loser] += 1
            worse[winner] += 1
    return {name: (1 + better[name], len(names) - worse[name]) for name in names}


def tie_letters(names: Sequence[str], differences: Sequence[Difference]) -> dict[str, str]:
    """Letter the entries so that two share a letter exactly where neither is better.

    Args:
        names: in the order of the table; the first gets `a`.
        differences: of all pairs.

    Source: Piepho 2004 (J. Comput. Graph. Stat. 13, 456), insert and absorb.
    """
    columns = [set(names)]
    for each in differences:
        if each.verdict not in ("better", "worse"):
            continue
        pair = {each.a, each.b}
        split = [column - {one} for column in columns if pair <= column for one in (each.a, each.b)]
        columns = [column for column in columns if not pair <= column] + split
        columns = [
            column
            for i, column in enumerate(columns)
            if not any(column < other or (column == other and i > j) for j, other in enumerate(columns))
        ]
    columns.sort(key=lambda column: sorted(names.index(name) for name in column))
    return {name: "".join(_letter(i) for i, column in enumerate(columns) if name in column) for name in names}


def _letter(number: int) -> str:
    """Write a number as a, b, ..., z, then a1, b1, ..."""
    return chr(ord("a") + number % 26) + (str(number // 26) if number >= 26 else "")


# --- what would decide --------------------------------------------------------------------------------------


def _reach(effect: float, comparisons: int, alpha: float) -> float:
    """Compute the variance at which an effect is found with 80 % power among so many comparisons."""
    return float((effect / (ndtri(1 - alpha / (2 * comparisons)) + ndtri(POWER))) ** 2)


def seeds_needed(
    effect: float, sd: float, *, comparisons: int = 1, galaxies_part: float = 0.0, alpha: float = ALPHA
) -> int | None:
    """Count the seeds of each of two entries that would find an effect with 80 % power.

    Args:
        effect: the difference to find, in the unit of the scores.
        sd: standard deviation of one seed.
        comparisons: pairs in the family.
        galaxies_part: variance of the difference that no number of seeds removes (`TestSet.part`).
        alpha: of the family.

    Returns:
        the number; None where no number of seeds will do, because the test set is too small.
    """
    left = _reach(effect, comparisons, alpha) - galaxies_part
    return math.ceil(2 * sd**2 / left) if left > 0 else None


def galaxies_needed(effect: float, var_gal: float, *, comparisons: int = 1, alpha: float = ALPHA) -> int:
    """Count the test galaxies at which their own part takes half of the variance that an effect leaves room for."""
    return math.ceil(2 * var_gal / _reach(effect, comparisons, alpha))


def forecast(entry: SeedScores, prior: Prior, alpha: float = ALPHA) -> tuple[float, float]:
    """Predict the interval in which the next seed of an entry falls with probability 1 - alpha."""
    quantile = float(student_t.ppf(1 - alpha / 2, entry.n - 1 + prior.d0))
    half = quantile * math.sqrt(entry.var * (1 + 1 / entry.n))
    return entry.mean - half, entry.mean + half


# --- two ways, ratios, shares -------------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoWay:
    """Variance components of one number a seed and galaxy.

    Attributes:
        mean: over all.
        seeds, galaxies: how many of each.
        var_seed, var_galaxy, var_rest: components; the first two may come out negative, which means none.
    """

    mean: float
    seeds: int
    galaxies: int
    var_seed: float
    var_galaxy: float
    var_rest: float

    @property
    def se(self) -> float:
        """Standard error of the mean for other seeds and other galaxies."""
        seed, galaxy = max(self.var_seed, 0.0) / self.seeds, max(self.var_galaxy, 0.0) / self.galaxies
        return math.sqrt(seed + galaxy + self.var_rest / (self.seeds * self.galaxies))


def two_way(values: np.ndarray) -> TwoWay:
    """Split the variance of a (seed, galaxy) table without repeats into components.

    Args:
        values: one row a seed, one column a galaxy; at least two of each.

    Source: two-way random effects by expected mean squares (e.g. Searle, Casella & McCulloch 1992, chapter 4).
    """
    table = np.asarray(values, dtype=float)
    n, galaxies = table.shape
    mean = table.mean()
    by_seed, by_galaxy = table.mean(axis=1), table.mean(axis=0)
    ms_seed = galaxies * by_seed.var(ddof=1)
    ms_galaxy = n * by_galaxy.var(ddof=1)
    rest = table - by_seed[:, None] - by_galaxy[None, :] + mean
    ms_rest = (rest**2).sum() / ((n - 1) * (galaxies - 1))
    return TwoWay(
        float(mean), n, galaxies,
        var_seed=float((ms_seed - ms_rest) / galaxies),
        var_galaxy=float((ms_galaxy - ms_rest) / n),
        var_rest=float(ms_rest),
    )  # fmt: skip


@dataclass(frozen=True)
class Ratio:
    """A ratio of two means with its set of plausible values.

    Attributes:
        value: the ratio.
        low, high: the two ends.
        bounded: whether the set lies between them. If not, the denominator cannot be told from zero, the set is
            all that lies outside the ends, and the ratio must not be printed.
    """

    value: float
    low: float
    high: float
    bounded: bool


def fieller(numerator: Sequence[float], denominator: Sequence[float], alpha: float = ALPHA) -> Ratio | None:
    """Compute the ratio of two means over the same seeds, with Fieller's set.

    Returns:
        the ratio; None where every value is plausible.

    Source: Fieller 1954 (J. R. Stat. Soc. B 16, 175).
    """
    top, below = float(np.mean(numerator)), float(np.mean(denominator))
    covariance = np.cov(numerator, denominator) / len(numerator)
    q = float(student_t.ppf(1 - alpha / 2, len(numerator) - 1)) ** 2
    a = below**2 - q * covariance[1, 1]
    b = top * below - q * covariance[0, 1]
    c = top**2 - q * covariance[0, 0]
    root = b**2 - a * c
    if root < 0:
        return None
    ends = sorted((b + sign * math.sqrt(root)) / a for sign in (-1, 1))
    return Ratio(top / below, float(ends[0]), float(ends[1]), bounded=bool(a > 0))
