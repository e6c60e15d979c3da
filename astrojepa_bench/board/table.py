"""The board: sections of comparable runs, one row per entry, built from the records alone.

Runs on other galaxies, other splits, another budget, another number of pretraining galaxies or another protocol
answer another question and stand in another section; nothing is ever averaged across sections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from astrojepa_bench.board.columns import ACCURACY, LIFT, RANKING, Column, columns_of, newest_versions
from astrojepa_bench.board.entries import Row, by_entry, labels_of, make_row
from astrojepa_bench.board.places import budget_name, galaxy_names
from astrojepa_bench.board.statistics import binomial_se, resolvable_difference
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord

RULE = (
    "Contestants are ordered by their linear balanced accuracy on test galaxies, averaged over pretraining "
    "seeds. The order of two means is not a verdict: look at their spread and at what the test set resolves. "
    "Floors and ceilings are shown, not ranked. Collapsed runs are averaged in; an entry that lost a seed is "
    "not ranked."
)
SHORT_RULE = "Ordered by linear balanced accuracy, mean ± spread over seeds; the order alone is no verdict."
_SHELVES = ("contestant", "ceiling", "floor")
Comparable: TypeAlias = tuple[str, str, int, str, str, str, str]


@dataclass(frozen=True)
class Section:
    """Entries that may be compared with one another.

    Attributes:
        dataset, fingerprint, splits, budget, effort, protocol: what all its runs share; `budget` names the
            number of pretraining galaxies where that was limited, and `effort` is the budget with its numbers,
            as it stands in their identities.
        galaxies: the dataset, with its options where it stands here with several.
        columns: the columns in which any of them has a number.
        rows: ranked contestants first, then those without a rank, ceilings and floors.
        chance: what knowing nothing scores, by column key.
        skipped: entries that cannot mean anything, with the reason.
        notes: what a reader must know to read the table.
    """

    dataset: str
    fingerprint: str
    splits: str
    budget: str
    effort: str
    protocol: str
    galaxies: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    chance: Mapping[str, float]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """All sections, and the records they were built from.

    Attributes:
        sections: by dataset, budget, fingerprint, splits and protocol.
        records: every record, in one order whatever order they came in.
    """

    sections: tuple[Section, ...]
    records: tuple[RunRecord, ...]


def build_board(records: Sequence[RunRecord]) -> Board:
    """Build the board.

    Args:
        records: the runs, in any order.
    """
    ordered = sorted(records, key=lambda r: (r.title, r.entry_id, r.seed, r.run_id))
    groups: dict[Comparable, list[RunRecord]] = {}
    for record in ordered:
        groups.setdefault(_comparable(record), []).append(record)
    name = galaxy_names(ordered)
    sections = (_section(key, groups[key], name(groups[key][0])) for key in sorted(groups))
    return Board(tuple(sections), tuple(ordered))


def _comparable(record: RunRecord) -> Comparable:
    """Say what runs must share to be compared; its order is that of the sections, all galaxies before few."""
    fingerprint, splits, effort, protocol = (
        str(record.identity.get(key, "")) for key in ("fingerprint", "splits", "budget", "protocol")
    )
    few = int(str(record.identity.get("pretraining") or 0))
    return record.dataset, record.budget, few, fingerprint, splits, effort, protocol


def _section(key: Comparable, records: list[RunRecord], galaxies: str) -> Section:
    dataset, name, few, fingerprint, splits, effort, protocol = key
    asked = [record for record in records if record.status != "skipped"]
    versions = newest_versions(asked)
    columns = columns_of(asked, versions)
    rows = _rows(asked, columns, versions)
    notes = (
        _resolution(rows, asked),
        _provisional(rows),
        _ceilings(rows),
        _mixtures(asked),
        _stale(asked, versions),
        _edition_1(asked),
    )
    return Section(
        dataset, fingerprint, splits, budget_name(name, few), effort, protocol, galaxies,
        columns=tuple(c for c in columns if c is not LIFT or any(LIFT.key in row.cells for row in rows)),
        rows=rows,
        chance=_chance(asked, columns),
        skipped=_skipped(records),
        notes=tuple(line for lines in (*notes, _remarks(asked)) for line in lines),
    )  # fmt: skip


def _skipped(records: Sequence[RunRecord]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({(r.title, r.skip_reason or "") for r in records if r.status == "skipped"}))


def _rows(
    records: list[RunRecord], columns: Sequence[Column], versions: Mapping[str, str]
) -> tuple[Row, ...]:
    entries = by_entry(records)
    labels = labels_of(entries)
    floors = [runs for runs in entries.values() if runs[0].standing == "floor"]
    rows = [make_row(labels[key], runs, columns, versions, floors) for key, runs in entries.items()]
    return _ranked(sorted(rows, key=_position))


def _position(row: Row) -> tuple[int, bool, float, str]:
    mean = row.cells[RANKING.key].mean if RANKING.key in row.cells else 0.0
    return _SHELVES.index(row.standing), bool(row.unranked), -mean, row.label


def _ranked(rows: list[Row]) -> tuple[Row, ...]:
    ranked = sum(not row.unranked for row in rows)
    return tuple(replace(row, rank=i + 1) if i < ranked else row for i, row in enumerate(rows))


def _chance(records: Sequence[RunRecord], columns: Sequence[Column]) -> dict[str, float]:
    """Average what each evaluator said of chance, over runs; metrics without a chance level have none."""
    found: dict[str, list[float]] = {}
    for score in (score for record in records for score in record.scores if score.chance is not None):
        found.setdefault(f"{score.evaluator}.{score.metric}", []).append(score.chance or 0.0)
    return {c.key: sum(sorted(found[c.key])) / len(found[c.key]) for c in columns if c.key in found}


def _resolution(rows: Sequence[Row], records: Sequence[RunRecord]) -> list[str]:
    """Say what difference the test galaxies can tell from luck, at the accuracy of the first row."""
    share = next((row.cells[ACCURACY.key].mean for row in rows if ACCURACY.key in row.cells), None)
    sizes = [s.n for r in records for s in r.scores if f"{s.evaluator}.{s.metric}" == ACCURACY.key]
    if share is None or not min(sizes, default=0):
        return []
    n = min(sizes)
    error, apart = binomial_se(share, n), resolvable_difference(share, n)
    return [
        f"{n} test galaxies place a linear accuracy of {100 * share:.1f} % within ±{100 * error:.1f} points "
        f"(standard error). Two entries that err on different galaxies are told apart from {100 * apart:.1f} "
        "points on, less where they err on the same ones; more seeds do not change this."
    ]


def _provisional(rows: Sequence[Row]) -> list[str]:
    few = any(row.provisional for row in rows)
    return ["¹ provisional: fewer than three seeds, so the spread is unknown or hardly known."] if few else []


def _ceilings(rows: Sequence[Row]) -> list[str]:
    any_of_them = any(row.standing == "ceiling" for row in rows)
    return (
        ["² uses labels: trained on the classes that it is judged by; no contestant."] if any_of_them else []
    )


def _mixtures(records: Sequence[RunRecord]) -> list[str]:
    """Note where entries differ in something that can move numbers without being what is compared."""
    scored = [record for record in records if record.status in SCORED]
    found = {
        "device classes": {str(r.identity.get("device_class", "")) for r in scored},
        "precisions": {str(r.identity.get("precision", "")) for r in scored},
        "torch releases": {".".join(r.environment.torch.split(".")[:2]) for r in scored},
        "settings of evaluators": {canonical_json(r.evaluators) for r in scored},
    }
    said = {"settings of evaluators": "see `evaluators` in their records"}
    mixed = {kind: said.get(kind, ", ".join(sorted(v))) for kind, v in found.items() if len(v) > 1}
    return [f"Runs of several {kind} stand here: {values}." for kind, values in mixed.items()]


def _stale(records: Sequence[RunRecord], versions: Mapping[str, str]) -> list[str]:
    scores = (score for record in records for score in record.scores)
    others = Counter(s.evaluator for s in scores if s.evaluator_version != versions[s.evaluator])
    return [
        f"{others[name]} scores by another version of {name} than {versions[name]} are not shown; score again."
        for name in sorted(others)
    ]


def _edition_1(records: Sequence[RunRecord]) -> list[str]:
    """Count the runs of which nobody can tell what code they ran."""
    old = sum(record.is_edition_1 for record in records)
    if not old:
        return []
    return [
        f"{old} of {len(records)} runs are of edition 1: recorded before a run's identity knew all of its code. "
        "They stand here as they were scored, and count for no new run."
    ]


def _remarks(records: Sequence[RunRecord]) -> list[str]:
    """Repeat what evaluators warned of and why they had nothing to score, counted over runs."""
    reasons = (f"{name} not scored: {why}" for r in records for name, why in r.not_scored.items())
    said = Counter([*reasons, *(warning for record in records for warning in record.warnings)])
    return [f"{text} ({count} run{'s' * (count > 1)})" for text, count in sorted(said.items())]
