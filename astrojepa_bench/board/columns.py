"""The columns of the board: where each number stands in a record, and how it is written.

Evaluators describe their metrics themselves. Records hold the description, so that a board needs no plugin; where
an older record holds none, that of the ruler's own evaluator of that name counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError

from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluators.shown import SHOWN
from astrojepa_bench.metric import Metric, description_of
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.versions import newest

Versions: TypeAlias = Mapping[str, str]
"""The newest version of each evaluator in a section; scores of older ones are not comparable."""
_METRIC = TypeAdapter(Metric)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        source: an evaluator, or what else the number is of: `lift`, `cost`, `masks`.
        name: its metric, the field of the cost, or the name in the record's health.
        title: the heading, with its unit.
        scale: what values are multiplied with for display (100 for per cent).
        digits: decimals shown.
        priority: narrow tables drop the highest first.
        style: `spread` shows the mean and its spread over seeds (where all agree, the interval of the test
            galaxies, which no number of seeds narrows), `interval` a signed difference with its 95 % interval,
            `mean` the mean alone.
        place: where in a record the number stands; a `difference` is of two records and stands in none.
    """

    source: str
    name: str
    title: str
    scale: float = 100.0
    digits: int = 1
    priority: int = 9
    style: Literal["spread", "interval", "mean"] = "spread"
    place: Literal["scores", "cost", "health", "difference"] = "scores"

    @property
    def key(self) -> str:
        """Name the column in files."""
        return f"{self.source}.{self.name}"

    def read(self, record: RunRecord, versions: Versions) -> float | None:
        """Find the column's number in a record; None where there is none, or not by the newest evaluator."""
        found: float | None = None
        if self.place == "cost":
            found = getattr(record.cost, self.name) or None  # what does not train has no cost of training
        elif self.place == "health":
            found = record.health.get(self.name)
        elif self.place == "scores":
            scores = (s for s in record.scores if (s.evaluator, s.metric) == (self.source, self.name))
            found = next((s.value for s in scores if s.evaluator_version == versions[self.source]), None)
        return None if found is None else float(found)

    def text(self, summary: Summary | None) -> str:
        """Write a cell; empty where nothing was measured."""
        if summary is None:
            return ""
        if self.style == "interval":
            return self.number(summary.mean, "+") + self._interval(summary)
        if self.style == "mean" or summary.sd is None:
            return self.number(summary.mean)
        seeds_agree = summary.sd == 0 and self.place == "scores"
        return self.number(summary.mean) + (
            self._interval(summary) if seeds_agree else f" ± {self.number(summary.sd)}"
        )

    def number(self, value: float, sign: str = "") -> str:
        """Write one number of this column."""
        return f"{self.scale * value:{sign}.{self.digits}f}"

    def _interval(self, summary: Summary) -> str:
        if summary.low is None or summary.high is None:
            return ""
        return f" [{self.number(summary.low)}, {self.number(summary.high)}]"


LIFT = Column("lift", "accuracy", "lift over untrained", priority=2, style="interval", place="difference")
TOKENS = Column("cost", "tokens", "M tokens", 1e-6, 1, 8, "mean", "cost")
FLOPS = Column("cost", "flops", "TFLOP", 1e-12, 1, 8, "mean", "cost")
OTHERS = (
    TOKENS,
    FLOPS,
    Column("cost", "train_seconds", "train s", 1.0, 0, 9, "mean", "cost"),
    Column("cost", "images_per_second", "images/s", 1.0, 0, 10, "mean", "cost"),
    Column("masks", "context_galaxy_share", "galaxy in context %", 100.0, 0, 12, "mean", "health"),
    Column("masks", "target_galaxy_share", "galaxy in targets %", 100.0, 0, 12, "mean", "health"),
)


def _column(evaluator: str, metric: str, described: Metric) -> Column:
    title = described.title or f"{evaluator} {metric}"
    return Column(evaluator, metric, title, described.scale, described.digits, described.priority)


ACCURACY = next(
    _column(name, metric.name, metric)
    for name, metrics in SHOWN.items()
    for metric in metrics
    if metric.role == "ranks"
)
"""The column of the ruler's own metric that ranks; other evaluators cannot take that role."""


def newest_versions(records: Iterable[RunRecord]) -> dict[str, str]:
    """Find the newest version of each evaluator that scored any of these runs."""
    found: dict[str, list[str]] = {}
    for score in (score for record in records for score in record.scores):
        found.setdefault(score.evaluator, []).append(score.evaluator_version)
    return {name: newest(texts) for name, texts in found.items()}


def of_one_setting(records: Iterable[RunRecord], versions: Versions) -> list[RunRecord]:
    """Leave out scores by another setting of an evaluator than the usual one: another k measures something else.

    Args:
        records: the runs of a section.
        versions: newest version of each evaluator.

    Returns:
        The runs, without scores and bits by other settings than that of most runs, of equals the last by text.
    """
    every = list(records)
    usual = _usual_settings(every, versions)
    return [_without(record, _others(record, usual)) for record in every]


def left_out(records: Iterable[RunRecord], versions: Versions) -> dict[str, tuple[int, str]]:
    """Count by evaluator the runs whose scores `of_one_setting` leaves out, beside the setting that counts."""
    every = list(records)
    usual = _usual_settings(every, versions)
    counts = Counter(name for record in every for name in _others(record, usual))
    return {name: (counts[name], usual[name]) for name in sorted(counts)}


def settings_of(record: RunRecord) -> dict[str, str]:
    """Write by evaluator the options by which it scored a run, so that equal settings read alike."""
    names = dict.fromkeys(score.evaluator for score in record.scores)
    return {name: canonical_json(record.evaluators.get(name, {}).get("options") or {}) for name in names}


def _usual_settings(records: Sequence[RunRecord], versions: Versions) -> dict[str, str]:
    counted: dict[str, Counter[str]] = {}
    for record in records:
        current = {s.evaluator for s in record.scores if s.evaluator_version == versions[s.evaluator]}
        for name, text in settings_of(record).items():
            if name in current:
                counted.setdefault(name, Counter())[text] += 1
    return {name: max(counts, key=lambda text: (counts[text], text)) for name, counts in counted.items()}


def _others(record: RunRecord, usual: Mapping[str, str]) -> set[str]:
    """Name the evaluators that scored a run by another setting than the usual one."""
    return {name for name, text in settings_of(record).items() if text != usual[name]}


def _without(record: RunRecord, evaluators: Collection[str]) -> RunRecord:
    if not evaluators:
        return record
    scores = [score for score in record.scores if score.evaluator not in evaluators]
    kept = {f"{score.evaluator}.{score.metric}" for score in scores}
    correct = {name: bits for name, bits in record.correct.items() if name in kept}
    return record.model_copy(update={"scores": scores, "correct": correct})


def described_metrics(records: Sequence[RunRecord], versions: Versions) -> dict[str, tuple[Metric, ...]]:
    """Find how the evaluators that scored some runs describe their metrics.

    Returns:
        By evaluator, those of the ruler first, in its order, then others by name. Empty for an evaluator that
        describes nothing.
    """
    recorded: dict[str, tuple[Metric, ...]] = {}
    for record in records:
        current = {s.evaluator for s in record.scores if s.evaluator_version == versions[s.evaluator]}
        for name in sorted(current - recorded.keys()):
            metrics = record.evaluators.get(name, {}).get("metrics")
            if metrics:
                recorded[name] = _metrics_in(metrics)
    order = [*(name for name in SHOWN if name in versions), *sorted(versions.keys() - SHOWN.keys())]
    return {name: recorded.get(name) or SHOWN.get(name, ()) for name in order}


def columns_of(records: list[RunRecord], versions: Versions) -> tuple[Column, ...]:
    """Choose the columns in which any run that was trained to the end has a number.

    An evaluator without a headline metric gets one column, the last of all: its first metric, as measured.
    """
    scored = [record for record in records if record.status in SCORED]
    metrics: dict[str, dict[str, None]] = {}
    for score in (score for record in scored for score in record.scores):
        metrics.setdefault(score.evaluator, {})[score.metric] = None
    columns, plain = list[Column](), dict[str, Column]()
    for name, described in described_metrics(scored, versions).items():
        found = list(metrics.get(name, {}))
        headlines = [metric for metric in described if metric.level == "headline"]
        columns += [
            _column(name, each, metric)
            for metric in headlines
            for each in found
            if description_of(each, described) is metric
        ]
        if not headlines and found:
            plain[name] = _column(name, found[0], Metric(".*"))
    after = next((i + 1 for i, column in enumerate(columns) if column.key == ACCURACY.key), len(columns))
    columns.insert(after, LIFT)
    return tuple(
        c
        for c in (*columns, *OTHERS, *(plain[name] for name in sorted(plain)))
        if c is LIFT or any(c.read(record, versions) is not None for record in scored)
    )


def _metrics_in(facts: Iterable[object]) -> tuple[Metric, ...]:
    """Read descriptions from a record; what another version wrote and this one cannot read is left out."""
    found = list[Metric]()
    for each in facts:
        with suppress(ValidationError, ContractError):
            found.append(_METRIC.validate_python(each))
    return tuple(found)


def mean_cost(runs: Iterable[RunRecord], field: str) -> float | None:
    """Average a cost over the runs in which it was measured; None where it was in none."""
    found = [getattr(run.cost, field) for run in runs if run.status in SCORED]
    known = [float(value) for value in found if value is not None]
    return fmean(known) if known else None
