"""What may be said of the entries of a section: verdicts on pairs, rank ranges, tie letters, effects of factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from astrojepa_bench.board.inference import Difference
from astrojepa_bench.board.power import Needed
from astrojepa_bench.board.statistics import share_of_clusters

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
        needed: what would show a difference of an undecided pair; None where it is decided, and where nothing is
            known of that.
        is_borrowed: whether the galaxies' own part had to be taken from the constants of the suite.
        covers_galaxies: whether the interval holds for other test galaxies too; not for a metric of whose galaxies
            neither the records nor the suite know anything.
    """

    a: str
    b: str
    family: str
    metric: str
    difference: Difference
    needed: Needed | None
    is_borrowed: bool
    covers_galaxies: bool = True

    @property
    def verdict(self) -> str:
        """The verdict of the family, or `exploratory`."""
        return EXPLORATORY if self.family == EXPLORATORY else self.difference.verdict

    @property
    def seeds_needed(self) -> int | None:
        """Seeds of each that would show a difference with the test galaxies there are; None where none will."""
        return self.needed.seeds if self.needed and self.needed.galaxies is None else None

    @property
    def galaxies_needed(self) -> int | None:
        """Test galaxies that would, where seeds alone do not."""
        return self.needed.galaxies if self.needed else None


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
        p_interaction: of no interaction of the factor, all its levels at once, with the blocks.
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
        """Return whether the factor does different things in different blocks, which its averages hide."""
        return self.p_interaction is not None and self.p_interaction < alpha


@dataclass(frozen=True)
class TrackRecord:
    """Whether the board's own forecasts came true.

    Attributes:
        by_entry: of each entry how many later seeds were forecast from its first three, and how many of them fell
            inside the 95 % prediction interval.
    """

    by_entry: tuple[tuple[int, int], ...] = ()

    @property
    def forecasts(self) -> int:
        """How many there were."""
        return sum(made for made, _ in self.by_entry)

    @property
    def inside(self) -> int:
        """How many came true."""
        return sum(inside for _, inside in self.by_entry)

    def facts(self) -> dict[str, int]:
        """Return the counts, as `board.json` has them."""
        return {"forecasts": self.forecasts, "inside": self.inside, "entries": len(self.by_entry)}

    def interval(self) -> tuple[float, float]:
        """Compute the 95 % interval of the share that comes true, for other entries.

        All forecasts of one entry rest on the same three seeds, and miss together: the interval is that of whole
        entries, and never narrower than if each forecast were a trial of its own.
        """
        return share_of_clusters(self.by_entry)


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
