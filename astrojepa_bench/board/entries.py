"""The rows of the board: the seeds of one entry, what they say together, and how the row is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from astrojepa_bench.board.columns import ACCURACY, LIFT, RANKING, Column, Versions
from astrojepa_bench.board.statistics import Summary, paired_difference, summarise
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.naming import differing, short
from astrojepa_bench.results.record import SCORED, RunRecord, Standing
from astrojepa_bench.versions import version_text

ENOUGH_SEEDS = 3
SHOWN_DIFFERENCES = 3


@dataclass(frozen=True)
class Row:
    """One entry of a section.

    Attributes:
        label: objective + masker + encoder, each with the options that are not its defaults, and what else
            sets it apart from entries of that name.
        entry_id: hash of its identity without the seed.
        standing: contestants are ranked; floors and ceilings frame them.
        runs: ids of all its runs, by seed.
        seeds: seeds that were trained to the end.
        statuses: how many runs ended how.
        cells: summary over seeds by column key.
        rank: position by `RANKING`, None where not ranked.
        unranked: why it has no rank; empty for ranked entries.
    """

    label: str
    objective: str
    masker: str
    encoder: str
    entry_id: str
    standing: Standing
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    statuses: Mapping[str, int]
    cells: Mapping[str, Summary]
    rank: int | None = None
    unranked: str = ""

    @property
    def provisional(self) -> bool:
        """Whether there are too few seeds to say how far the mean can be trusted."""
        return 0 < len(self.seeds) < ENOUGH_SEEDS

    @property
    def status(self) -> str:
        """Status of the runs: `ok`, or e.g. `collapsed 1/3`."""
        total = sum(self.statuses.values())
        odd = [f"{name} {count}/{total}" for name, count in sorted(self.statuses.items()) if name != "ok"]
        return ", ".join(odd) or "ok"


def by_entry(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    """Gather the seeds of each entry."""
    entries: dict[str, list[RunRecord]] = {}
    for record in records:
        entries.setdefault(record.entry_id, []).append(record)
    return entries


def make_row(
    label: str,
    runs: Sequence[RunRecord],
    columns: Iterable[Column],
    versions: Versions,
    floors: Sequence[Sequence[RunRecord]],
) -> Row:
    """Summarise the runs of one entry.

    Args:
        label: what the row is called.
        runs: its runs, one a seed.
        columns: what to summarise.
        versions: newest version of each evaluator.
        floors: the runs of each floor of the section, for the lift.
    """
    first = runs[0]
    scored = [run for run in runs if run.status in SCORED]
    values = {c.key: [v for run in scored if (v := c.read(run, versions)) is not None] for c in columns}
    cells = {key: summarise(found) for key, found in values.items() if found}
    lift = None if first.standing == "floor" else lift_over_untrained(scored, floors, versions)
    return Row(
        label, first.objective, first.masker, first.encoder, first.entry_id, first.standing,
        runs=tuple(run.run_id for run in runs),
        seeds=tuple(run.seed for run in scored),
        statuses=dict(sorted(Counter(run.status for run in runs).items())),
        cells={**cells, LIFT.key: lift} if lift else cells,
        unranked=_why_unranked(runs, cells),
    )  # fmt: skip


def lift_over_untrained(
    runs: Sequence[RunRecord], floors: Sequence[Sequence[RunRecord]], versions: Versions
) -> Summary | None:
    """Summarise the gain in linear accuracy over the entry's own encoder before training, paired by seed.

    Where several floors use that encoder, the one that shares most seeds counts, then the best one: a lift
    must not be larger because a weak floor was scored too.
    """
    values = _by_seed(runs, versions)
    own = [
        _by_seed(floor, versions)
        for floor in floors
        if runs and _encoder_of(floor[0]) == _encoder_of(runs[0])
    ]
    lifts = [lift for floor in own if (lift := paired_difference(values, floor))]
    return max(lifts, key=lambda lift: (lift.n, -lift.mean), default=None)


def labels_of(entries: Mapping[str, Sequence[RunRecord]]) -> dict[str, str]:
    """Name each entry by its parts and altered options, and entries of one name also by what differs."""
    namesakes: dict[str, list[str]] = {}
    for entry_id, runs in entries.items():
        namesakes.setdefault(runs[0].title, []).append(entry_id)
    labels: dict[str, str] = {}
    for name, ids in namesakes.items():
        labels.update(_told_apart(name, {entry_id: _facts(entries[entry_id][0]) for entry_id in ids}))
    return labels


def _by_seed(runs: Sequence[RunRecord], versions: Versions) -> dict[int, float]:
    found = {run.seed: ACCURACY.read(run, versions) for run in runs if run.status in SCORED}
    return {seed: value for seed, value in found.items() if value is not None}


def _encoder_of(record: RunRecord) -> tuple[str, str]:
    return record.encoder, canonical_json(record.options.get("encoder", {}))


def _why_unranked(runs: Sequence[RunRecord], cells: Mapping[str, Summary]) -> str:
    """Return the reason an entry has no rank, or nothing: a lost seed may have been the worst one."""
    if runs[0].standing != "contestant":
        return runs[0].standing
    lost = [run for run in runs if run.status not in SCORED]
    if lost:
        said = next((run.failure.message for run in lost if run.failure), "")
        kinds = ", ".join(sorted({run.status for run in lost}))
        return f"{len(lost)} of {len(runs)} seeds {kinds}" + (f": {said}" if said else "")
    return "" if RANKING.key in cells else "no linear balanced accuracy was measured"


def _facts(record: RunRecord) -> dict[str, object]:
    """Flatten what can set two entries of one name apart."""
    options = {
        f"{kind}.{name}": value for kind, chosen in record.options.items() for name, value in chosen.items()
    }
    if record.is_edition_1:
        versions = record.identity.get("versions") or {}
        code = {"edition": 1, **{f"{kind} version": version for kind, version in versions.items()}}
    else:
        chains = record.identity["chain"]
        code = {f"{kind} version": version_text(chain) for kind, chain in chains.items()}
    return {**options, **code}


def _told_apart(name: str, facts: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    if len(facts) == 1:
        return dict.fromkeys(facts, name)
    keys = differing(facts.values())
    shown = {entry_id: _differences(fact, keys) for entry_id, fact in facts.items()}
    if len(set(shown.values())) < len(facts):  # the rest of what differs was cut off, or is not recorded
        shown = {entry_id: f"{text} {entry_id[:6]}".strip() for entry_id, text in shown.items()}
    return {entry_id: f"{name} ({text})" for entry_id, text in shown.items()}


def _differences(fact: Mapping[str, object], keys: Sequence[str]) -> str:
    own = [key for key in keys if key in fact]
    return ", ".join(f"{key}={short(fact[key])}" for key in own[:SHOWN_DIFFERENCES])
