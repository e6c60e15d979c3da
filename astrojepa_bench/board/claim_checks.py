"""Fill the slots of claims from the records, and find those that the records do not support."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, stdev

from astrojepa_bench.board.claims import Claim, Claims
from astrojepa_bench.board.columns import Column, newest_versions
from astrojepa_bench.board.compare import POINTS, Compared, compared_in, entries_of, newest_of, phrased_levels
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import Evidence, gather, scored
from astrojepa_bench.board.families import Entries
from astrojepa_bench.board.named import find_entries, read_name
from astrojepa_bench.board.statistics import Summary, summarise
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.errors import BenchError, ConfigError, DataError
from astrojepa_bench.results.record import SCORED

Slots = Mapping[str, str]


@dataclass(frozen=True)
class Checked:
    """A claim with its sentence.

    Attributes:
        claim: what was claimed.
        sentence: with its slots filled; as it stands in the file where they cannot be.
        fault: why the records do not support it; empty where they do.
    """

    claim: Claim
    sentence: str
    fault: str = ""


@dataclass(frozen=True)
class Found:
    """What the records say of a claim.

    Attributes:
        slots: for its sentence.
        low, high: of what its bounds are about.
        verdict: of a comparison or a factor; empty for others.
        effect: the difference itself; None for others.
    """

    slots: Slots
    low: float
    high: float
    verdict: str = ""
    effect: float | None = None


class Checker:
    """Checks claims against a board.

    Args:
        board: of the records.
        claims: what is claimed.
    """

    def __init__(self, board: Board, claims: Claims) -> None:
        self.board, self.rules, self.claims = board, board.rules, claims
        self._runs = by_entry(board.records)
        self._entries: dict[int, Entries] = {}
        self._evidence: dict[tuple[int, str], Evidence | None] = {}

    def checked(self) -> tuple[Checked, ...]:
        """Check all claims, in their order."""
        return tuple(self.check(claim) for claim in self.claims.claims)

    def check(self, claim: Claim) -> Checked:
        """Check one claim."""
        try:
            found = self._found(claim)
            sentence = _filled(claim.says, found.slots)
        except BenchError as error:
            return Checked(claim, claim.says.strip(), f"it cannot be checked: {error}")
        return Checked(claim, sentence, _fault(claim, found))

    def section(self, on: str) -> Section:
        """Find the section of a place.

        Raises:
            ConfigError: none is such, or several are.
        """
        place = self.claims.places[on]
        facts = {"budget": place.budget, "device_class": place.device_class, "precision": place.precision}
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

    def summary(self, entry: str, column: Column) -> Summary | None:
        """Summarise an entry in a column; None where it has no such number."""
        runs = [run for run in self._runs[entry] if run.status in SCORED]
        versions = newest_versions(runs)
        found = [column.read(run, versions) for run in runs if column.source in versions]
        values = [value for value in found if value is not None]
        return summarise(values) if values else None

    def _found(self, claim: Claim) -> Found:
        section = self.section(claim.on)
        entries, metric = self._entries_of(section), claim.metric or self.rules.headline
        if claim.collapsed is not None:
            ended = [run.status for run in entries[self.entry(section, claim.collapsed)]]
            count = ended.count("collapsed")
            return Found({"collapsed": str(count), "runs": str(len(ended))}, count, count)
        if claim.entry is not None:
            return self._value(section, entries, self.entry(section, claim.entry), metric)
        evidence = self._evidence_of(section, metric)
        if evidence is None:
            raise DataError(f"nothing tells a difference in {metric} from chance; run more seeds")
        if claim.compare is not None:
            a, b = (self.entry(section, text) for text in claim.compare)
            return _difference(compared_in(section, evidence, evidence.compare(a, b)), {
                "seeds": str(min(evidence.scores[a].n, evidence.scores[b].n)),
                "galaxies": f"{evidence.preferences.galaxies or 0:,}",
            })  # fmt: skip
        assert claim.factor is not None
        effect, compared = phrased_levels(section, evidence, self.rules, *claim.factor)
        return _difference(compared, {"blocks": ", ".join(effect.blocks), "count": str(len(effect.blocks))})

    def _entries_of(self, section: Section) -> Entries:
        """Gather the entries of a section, once for all claims on it."""
        if id(section) not in self._entries:
            self._entries[id(section)] = entries_of(section, self._runs)
        return self._entries[id(section)]

    def _evidence_of(self, section: Section, metric: str) -> Evidence | None:
        """Gather what a section says of a metric, once for all claims on both."""
        if (id(section), metric) not in self._evidence:
            entries = self._entries_of(section)
            self._evidence[id(section), metric] = gather(entries, newest_of(entries), self.rules, metric)
        return self._evidence[id(section), metric]

    def _value(self, section: Section, entries: Entries, entry: str, metric: str) -> Found:
        """Summarise one entry."""
        shown = {column.key: column.scale for column in section.columns}
        found = scored(entries[entry], newest_of(entries), metric)
        values = [shown.get(metric, POINTS) * score.value for _, score in found]
        if not values:
            raise DataError(f"{entries[entry][0].title} has no score {metric}")
        mean = fmean(values)
        first, last = section.verdicts.ranks.get(entry, (0, 0)) if section.verdicts else (0, 0)
        slots = {
            "value": f"{mean:.1f}",
            "sd": f"{stdev(values):.1f}" if len(values) > 1 else "–",
            "seeds": str(len(values)),
            "first": str(first or "–"),
            "last": str(last or "–"),
        }
        return Found(slots, mean, mean)


def _difference(found: Compared, more: Slots) -> Found:
    slots = {
        "effect": f"{found.effect:+.1f}",
        "low": f"{found.low:+.1f}",
        "high": f"{found.high:+.1f}",
        **more,
    }
    slots["size"] = f"{abs(found.effect):.1f}"
    slots["reach"] = f"{max(abs(found.low), abs(found.high)):.1f}"
    slots["needed"] = str(found.seeds_needed or found.galaxies_needed or "–")
    return Found(slots, found.low, found.high, found.verdict, found.effect)


def _filled(says: str, slots: Slots) -> str:
    """Fill the slots of a sentence.

    Raises:
        ConfigError: it has a slot that its kind of claim has not.
    """
    for _, name, _, _ in string.Formatter().parse(says):
        if name is not None and name not in slots:
            raise ConfigError(f"it has the slot {{{name}}}; this kind of claim has {', '.join(slots)}")
    return says.format_map(slots).strip()


def _fault(claim: Claim, found: Found) -> str:
    """Return what the records contradict, or nothing."""
    interval = f"[{found.low:+.1f}, {found.high:+.1f}]"
    if claim.asserts is not None and found.verdict != claim.asserts:
        return f"it asserts '{claim.asserts}', the records say '{found.verdict}' ({interval})"
    if claim.at_least is not None and found.low < claim.at_least:
        return f"it asserts at least {claim.at_least:g}, the records say {found.low:.1f}"
    if claim.at_most is not None and found.high > claim.at_most:
        return f"it asserts at most {claim.at_most:g}, the records say {found.high:.1f}"
    least, most, effect = claim.effect_at_least, claim.effect_at_most, found.effect
    if effect is not None and least is not None and effect < least:
        return f"it asserts an effect of at least {least:g}, the records say {effect:.2f}"
    if effect is not None and most is not None and effect > most:
        return f"it asserts an effect of at most {most:g}, the records say {effect:.2f}"
    return ""
