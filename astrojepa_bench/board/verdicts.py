"""What may be said of the entries of a section: verdicts on pairs, rank ranges, tie letters, effects of factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from astrojepa_bench.board.inference import Difference

EXPLORATORY = "exploratory"
"""The family of a pair that stands in none: it gets an interval, and no verdict."""


@dataclass(frozen=True)
class Comparison:
    """Two entries of a section, compared.

    Attributes:
        a, b: their entry ids.
        family: the narrowest family that holds the pair: `lift`, `masker`, `objective` or `all`; `exploratory`
            for a pair in none, which gets no verdict.
        metric: `evaluator.metric`.
        difference: with its interval and verdict, as fractions.
        seeds_needed: seeds of each entry that would decide an undecided pair; None where no number of seeds will.
        galaxies_needed: test galaxies that would, where seeds do not.
        is_borrowed: whether the galaxies' own part had to be taken from the constants of the suite.
        covers_galaxies: whether the interval holds for other test galaxies too; not for a metric of whose galaxies
            neither the records nor the suite know anything.
    """

    a: str
    b: str
    family: str
    metric: str
    difference: Difference
    seeds_needed: int | None
    galaxies_needed: int | None
    is_borrowed: bool
    covers_galaxies: bool = True

    @property
    def verdict(self) -> str:
        """The verdict of the family, or `exploratory`."""
        return EXPLORATORY if self.family == EXPLORATORY else self.difference.verdict


@dataclass(frozen=True)
class FactorEffect:
    """One level of a factor against its reference, averaged over the complete blocks of the other factors.

    Attributes:
        factor: `masker` or `objective`.
        level, reference: e.g. `brightness` and `random`.
        metric: `evaluator.metric`.
        effect: as a fraction.
        low, high: 95 % interval of this effect alone.
        low_family, high_family: interval that holds for all effects of the factor at once (Bonferroni).
        p_holm: adjusted within the factor.
        blocks: what it was averaged over, e.g. the objectives that stand with every level.
        p_interaction: of no interaction with the blocks; below 0.05 the average hides differences.
        is_borrowed: whether the galaxies' own part had to be taken from the constants of the suite.
    """

    factor: str
    level: str
    reference: str
    metric: str
    effect: float
    low: float
    high: float
    low_family: float
    high_family: float
    p_holm: float
    blocks: tuple[str, ...]
    p_interaction: float | None
    is_borrowed: bool = False

    def hides_differences(self, alpha: float) -> bool:
        """Return whether it differs from block to block, so that the average describes none of them."""
        return self.p_interaction is not None and self.p_interaction < alpha


@dataclass(frozen=True)
class TrackRecord:
    """Whether the board's own forecasts came true.

    Attributes:
        forecasts: later seeds that were forecast from the first three of their entry.
        inside: how many of them fell inside the 95 % prediction interval.
        entries: how many entries they are of; all forecasts of one rest on the same three seeds.
    """

    forecasts: int = 0
    inside: int = 0
    entries: int = 0


@dataclass(frozen=True)
class Verdicts:
    """All that may be said of a section.

    Attributes:
        metric: the headline.
        ranks: first and last rank that each ranked entry may hold, by entry id.
        letters: two entries share a letter exactly where neither is better, by entry id.
        lifts: each entry over its own encoder before training, by entry id; exploratory for those without rank.
        comparisons: every pair of the families, each under the narrowest that holds it.
        factors: effects of maskers and objectives.
        track_record: of this section.
        notes: what a reader must know, e.g. that the galaxies' part was borrowed.
    """

    metric: str
    ranks: Mapping[str, tuple[int, int]]
    letters: Mapping[str, str]
    lifts: Mapping[str, Comparison]
    comparisons: tuple[Comparison, ...]
    factors: tuple[FactorEffect, ...]
    track_record: TrackRecord
    notes: tuple[str, ...]
