"""What a rerun says of a record: equal to the last bit, inside the interval forecast for another seed, or outside.

A rerun on another machine, or by newer code, is a new draw: it should fall where the seeds of its entry let one
expect the next seed. The headline metric is judged at 5 %, all other scores together at another 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import variance
from typing import Literal, TypeAlias

from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.inference import Prior, fit_prior, forecast, moderated
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RecordedScore, RunRecord

Interval: TypeAlias = tuple[float, float]
FEW = 3
_SHARED = ("fingerprint", "splits", "budget", "pretraining", "protocol", "device_class", "precision")


@dataclass(frozen=True)
class ScoreAgain:
    """One score of a run, then and now.

    Attributes:
        evaluator, metric: which.
        was: as recorded.
        now: of the rerun; None where it has no such score.
        interval: in which it was to be expected; None where nothing tells how far seeds spread.
    """

    evaluator: str
    metric: str
    was: float
    now: float | None
    interval: Interval | None

    @property
    def is_inside(self) -> bool:
        """Whether it is the same, or in the interval; what cannot be judged is not."""
        if self.now is None or self.interval is None:
            return self.now == self.was
        return self.now == self.was or self.interval[0] <= self.now <= self.interval[1]

    def facts(self) -> dict[str, object]:
        """Return it as programs read it."""
        names = {"evaluator": self.evaluator, "metric": self.metric}
        interval = None if self.interval is None else [*self.interval]
        return {**names, "was": self.was, "is": self.now, "interval": interval}


@dataclass(frozen=True)
class Reproduced:
    """What a rerun says.

    Attributes:
        verdict: `equal`, `inside` or `outside`.
        scores: all of the record, the headline first.
        notes: what the verdict rests on, and what it could not judge.
    """

    verdict: Literal["equal", "inside", "outside"]
    scores: tuple[ScoreAgain, ...]
    notes: tuple[str, ...]


def judge_rerun(
    record: RunRecord, again: RunRecord, records: Iterable[RunRecord], rules: Rules
) -> Reproduced:
    """Compare a run with its rerun.

    Args:
        record: of the run.
        again: of the rerun.
        records: of the folder that the run lies in: the seeds of its entry, and the other entries of its section.
        rules: name the headline.
    """
    section = [r for r in records if r.status in SCORED and _place(r) == _place(record)]
    ordered = sorted(record.scores, key=lambda s: f"{s.evaluator}.{s.metric}" != rules.headline)
    scores = tuple(
        _again(score, record, again, section, rules.alpha / max(len(ordered) - 1, 1) if rank else rules.alpha)
        for rank, score in enumerate(ordered)
    )
    notes = [*_lost(record, again), *_ground(record, section)]
    if again.status != record.status:
        return Reproduced("outside", scores, (f"it ended as {again.status}, was {record.status}", *notes))
    if _told(again, record) == _told(record, again) and all(score.now == score.was for score in scores):
        return Reproduced("equal", scores, tuple(_lost(record, again)))
    judged = [score for score in scores if score.now is not None or _same_version(record, again, score)]
    inside = bool(judged) and all(score.is_inside for score in judged)
    return Reproduced("inside" if inside else "outside", scores, tuple(notes))


def _place(record: RunRecord) -> str:
    return canonical_json([record.identity.get(key) for key in _SHARED])


def _told(record: RunRecord, other: RunRecord) -> str:
    """Return what has to be equal besides the scores: the training curves, and the answers that both recorded."""
    mine, theirs = record.facts().get("correct") or {}, other.facts().get("correct") or {}
    answers = {name: bits for name, bits in mine.items() if name in theirs}
    return canonical_json([record.training.model_dump(mode="json", exclude={"recipe"}), answers])


def _again(
    score: RecordedScore, record: RunRecord, again: RunRecord, section: Sequence[RunRecord], alpha: float
) -> ScoreAgain:
    now = again.value(score.evaluator, score.metric)
    interval = _interval(score, record.entry_id, section, alpha)
    return ScoreAgain(score.evaluator, score.metric, score.value, now, interval)


def _interval(
    score: RecordedScore, entry_id: str, section: Sequence[RunRecord], alpha: float
) -> Interval | None:
    """Forecast the next seed of an entry from its seeds, its spread moderated by that of its section."""
    values = {
        entry: found
        for entry, runs in by_entry(section).items()
        if (found := [value for run in runs if (value := _value(run, score)) is not None])
    }
    own = values.get(entry_id, [score.value])
    told = {r.entry_id for r in section if r.standing != "floor"}
    spreads = {e: variance(found) for e, found in values.items() if e in told and len(found) > 1}
    others = [e for e in spreads if e != entry_id]
    if not any(spreads[e] > 0 for e in others):  # nobody else tells anything: its own seeds alone
        return forecast(moderated(own, Prior(0.0, 0.0)), Prior(0.0, 0.0), alpha) if len(own) > 1 else None
    prior = fit_prior(list(spreads.values()), [len(values[e]) - 1 for e in spreads])
    return forecast(moderated(own, prior), prior, alpha)


def _value(run: RunRecord, score: RecordedScore) -> float | None:
    """Look a score up, measured by the same version of its evaluator."""
    asked = (score.evaluator, score.metric, score.evaluator_version)
    return next((s.value for s in run.scores if (s.evaluator, s.metric, s.evaluator_version) == asked), None)


def _versions(record: RunRecord) -> dict[str, str]:
    return {score.evaluator: score.evaluator_version for score in record.scores}


def _same_version(record: RunRecord, again: RunRecord, score: ScoreAgain) -> bool:
    return _versions(record).get(score.evaluator) == _versions(again).get(score.evaluator)


def _lost(record: RunRecord, again: RunRecord) -> list[str]:
    """Name evaluators that measure by another version now."""
    was, now = _versions(record), _versions(again)
    return [
        f"{name} is {now[name]} now, was {was[name]}" for name in was if now.get(name, was[name]) != was[name]
    ]


def _ground(record: RunRecord, section: Sequence[RunRecord]) -> list[str]:
    """Tell on how many seeds the forecast rests, where they are few."""
    own = sum(run.entry_id == record.entry_id for run in section)
    entries = by_entry(run for run in section if run.standing != "floor" and run.entry_id != record.entry_id)
    others = sum(len(runs) > 1 for runs in entries.values())
    if own >= FEW:
        return []
    seeds = "one seed of its entry is here" if own == 1 else f"{own} seeds of its entry are here"
    if others:
        return [f"{seeds}: the interval rests on the spread of {others} other entries"]
    if own > 1:
        return [f"{seeds} and no other entry has two: the interval rests on them alone, and is wide"]
    return [f"{seeds} and no other entry has two: nothing tells how far seeds spread, so only equal would do"]
