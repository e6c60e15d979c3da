"""The board: sections of comparable runs, one row per entry, built from the records alone.

Runs on other galaxies, other splits, another budget, another number of pretraining galaxies or another protocol
answer another question and stand in another section; so do runs on another class of device or in another precision,
which compute other numbers from equal seeds. Nothing is ever averaged across sections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from astrojepa_bench.board.columns import (
    ACCURACY,
    LIFT,
    Column,
    columns_of,
    left_out,
    newest_versions,
    of_one_setting,
)
from astrojepa_bench.board.composite import composite_of
from astrojepa_bench.board.entries import Row, by_entry, labels_of, lifts_of, make_row
from astrojepa_bench.board.families import GROUP
from astrojepa_bench.board.judge import effects_across, judge
from astrojepa_bench.board.places import budget_name, galaxy_names, place_names, told_apart
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.statistics import resolvable_difference
from astrojepa_bench.board.track import total
from astrojepa_bench.board.verdicts import FactorEffect, TrackRecord, Verdicts
from astrojepa_bench.metric import binomial_se
from astrojepa_bench.results.identity import digest
from astrojepa_bench.results.naming import told
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.training.budgets import is_flop_matched

RULE = (
    "Contestants stand in the order of their linear accuracy on test galaxies (or of the headline that their "
    "suite names), averaged over pretraining seeds. The range of ranks tells what that order is worth: an entry "
    "may hold any rank in its range, and two entries that share a letter are tied. Both allow for few seeds, for "
    "the size of the test set, and for all pairs being compared at once (Holm, 5 %). Floors and ceilings are "
    "shown, not ranked. Collapsed runs are averaged in; an entry that lost a seed is not ranked."
)
DEFAULTS = Rules()
BALANCED = "linear.balanced_accuracy"
NAMED = 3  # entries that a warning names; of more the number is told
_SHELVES = ("contestant", "ceiling", "floor")


@dataclass(frozen=True)
class Section:
    """Entries that may be compared with one another.

    Attributes:
        dataset, fingerprint, splits, budget, effort, protocol, device_class, precision: what all its runs share;
            `budget` names the number of pretraining galaxies where that was limited, and `effort` is the budget
            with its numbers, as it stands in their identities.
        heading: its galaxies and budget, with the device, or whatever else differs, where several sections would
            share a heading.
        title: what its galaxies are called: as a suite says, or the dataset, with its options where it stands here
            with several.
        columns: the columns in which any of them has a number.
        rows: ranked contestants first, then those without a rank, ceilings and floors.
        chance: what knowing nothing scores, by column key.
        skipped: entries that cannot mean anything, with the reason.
        notes: what a reader must know to read the table.
        verdicts: all that its records allow to be said.
    """

    dataset: str
    fingerprint: str
    splits: str
    budget: str
    effort: str
    protocol: str
    device_class: str
    precision: str
    heading: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    chance: Mapping[str, float]
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    verdicts: Verdicts | None = None


@dataclass(frozen=True)
class Board:
    """All sections, and the records they were built from.

    Attributes:
        sections: by dataset, budget, fingerprint, splits, protocol, device class and precision.
        records: every record, in one order whatever order they came in.
        rules: by which they are judged.
        factors: effects of maskers and objectives, averaged over data sets.
        track_record: of all sections.
        hashes: of the facts of records, by run id, as far as they are known already.
        damaged: what is wrong with files that are no records and are left out, a line each.
    """

    sections: tuple[Section, ...]
    records: tuple[RunRecord, ...]
    rules: Rules = DEFAULTS
    factors: tuple[FactorEffect, ...] = ()
    track_record: TrackRecord = field(default_factory=TrackRecord)
    hashes: Mapping[str, str] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()

    def hash_of(self, record: RunRecord) -> str:
        """Return the hash of all that a record holds."""
        return self.hashes.get(record.run_id) or digest(record.facts())


def build_board(records: Sequence[RunRecord], rules: Rules = DEFAULTS) -> Board:
    """Build the board.

    Args:
        records: the runs, in any order.
        rules: by which they are judged.
    """
    ordered = sorted(records, key=lambda r: (r.title, r.entry_id, r.seed, r.run_id))
    groups: dict[Comparable, list[RunRecord]] = {}
    for record in ordered:
        groups.setdefault(Comparable.of(record), []).append(record)
    heading, title = place_names(ordered, rules.titles), galaxy_names(ordered, rules.titles)
    keys = sorted(groups)
    headings = told_apart([heading(groups[key][0]) for key in keys], keys)
    sections = tuple(
        _section(key, groups[key], own, title(groups[key][0]), rules)
        for key, own in zip(keys, headings, strict=True)
    )
    return Board(
        sections, tuple(ordered), rules,
        factors=effects_across([(title(groups[key][0]), groups[key]) for key in keys], rules),
        track_record=total(each.verdicts.track_record for each in sections if each.verdicts),
    )  # fmt: skip


class Comparable(NamedTuple):
    """The facts that comparable runs share; their order is that of the sections.

    All galaxies come before few, and equal images before equal arithmetic.
    """

    dataset: str
    budget: str
    few: int
    fingerprint: str
    splits: str
    matched: bool
    effort: str
    protocol: str
    device_class: str
    precision: str

    @classmethod
    def of(cls, record: RunRecord) -> Comparable:
        """Read them from a record."""
        keys = ("fingerprint", "splits", "budget", "protocol", "device_class", "precision")
        galaxies, splits, effort, *rest = (str(record.identity.get(key, "")) for key in keys)
        few, matched = int(str(record.identity.get("pretraining") or 0)), is_flop_matched(effort)
        return cls(record.dataset, record.budget, few, galaxies, splits, matched, effort, *rest)


def _section(key: Comparable, records: list[RunRecord], heading: str, title: str, rules: Rules) -> Section:
    ran = [record for record in records if record.status != "skipped"]
    versions = newest_versions(ran)
    asked = of_one_setting(ran, versions)
    columns = columns_of(asked, versions)
    verdicts = judge(by_entry(asked), versions, rules)
    rows = _rows(asked, columns, versions, verdicts, rules)
    chance: dict[str, list[float]] = {}  # as the evaluators told it in each run
    for score in (score for record in asked for score in record.scores if score.chance is not None):
        chance.setdefault(f"{score.evaluator}.{score.metric}", []).append(score.chance or 0.0)
    return Section(
        key.dataset, key.fingerprint, key.splits, budget_name(key.budget, key.few, key.effort), key.effort,
        key.protocol, key.device_class, key.precision, heading, title,
        columns=tuple(c for c in columns if c is not LIFT or any(LIFT.key in row.cells for row in rows)),
        rows=rows,
        chance={c.key: sum(sorted(chance[c.key])) / len(chance[c.key]) for c in columns if c.key in chance},
        skipped=tuple(sorted({(r.title, r.skip_reason or "") for r in records if r.status == "skipped"})),
        notes=(*verdicts.notes, *_caveats(rows, rules.headline, ran, asked, versions)),
        verdicts=verdicts,
    )  # fmt: skip


def _rows(
    records: list[RunRecord],
    columns: Sequence[Column],
    versions: Mapping[str, str],
    verdicts: Verdicts,
    rules: Rules,
) -> tuple[Row, ...]:
    entries = by_entry(records)
    labels = labels_of(entries)
    lifts = lifts_of(entries, versions, verdicts, rules)
    rows = [
        make_row(labels[key], runs, columns, versions, verdicts, rules, lifts.get(key))
        for key, runs in entries.items()
    ]
    composites = {key: composite_of(runs, [*entries.values()], versions) for key, runs in entries.items()}
    rows = [replace(row, composite=composites[row.entry_id]) for row in rows]

    def position(row: Row) -> tuple[int, bool, bool, str, float, str]:
        mean = row.cells[rules.headline].mean if rules.headline in row.cells else 0.0
        group = row.group if row.standing == "contestant" else GROUP
        return _SHELVES.index(row.standing), bool(row.unranked), group != GROUP, group, -mean, row.label

    places: Counter[str] = Counter()
    ordered = list[Row]()
    for row in sorted(rows, key=position):
        places[row.group] += not row.unranked
        ordered.append(row if row.unranked else replace(row, rank=places[row.group]))
    return tuple(ordered)


def _caveats(
    rows: Sequence[Row],
    headline: str,
    ran: Sequence[RunRecord],
    asked: Sequence[RunRecord],
    versions: Mapping[str, str],
) -> list[str]:
    """List what a reader must know of the numbers of a section besides the verdicts.

    Args:
        rows: of the section.
        headline: key of the column that contestants are judged by.
        ran: its runs.
        asked: the same, with scores of one setting alone.
        versions: newest version of each evaluator.
    """
    notes = [*_unmeasured(rows, headline), *_resolution(rows, asked), *_rarest(rows, asked)]
    if any(row.provisional for row in rows):
        notes.append("¹ provisional: fewer than three seeds, so the spread is unknown or hardly known.")
    agreeing = [cell for row in rows for cell in row.cells.values() if cell.sd == 0 and cell.low != cell.high]
    if agreeing:
        notes.append(
            "Where all seeds of an entry agree, their spread tells nothing: its cell has the 95 % interval of the "
            "test galaxies."
        )
    if any(row.standing == "ceiling" for row in rows):
        notes.append("² uses labels: trained on the classes that it is scored on; not a contestant.")
    notes += [f"³ {row.label}: {row.disclosed}." for row in rows if row.disclosed]
    reading = {f"{r.title} reads {told(r.reads, r.labels)}." for r in asked if r.reads}
    notes += sorted(reading)
    releases = {".".join(r.environment.torch.split(".")[:2]) for r in asked if r.status in SCORED}
    if len(releases) > 1:  # they can move numbers without being what is compared
        notes.append(f"This section mixes torch releases: {', '.join(sorted(releases))}.")
    notes += _not_shown(ran, asked, versions)
    old = sum(record.is_edition_1 for record in asked)
    if old:
        notes.append(
            f"{old} of {len(asked)} runs are of edition 1: recorded before a run's id covered all of its code. "
            "They are shown as they were scored, and no new run reuses them."
        )
    return notes + _warnings(rows, asked)


def _warnings(rows: Sequence[Row], records: Sequence[RunRecord]) -> list[str]:
    """List what runs warned of and why evaluators scored nothing, each with the entries that it is about."""
    labels, said = {run: row.label for row in rows for run in row.runs}, dict[str, list[str]]()
    for record in records:
        missing = (f"{name} not scored: {why}" for name, why in record.not_scored.items())
        for text in (*missing, *record.warnings):
            said.setdefault(text, []).append(labels[record.run_id])
    return [f"{_entries(said[text], len(rows))}: {text}" for text in sorted(said)]


def _entries(labels: Sequence[str], of: int) -> str:
    """Name the entries that something is said of, and in how many runs, one label a run."""
    names = list(dict.fromkeys(labels))
    if len(names) == of and of > 1:
        return "All entries"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    runs = f" ({len(labels)} runs)" if len(labels) > len(names) else ""
    return f"{', '.join(names[:NAMED])}{more}{runs}"


def _unmeasured(rows: Sequence[Row], headline: str) -> list[str]:
    """Tell what to do next where no run has the number that ranks, as without labels."""
    if not any(row.seeds for row in rows) or any(headline in row.cells for row in rows):
        return []
    return [
        f"No {headline} was measured, so nothing is ranked. What a run learnt is seen without labels, too: "
        "`report RUN` puts everything on one page; `map`, `anomalies`, `clusters` and `neighbours` make its parts."
    ]


def _resolution(rows: Sequence[Row], records: Sequence[RunRecord]) -> list[str]:
    """Return the least difference that the test galaxies resolve at the accuracy of the first row, in words."""
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


def _rarest(rows: Sequence[Row], records: Sequence[RunRecord]) -> list[str]:
    """Return how far the test galaxies tell the balanced accuracy of the first row, in words.

    It rests on the rarest class, so its standard error is its own and larger than that of the accuracy.
    """
    row = next((row for row in rows if BALANCED in row.cells), None)
    scores = (s for r in records if row and r.run_id in row.runs for s in r.scores)
    errors = [s.item_se for s in scores if f"{s.evaluator}.{s.metric}" == BALANCED and s.item_se]
    if row is None or not errors:
        return []
    share, error = 100 * row.cells[BALANCED].mean, 100 * sum(sorted(errors)) / len(errors)
    return [
        f"A linear balanced accuracy of {share:.1f} % is within ±{error:.1f} points (standard error): it rests "
        "on the rarest class."
    ]


def _not_shown(
    ran: Sequence[RunRecord], asked: Sequence[RunRecord], versions: Mapping[str, str]
) -> list[str]:
    """Note scores that are in no cell: by another setting than that of most runs, or by an older version."""
    other_settings = [
        f"Scores of {name} by other settings than {setting} are not shown ({count} run{'s' * (count > 1)}); "
        "they stand in board.csv."
        for name, (count, setting) in left_out(ran, versions).items()
    ]
    scores = (score for record in asked for score in record.scores)
    others = Counter(s.evaluator for s in scores if s.evaluator_version != versions[s.evaluator])
    return other_settings + [
        f"{others[name]} scores by another version of {name} than {versions[name]} are not shown; score again."
        for name in sorted(others)
    ]
