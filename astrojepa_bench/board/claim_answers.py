"""What the records say of each kind of claim: the numbers for its slots, what its bounds are about, the verdict."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from astrojepa_bench.board.certificate import SimulatorCertificate
from astrojepa_bench.board.claims import Figure
from astrojepa_bench.board.columns import mean_cost
from astrojepa_bench.board.compare import ALIKE, Compared
from astrojepa_bench.board.entries import Row
from astrojepa_bench.board.evidence import Evidence
from astrojepa_bench.board.families import group_of
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.statistics import CONFIDENCE, POINTS, Summary
from astrojepa_bench.board.table import Section
from astrojepa_bench.board.text import headline_of, interaction_text, short_label
from astrojepa_bench.board.verdicts import EXPLORATORY, Comparison, FactorEffect, TrackRecord
from astrojepa_bench.data.given import read_at_most
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results.record import SCORED, RunRecord

Slots: TypeAlias = Mapping[str, str]
NONE = "–"
LARGEST_FIGURES = 1 << 24
"""Bytes of a file that a number is read from."""
TERA = 1e-12


@dataclass(frozen=True)
class Found:
    """What the records say of a claim.

    Attributes:
        slots: for its sentence.
        low, high: of what its bounds are about.
        verdict: empty where there can be none.
        who: the entries that the verdict is of, where it is of several; of an exploratory pair the side of 0.
        effect: of a difference, itself; None for others.
    """

    slots: Slots
    low: float
    high: float
    verdict: str = ""
    who: str = ""
    effect: float | None = None

    @property
    def settled(self) -> str:
        """The verdict, and whom it is of."""
        return f"{self.verdict}: {self.who}" if self.who else self.verdict


def difference(found: Compared, more: Slots, margin: float = 0.0) -> Found:
    """Answer with a difference of two entries, or of two levels of a factor.

    Args:
        found: the difference.
        more: slots of its own.
        margin: of equivalence, in points.
    """
    reach = max(abs(found.low), abs(found.high))
    slots = {
        "effect": f"{found.effect:+.1f}", "size": f"{abs(found.effect):.1f}",
        "low": f"{found.low:+.1f}", "high": f"{found.high:+.1f}",
        "half": f"{(found.high - found.low) / 2:.1f}", "reach": f"{reach:.1f}", "margin": f"{margin:g}",
        **more,
    }  # fmt: skip
    side = _side(found) if found.verdict == EXPLORATORY else ""
    return Found(slots, found.low, found.high, found.verdict, side, found.effect)


def paired(evidence: Evidence, found: Comparison) -> Slots:
    """Fill the slots of two entries: their seeds, and what would decide an undecided pair."""
    a, b = (evidence.scores[entry].n for entry in (found.a, found.b))
    seeds = f"{a} seeds of each" if a == b else f"{a} and {b} seeds"
    known = found.needed.in_words() if found.needed else "nothing that these records tell of would decide"
    return {"seeds": seeds, "needs": known if found.verdict == "undecided" else NONE}


def averaged(effect: FactorEffect, alpha: float) -> Slots:
    """Fill the slots of an average over blocks, and say where such averages hide that blocks differ."""
    told = f" {interaction_text(effect)}" if effect.hides_differences(alpha) else ""
    return {"blocks": ", ".join(effect.blocks), "count": str(len(effect.blocks)), "interaction": told}


def _side(found: Compared) -> str:
    """Return the side of 0 on which an interval lies: where no family gives a verdict, a claim holds by that."""
    return "above" if found.low > 0 else "below" if found.high < 0 else "open"


def value(section: Section, metric: str, summary: Summary, ranks: tuple[int, int] | None) -> Found:
    """Answer with the mean of an entry, in the unit of the board's column.

    Args:
        section: in which it stands.
        metric: `evaluator.metric`, or the key of another column.
        summary: over its seeds.
        ranks: first and last that it may hold.
    """
    scale = next((column.scale for column in section.columns if column.key == metric), POINTS)
    first, last = ranks or (NONE, NONE)
    slots = {
        "value": f"{scale * summary.mean:.1f}",
        "sd": NONE if summary.sd is None else f"{scale * summary.sd:.1f}",
        "low": NONE if summary.low is None else f"{scale * summary.low:.1f}",
        "high": NONE if summary.high is None else f"{scale * summary.high:.1f}",
        "seeds": str(summary.n), "first": str(first), "last": str(last),
    }  # fmt: skip
    return Found(slots, scale * summary.mean, scale * summary.mean)


def composite(row: Row) -> Found:
    """Answer with how far an entry is on the way from untrained to labels, which decides nothing.

    Raises:
        DataError: nothing can be said of it.
    """
    if row.composite is None:
        raise DataError(f"{row.label} has no composite: it needs a floor and a ceiling of its encoder")
    low, high = POINTS * row.composite.low, POINTS * row.composite.high
    slots = {"value": f"{POINTS * row.composite.value:.0f}", "low": f"{low:.0f}", "high": f"{high:.0f}"}
    return Found({**slots, "seeds": str(row.composite.seeds)}, low, high)


def collapses(runs: Sequence[RunRecord]) -> Found:
    """Answer with how many runs of an entry collapsed.

    Raises:
        DataError: a run was lost, and might have.
    """
    lost = next((run for run in runs if run.status not in SCORED), None)
    if lost is not None:
        raise DataError(
            f"{lost.title}, seed {lost.seed}, ended as '{lost.status}': whether it would have collapsed is not "
            "known; run that seed again"
        )
    count = [run.status for run in runs].count("collapsed")
    verdict = "none" if not count else "all" if count == len(runs) else "some"
    return Found({"collapsed": str(count), "runs": str(len(runs))}, count, count, verdict)


def cost(first: Sequence[RunRecord], second: Sequence[RunRecord]) -> Found:
    """Answer with what training one entry took against another, in operations.

    Raises:
        DataError: one was not trained, or its operations were not counted.
    """
    spent = [mean_cost(runs, "flops") or 0.0 for runs in (first, second)]
    unknown = [runs[0].title for runs, flops in zip((first, second), spent, strict=True) if not flops]
    if unknown:
        raise DataError(f"the operations that {unknown[0]} took are not known; name one that was trained")
    ratio = spent[0] / spent[1]
    verdict = "equal" if abs(ratio - 1) < ALIKE else "dearer" if ratio > 1 else "cheaper"
    tera = [f"{TERA * flops:.3g}" for flops in spent]
    return Found({"ratio": f"{ratio:.2g}", "first": tera[0], "second": tera[1]}, ratio, ratio, verdict)


def lifts(section: Section, evidence: Evidence, rules: Rules, group: str) -> Found:
    """Answer with which contestants of a group are better and worse than their own encoder before training.

    Raises:
        DataError: no contestant of the group stands beside its untrained encoder.
    """
    members = [entry for entry in evidence.ranked if group_of(evidence.entries[entry][0], rules) == group]
    found = {entry: lift for entry in members if (lift := evidence.lift(entry)) is not None}
    if not found:
        raise DataError(f"no contestant of group '{group}' has a lift in {evidence.metric}")
    sides = {verdict: [e for e, lift in found.items() if lift.verdict == verdict] for verdict in _LIFTED}
    decided = [verdict for verdict in ("better", "worse") if sides[verdict]]
    verdict = "both" if len(decided) == 2 else decided[0] if decided else "undecided"
    told = [entry for side in decided for entry in sides[side]] or list(found)
    sizes = {entry: abs(found[entry].difference.difference) for entry in told}
    most = [entry for entry, size in sizes.items() if math.isclose(size, max(sizes.values()))]
    rows = {row.entry_id: row for row in section.rows}
    names = {side: named(section, (rows[entry] for entry in entries)) for side, entries in sides.items()}
    slots = {
        **names, **{f"{side}_count": str(len(entries)) for side, entries in sides.items()},
        "count": str(len(found)), "most": named(section, (rows[entry] for entry in most)),
        **_interval(found[most[0]]),
    }  # fmt: skip
    low, high = (end(lift.difference.difference for lift in found.values()) for end in (min, max))
    who = "; ".join(f"{side} {names[side]}" for side in decided)
    return Found(slots, POINTS * low, POINTS * high, verdict, who)


_LIFTED = ("better", "worse", "equivalent", "undecided")


def _interval(found: Comparison) -> Slots:
    """Write an effect in points, with the interval of its family."""
    effect, low, high = (
        POINTS * number
        for number in (found.difference.difference, found.difference.low_family, found.difference.high_family)
    )
    return {
        "effect": f"{effect:+.1f}",
        "size": f"{abs(effect):.1f}",
        "low": f"{low:+.1f}",
        "high": f"{high:+.1f}",
    }


def leads(section: Section, evidence: Evidence, group: str) -> Found:
    """Answer with which contestants of a group may hold its first rank.

    The best mean has its interval for other seeds and other test galaxies; all that share it are named.

    Raises:
        DataError: none is ranked.
    """
    ranked = [row for row in section.rows if row.ranks is not None and row.group == group]
    if not ranked:
        raise DataError(f"no contestant of group '{group}' is ranked here; run at least two seeds")
    first, headline = [row for row in ranked if row.ranks and row.ranks[0] == 1], headline_of(section)
    low, high = evidence.interval(ranked[0].entry_id)
    means = {row.entry_id: evidence.scores[row.entry_id].mean for row in ranked}
    top = means[ranked[0].entry_id]
    best = [row for row in ranked if math.isclose(means[row.entry_id], top)]
    slots = {
        "leaders": named(section, first), "count": str(len(first)), "of": str(len(ranked)),
        "best": named(section, best),
        "value": headline.number(top),
        "low": headline.number(low), "high": headline.number(high),
    }  # fmt: skip
    verdict = "one" if len(first) == 1 else "several"
    return Found(slots, len(first), len(first), verdict, named(section, first))


def rank(section: Section, entry: str) -> Found:
    """Answer with the place of an entry's mean in its group, and the ranks that it may hold.

    Raises:
        DataError: it is not ranked.
    """
    row = next(row for row in section.rows if row.entry_id == entry)
    if row.ranks is None or row.rank is None:
        raise DataError(f"{row.label} is not ranked here; run at least two seeds of a contestant")
    first, last = row.ranks
    verdict = "behind" if first > 1 else "first" if last == 1 else "leading"
    of = sum(other.ranks is not None and other.group == row.group for other in section.rows)
    slots = {"place": str(row.rank), "first": str(first), "last": str(last), "of": str(of)}
    return Found(slots, first, last, verdict)


def named(section: Section, rows: Iterable[Row]) -> str:
    """Name entries by objective, the maskers of each gathered, in the order of the alphabet: `a` (b, c), `d`.

    An encoder is named where it is not the usual one of the section, and options where they tell entries apart.
    """
    maskers: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row.label):
        objective, _, rest = short_label(section, row).partition(" + ")
        maskers.setdefault(objective, []).append(rest)
    told = [
        f"`{objective}`" + (f" ({', '.join(found)})" if found != ["none"] else "")
        for objective, found in maskers.items()
    ]
    return ", ".join(told) or "none"


def agrees(found: Iterable[SimulatorCertificate], here: Section, there: Section, metric: str) -> Found:
    """Answer with how simulated galaxies order contestants in a metric, against real ones, whatever the objectives.

    Raises:
        DataError: too few contestants stand on both.
    """
    for each in found:
        fits = (each.simulated_fingerprint, each.real_fingerprint, each.budget, each.effort) == (
            here.fingerprint, there.fingerprint, here.budget, here.effort
        )  # fmt: skip
        line = next((line for line in each.lines if line.metric == metric), None) if fits else None
        if line is not None:
            low, high = line.objectives
            slots = {"rho": f"{line.found.rho:.2f}", "low": f"{low:.2f}", "high": f"{high:.2f}"}
            verdict = "alike" if low > 0 else "opposite" if high < 0 else "undecided"
            return Found({**slots, "entries": str(line.found.n)}, low, high, verdict)
    raise DataError(f"too few contestants have {metric} both on {here.title} and on {there.title}")


def forecasts(record: TrackRecord) -> Found:
    """Answer with how the board's own forecasts came out.

    They are kept where 95 % is within the interval of the share that came true (`TrackRecord.interval`).

    Raises:
        DataError: there is none yet.
    """
    count, inside = record.forecasts, record.inside
    if not count:
        raise DataError("no forecast was made: no entry has more than three seeds")
    low, high = record.interval()
    verdict = "kept" if low <= CONFIDENCE <= high else "missed" if high < CONFIDENCE else "wide"
    slots = {
        "forecasts": str(count), "inside": str(inside), "entries": str(len(record.by_entry)),
        "share": f"{100 * inside / count:.0f}",
    }  # fmt: skip
    return Found(slots, count, count, verdict)


def figure(out: Path, asked: Figure) -> Found:
    """Answer with a number of a committed JSON file.

    Raises:
        ConfigError: the file has no such number.
        DataError: it cannot be read.
    """
    path = out / asked.file
    text = read_at_most(path, LARGEST_FIGURES)
    try:
        table = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}; write it anew") from None
    mean = _number(table, asked.value, path)
    low, high = (_number(table, name, path) if name else mean for name in (asked.low, asked.high))
    return Found({"value": f"{mean:.1f}", "low": f"{low:.1f}", "high": f"{high:.1f}"}, low, high)


def _number(table: object, name: str, path: Path) -> float:
    """Follow keys and places to a number."""
    found: Any = table
    for key in name.split("."):
        if isinstance(found, list):
            found = found[int(key)] if key.isdecimal() and int(key) < len(found) else None
        else:
            found = found.get(key) if isinstance(found, Mapping) else None
    try:
        number = float(found)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{path} holds no number '{name}', but {found!r}; name where it stands")
    return number
