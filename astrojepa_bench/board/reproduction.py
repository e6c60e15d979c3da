"""What a rerun says of a record: equal to the last bit, inside the interval forecast for another seed, or outside.

A rerun on another machine, or by newer code, is a new draw: it should fall where the seeds of its entry let one
expect the next seed. The headline metric is judged at 5 %, all other scores together at another 5 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from astrojepa_bench.board.columns import settings_of
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import gather, scored
from astrojepa_bench.board.families import Entries
from astrojepa_bench.board.inference import Prior, forecast, moderated
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.table import Comparable
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RecordedScore, RunRecord

Interval: TypeAlias = tuple[float, float]
FEW = 3


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
    section = [r for r in records if r.status in SCORED and Comparable.of(r) == Comparable.of(record)]
    ordered = sorted(record.scores, key=lambda s: f"{s.evaluator}.{s.metric}" != rules.headline)
    asked, found = settings_of(record), list[ScoreAgain]()
    for k, score in enumerate(ordered):
        alike = by_entry(
            run for run in section if settings_of(run).get(score.evaluator) == asked[score.evaluator]
        )
        alpha = rules.alpha / max(len(ordered) - 1, 1) if k else rules.alpha
        interval = _interval(score, record.entry_id, alike, rules, alpha)
        now = again.value(score.evaluator, score.metric)
        found.append(ScoreAgain(score.evaluator, score.metric, score.value, now, interval))
    scores = tuple(found)
    notes = [*_lost(record, again), *_ground(record, section)]
    if again.status != record.status:
        return Reproduced("outside", scores, (f"it ended as {again.status}, was {record.status}", *notes))
    if _told(again, record) == _told(record, again) and all(score.now == score.was for score in scores):
        return Reproduced("equal", scores, tuple(_lost(record, again)))
    old, new = _versions(record), _versions(again)
    judged = [s for s in scores if s.now is not None or old.get(s.evaluator) == new.get(s.evaluator)]
    inside = bool(judged) and all(score.is_inside for score in judged)
    return Reproduced("inside" if inside else "outside", scores, tuple(notes))


def _told(record: RunRecord, other: RunRecord) -> str:
    """Return what has to be equal besides the scores: the training curves, and the answers that both recorded."""
    answers = {name: bits for name, bits in record.correct.items() if name in other.correct}
    return canonical_json([record.training.model_dump(mode="json", exclude={"recipe"}), answers])


def _interval(
    score: RecordedScore, entry_id: str, entries: Entries, rules: Rules, alpha: float
) -> Interval | None:
    """Forecast the next seed of an entry from its seeds, its spread moderated by that of its section."""
    metric, versions = f"{score.evaluator}.{score.metric}", {score.evaluator: score.evaluator_version}
    others = {entry: runs for entry, runs in entries.items() if entry != entry_id}
    evidence = gather(entries, versions, rules, metric)
    if evidence is not None and gather(others, versions, rules, metric) is not None:
        return forecast(evidence.scores[entry_id], evidence.prior, alpha)
    own = [each.value for _, each in scored(entries.get(entry_id, ()), versions, metric)]
    if len(own) < 2:
        return None
    alone = Prior(0.0, 0.0)  # nobody else tells anything: its own seeds, which must not count twice
    agree = (
        len(set(own)) == 1
    )  # as where all are right of every galaxy: then only the test galaxies tell an error
    floor = (score.item_se or 0.0) ** 2 if agree else 0.0
    return forecast(moderated(own, alone, floor), alone, alpha)


def _versions(record: RunRecord) -> dict[str, str]:
    return {score.evaluator: score.evaluator_version for score in record.scores}


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
