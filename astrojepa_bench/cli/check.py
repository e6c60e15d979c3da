"""`check`: does a component keep to the rules of its role? What is wrong, and how to fix it."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.names import registry_of, settings_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.errors import BenchError, ConfigError, nearest
from astrojepa_bench.events import emit
from astrojepa_bench.loading import sources_at
from astrojepa_bench.options import KINDS, Offer, Settings, check_all_used
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.testing import UNBUILT, Report, absent, conform, subject_of


def execute(arguments: Namespace) -> int:
    """Check what was asked for. Exit code 1 if a check failed."""
    settings = settings_of(arguments)
    offers = _offers(arguments)
    check_all_used(settings, offers)
    with progress():
        reports = [found for offer in offers if (found := _report(offer, settings, arguments.all))]
    if arguments.json:
        print(json.dumps([_facts(report) for report in reports], indent=2))
    else:
        _print(reports)
    return 1 if any(report.faults for report in reports) else 0


def _offers(arguments: Namespace) -> list[Offer]:
    registry = registry_of(arguments)
    if arguments.all:
        return [offer for offer in registry.offers() if not offer.is_family]
    if arguments.module:
        return _of_module(arguments.module, arguments, registry)
    return _named(arguments.name, registry)


def _of_module(path: Path, arguments: Namespace, registry: Registry) -> list[Offer]:
    """Find what a file or folder offers, whether it is installed or not."""
    files = ((offer, getattr(sys.modules.get(offer.plugin), "__file__", None)) for offer in registry.offers())
    installed = [offer for offer, file in files if file and path.exists() and path.samefile(file)]
    if installed:
        return installed
    asked = {source.distribution for source in sources_at([path])}
    with plugins_at_work():
        registry = load_registry([*arguments.plugin, path], arguments.strict_plugins)
    offers = [offer for offer in registry.offers() if offer.distribution in asked]
    if not offers:
        raise ConfigError(
            f"{path.name} offers no component to check; return some from a hook such as astrojepa_maskers"
        )
    return offers


def _named(text: str, registry: Registry) -> list[Offer]:
    kind, _, rest = text.partition(":")
    asked = [(kind, rest)] if kind in KINDS and rest else [(each, text) for each in KINDS]
    known = [offer for each, name in asked for offer in registry.offers(each) if offer.name == name]
    members = [member for each, name in asked if (member := registry.member(each, name))]
    found = [offer for offer in known if not offer.is_family] + members
    if not found:
        names = [offer.name for offer in registry.offers()]
        failed = "".join(f" (failed to load: {failure})" for failure in registry.failures)
        raise ConfigError(f"no component is called '{text}'; {nearest(text, names)}{failed}")
    return found


def _report(offer: Offer, settings: Settings, lenient: bool) -> Report | None:
    """Check one component; with --all, those that need something to be set or fetched are named and left out."""
    try:
        subject = subject_of(offer, settings)
        reason = absent(subject) if lenient else None
    except BenchError as error:
        if not lenient:
            raise
        reason = str(error)
    if reason is not None:
        emit("note", text=f"not checked: {offer.kind} {offer.name}: {reason}")
        return None
    return conform(subject)


def _print(reports: Iterable[Report]) -> None:
    for report in reports:
        verdicts = Counter(outcome.verdict for outcome in report.outcomes)
        counts = [f"{verdicts[verdict]} {verdict}" for verdict in ("passed", "failed", "skipped")]
        print(f"{report.offer.kind} {report.offer.name} ({report.offer.plugin}): {', '.join(counts)}")
        for outcome in report.outcomes:
            if outcome.verdict == "failed":
                print(f"  failed   {outcome.id}: {outcome.claim}")
                print(f"           found: {outcome.found}")
                print(f"           fix: {outcome.fix}")
            elif outcome.verdict == "skipped" and outcome.found != UNBUILT:
                print(f"  skipped  {outcome.id}: {outcome.found}")
        for note in report.notes:
            print(f"  note     {note}")


def _facts(report: Report) -> dict[str, object]:
    offer = report.offer
    facts = {"kind": offer.kind, "name": offer.name, "plugin": offer.plugin, "passed": not report.faults}
    return {
        **facts,
        "checks": [asdict(outcome) for outcome in report.outcomes],
        "notes": [*report.notes],
    }
