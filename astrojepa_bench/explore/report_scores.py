"""The scores of a run for a report: what each metric tells, on which galaxies, and what floors score there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeAlias

import numpy as np

from astrojepa_bench.board.columns import described_metrics, newest_versions, settings_of
from astrojepa_bench.board.table import Comparable
from astrojepa_bench.evaluators.meanings import meaning_of
from astrojepa_bench.evaluators.metrics.geometry import (
    FEWEST_DIRECTIONS,
    FEWEST_OF_DIM,
    LEAST_OF_UNTRAINED,
    LEAST_STD,
)
from astrojepa_bench.explore.domain import domain_note
from astrojepa_bench.explore.report_page import Part, Table, TableCell, Text
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.results.naming import titled
from astrojepa_bench.results.record import SCORED, RecordedScore, RunRecord

FIRST = ("metric", "value", "chance")
Key: TypeAlias = tuple[str, str, str, str]
"""What a score must share to stand beside another: evaluator, metric, version, options."""


@dataclass(frozen=True)
class Floor:
    """What was scored without training, on the galaxies of a run and under its protocol.

    Attributes:
        name: the encoder; `untrained` before one that has weights.
        values: means over its seeds.
    """

    name: str
    values: Mapping[Key, float]


def score_parts(sample: Sample) -> list[Part]:
    """Write the scores, a table an evaluator, and why others have none."""
    record = sample.run.record
    parts: list[Part] = [Text(f"This run: {warning}", "warning") for warning in record.warnings]
    if not record.scores:
        return [*parts, Text("Nothing was scored: `astrojepa-bench score` adds evaluators.", "absent")]
    floors = floors_beside(record, sample.run.store.survey().records)
    parts.insert(0, Text(_measured_on(sample)))
    note = None if sample.own else domain_note(sample.run, sample.table)
    parts += [Text(note, "warning")] if note else []
    parts.append(
        Text(
            "Values are with the error that these test galaxies leave (±, one standard error); chance is what "
            "knowing nothing scores." + (f" Floors need no training: {_named(floors)}." if floors else "")
        )
    )
    parts += _tables(record, floors, sample.run.facts.class_names)
    return parts + [
        Text(f"{name} not scored: {reason}", "absent") for name, reason in record.not_scored.items()
    ]


def collapse_text(record: RunRecord) -> str:
    """Tell whether the features of a run collapsed, by the rule that decides it: their spread, and their rank."""
    now, before = (record.health.get(name) for name in ("normalised_std", "untrained_normalised_std"))
    if now is None or before is None or record.status not in SCORED:
        return ""
    verdict = (
        "This run counts as collapsed." if record.status == "collapsed" else "This run has not collapsed."
    )
    return (
        f"{verdict} Unit feature vectors spread by {now:.3f} after training and by {before:.3f} before "
        f"(1: evenly in all directions). A run counts as collapsed where that is below {LEAST_STD:g} and below "
        f"{LEAST_OF_UNTRAINED:.0%} of what it was before, or where the effective rank is below "
        f"{FEWEST_DIRECTIONS:g} or {FEWEST_OF_DIM:.0%} of the width."
    )


def _measured_on(sample: Sample) -> str:
    """Tell on which galaxies the scores were measured: those of a run's own data set, whatever is shown below."""
    record = sample.run.record
    home = f"test galaxies of {sample.run.facts.dataset}, which the run was trained and scored on"
    if sample.own:
        return f"Measured on the {home}: those shown below."
    table, tested = sample.table, np.isin(sample.table.rows("test"), sample.rows)
    named = (table.card.name, table.fingerprint)
    if (
        named == (sample.run.facts.dataset, record.identity.get("fingerprint"))
        and tested.any()
        and tested.all()
    ):
        return f"Measured on the {home}. They are among the {sample.title} shown below."
    return (
        f"Measured on the {home} (dataset {titled(record.dataset, record.altered.get('dataset', {}))}), not on the "
        f"{sample.title} shown below."
    )


def _named(floors: Sequence[Floor]) -> str:
    return ", ".join(f"{floor.name}" for floor in floors)


def floors_beside(record: RunRecord, records: Sequence[RunRecord]) -> list[Floor]:
    """Average the floors that may be compared with a run, that of its own encoder first.

    Args:
        record: the run.
        records: those of its folder.
    """
    place, found = Comparable.of(record), dict[str, list[RunRecord]]()
    for each in records:
        if each.standing == "floor" and each.status in SCORED and Comparable.of(each) == place:
            found.setdefault(_floor_name(each), []).append(each)
    own = f"untrained {titled(record.encoder, record.altered.get('encoder', {}))}"
    order = sorted(found, key=lambda name: (name != own, name))
    return [Floor(name, _means(found[name])) for name in order if record not in found[name]]


def _floor_name(record: RunRecord) -> str:
    name = titled(record.encoder, record.altered.get("encoder", {}))
    return f"untrained {name}" if record.cost.parameters else name


def _means(records: Sequence[RunRecord]) -> dict[Key, float]:
    values: dict[Key, list[float]] = {}
    for record in records:
        for key, score in _keyed(record):
            values.setdefault(key, []).append(score.value)
    return {key: fmean(each) for key, each in values.items()}


def _keyed(record: RunRecord) -> Iterator[tuple[Key, RecordedScore]]:
    settings = settings_of(record)
    for score in record.scores:
        name = score.evaluator
        yield (name, score.metric, score.evaluator_version, settings[name]), score


def _tables(record: RunRecord, floors: Sequence[Floor], classes: Sequence[str]) -> Iterator[Table]:
    described = described_metrics([record], newest_versions([record]))
    scores: dict[str, list[tuple[Key, RecordedScore]]] = {}
    for key, score in _keyed(record):
        scores.setdefault(score.evaluator, []).append((key, score))
    for name, found in scores.items():
        beside = [floor for floor in floors if any(key in floor.values for key, _ in found)]
        rows: list[list[str | TableCell]] = [
            [
                TableCell(
                    f"{metric_name(score.metric, classes)} {'↑' if score.higher_is_better else '↓'}",
                    meaning_of(name, score.metric, described.get(name, ())),
                ),
                f"{score.value:.4f}" + ("" if score.item_se is None else f"\u00a0±\u00a0{score.item_se:.4f}"),
                "" if score.chance is None else f"{score.chance:.4f}",
                *(f"{floor.values[key]:.4f}" if key in floor.values else "" for floor in beside),
                f"{score.n:,}",
            ]
            for key, score in found
        ]
        headings = (*FIRST, *(floor.name for floor in beside), "galaxies")
        yield Table(headings, rows, name, numbers=frozenset(range(1, len(headings))))


def metric_name(metric: str, classes: Sequence[str]) -> str:
    """Spell out a metric: a recall with the name of its class.

    Example:
        >>> metric_name("recall_1", ["smooth", "spiral"]), metric_name("recall_2", ["smooth", "spiral"])
        ('recall of spiral', 'recall of class 2')
    """
    kind, _, number = metric.rpartition("_")
    if kind == "recall" and number.isdigit():
        at = int(number)
        return f"recall of {classes[at] if at < len(classes) else f'class {at}'}"
    return metric.replace("_", " ")
