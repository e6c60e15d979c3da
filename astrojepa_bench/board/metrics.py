"""All scores of the entries of a section, one line a metric: more than columns have room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from astrojepa_bench.board.columns import described_metrics, newest_versions, of_one_setting
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import summary_of
from astrojepa_bench.board.statistics import Summary
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.evaluators.sets import CORE
from astrojepa_bench.metric import Metric, description_of
from astrojepa_bench.results.record import SCORED, RecordedScore, RunRecord

LEAST_SECONDS = 0.05  # shorter ones are left out
SHARED = ("features", "augmented_views")  # what the core evaluators read, timed apart from them
FORMERLY = {  # what extras were called in records before
    "views": "augmented_views",
    "twin": "shifted_test",
    "errors": "prediction_errors",
    "fluxes": "band_fluxes",
}


@dataclass(frozen=True)
class MetricLine:
    """One metric of one evaluator.

    Attributes:
        metric: its name in records.
        higher_is_better: its direction.
        chance: least and greatest chance level over the runs (a null that depends on the features differs);
            None where it has none.
        cells: summary over seeds of each row of the section, in its order.
    """

    metric: str
    higher_is_better: bool
    chance: tuple[float, float] | None
    cells: tuple[Summary | None, ...]


@dataclass(frozen=True)
class MetricGroup:
    """The scores of one evaluator.

    Attributes:
        evaluator: its name.
        lines: its metrics, in its own order.
        details: how many more it has, which stand in the long table alone.
    """

    evaluator: str
    lines: tuple[MetricLine, ...]
    details: int


def metric_groups(board: Board, section: Section) -> tuple[MetricGroup, ...]:
    """Gather the scores of a section by evaluator and metric, those of its newest version alone.

    Args:
        board: which holds the records.
        section: one of its sections.
    """
    rows = [[run for run in runs if run.status in SCORED] for runs in _runs_by_row(board, section)]
    every = [run for runs in rows for run in runs]
    versions, groups = newest_versions(every), list[MetricGroup]()
    for name, described in described_metrics(every, versions).items():
        said = [[_scores(run, name, versions[name]) for run in runs] for runs in rows]
        metrics = dict.fromkeys(metric for runs in said for scores in runs for metric in scores)
        known = {metric: description_of(metric, described) or Metric(".*") for metric in metrics}
        shown = [metric for metric, each in known.items() if each.level != "detail"]
        lines = tuple(_line(metric, said) for metric in shown)
        groups.append(MetricGroup(name, lines, len(metrics) - len(shown)))
    return tuple(groups)


def scoring_cost(records: Iterable[RunRecord]) -> list[str]:
    """Compare the time of scoring with that of training, on average over the runs that were trained; else over all.

    The seconds are those of every scoring of a run together; what was read back from its kept file cost nothing.
    """
    timed = [record for record in records if record.status in SCORED and record.cost.evaluation]
    timed = [record for record in timed if record.cost.train_seconds] or timed
    if not timed:
        return []
    spent = [{FORMERLY.get(k, k): v for k, v in record.cost.evaluation.items()} for record in timed]
    names = dict.fromkeys(name for parts in spent for name in parts)
    parts = {name: sum(each.get(name, 0.0) for each in spent) / len(spent) for name in names}
    core = {*SHARED, *CORE}
    sums = {"core": sum(value for name, value in parts.items() if name in core)}
    if not core.issuperset(parts):
        sums["full"] = sum(parts.values())
    training = sum(record.cost.train_seconds or 0.0 for record in timed) / len(timed)
    sets = [
        f"{name} {value:.{0 if value >= 10 else 1}f} s{_share(value, training)}"
        for name, value in sums.items()
    ]
    longest = sorted((-value, name) for name, value in parts.items() if value >= LEAST_SECONDS)
    each = ", ".join(f"{name} {-value:.1f}" for value, name in longest)
    return [f"Scoring a run: {', '.join(sets)}. Seconds on each part: {each}."]


def records_of(board: Board, section: Section) -> list[RunRecord]:
    """Find the records behind the rows of a section."""
    return [record for runs in _runs_by_row(board, section) for record in runs]


def _runs_by_row(board: Board, section: Section) -> list[list[RunRecord]]:
    shown = {run_id for row in section.rows for run_id in row.runs}
    records = [record for record in board.records if record.run_id in shown]
    entries = by_entry(of_one_setting(records, newest_versions(records)))
    return [[run for run in entries.get(row.entry_id, []) if run.run_id in row.runs] for row in section.rows]


def _scores(run: RunRecord, name: str, version: str) -> dict[str, RecordedScore]:
    return {s.metric: s for s in run.scores if (s.evaluator, s.evaluator_version) == (name, version)}


def _line(metric: str, said: Sequence[Sequence[Mapping[str, RecordedScore]]]) -> MetricLine:
    found = [[scores[metric] for scores in runs if metric in scores] for runs in said]
    every = [score for scores in found for score in scores]
    chance = [score.chance for score in every if score.chance is not None]
    cells = tuple(summary_of(scores) if scores else None for scores in found)
    return MetricLine(
        metric, every[0].higher_is_better, (min(chance), max(chance)) if chance else None, cells
    )


def _share(value: float, training: float) -> str:
    return f" ({100 * value / training:.0f} % of training)" if training else ""
