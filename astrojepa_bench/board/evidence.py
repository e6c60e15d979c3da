"""What the runs of a section say of one metric: each entry's seeds, and every difference that is judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

from scipy.stats import t as student_t

from astrojepa_bench.board.columns import Versions
from astrojepa_bench.board.families import Entries, Family, Pair, families_of, is_complete, own_floor
from astrojepa_bench.board.inference import (
    OPPOSITE,
    Difference,
    Prior,
    SeedScores,
    compare_family,
    fit_prior,
    moderated,
)
from astrojepa_bench.board.power import Needed, needed
from astrojepa_bench.board.preferences import Preferences, Scored, preferences
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.statistics import Summary, added, summarise
from astrojepa_bench.board.verdicts import EXPLORATORY, Comparison
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.record import SCORED, RecordedScore, RunRecord


@dataclass(frozen=True)
class Evidence:
    """What the runs of a section say of one metric.

    Attributes:
        metric: `evaluator.metric`.
        entries: all runs of each entry, by id.
        scores: seeds of each entry in which the metric was measured, their variances moderated.
        prior: the spread that the section's contestants and ceilings have in common.
        preferences: the test galaxies' part.
        ranked: complete contestants, best first.
        families: what is judged together, narrowest first.
        margin: differences below it are of no consequence; 0 where the suite fixes none for this metric.
        higher_is_better: direction of the metric.
        alpha: chance of one false claim or more in a family.
    """

    metric: str
    entries: Entries
    scores: Mapping[str, SeedScores]
    prior: Prior
    preferences: Preferences
    ranked: tuple[str, ...]
    families: tuple[Family, ...]
    margin: float
    higher_is_better: bool
    alpha: float

    def compare(self, a: str, b: str) -> Comparison:
        """Compare two entries under the narrowest family that holds them; exploratory where none does.

        Raises:
            DataError: one of them has no such score.
        """
        for entry in (a, b):
            if entry not in self.scores:
                title = self.entries[entry][0].title if entry in self.entries else entry
                raise DataError(f"{title} has no score {self.metric}; score its runs with that evaluator")
        for forwards, pair in ((True, (a, b)), (False, (b, a))):
            if pair in self._narrowest:
                family, difference = self._narrowest[pair]
                return self._comparison(
                    family.name, difference if forwards else difference.turned(), len(family.pairs)
                )
        (difference,) = self.differences([(a, b)])
        return self._comparison(EXPLORATORY, difference, 1)

    def lift(self, entry: str) -> Comparison | None:
        """Compare an entry with its own encoder before training; None where no floor has that encoder."""
        means = {name: each.mean for name, each in self.scores.items()}
        floor = own_floor(self.entries[entry][0], self.entries, means) if entry in self.scores else None
        is_floor = self.entries[entry][0].standing == "floor"
        return None if is_floor or floor is None else self.compare(entry, floor)

    def interval(self, entry: str) -> tuple[float, float]:
        """Compute the interval of an entry's mean alone, for other seeds and other test galaxies.

        Source: as of a difference (`compare_family`): both parts' variances added, degrees of freedom by
        Satterthwaite.
        """
        score = self.scores[entry]
        galaxies = self.preferences.own(entry, score.mean)
        parts = ((score.var / score.n, score.df), (galaxies.part, galaxies.df))
        variance, df = added(parts)
        half = float(student_t.ppf(1 - self.alpha / 2, df)) * math.sqrt(variance)
        return score.mean - half, score.mean + half

    def differences(self, pairs: Sequence[Pair]) -> list[Difference]:
        """Compare the pairs of one family."""
        tests = {(a, b): self.preferences.between(a, b) for a, b in pairs}
        found = compare_family(self.scores, pairs, margin=self.margin, test_set=tests, alpha=self.alpha)
        if self.higher_is_better:
            return found
        # the numbers stay as they were measured; the entry with the lower one is the better
        return [replace(each, verdict=OPPOSITE.get(each.verdict, each.verdict)) for each in found]

    @cached_property
    def judged(self) -> tuple[tuple[Family, tuple[Difference, ...]], ...]:
        """Every family with its differences."""
        return tuple((family, tuple(self.differences(family.pairs))) for family in self.families)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every pair of the families, under the narrowest that holds it."""
        return tuple(
            self._comparison(family.name, difference, len(family.pairs))
            for family, difference in self._narrowest.values()
        )

    @cached_property
    def _narrowest(self) -> dict[Pair, tuple[Family, Difference]]:
        found: dict[Pair, tuple[Family, Difference]] = {}
        for family, differences in self.judged:
            for each in differences:
                if (each.b, each.a) not in found:
                    found.setdefault((each.a, each.b), (family, each))
        return found

    def _comparison(self, family: str, difference: Difference, of: int) -> Comparison:
        a, b = difference.a, difference.b
        return Comparison(
            a, b, family, self.metric, difference,
            self._needed(difference, of) if difference.verdict == "undecided" else None,
            is_borrowed=self.preferences.is_borrowed((a, b)),
            covers_galaxies=self.preferences.galaxies is not None,
        )  # fmt: skip

    def _needed(self, difference: Difference, of: int) -> Needed | None:
        """Count what would show a difference of this size, margin at least: a smaller one is of no consequence."""
        effect = max(abs(difference.difference), self.margin)
        a, b = self.scores[difference.a], self.scores[difference.b]
        test_set = self.preferences.between(difference.a, difference.b)
        return needed(a, b, test_set, effect, comparisons=of, alpha=self.alpha)


def gather(entries: Entries, versions: Versions, rules: Rules, metric: str) -> Evidence | None:
    """Gather what the runs of a section say of one metric.

    Args:
        entries: the runs of each entry, by id.
        versions: newest version of each evaluator; scores by others are left out.
        rules: of the suite.
        metric: `evaluator.metric`.

    Returns:
        The evidence; None where no contestant or ceiling has two seeds that differ, so that nothing tells a
        difference from chance.
    """
    found = {entry: runs for entry, each in entries.items() if (runs := scored(each, versions, metric))}
    values = {entry: [score.value for _, score in runs] for entry, runs in found.items()}
    told = [entry for entry in found if entries[entry][0].standing != "floor" and len(values[entry]) > 1]
    means = {entry: fmean(each) for entry, each in values.items()}
    squares = {entry: math.fsum((value - means[entry]) ** 2 for value in values[entry]) for entry in told}
    spreads = {entry: squares[entry] / (len(values[entry]) - 1) for entry in told}
    if not any(spreads.values()):
        return None
    prior = fit_prior(list(spreads.values()), [len(values[entry]) - 1 for entry in told])
    evaluator, name = metric.split(".", 1)
    is_share = name.endswith("accuracy")  # what margins are made for
    # a share that has no constants of its own borrows the headline's
    usual = rules.borrowed.get(rules.headline.partition(".")[0])
    constants = rules.borrowed.get(evaluator, usual) if "accuracy" in name else None
    galaxies = preferences(found, metric, constants)
    higher = next(score.higher_is_better for runs in found.values() for _, score in runs)
    order = sorted(means, key=lambda entry: (-means[entry] if higher else means[entry], entry))
    ranked = [entry for entry in order if is_complete(entries[entry])]
    fingerprint = str(next(iter(found.values()))[0][0].identity.get("fingerprint", ""))
    return Evidence(
        metric, entries,
        {entry: moderated(each, prior, galaxies.floor(entry)) for entry, each in values.items()},
        prior, galaxies, tuple(ranked),
        tuple(families_of(entries, ranked, means, rules)),
        margin=rules.margin_of(fingerprint) if is_share else 0.0,
        higher_is_better=higher, alpha=rules.alpha,
    )  # fmt: skip


def scored(runs: Iterable[RunRecord], versions: Versions, metric: str) -> Scored:
    """Find the score of each run in a metric, by the newest version of its evaluator, in the order of seeds."""
    evaluator, name = metric.split(".", 1)
    found: list[tuple[RunRecord, RecordedScore]] = []
    for run in sorted(runs, key=lambda run: run.seed):
        if run.status in SCORED:
            scores = (s for s in run.scores if (s.evaluator, s.metric) == (evaluator, name))
            found += [(run, s) for s in scores if s.evaluator_version == versions.get(evaluator)][:1]
    return found


def summary_of(scores: Sequence[RecordedScore]) -> Summary:
    """Summarise the scores of one entry in one metric, one a seed; where all agree, by what its galaxies tell."""
    return summarise([score.value for score in scores], [score.item_se for score in scores])
