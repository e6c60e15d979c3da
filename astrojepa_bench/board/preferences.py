"""What the test galaxies add to errors: galaxies that change sides, and galaxies that prefer one entry.

Records that hold which test galaxies were right tell it. For the others the suite's constants are borrowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from astrojepa_bench.board.inference import TestSet, two_way
from astrojepa_bench.board.rules import Borrowed
from astrojepa_bench.results.correct import decode_bits
from astrojepa_bench.results.record import RecordedScore, RunRecord

Scored = Sequence[tuple[RunRecord, RecordedScore]]
"""The runs of one entry, each with its score in one metric."""
Right = Bool[np.ndarray, "seed galaxy"]


@dataclass(frozen=True)
class Preferences:
    """What the test galaxies add to the errors of some entries, in one metric; variances of one galaxy.

    Attributes:
        galaxies: how many test galaxies the metric rests on; None where nothing is known of their part.
        places: row of each entry in the matrices, by id.
        rest: (entry,) variance of one galaxy from seed to seed.
        covariance: (entry, entry) of the galaxies' preferences, as the records' bits tell it; NaN without bits.
        borrowed: (entry, entry) the same, as the suite's constants have it.
    """

    galaxies: int | None
    places: Mapping[str, int]
    rest: Float[np.ndarray, " entry"]
    covariance: Float[np.ndarray, "entry entry"]
    borrowed: Float[np.ndarray, "entry entry"]

    def floor(self, entry: str) -> float:
        """Return the variance of one seed that the test galaxies alone make: none below it can be real."""
        return float(self.rest[self.places[entry]]) / self.galaxies if self.galaxies else 0.0

    def between(self, a: str, b: str) -> TestSet:
        """Return the galaxies' part of the difference of two entries, as `of` does, without its sums."""
        i, j = self.places[a], self.places[b]
        chosen = self.borrowed if self.is_borrowed((a, b)) else self.covariance
        variance = float(chosen[i, i] + chosen[j, j] - 2 * chosen[i, j])
        return TestSet(self.galaxies, max(variance, 0.0))

    def of(self, contrast: Mapping[str, float]) -> TestSet:
        """Return the galaxies' part of a weighted sum of entries whose weights add up to 0."""
        rows = np.array([self.places[entry] for entry in contrast])
        weights = np.array(list(contrast.values()))
        chosen = self.borrowed if self.is_borrowed(contrast) else self.covariance
        variance = float(weights @ chosen[np.ix_(rows, rows)] @ weights)
        return TestSet(self.galaxies, max(variance, 0.0))

    def own(self, entry: str, share: float) -> TestSet:
        """Return the galaxies' part of the mean of one entry.

        Args:
            entry: its id.
            share: its mean. Without bits, galaxies are taken to differ as much as they can at that share.
        """
        known = float(self.covariance[self.places[entry], self.places[entry]])
        return TestSet(self.galaxies, max(known if np.isfinite(known) else share * (1 - share), 0.0))

    def is_borrowed(self, entries: Iterable[str]) -> bool:
        """Return whether any of these entries lacks the bits of its galaxies."""
        return not self.lacking.isdisjoint(entries)

    @cached_property
    def lacking(self) -> frozenset[str]:
        """The entries that lack them."""
        known = np.isfinite(np.diag(self.covariance))
        return frozenset(entry for entry, row in self.places.items() if not known[row])


def preferences(entries: Mapping[str, Scored], metric: str, constants: Borrowed | None) -> Preferences:
    """Learn from the records of a section what its test galaxies add to errors.

    The preferences of two entries are compared by how often each was right of each galaxy. What chance from seed to
    seed makes of that is taken off, which equals the two-way component of their differences, averaged over all
    ways to pair their seeds.

    Args:
        entries: the scored runs of each entry, by id.
        metric: `evaluator.metric`.
        constants: of the suite, for entries without bits; None where it has none for this metric.
    """
    places = {entry: row for row, entry in enumerate(entries)}
    counted = _galaxies(entries, metric)
    rest, known = np.zeros(len(places)), np.full((len(places),) * 2, np.nan)
    borrowed = _borrowed(entries, constants)
    if constants is not None:
        shares = np.array([np.mean([score.value for _, score in runs]) for runs in entries.values()])
        rest = np.minimum(
            constants.rest, shares * (1 - shares)
        )  # no galaxy changes sides more often than that
    held: dict[str, Right] = {
        entry: np.stack([decode_bits(run.correct[metric], score.n) for run, score in runs])
        for entry, runs in entries.items()
        if all(metric in run.correct and score.n == counted for run, score in runs)
    }
    measured = {entry: two_way(table).var_rest for entry, table in held.items() if len(table) > 1}
    if measured:
        usual = float(np.mean(list(measured.values())))  # for an entry of one seed
        rows = [places[entry] for entry in held]
        rest[rows] = [measured.get(entry, usual) for entry in held]
        often = np.stack([table.mean(axis=0) for table in held.values()])
        noise = rest[rows] / [len(table) for table in held.values()]
        known[np.ix_(rows, rows)] = np.atleast_2d(np.cov(often)) - np.diag(noise)
    return Preferences(counted if constants or measured else None, places, rest, known, borrowed)


def _galaxies(entries: Mapping[str, Scored], metric: str) -> int | None:
    """Count the galaxies of which a metric is the plain share, or that would give its error if it were.

    Balanced accuracy rests on its rarest classes: it is as uncertain as the plain share of fewer galaxies.
    """
    scores = [score for runs in entries.values() for _, score in runs]
    fewest = min((score.n for score in scores), default=0)
    if metric.endswith(".accuracy") or not fewest:
        return fewest or None
    shares = [(s.value, s.item_se) for s in scores if s.item_se and 0 < s.value < 1]
    if not shares:
        return fewest
    return max(2, round(float(np.mean([value * (1 - value) / error**2 for value, error in shares]))))


def _borrowed(entries: Mapping[str, Scored], constants: Borrowed | None) -> Float[np.ndarray, "entry entry"]:
    """Lay the constants out so that two entries of one objective differ by `same`, all others by `other`."""
    if constants is None:
        return np.zeros((len(entries),) * 2)
    objectives = np.array([runs[0][0].objective for runs in entries.values()])
    shared = objectives[:, None] == objectives[None, :]
    between = max(constants.other - constants.same, 0.0)
    return constants.same / 2 * np.eye(len(entries)) + between / 2 * shared
