"""`show`: explain one component or suite, or print one run record."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path

from astrojepa_bench.cli.component_view import (
    component_facts,
    full_suite_facts,
    print_component,
    print_suite,
)
from astrojepa_bench.cli.names import registry_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.options import KINDS, Offer
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.naming import told
from astrojepa_bench.results.record import RecordedScore, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.suites import SuiteOffer
from astrojepa_bench.training.budgets import is_flop_matched


def execute(arguments: Namespace) -> int:
    """Print the record that the subject names, or else the components and suites of that name."""
    subject = arguments.subject
    records = _records(subject, arguments.out)
    if len(records) > 1:
        ids = ", ".join(record.run_id for record in records[:5])
        raise ConfigError(f"{len(records)} run ids start with '{subject}' ({ids}); give more letters")
    if records:
        if arguments.json:
            print(records[0].to_json(), end="")
        else:
            _print_record(records[0])
        return 0
    registry = registry_of(arguments)
    offers, suites = _named(arguments, registry)
    if arguments.json:
        facts = [*map(component_facts, offers), *(full_suite_facts(suite, registry) for suite in suites)]
        print(json.dumps(facts, indent=2))
        return 0
    for offer in offers:
        print_component(offer)
    for suite in suites:
        print_suite(suite, registry)
    return 0


# --- records ---------------------------------------------------------------------------------------------


def _records(subject: str, out: Path) -> list[RunRecord]:
    store = Store(out)
    if subject.endswith(".json"):
        return [store.read(Path(subject))]
    if not re.fullmatch("[0-9a-f]+", subject):
        return []
    return [store.read(path) for path in store.paths() if path.stem.startswith(subject)]


def _print_record(record: RunRecord) -> None:
    facts = record.facts()
    print(*_headlines(record), sep="\n  ")
    for block in ("options", "health", "cost", "training", "environment", "provenance"):
        known = {k: v for k, v in facts[block].items() if k != "loss_curve" and v not in (None, {}, [], "")}
        if known:
            print(f"  {block}")
        for name, value in known.items():
            print(f"    {name:<20} {_value_text(value)}")
    scored_by = {name: known["plugin"] for name, known in record.evaluators.items() if known.get("plugin")}
    if scored_by:
        print(f"  scored by\n    {_value_text(scored_by)}")
    print("  scores")
    for score in record.scores:
        print(f"    {score_line(score)}")
    for warning in record.warnings:
        print(f"  warning: {warning}")


def _headlines(record: RunRecord) -> list[str]:
    """Phrase what was run, how it ended and what it was told."""
    why = f": {record.skip_reason}" if record.skip_reason else ""
    if record.failure:
        why = f": {record.failure.message} ({record.failure.origin}, {record.failure.phase})"
    matched = ", FLOP-matched" if is_flop_matched(record.identity.get("budget")) else ""
    few = matched + ("" if record.pretraining is None else f", {record.pretraining} pretraining galaxies")
    lines = [
        f"{record.run_id}  {record.title} on {record.dataset}",
        f"seed {record.seed}, budget {record.budget}{few}, {record.status}{why}",
    ]
    return [*lines, f"reads {told(record.reads, record.labels)}"] if record.reads else lines


def _value_text(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={_value_text(item)}" for name, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def score_line(score: RecordedScore) -> str:
    """Return the line of one score: value, error, chance and direction."""
    direction = "higher" if score.higher_is_better else "lower"
    chance = "" if score.chance is None else f", chance {score.chance:.3f}"
    error = "" if score.item_se is None else f" ± {score.item_se:.4f}"
    name = f"{score.evaluator}.{score.metric}"
    return f"{name:<34} {score.value:.4f}{error} (n={score.n}{chance}, {direction} is better)"


# --- components and suites -------------------------------------------------------------------------------


def _named(arguments: Namespace, registry: Registry) -> tuple[list[Offer], list[SuiteOffer]]:
    kind, _, name = arguments.subject.rpartition(":")
    called = {offer.name for offer in registry.offers()} | {offer.name for offer in registry.suites()}
    kind, wanted = ("", arguments.subject) if arguments.subject in called else (kind, name)
    found = [offer for offer in registry.offers() if offer.name == wanted and offer.kind.startswith(kind)]
    if not found:  # a member of a family, with or without its kind: timm:resnet18, encoder:timm:resnet18
        members = [registry.member(each, arguments.subject.removeprefix(f"{each}:")) for each in KINDS]
        found = [offer for offer in members if offer is not None]
    suites = [offer for offer in registry.suites() if offer.name == wanted and "suite".startswith(kind)]
    if not found and not suites:
        failed = "; ".join(f"failed to load: {failure}" for failure in registry.failures)
        raise ConfigError(
            f"'{arguments.subject}' is neither a component, a suite nor a run id below {arguments.out.name}; "
            f"{nearest(name, called)}" + (f" ({failed})" if failed else "")
        )
    return found, suites
