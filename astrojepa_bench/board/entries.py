"""The rows of the board: the seeds of one entry, what they say together, and how the row is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from astrojepa_bench.board.columns import ACCURACY, LIFT, Column, Versions
from astrojepa_bench.board.composite import Composite
from astrojepa_bench.board.evidence import scored, summary_of
from astrojepa_bench.board.families import Entries, group_of, own_floor
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.statistics import Summary, summarise
from astrojepa_bench.board.verdicts import Verdicts
from astrojepa_bench.results.naming import differing, short
from astrojepa_bench.results.record import SCORED, RunRecord, Standing
from astrojepa_bench.versions import version_text

ENOUGH_SEEDS = 3
SHOWN_DIFFERENCES = 3
TOLD = ("labels", "columns", "mirror_safe", "world_size")  # of an identity, beside options and code


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
        rank: position by the headline within its group, None where not ranked.
        unranked: why it has no rank; empty for ranked entries.
        ranks: first and last rank that it may hold; None where nothing can be said of it.
        letters: of its ties: it shares one with each entry that is neither better nor worse.
        group: which contestants it is ranked among.
        composite: how far it is on the way from its untrained encoder to one with labels, where that can be said.
        disclosed: what the weights that it started from had seen of the test galaxies, where somebody says so.
        seedless: whether another seed would give the same features: nothing was trained, and no weight was drawn.
            Scores may still follow the seed, where an evaluator draws by it (starts of k-means, of a fit).
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
    ranks: tuple[int, int] | None = None
    letters: str = ""
    group: str = ""
    composite: Composite | None = None
    disclosed: str = ""
    seedless: bool = False

    @property
    def provisional(self) -> bool:
        """Whether there are too few seeds to say how far the mean can be trusted."""
        return not self.seedless and 0 < len(self.seeds) < ENOUGH_SEEDS

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
    verdicts: Verdicts,
    rules: Rules,
    lift: Summary | None,
) -> Row:
    """Summarise the runs of one entry.

    Args:
        label: what the row is called.
        runs: its runs, one a seed.
        columns: what to summarise; the headline is summarised in any case.
        versions: newest version of each evaluator.
        verdicts: on the section.
        rules: of the suite.
        lift: over its own encoder before training.
    """
    first = runs[0]
    trained = [run for run in runs if run.status in SCORED]
    counted = {
        c.key: [value for run in trained if (value := c.read(run, versions)) is not None]
        for c in columns
        if c.place != "scores"
    }
    measured = {c.key: scored(trained, versions, c.key) for c in columns if c.place == "scores"}
    measured[rules.headline] = scored(trained, versions, rules.headline)
    cells = {key: summarise(found) for key, found in counted.items() if found}
    cells |= {key: summary_of([score for _, score in found]) for key, found in measured.items() if found}
    if lift is not None:
        cells[LIFT.key] = lift
    return Row(
        label, first.objective, first.masker, first.encoder, first.entry_id, first.standing,
        runs=tuple(run.run_id for run in runs),
        seeds=tuple(run.seed for run in trained),
        statuses=dict(sorted(Counter(run.status for run in runs).items())),
        cells=cells,
        unranked=_why_unranked(runs, rules.headline in cells, rules.headline),
        ranks=verdicts.ranks.get(first.entry_id),
        letters=verdicts.letters.get(first.entry_id, ""),
        group=group_of(first, rules),
        disclosed=_disclosure([run for run in trained if run.disclosed is not None]),
        seedless=bool(trained) and all(map(_is_seedless, trained)),
    )  # fmt: skip


def was_trained(run: RunRecord) -> bool:
    """Whether a run has pretrained anything itself."""
    return run.training.steps > 0 or bool(run.cost.train_seconds)


def _is_seedless(run: RunRecord) -> bool:
    """Whether no feature of a run follows from its seed: its encoder has no weights, or has them from elsewhere.

    What nobody trains and is no floor has its weights from a file; a floor with weights has them from its seed.
    """
    return not was_trained(run) and (run.cost.parameters == 0 or run.standing == "contestant")


def _disclosure(runs: Sequence[RunRecord]) -> str:
    """Write how many test galaxies the weights had seen, and what the rest alone gives."""
    if not runs:
        return ""
    told: Mapping[str, Any] = runs[0].disclosed or {}
    seen, galaxies = (told.get(name, {}).get("test", 0) for name in ("seen", "galaxies"))
    shares = [share for run in runs if (share := run.share_unseen(ACCURACY.key)) is not None]
    without = f"; {ACCURACY.number(fmean(shares))} % linear accuracy without them" if seen and shares else ""
    return f"disclosed: {seen} of {galaxies} test galaxies seen in pretraining{without}"


def lifts_of(entries: Entries, versions: Versions, verdicts: Verdicts, rules: Rules) -> dict[str, Summary]:
    """Summarise the gain of each entry over its own encoder before training, by entry id.

    The interval holds for all lifts of the family at once. Where nothing could be judged there is none.
    """
    found = {entry: scored(runs, versions, rules.headline) for entry, runs in entries.items()}
    means = {entry: fmean(score.value for _, score in runs) for entry, runs in found.items() if runs}
    lifts: dict[str, Summary] = {}
    for entry in means:
        floor = own_floor(entries[entry][0], entries, means)
        if entry in verdicts.lifts:
            told = verdicts.lifts[entry].difference
            lifts[entry] = Summary(
                len(found[entry]), told.difference, None, told.low_family, told.high_family
            )
        elif floor is not None and entries[entry][0].standing != "floor":
            lifts[entry] = Summary(len(found[entry]), means[entry] - means[floor])
    return lifts


def labels_of(entries: Mapping[str, Sequence[RunRecord]]) -> dict[str, str]:
    """Name each entry by its parts and altered options, and entries of one name also by what differs."""
    namesakes: dict[str, list[str]] = {}
    for entry_id, runs in entries.items():
        namesakes.setdefault(runs[0].title, []).append(entry_id)
    labels: dict[str, str] = {}
    for name, ids in namesakes.items():
        if len(ids) == 1:
            labels[ids[0]] = name
            continue
        facts = {entry_id: _facts(entries[entry_id][0]) for entry_id in ids}
        keys = differing(facts.values())
        shown = {entry_id: _differences(fact, keys) for entry_id, fact in facts.items()}
        if len(set(shown.values())) < len(facts):  # the rest of what differs was cut off, or is not recorded
            shown = {entry_id: f"{text} {entry_id[:6]}".strip() for entry_id, text in shown.items()}
        labels |= {entry_id: f"{name} ({text})" for entry_id, text in shown.items()}
    return labels


def _why_unranked(runs: Sequence[RunRecord], is_measured: bool, headline: str) -> str:
    """Return the reason an entry has no rank, or nothing: a lost seed may have been the worst one."""
    if runs[0].standing != "contestant":
        return runs[0].standing
    lost = [run for run in runs if run.status not in SCORED]
    if lost:
        said = next((run.failure.message for run in lost if run.failure), "")
        kinds = ", ".join(sorted({run.status for run in lost}))
        return f"{len(lost)} of {len(runs)} seeds {kinds}" + (f": {said}" if said else "")
    return "" if is_measured else f"no {headline} was measured"


def _facts(record: RunRecord) -> dict[str, object]:
    """Flatten what can set two entries of one name apart: options, what they were told, code."""
    options = {
        f"{kind}.{name}": value for kind, chosen in record.options.items() for name, value in chosen.items()
    }
    if record.is_edition_1:
        versions = record.identity.get("versions") or {}
        code = {"edition": 1, **{f"{kind} version": version for kind, version in versions.items()}}
    else:
        chains = record.identity["chain"]
        code = {f"{kind} version": version_text(chain) for kind, chain in chains.items()}
    told = {name: record.identity[name] for name in TOLD if record.identity.get(name) is not None}
    return {**told, **options, **code}


def _differences(fact: Mapping[str, object], keys: Sequence[str]) -> str:
    own = [key for key in keys if key in fact]
    return ", ".join(f"{key}={short(fact[key])}" for key in own[:SHOWN_DIFFERENCES])
