"""Fill the slots of claims from the records, and find those that the records do not support."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from astrojepa_bench.board import claim_answers as answers
from astrojepa_bench.board.certificate import SimulatorCertificate, certificates
from astrojepa_bench.board.claim_answers import Found, Slots
from astrojepa_bench.board.claims import Claim, Claims
from astrojepa_bench.board.compare import compared_in, entries_of, newest_of, phrased_levels
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import Evidence, gather, scored, summary_of
from astrojepa_bench.board.families import Entries
from astrojepa_bench.board.named import find_entries, read_name
from astrojepa_bench.board.statistics import POINTS, Summary, summarise
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.verdicts import TrackRecord
from astrojepa_bench.errors import BenchError, ConfigError, DataError
from astrojepa_bench.results.record import SCORED, RunRecord

JUDGED = ("compare", "factor", "lifts", "leads")
"""Kinds of claims that rest on the verdicts of a section in their metric."""
COMPOSITE = "composite"
"""The number of several metrics, as the metric of a claim on one entry."""


@dataclass(frozen=True)
class Checked:
    """A claim with its sentence.

    Attributes:
        claim: what was claimed.
        sentence: with its slots filled; as it stands in the file where they cannot be.
        fault: why the records do not support it; empty where they do.
        settled: the verdict of an open claim, and whom it is of; empty for others, and where nothing is known.
        awaited: whether runs of its place are still to come, by the word of the file.
    """

    claim: Claim
    sentence: str
    fault: str = ""
    settled: str = ""
    awaited: bool = False


class Checker:
    """Checks claims against a board.

    Args:
        board: of the records.
        claims: what is claimed.
        out: the folder of the board, in which files of figures are looked up.
        settled: verdicts of open claims as they were committed, by id; others are at fault.
    """

    def __init__(
        self, board: Board, claims: Claims, out: Path = Path(), settled: Mapping[str, str] | None = None
    ) -> None:
        self.board, self.rules, self.claims = board, board.rules, claims
        self.out, self.settled = out, settled or {}
        self._runs = by_entry(board.records)
        self._entries: dict[int, Entries] = {}
        self._evidence: dict[tuple[int, str, int | None], Evidence | None] = {}

    def checked(self) -> tuple[Checked, ...]:
        """Check all claims, in their order."""
        return tuple(self.check(claim) for claim in self.claims.claims)

    def check(self, claim: Claim) -> Checked:
        """Check one claim."""
        unknown = f"Not known yet ({claim.id})."
        if not all(self.claims.places[on].complete for on in (claim.on, claim.agreement) if on):
            return Checked(claim, unknown, awaited=True)
        try:
            found = self._found(claim)
            sentence = _filled(claim.sentence(found.verdict), found.slots)
            for other in [] if isinstance(claim.says, str) else claim.says.values():
                _filled(other, found.slots)  # the records may choose it one day
        except BenchError as error:
            unsaid = claim.says.strip() if isinstance(claim.says, str) else unknown
            return Checked(claim, unsaid, f"it cannot be checked: {error}")
        fault = _fault(claim, found, self.settled.get(claim.id, found.settled))
        return Checked(claim, sentence, fault, found.settled if claim.is_open else "")

    def section(self, on: str) -> Section:
        """Find the section of a place.

        Raises:
            ConfigError: none is such, or several are.
        """
        place = self.claims.places[on]
        facts = {name: getattr(place, name) for name in ("budget", "effort", "device_class", "precision")}
        found = [
            section
            for section in self.board.sections
            if section.fingerprint.startswith(place.fingerprint)
            and all(getattr(section, name) == value for name, value in facts.items() if value)
        ]
        if len(found) != 1:
            raise ConfigError(f"place '{on}' means {len(found)} sections; expected one")
        return found[0]

    def entry(self, section: Section, text: str) -> str:
        """Find the one entry of a section that a name means.

        Raises:
            ConfigError: there is none, or there are several.
        """
        entries = self._entries_of(section)
        found = find_entries(entries, read_name(text))
        if len(found) != 1:
            titles = ", ".join(sorted(entries[entry][0].title for entry in found)) or "none"
            raise ConfigError(f"'{text}' means {len(found)} entries ({titles}); name one, with its encoder")
        return found[0]

    def summary(self, section: Section, entry: str, metric: str) -> Summary | None:
        """Summarise an entry in a metric, shown on the board or not; None where it has no such score."""
        entries = self._entries_of(section)
        found = scored(entries[entry], newest_of(entries), metric)
        return summary_of([score for _, score in found]) if found else None

    def _found(self, claim: Claim) -> Found:
        """Ask the records what they say of a claim."""
        if claim.figure is not None:
            return answers.figure(self.out, claim.figure)
        if claim.kind == "forecasts":
            judged = self.section(claim.on).verdicts if claim.on else self.board
            return answers.forecasts(judged.track_record if judged else TrackRecord())
        section, metric = self.section(claim.on), claim.metric or self.rules.headline
        if claim.kind in JUDGED:
            return self._judged(claim, section, self._evidence_of(section, metric, claim.seeds))
        return self._told(claim, section, metric)

    def _told(self, claim: Claim, section: Section, metric: str) -> Found:
        """Read off what needs no evidence of its own."""
        if claim.collapsed is not None:
            return answers.collapses(self._runs_named(section, claim.collapsed))
        if claim.cost is not None:
            first, second = (self._runs_named(section, name) for name in claim.cost)
            return answers.cost(first, second)
        if claim.rank is not None:
            return answers.rank(section, self.entry(section, claim.rank))
        if claim.agreement is not None:
            return answers.agrees(self.certified, section, self.section(claim.agreement), metric)
        assert claim.entry is not None
        return self._value(section, self.entry(section, claim.entry), metric)

    def _judged(self, claim: Claim, section: Section, evidence: Evidence) -> Found:
        """Judge by all runs of a section in a metric."""
        margin = POINTS * evidence.margin
        if claim.lifts is not None:
            return answers.lifts(section, evidence, self.rules, claim.lifts)
        if claim.leads is not None:
            return answers.leads(section, evidence, claim.leads)
        if claim.compare is not None:
            a, b = (self.entry(section, text) for text in claim.compare)
            comparison = evidence.compare(a, b)
            found = compared_in(section, evidence, comparison)
            return answers.difference(found, answers.paired(evidence, comparison), margin)
        assert claim.factor is not None
        effect, found = phrased_levels(section, evidence, self.rules, *claim.factor)
        return answers.difference(found, answers.averaged(effect, self.rules.alpha), margin)

    def _runs_named(self, section: Section, name: str) -> Sequence[RunRecord]:
        return self._entries_of(section)[self.entry(section, name)]

    def _value(self, section: Section, entry: str, metric: str) -> Found:
        """Summarise one entry in a metric, or in a column of the board that is none."""
        row = next(row for row in section.rows if row.entry_id == entry)
        if metric == COMPOSITE:
            return answers.composite(row)
        entries = self._entries_of(section)
        column = next((column for column in section.columns if column.key == metric), None)
        if column is not None and column.place in ("cost", "health"):
            read = (column.read(run, {}) for run in entries[entry] if run.status in SCORED)
            values = [number for number in read if number is not None]
            told = summarise(values) if values else None
        else:
            told = self.summary(section, entry, metric)
        if told is None:
            raise DataError(f"{row.label} has no score {metric}; score its runs with that evaluator")
        ranks = section.verdicts.ranks.get(entry) if section.verdicts else None
        return answers.value(section, metric, told, ranks)

    @cached_property
    def certified(self) -> Sequence[SimulatorCertificate]:
        """How simulated galaxies order contestants, computed once for all claims."""
        return certificates(self.board)

    def _entries_of(self, section: Section) -> Entries:
        """Gather the entries of a section, once for all claims on it."""
        if id(section) not in self._entries:
            self._entries[id(section)] = entries_of(section, self._runs)
        return self._entries[id(section)]

    def _evidence_of(self, section: Section, metric: str, seeds: int | None) -> Evidence:
        """Gather what a section says of a metric, once for all claims on both.

        Args:
            section: the section.
            metric: `evaluator.metric`.
            seeds: of each entry only so many count, the first ones; None: all.

        Raises:
            DataError: nothing tells a difference from chance.
        """
        key = id(section), metric, seeds
        if key not in self._evidence:
            entries = self._entries_of(section)
            few = {entry: sorted(runs, key=lambda run: run.seed)[:seeds] for entry, runs in entries.items()}
            self._evidence[key] = gather(few if seeds else entries, newest_of(entries), self.rules, metric)
        evidence = self._evidence[key]
        if evidence is None:
            raise DataError(f"nothing tells a difference in {metric} from chance; run more seeds")
        return evidence


def _filled(says: str, slots: Slots) -> str:
    """Fill the slots of a sentence.

    Raises:
        ConfigError: it has a slot that its kind of claim has not.
    """
    for _, name, _, _ in string.Formatter().parse(says):
        if name is not None and name not in slots:
            raise ConfigError(f"it has the slot {{{name}}}; this kind of claim has {', '.join(slots)}")
    return says.format_map(slots).strip()


def _fault(claim: Claim, found: Found, settled: str) -> str:
    """Return what the records contradict, or nothing."""
    digits = 2 if claim.kind in ("agreement", "cost") else 1
    interval = f"[{found.low:+.{digits}f}, {found.high:+.{digits}f}]"
    if claim.is_open and found.settled != settled:
        return f"it was settled as '{settled}', the records say '{found.settled}' ({interval})"
    if claim.asserts is not None and found.verdict != claim.asserts:
        return f"it asserts '{claim.asserts}', the records say '{found.verdict}' ({interval})"
    if claim.at_least is not None and found.low < claim.at_least:
        return f"it asserts at least {claim.at_least:g}, the records say {found.low:.{digits}f}"
    if claim.at_most is not None and found.high > claim.at_most:
        return f"it asserts at most {claim.at_most:g}, the records say {found.high:.{digits}f}"
    least, most, effect = claim.effect_at_least, claim.effect_at_most, found.effect
    if effect is not None and least is not None and effect < least:
        return f"it asserts an effect of at least {least:g}, the records say {effect:.2f}"
    if effect is not None and most is not None and effect > most:
        return f"it asserts an effect of at most {most:g}, the records say {effect:.2f}"
    return ""
