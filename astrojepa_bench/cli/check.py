"""`check`: does a piece keep to the rules of its role? What is wrong, and how to mend it."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.errors import BenchError, ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from astrojepa_bench.options import Offer, Settings
    from astrojepa_bench.registry import Registry
    from astrojepa_bench.testing import Outcome, Report

SUMMARY = "Check a piece against the rules of its role; exit 1 if it breaks one."
EXAMPLES = """examples:
  astrojepa-bench check brightness
  astrojepa-bench check encoder:timm:resnet18
  astrojepa-bench check --module astrojepa_ringlike.py
  astrojepa-bench check hdf5 --set dataset.path=FILE.h5

On the CPU, on invented galaxies, without a network. Datasets that draw galaxies draw 200."""


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `check`."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("name", nargs="?", metavar="NAME", help="a piece, or kind:name")
    subject.add_argument("--module", metavar="FILE", type=Path, help="every piece that a plugin file offers")
    subject.add_argument("--all", action="store_true", help="every piece that needs no option to be set")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KIND.OPTION=VALUE", help="set an option (repeatable)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(arguments: Namespace) -> int:
    """Check what was asked for. Exit code 1 if a check failed."""
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.events import listening
    from astrojepa_bench.options import check_all_used, parse_settings

    settings = parse_settings(arguments.set)
    offers = _offers(arguments)
    check_all_used(settings, offers)
    with console_listener() as listener, listening(listener):
        reports = [found for offer in offers if (found := _report(offer, settings, arguments.all))]
    if arguments.json:
        print(json.dumps([_facts(report) for report in reports], indent=2))
    else:
        _print(reports)
    return 1 if any(report.faults for report in reports) else 0


# --- what is checked -------------------------------------------------------------------------------------


def _offers(arguments: Namespace) -> list[Offer]:
    from astrojepa_bench.registry import load_registry

    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    if arguments.all:
        return [offer for offer in registry.offers() if not offer.is_family]
    if arguments.module:
        return _of_module(arguments.module, arguments, registry)
    return _named(arguments.name, registry)


def _of_module(path: Path, arguments: Namespace, registry: Registry) -> list[Offer]:
    """Find what a file offers, whether it is installed or not."""
    from astrojepa_bench.registry import load_registry

    installed = [offer for offer in registry.offers() if _lies_at(offer.plugin, path)]
    if installed:
        return installed
    registry = load_registry([*arguments.plugin, path], arguments.strict_plugins)
    offers = [offer for offer in registry.offers() if offer.distribution == f"file {path.name}"]
    if not offers:
        raise ConfigError(
            f"{path.name} offers no piece to check; return some from a hook such as astrojepa_maskers"
        )
    return offers


def _lies_at(plugin: str, path: Path) -> bool:
    file = getattr(sys.modules.get(plugin), "__file__", None)
    return file is not None and path.exists() and Path(file).samefile(path)


def _named(text: str, registry: Registry) -> list[Offer]:
    from astrojepa_bench.options import KINDS

    kind, _, rest = text.partition(":")
    asked = [(kind, rest)] if kind in KINDS and rest else [(each, text) for each in KINDS]
    known = [offer for each, name in asked for offer in registry.offers(each) if offer.name == name]
    members = [member for each, name in asked if (member := registry.member(each, name))]
    found = [offer for offer in known if not offer.is_family] + members
    if not found:
        names = [offer.name for offer in registry.offers()]
        failed = "".join(f" (failed to load: {failure})" for failure in registry.failures)
        raise ConfigError(f"no piece is called '{text}'; {nearest(text, names)}{failed}")
    return found


def _report(offer: Offer, settings: Settings, lenient: bool) -> Report | None:
    """Check one piece; of all pieces, those that need something to be set or fetched are named and left."""
    from astrojepa_bench.events import emit
    from astrojepa_bench.testing import absent, conform, subject_of

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


# --- what is said ----------------------------------------------------------------------------------------


def _print(reports: Iterable[Report]) -> None:
    for report in reports:
        counts = [f"{_count(report, verdict)} {verdict}" for verdict in ("passed", "failed", "skipped")]
        print(f"{report.offer.kind} {report.offer.name} ({report.offer.plugin}): {', '.join(counts)}")
        for outcome in report.outcomes:
            _print_outcome(outcome)


def _count(report: Report, verdict: str) -> int:
    return sum(outcome.verdict == verdict for outcome in report.outcomes)


def _print_outcome(outcome: Outcome) -> None:
    from astrojepa_bench.testing import UNBUILT

    if outcome.verdict == "failed":
        print(f"  failed   {outcome.id}: {outcome.claim}")
        print(f"           found: {outcome.found}")
        print(f"           fix: {outcome.fix}")
    elif outcome.verdict == "skipped" and outcome.found != UNBUILT:
        print(f"  skipped  {outcome.id}: {outcome.found}")


def _facts(report: Report) -> dict[str, object]:
    from dataclasses import asdict

    offer = report.offer
    facts = {"kind": offer.kind, "name": offer.name, "plugin": offer.plugin, "passed": not report.faults}
    return {**facts, "checks": [asdict(outcome) for outcome in report.outcomes]}
