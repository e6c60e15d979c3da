"""What would show a difference that is undecided: so many seeds or, where none will do, so many test galaxies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import t as student_t

from astrojepa_bench.board.inference import POWER, SeedScores, TestSet, galaxies_needed, seeds_needed
from astrojepa_bench.board.statistics import POINTS, added

MOST_SEEDS = 50
"""A number of seeds is told up to here: beyond it an estimate is none."""


@dataclass(frozen=True)
class Needed:
    """What would show a difference four times in five.

    Attributes:
        effect: the difference, as a fraction.
        seeds: of each of the two entries.
        galaxies: test galaxies, where those there are too few whatever the number of seeds; else None.
        held: seeds that each of the two has.
    """

    effect: float
    seeds: int
    galaxies: int | None = None
    held: int = 0

    def in_words(self) -> str:
        """Tell it in a clause."""
        if self.galaxies is None and self.held >= self.seeds:
            return f"these seeds would show one of {POINTS * self.effect:.1f} points"
        seeds = f"{self.seeds}" if self.seeds <= MOST_SEEDS else f"more than {MOST_SEEDS}"
        about = "about " if self.galaxies or self.seeds <= MOST_SEEDS else ""
        galaxies = f"{self.galaxies:,} test galaxies and " if self.galaxies else ""
        return f"{about}{galaxies}{seeds} seeds of each would show one of {POINTS * self.effect:.1f} points"


def needed(
    a: SeedScores, b: SeedScores, test_set: TestSet, effect: float, *, comparisons: int, alpha: float
) -> Needed | None:
    """Count what would find an effect between two entries with 80 % power.

    Args:
        a: one entry; its variance and the prior's degrees of freedom are taken to stay.
        b: the other.
        test_set: what the test galaxies add.
        effect: the difference to find, in the unit of the scores.
        comparisons: pairs in the family.
        alpha: of the family.

    Returns:
        the numbers; None where there is nothing to find, or nothing is known of the galaxies' part.

    Source: `seeds_needed` and `galaxies_needed`, whose quantiles are those of many seeds; then as many more as
    Student's quantiles ask for, at the degrees of freedom that so many seeds have.
    """
    variance, prior = (a.var + b.var) / 2, min(a.df - a.n, b.df - b.n) + 1
    sd, galaxies = math.sqrt(variance), None
    seeds = seeds_needed(effect, sd, comparisons=comparisons, galaxies_part=test_set.part, alpha=alpha)
    if seeds is None:
        if effect == 0 or not test_set.var_gal:
            return None
        galaxies = galaxies_needed(effect, test_set.var_gal, comparisons=comparisons, alpha=alpha)
        test_set = TestSet(galaxies, test_set.var_gal)
        seeds = seeds_needed(effect, sd, comparisons=comparisons, galaxies_part=test_set.part, alpha=alpha)
    seeds = max(seeds or 0, 2)
    while seeds <= MOST_SEEDS:
        parts = ((2 * variance / seeds, seeds - 1 + prior), (test_set.part, test_set.df))
        total, df = added(parts)
        quantiles = student_t.ppf([1 - alpha / (2 * comparisons), POWER], df)
        if effect >= float(quantiles.sum()) * math.sqrt(total):
            break
        seeds += 1
    return Needed(effect, seeds, galaxies, min(a.n, b.n))
