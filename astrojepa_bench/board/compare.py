"""Compare two entries wherever both stand, in words: effect, interval, verdict, cost, and what would decide."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from astrojepa_bench.board.columns import Versions, mean_cost, newest_versions
from astrojepa_bench.board.entries import by_entry
from astrojepa_bench.board.evidence import Evidence, gather
from astrojepa_bench.board.factors import factor_effects
from astrojepa_bench.board.families import Entries
from astrojepa_bench.board.judge import comparable_entries
from astrojepa_bench.board.named import KINDS, EntryName, encoder_of, find_entries, read_name, unknown_name
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.statistics import POINTS
from astrojepa_bench.board.table import Board, Section
from astrojepa_bench.board.text import interaction_text, section_title
from astrojepa_bench.board.verdicts import EXPLORATORY, Comparison, FactorEffect
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results.naming import differing, short
from astrojepa_bench.results.record import RunRecord

FACTORS = re.compile("(masker|objective):")
METRICS = ("linear.accuracy", "knn.accuracy")
"""Compared beside the headline, where both entries have them."""
MOST_OPTIONS = 6
ALIKE = 0.005
"""Costs whose ratio is nearer to 1 than this are called equal."""


@dataclass(frozen=True)
class Compared:
    """Two entries of a section, or two levels of a factor, compared in one metric.

    Attributes:
        section: its title.
        a, b: their names.
        family: in which the verdict holds; `factor` for levels of a factor.
        metric: `evaluator.metric`.
        effect, low, high: of `a` minus `b`, in points, with the interval that holds for the family.
        verdict: of `a`.
        sentence: all of this in plain English.
        seeds_needed: seeds of each that would show such a difference; None where it is decided or none will do.
        galaxies_needed: test galaxies that would, with more seeds, where seeds alone do not.
        cost_ratio: training operations of `a` over those of `b`; None where one has none.
    """

    section: str
    a: str
    b: str
    family: str
    metric: str
    effect: float
    low: float
    high: float
    verdict: str
    sentence: str
    seeds_needed: int | None = None
    galaxies_needed: int | None = None
    cost_ratio: float | None = None

    def facts(self) -> dict[str, object]:
        """Return it for programs."""
        facts = asdict(self)
        low, high = facts.pop("low"), facts.pop("high")
        rounded = None if self.cost_ratio is None else round(self.cost_ratio, 4)
        interval = [round(low, 4), round(high, 4)]
        return facts | {"effect": round(self.effect, 4), "interval": interval, "cost_ratio": rounded}


def compare_by_name(board: Board, a: str, b: str) -> list[Compared]:
    """Compare two entries in every section in which both stand with one encoder, or two levels of a factor.

    Args:
        board: of the records.
        a: name of an entry, as `read_name` reads it; one that names no encoder meets the other's. Or a level:
            `masker:NAME`, `objective:NAME`.
        b: name of another.

    Returns:
        Section by section, the headline first.

    Raises:
        ConfigError: a name is none, is unknown, means several entries, or the two never meet.
    """
    if FACTORS.match(a) or FACTORS.match(b):
        return compare_levels(board, a, b)
    names = read_name(a), read_name(b)
    runs = by_entry(board.records)
    placed = [(section, entries_of(section, runs)) for section in board.sections]
    for name in names:
        if not any(find_entries(entries, name) for _, entries in placed):
            raise unknown_name(name, [entries for _, entries in placed])
    found, met = list[Compared](), list[int]()
    for section, entries in placed:
        pairs = _meeting(entries, names)
        met += [len(entries[entry]) for pair in pairs for entry in pair]
        told = _told_by(entries, board.rules) if pairs else []
        found += [
            compared_in(section, evidence, evidence.compare(*pair))
            for pair in pairs
            for evidence in told
            if evidence.scores.keys() >= {*pair}
        ]
    if met and not found:
        lacking = "have one seed each" if max(met) == 1 else "lack a second trained seed or a score of both"
        raise ConfigError(f"'{a}' and '{b}' {lacking}: nothing can be judged; run both with --seeds 3")
    if not found:
        raise ConfigError(
            f"'{a}' and '{b}' never stand in one section with one encoder; compare entries that share data, "
            "budget, pretraining galaxies, device class and precision, or name their encoders"
        )
    return found


def _meeting(entries: Entries, names: tuple[EntryName, EntryName]) -> list[tuple[str, str]]:
    """Pair what two names mean in a section.

    A name that leaves the encoder open takes that of the other; only where the other's encoder is named and there
    is no such entry, it means those of all encoders.

    Raises:
        ConfigError: a name means several entries of one encoder.
    """
    first, second = (find_entries(entries, name) for name in names)
    encoder = {entry: encoder_of(entries[entry][0]) for entry in (*first, *second)}
    pairs = [(a, b) for a in first for b in second if a != b]
    alike = [(a, b) for a, b in pairs if encoder[a] == encoder[b]]
    if not all(name.fixes_encoder for name in names):
        pairs = alike or (pairs if any(name.fixes_encoder for name in names) else [])
    for at, name in enumerate(names):
        meant: dict[str, set[str]] = {}
        for pair in pairs:
            meant.setdefault(encoder[pair[at]], set()).add(pair[at])
        for several in (ids for ids in meant.values() if len(ids) > 1):
            listed = ", ".join(f"{entries[entry][0].title} ({entry})" for entry in sorted(several))
            raise ConfigError(
                f"'{name.text}' means several entries: {listed}; name one by its options or its id"
            )
    return pairs


def _told_by(entries: Entries, rules: Rules) -> list[Evidence]:
    """Gather what entries say of the headline and of `METRICS`; not of one in which nothing tells a difference."""
    versions, metrics = newest_of(entries), dict.fromkeys((rules.headline, *METRICS))
    gathered = (gather(entries, versions, rules, metric) for metric in metrics)
    return [evidence for evidence in gathered if evidence is not None]


def compared_in(section: Section, evidence: Evidence, found: Comparison) -> Compared:
    """Phrase what the evidence of a section says of two of its entries."""
    title = section_title(section)
    runs = [evidence.entries[entry] for entry in (found.a, found.b)]
    labels = {row.entry_id: row.label for row in section.rows}
    names = labels[found.a], labels[found.b]
    low, high = POINTS * found.difference.low_family, POINTS * found.difference.high_family
    spent = [mean_cost(each, "flops") for each in runs]
    ratio = spent[0] / spent[1] if spent[0] and spent[1] else None
    sentences = [
        _verdict(section, names, evidence, found),
        _galaxies(evidence, found),
        _decided_by(found),
        _cost(ratio),
        _options(*(each[0] for each in runs)),
    ]
    return Compared(
        title, *names, found.family, found.metric, POINTS * found.difference.difference, low, high,
        found.verdict, " ".join(text for text in sentences if text),
        found.seeds_needed, found.galaxies_needed, ratio,
    )  # fmt: skip


def compare_levels(board: Board, a: str, b: str) -> list[Compared]:
    """Compare two maskers or two objectives, averaged over complete grids, in each section that holds one.

    Raises:
        ConfigError: they are no levels of one factor, or no complete grid holds both.
    """
    runs, rules, found = by_entry(board.records), board.rules, list[Compared]()
    for section in board.sections:
        for evidence in _told_by(entries_of(section, runs), rules):
            with suppress(DataError):  # another section may hold such a grid
                found.append(phrased_levels(section, evidence, rules, a, b)[1])
    if not found:
        raise ConfigError(
            f"no section holds a complete grid with '{a}' and '{b}': each of at least two blocks (objectives or "
            "maskers, at their recipe and with one encoder) must stand with both; compare entries instead"
        )
    return found


def phrased_levels(
    section: Section, evidence: Evidence, rules: Rules, a: str, b: str
) -> tuple[FactorEffect, Compared]:
    """Compare two levels of a factor in one section.

    Raises:
        ConfigError: they are no levels of one factor.
        DataError: no complete grid holds both.
    """
    (factor, level), (other, reference) = (text.partition(":")[::2] for text in (a, b))
    if factor != other or not FACTORS.match(a) or level == reference:
        raise ConfigError(
            f"found '{a}' and '{b}'; expected two of one kind, as `masker:random masker:multiblock`"
        )
    against = rules.model_copy(update={"references": {**rules.references, factor: reference}})
    for each in factor_effects([("", evidence)], against):
        if (each.factor, each.level, each.reference) == (factor, level, reference):
            return each, _phrased(section, each, rules.alpha, evidence.higher_is_better)
    raise DataError(f"no complete grid holds both '{a}' and '{b}'")


def _phrased(section: Section, each: FactorEffect, alpha: float, higher_is_better: bool) -> Compared:
    """Phrase the effect of a level of a factor."""
    title = section_title(section)
    verdict = (
        "undecided" if each.p_holm >= alpha
        else "better" if (each.effect > 0) == higher_is_better
        else "worse"
    )  # fmt: skip
    words = {"undecided": "cannot be told from", "better": "is better than", "worse": "is worse than"}[
        verdict
    ]
    effect, low, high = (POINTS * number for number in (each.effect, each.low_family, each.high_family))
    sentence = (
        f"{title}: {each.factor} {each.level} {words} {each.reference} in "
        f"{_metric_in_words(section, each.metric)}, "
        f"averaged over {', '.join(each.blocks)}: {effect:+.1f} points, 95 % interval [{low:+.1f}, {high:+.1f}] "
        f"for all effects of the factor at once, p = {each.p_holm:.2g} after Holm's adjustment within the factor."
    )
    if each.hides_differences(alpha):
        sentence += f" {interaction_text(each)}"
    return Compared(
        title, each.level, each.reference, "factor", each.metric, effect, low, high, verdict, sentence
    )


def entries_of(section: Section, runs: Mapping[str, Sequence[RunRecord]]) -> Entries:
    """Return the runs of the entries of a section, by id, with the scores that the board compares."""
    return comparable_entries([run for row in section.rows for run in runs[row.entry_id]])[0]


def newest_of(entries: Entries) -> Versions:
    """Find the newest version of each evaluator that scored some entries."""
    return newest_versions(run for runs in entries.values() for run in runs)


def _verdict(section: Section, names: tuple[str, str], evidence: Evidence, found: Comparison) -> str:
    """Phrase effect, interval and verdict."""
    low, high = POINTS * found.difference.low_family, POINTS * found.difference.high_family
    effect, seeds = POINTS * found.difference.difference, [evidence.scores[e].n for e in (found.a, found.b)]
    words = {
        "better": "is better than",
        "worse": "is worse than",
        "equivalent": "is equivalent to",
        "undecided": "cannot be told from",
        EXPLORATORY: "was not planned to be compared with",
    }[found.verdict]
    of, metric = _family_in_words(evidence, found), _metric_in_words(section, found.metric)
    return (
        f"{section_title(section)}: {names[0]} {words} {names[1]} in {metric}: {effect:+.1f} points, "
        f"95 % interval [{low:+.1f}, {high:+.1f}]{of}, {seeds[0]} and {seeds[1]} seeds."
    )


def _family_in_words(evidence: Evidence, found: Comparison) -> str:
    if found.family == EXPLORATORY:
        return " for this pair alone (exploratory: no family of the suite holds it)"
    pair = {(found.a, found.b), (found.b, found.a)}
    (size,) = {
        len(each.pairs) for each in evidence.families if each.name == found.family and pair & set(each.pairs)
    }
    return f" for all {size} differences of family '{found.family}' at once"


def _metric_in_words(section: Section, metric: str) -> str:
    """Name a metric by the title of its column, in which `accuracy` goes without saying."""
    evaluator, name = metric.split(".", 1)
    title = next((column.title for column in section.columns if column.key == metric), f"{evaluator} {name}")
    said = title.removesuffix(" %").replace("_", " ")
    return said if name in said else f"{said} {name.replace('_', ' ')}"


def _galaxies(evidence: Evidence, found: Comparison) -> str:
    """Phrase what the interval knows of the test galaxies."""
    if not found.covers_galaxies:
        return "The interval covers pretraining seeds only: of the galaxies' part nothing is known."
    galaxies = f"{evidence.preferences.galaxies:,} test galaxies"
    if found.is_borrowed:
        return (
            f"The part of the {galaxies} was borrowed from constants, as these records do not hold which of them "
            "were right."
        )
    return f"It covers other seeds and other galaxies than the {galaxies}."


def _decided_by(found: Comparison) -> str:
    """Phrase what would decide an undecided pair."""
    if found.verdict != "undecided":
        return ""
    low, high = (found.difference.low_family, found.difference.high_family)
    excluded = f"A difference of up to {POINTS * max(abs(low), abs(high)):.1f} points is not excluded."
    if found.needed is None:
        return excluded
    few = "No number of seeds will tell, the test set is too small: " if found.needed.galaxies else ""
    words = found.needed.in_words()
    return f"{excluded} {few}{words if few else words[0].upper() + words[1:]}."


def _cost(ratio: float | None) -> str:
    if ratio is None:
        return "One of the two was not trained."
    if abs(ratio - 1) < ALIKE:
        return "Training took as many operations."
    return f"Training the first took {ratio:.2g} times the operations of the second."


def _options(a: RunRecord, b: RunRecord) -> str:
    """Name the options in which two entries differ, of parts of one name."""
    shared = [kind for kind in KINDS if getattr(a, kind) == getattr(b, kind)]
    facts = [
        {f"{kind}.{name}": value for kind in shared for name, value in each.options.get(kind, {}).items()}
        for each in (a, b)
    ]
    names = differing(facts)
    if not names:
        return ""
    told = [
        f"{name} ({short(facts[0].get(name))}, {short(facts[1].get(name))})" for name in names[:MOST_OPTIONS]
    ]
    more = f" and {len(names) - MOST_OPTIONS} more" if len(names) > MOST_OPTIONS else ""
    return f"They differ in {', '.join(told)}{more}."
