"""Which differences are judged together: the families that a suite declares before its runs, narrowest first.

Each family is adjusted for its own number of differences; a pair takes the verdict of the narrowest that holds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from astrojepa_bench.board.rules import Rules
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.groups import SELF_SUPERVISED
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord

GROUP = SELF_SUPERVISED
"""The group of contestants of which neither record nor rules name one."""
PARTS = ("names", "options", "chain", "versions")
"""The facts of an identity that are kept by kind."""
Entries: TypeAlias = Mapping[str, Sequence[RunRecord]]
Pair: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Family:
    """Differences that are adjusted together.

    Attributes:
        name: `lift`, `masker`, `objective` or `all`; there is one family `masker` for each objective.
        pairs: the entry ids compared.
    """

    name: str
    pairs: tuple[Pair, ...]


def group_of(record: RunRecord, rules: Rules) -> str:
    """Return the group among which a contestant is ranked."""
    told = rules.groups.get(record.objective) or rules.groups.get(record.encoder)
    return record.group or told or GROUP


def is_complete(runs: Sequence[RunRecord]) -> bool:
    """Return whether these are all seeds of a contestant: a lost one may have been the worst."""
    return runs[0].standing == "contestant" and all(run.status in SCORED for run in runs)


def families_of(
    entries: Entries, ranked: Sequence[str], means: Mapping[str, float], rules: Rules
) -> list[Family]:
    """List the families of a section.

    Args:
        entries: the runs of each entry, floors among them, by id.
        ranked: the contestants, best first.
        means: of the metric that is judged, by id, of all entries in which it was measured.
        rules: which families there are.

    Raises:
        ConfigError: the rules name a family that is not known.
    """
    firsts = {entry: entries[entry][0] for entry in ranked}
    group = {entry: group_of(record, rules) for entry, record in firsts.items()}
    made: Mapping[str, Callable[[], list[Family]]] = {
        "lift": lambda: [Family("lift", tuple(_lifts(entries, ranked, means)))],
        "masker": lambda: [Family("masker", tuple(pairs)) for pairs in _maskers(firsts, rules)],
        "objective": lambda: [Family("objective", tuple(_objectives(firsts, rules)))],
        "all": lambda: [
            Family("all", tuple((a, b) for a, b in combinations(firsts, 2) if group[a] == group[b]))
        ],
    }
    unknown = [name for name in rules.families if name not in made]
    if unknown:
        raise ConfigError(
            f"the rules of suite '{rules.suite}' name family '{unknown[0]}'; there are {', '.join(made)}"
        )
    return [family for name in rules.families for family in made[name]() if family.pairs]


def own_floor(entry: RunRecord, entries: Entries, means: Mapping[str, float]) -> str | None:
    """Find the untrained entry with the encoder of an entry; of several the one with most seeds, then the best.

    A lift must not be larger because a weak floor was scored too.
    """
    found = [
        (len(runs), means[floor], floor)
        for floor, runs in entries.items()
        if runs[0].standing == "floor" and floor in means and encoder_of(runs[0]) == encoder_of(entry)
    ]
    return max(found)[2] if found else None


def at_recipe(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Keep the entries whose parts have their usual options.

    A part that never stands with its usual options is kept with those that it stands with most often.
    """
    kept = list(records)
    for kind in ("objective", "masker", "encoder"):
        options: dict[str, Counter[str]] = {}
        for record in kept:
            options.setdefault(_name(record, kind), Counter())[_altered(record, kind)] += 1
        usual = {
            name: min(found, key=lambda text: (text != "{}", -found[text], text))
            for name, found in options.items()
        }
        kept = [record for record in kept if _altered(record, kind) == usual[_name(record, kind)]]
    return kept


def _name(record: RunRecord, kind: str) -> str:
    return {"objective": record.objective, "masker": record.masker, "encoder": record.encoder}[kind]


def _altered(record: RunRecord, kind: str) -> str:
    return canonical_json(record.altered.get(kind, {}))


def encoder_of(record: RunRecord) -> tuple[str, str]:
    """Return what two entries of one encoder share: its name and its options."""
    return record.encoder, canonical_json(record.options.get("encoder", {}))


def _lifts(entries: Entries, ranked: Sequence[str], means: Mapping[str, float]) -> Iterable[Pair]:
    for entry in ranked:
        floor = own_floor(entries[entry][0], entries, means)
        if floor is not None:
            yield entry, floor


def _maskers(firsts: Mapping[str, RunRecord], rules: Rules) -> Iterable[list[Pair]]:
    """Pair the entries that differ in their masker alone, the reference last; one family an objective."""
    blocks: dict[str, list[str]] = {}
    for entry, record in firsts.items():
        blocks.setdefault(_but_masker(record), []).append(entry)
    reference = rules.references.get("masker")
    for block in blocks.values():
        block.sort(key=lambda entry: firsts[entry].masker == reference)
        yield list(combinations(block, 2))


def _but_masker(record: RunRecord) -> str:
    """Write all that stands behind an entry but its masker and its seed."""
    facts = {key: value for key, value in record.identity.items() if key != "seed"}
    for part in PARTS:
        if isinstance(facts.get(part), dict):
            facts[part] = {kind: value for kind, value in facts[part].items() if kind != "masker"}
    return canonical_json(facts)


def _objectives(firsts: Mapping[str, RunRecord], rules: Rules) -> Iterable[Pair]:
    """Pair the objectives of one group and encoder, each at its recipe and with one masker.

    The masker is the reference where the objective stands with it, else the only one that it stands with. It is
    never the best: a masker chosen by its result would flatter its objective.
    """
    reference = rules.references.get("masker")
    stands: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    ids = {record.run_id: entry for entry, record in firsts.items()}
    for record in at_recipe(firsts[entry] for entry in sorted(firsts)):
        place = group_of(record, rules), record.encoder
        found = stands.setdefault(place, {}).setdefault(record.objective, {})
        found.setdefault(record.masker, ids[record.run_id])
    for objectives in stands.values():
        chosen = [
            found[reference] if reference in found else next(iter(found.values()))
            for found in objectives.values()
            if reference in found or len(found) == 1
        ]
        yield from combinations(sorted(chosen, key=list(firsts).index), 2)
