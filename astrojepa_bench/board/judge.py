"""Judge the entries of a section: verdicts on pairs, rank ranges, tie letters, effects of factors, track record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from astrojepa_bench.board.columns import Versions, newest_versions, of_one_setting
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import Evidence, gather
from astrojepa_bench.board.factors import factor_effects
from astrojepa_bench.board.families import Entries, group_of
from astrojepa_bench.board.inference import Difference, rank_ranges, tie_letters
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.track import track_record
from astrojepa_bench.board.verdicts import Comparison, FactorEffect, TrackRecord, Verdicts
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import RunRecord

SHARED = ("budget", "pretraining", "protocol", "precision", "device_class")
"""What sections share that are averaged over their galaxies."""


def judge(entries: Entries, versions: Versions, rules: Rules) -> Verdicts:
    """Judge the entries of one section, as far as their seeds and test galaxies allow.

    Args:
        entries: the runs of each entry, floors and ceilings among them, by id.
        versions: newest version of each evaluator; scores by others are left out.
        rules: of the suite.
    """
    evidence = gather(entries, versions, rules, rules.headline)
    if evidence is None:
        what = f"no contestant or ceiling has two seeds that differ in {rules.headline}"
        note = f"Nothing is judged: {what}; run more."
        return Verdicts(rules.headline, {}, {}, {}, (), (), TrackRecord(), (note,) if entries else ())
    ranks, letters = _places(evidence, rules)
    track = track_record(entries, versions, rules)
    lifts = {entry: lift for entry in entries if (lift := evidence.lift(entry))}
    notes = _notes(evidence)
    if track.forecasts:
        notes.append(
            f"{track.inside} of {track.forecasts} later seeds fell inside the 95 % interval that was forecast for "
            "them from the first three of their entry."
        )
    return Verdicts(
        rules.headline, ranks, letters, lifts, evidence.comparisons,
        factor_effects([("", evidence)], rules),
        track,
        tuple(notes),
    )  # fmt: skip


def effects_across(
    sections: Sequence[tuple[str, Sequence[RunRecord]]], rules: Rules
) -> tuple[FactorEffect, ...]:
    """Compute what maskers and objectives do on average over data sets.

    Sections are averaged where they differ in their galaxies alone; of several such groups the largest counts.

    Args:
        sections: the title of the galaxies and the records of each section.
        rules: of the suite.
    """
    groups: dict[str, list[tuple[str, Sequence[RunRecord]]]] = {}
    for title, records in sections:
        for first in records[:1]:
            shared = canonical_json({key: first.identity.get(key) for key in SHARED})
            groups.setdefault(shared, []).append((title, records))
    found = []
    for _, group in sorted(groups.items()):
        gathered = ((title, evidence_of(records, rules)) for title, records in group if len(group) > 1)
        told = [(title, evidence) for title, evidence in gathered if evidence is not None]
        found.append(factor_effects(told, rules) if len(told) > 1 else ())
    return max(found, key=lambda effects: sum(len(each.blocks) for each in effects), default=())


def evidence_of(records: Sequence[RunRecord], rules: Rules, metric: str | None = None) -> Evidence | None:
    """Gather what the records of a section say of a metric, the headline unless another is named.

    Scores by older evaluators and by other settings than the usual ones are left out, as on the board.

    Args:
        records: of one section, in the order of the board.
        rules: of the suite.
        metric: `evaluator.metric`.

    Returns:
        The evidence; None where no contestant or ceiling has two seeds that differ.
    """
    entries, versions = comparable_entries(records)
    return gather(entries, versions, rules, metric or rules.headline)


def comparable_entries(records: Sequence[RunRecord]) -> tuple[Entries, Versions]:
    """Gather the runs of each entry of a section, without scores by other settings of an evaluator than the usual.

    Returns:
        The runs of each entry, by id; and the newest version of each evaluator.
    """
    ran = [record for record in records if record.status != "skipped"]
    versions = newest_versions(ran)
    return by_entry(of_one_setting(ran, versions)), versions


def compare_entries(
    entries: Entries, versions: Versions, rules: Rules, a: str, b: str, metric: str | None = None
) -> Comparison:
    """Compare any two entries of a section in any metric; exploratory where no family holds the pair.

    To compare many, `gather` the evidence once and ask `Evidence.compare`.

    Args:
        entries: the runs of each entry of the section, by id: they tell the spread in common.
        versions: newest version of each evaluator.
        rules: of the suite.
        a: the id of one entry.
        b: that of the other.
        metric: `evaluator.metric`; the headline unless named.

    Raises:
        DataError: one of them has no such score, or no entry of the section has two seeds that differ in it.
    """
    wanted = metric or rules.headline
    evidence = gather(entries, versions, rules, wanted)
    if evidence is None:
        raise DataError(
            f"no contestant or ceiling of this section has two seeds that differ in {wanted}, so nothing tells a "
            "difference from chance; run more seeds"
        )
    return evidence.compare(a, b)


def _places(evidence: Evidence, rules: Rules) -> tuple[dict[str, tuple[int, int]], dict[str, str]]:
    """Compute rank ranges and tie letters within each group, from the family of all pairs."""
    every = [each for family, found in evidence.judged if family.name == "all" for each in found]
    groups: dict[str, list[str]] = {}
    for entry in evidence.ranked:
        groups.setdefault(group_of(evidence.entries[entry][0], rules), []).append(entry)
    ranks: dict[str, tuple[int, int]] = {}
    letters: dict[str, str] = {}
    if "all" in rules.families:
        for members in groups.values():
            own = [each for each in every if each.a in set(members)]
            ranks |= rank_ranges(members, own)
            letters |= tie_letters(members, own)
    return ranks, letters


def _notes(evidence: Evidence) -> list[str]:
    lacking = sum(evidence.preferences.is_borrowed([entry]) for entry in evidence.scores)
    found = []
    if lacking and evidence.preferences.galaxies:
        found.append(
            "The test galaxies' own part of the errors is borrowed from the suite's constants for "
            f"{lacking} of {len(evidence.scores)} entries: their records do not hold which galaxies were right."
        )
    every = next((diffs for family, diffs in evidence.judged if family.name == "all"), ())
    return found + _unreachable(evidence, every)


def _unreachable(evidence: Evidence, differences: Sequence[Difference]) -> list[str]:
    """Note that the test set is too small for equivalence, where no number of seeds reaches the margin."""
    if not differences or not evidence.preferences.galaxies:
        return []
    parts = [evidence.preferences.between(each.a, each.b).part for each in differences]
    reach = float(norm.ppf(1 - evidence.alpha / len(differences))) * float(np.median(parts)) ** 0.5
    if reach < evidence.margin:
        return []
    return [
        f"No number of seeds makes most pairs equivalent here: {evidence.preferences.galaxies} test galaxies leave "
        f"±{100 * reach:.1f} points, and the margin is {100 * evidence.margin:g}."
    ]
