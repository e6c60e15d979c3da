"""The columns of the board: where each number stands in a record, and how it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.versions import newest

Versions: TypeAlias = Mapping[str, str]
"""The newest version of each evaluator in a section; scores of older ones are not comparable."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        source: an evaluator, `cost` for what the run took, or `masks` for what its masks show and hide.
        name: its metric, the field of the cost, or the name in the record's health.
        title: the heading, with its unit.
        scale: what values are multiplied with for display (100 for per cent).
        digits: decimals shown.
        priority: narrow tables drop the highest first.
        style: `spread` shows the mean and its spread over seeds, `interval` a signed difference with its
            95 % interval, `mean` the mean alone.
    """

    source: str
    name: str
    title: str
    scale: float = 100.0
    digits: int = 1
    priority: int = 9
    style: Literal["spread", "interval", "mean"] = "spread"

    @property
    def key(self) -> str:
        """Name the column in files."""
        return f"{self.source}.{self.name}"

    def read(self, record: RunRecord, versions: Versions) -> float | None:
        """Find the column's number in a record; None if it was not measured by the newest evaluator."""
        found = getattr(record.cost, self.name) if self.source == "cost" else self._measured(record, versions)
        return None if found is None else float(found)

    def _measured(self, record: RunRecord, versions: Versions) -> int | float | None:
        current = (score for score in record.scores if score.evaluator_version == versions[score.evaluator])
        values = (s.value for s in current if (s.evaluator, s.metric) == (self.source, self.name))
        return next(values, record.health.get(self.name))

    def text(self, summary: Summary | None) -> str:
        """Write a cell; empty where nothing was measured."""
        if summary is None:
            return ""
        if self.style == "interval":
            return self.number(summary.mean, "+") + self._interval(summary)
        spread = f" ± {self.number(summary.sd)}" if self.style == "spread" and summary.sd is not None else ""
        return self.number(summary.mean) + spread

    def number(self, value: float, sign: str = "") -> str:
        """Write one number of this column."""
        return f"{self.scale * value:{sign}.{self.digits}f}"

    def _interval(self, summary: Summary) -> str:
        if summary.low is None or summary.high is None:
            return ""
        return f" [{self.number(summary.low)}, {self.number(summary.high)}]"


RANKING = Column("linear", "balanced_accuracy", "linear balanced %", priority=0)
ACCURACY = Column("linear", "accuracy", "linear %", priority=1)
LIFT = Column("lift", "accuracy", "lift over untrained", priority=2, style="interval")
COLUMNS = (  # anomalies: the physical ones; artefacts are easy and stand in the long table
    RANKING,
    ACCURACY,
    LIFT,
    Column("knn", "accuracy", "k-NN %", priority=3),
    Column("kmeans", "purity", "purity %", priority=7),
    Column("kmeans", "ami", "AMI %", priority=5),
    Column("anomaly", "auroc_physical", "anomaly AUROC %", priority=4),
    Column("anomaly", "average_precision_physical", "anomaly AP %", priority=6),
    Column("anomaly", "auroc_held_out", "held-out class AUROC %", priority=4),
    Column("collapse", "effective_rank", "effective rank", scale=1.0, priority=8),
    Column("cost", "train_seconds", "train s", scale=1.0, digits=0, priority=9, style="mean"),
    Column("cost", "images_per_second", "images/s", scale=1.0, digits=0, priority=10, style="mean"),
    Column("masks", "context_galaxy_share", "galaxy in context %", digits=0, priority=12, style="mean"),
    Column("masks", "target_galaxy_share", "galaxy in targets %", digits=0, priority=12, style="mean"),
)


def newest_versions(records: Iterable[RunRecord]) -> dict[str, str]:
    """Find the newest version of each evaluator that scored any of these runs."""
    found: dict[str, list[str]] = {}
    for score in (score for record in records for score in record.scores):
        found.setdefault(score.evaluator, []).append(score.evaluator_version)
    return {name: newest(texts) for name, texts in found.items()}


def columns_of(records: list[RunRecord], versions: Versions) -> tuple[Column, ...]:
    """Choose the columns in which any run that was trained to the end has a number.

    An evaluator the board does not know (a plugin's) gets one column: its first metric, as measured.
    """
    scored = [record for record in records if record.status in SCORED]
    known = {column.source for column in COLUMNS}
    first: dict[str, str] = {}
    for score in (score for record in scored for score in record.scores if score.evaluator not in known):
        first.setdefault(score.evaluator, score.metric)
    extra = [Column(name, first[name], f"{name} {first[name]}", 1.0, 3, 11) for name in sorted(first)]
    return tuple(
        c for c in (*COLUMNS, *extra) if c is LIFT or any(c.read(r, versions) is not None for r in scored)
    )
