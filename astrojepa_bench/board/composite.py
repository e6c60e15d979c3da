"""One number for several metrics: how far an entry is on the way from its untrained encoder to one with labels.

    c = mean over metrics of (value - untrained) / (supervised - untrained)

It describes and decides nothing: no rank and no verdict follows from it. The metrics have equal weights and the
anchors are those of the entry's own encoder, the floor and the ceiling of its section. A metric enters only where
its anchors are more than three standard errors apart; else its ratio would be noise over noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from astrojepa_bench.board.columns import Versions
from astrojepa_bench.board.families import encoder_of
from astrojepa_bench.board.inference import fieller
from astrojepa_bench.results.record import SCORED, RecordedScore, RunRecord

METRICS = ("linear.accuracy", "knn.accuracy", "kmeans.ami", "anomaly.average_precision_physical")
LEAST_SEPARATION = 3.0
"""Standard errors that the anchors of a metric must be apart."""


@dataclass(frozen=True)
class Composite:
    """The mean share of the way from untrained to supervised, over the metrics that have one.

    Attributes:
        value: the mean; 0 is the untrained encoder and 1 the one with labels.
        low, high: Fieller's 95 % interval, for other seeds on the same test galaxies.
        parts: share of the way by metric.
        seeds: how many seeds entry and anchors share.
    """

    value: float
    low: float
    high: float
    parts: Mapping[str, float]
    seeds: int


def composite_of(
    runs: Sequence[RunRecord], others: Sequence[Sequence[RunRecord]], versions: Versions
) -> Composite | None:
    """Compute the composite of a contestant.

    Args:
        runs: its seeds.
        others: the entries of its section; the floor and the ceiling with its encoder are its anchors.
        versions: newest version of each evaluator.

    Returns:
        the composite; None without anchors that share two seeds with it, without a metric whose anchors are apart,
        or where the interval is not bounded.

    Source: Fieller 1954 (J. R. Stat. Soc. B 16, 175), for one ratio. Deviation: of several ratios the mean is one
    ratio again, of sums over metrics in units of the mean distance of their anchors; those units count as exact,
    the error of the distance that the metrics have in common does not.
    """
    floor, ceiling = (_anchor(runs, others, standing, versions) for standing in ("floor", "ceiling"))
    if floor is None or ceiling is None or runs[0].standing != "contestant":
        return None
    seeds = sorted({run.seed for run in _scored(runs)} & {*floor} & {*ceiling})
    own = {run.seed: run for run in _scored(runs)}
    if len(seeds) < 2:
        return None
    gains, ways = dict[str, Float[np.ndarray, " seed"]](), dict[str, Float[np.ndarray, " seed"]]()
    for metric in METRICS:
        found = [[_score(each[seed], metric, versions) for seed in seeds] for each in (own, floor, ceiling)]
        mine, low, high = ([score for score in scores if score is not None] for scores in found)
        if min(map(len, (mine, low, high))) == len(seeds) and _are_apart(low, high):
            value, bottom, top = (np.array([score.value for score in scores]) for scores in (mine, low, high))
            gains[metric], ways[metric] = value - bottom, top - bottom
    if not gains:
        return None
    parts = {metric: float(gains[metric].mean() / ways[metric].mean()) for metric in gains}
    gain, way = (
        np.mean([each[metric] / ways[metric].mean() for metric in gains], axis=0) for each in (gains, ways)
    )
    ratio = fieller(gain.tolist(), way.tolist())
    if ratio is None or not ratio.bounded:
        return None
    return Composite(ratio.value, ratio.low, ratio.high, parts, len(seeds))


def _anchor(
    runs: Sequence[RunRecord], others: Sequence[Sequence[RunRecord]], standing: str, versions: Versions
) -> dict[int, RunRecord] | None:
    """Find a floor or ceiling with the encoder of an entry, by seed.

    Of several the one that shares most seeds counts, then the best: no entry is to come out far on its way because
    an anchor is weak.
    """
    seeds = {run.seed for run in _scored(runs)}
    fitting = [
        {run.seed: run for run in _scored(other)}
        for other in others
        if other[0].standing == standing and encoder_of(other[0]) == encoder_of(runs[0])
    ]

    def worth(anchor: Mapping[int, RunRecord]) -> tuple[int, float, str]:
        found = [_score(run, METRICS[0], versions) for run in anchor.values()]
        values = [score.value for score in found if score is not None]
        entry = min((run.entry_id for run in anchor.values()), default="")
        return len(seeds & {*anchor}), math.fsum(values) / max(len(values), 1), entry

    return max(fitting, key=worth, default=None)


def _are_apart(low: Sequence[RecordedScore], high: Sequence[RecordedScore]) -> bool:
    """Whether the upper anchor is far enough above the lower one, for other seeds and other test galaxies.

    The seeds' part is that of the paired difference; the galaxies' part, where an evaluator states it, is that of
    two independent answers, which is on the safe side.
    """
    way = np.array([top.value - bottom.value for top, bottom in zip(high, low, strict=True)])
    galaxies = sum(np.mean([score.item_se or 0.0 for score in scores]) ** 2 for scores in (low, high))
    error = math.sqrt(float(way.var(ddof=1)) / len(way) + float(galaxies))
    return bool(way.mean() > LEAST_SEPARATION * error and way.mean() > 0)


def _scored(runs: Sequence[RunRecord]) -> list[RunRecord]:
    return [run for run in runs if run.status in SCORED]


def _score(record: RunRecord, metric: str, versions: Versions) -> RecordedScore | None:
    evaluator, _, name = metric.partition(".")
    return next(
        (
            score
            for score in record.scores
            if (score.evaluator, score.metric) == (evaluator, name)
            and score.evaluator_version == versions.get(evaluator)
        ),
        None,
    )
