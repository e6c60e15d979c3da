"""`list`: what is on offer, by whom, and which plugins could not be used."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING, TypeAlias

from astrojepa_bench.cli.pages import source_of

if TYPE_CHECKING:
    from astrojepa_bench.options import Offer
    from astrojepa_bench.registry import LoadFailure
    from astrojepa_bench.signatures import Option
    from astrojepa_bench.suites import SuiteOffer

Row: TypeAlias = tuple[str, str, str, str, str, str]
SUMMARY = "List datasets, encoders, maskers, objectives, evaluators and suites, with sources and options."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `list`."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = "examples:\n  astrojepa-bench list maskers\n  astrojepa-bench list --json"
    parser.add_argument("kind", nargs="?", help="only this kind, e.g. maskers")
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(arguments: Namespace) -> int:
    """Print every offer; failures follow, or go to stderr beside JSON."""
    from astrojepa_bench.registry import load_registry

    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    kind = arguments.kind and arguments.kind.lower().removesuffix("s")
    offers = () if kind == "suite" else registry.offers(kind)
    suites = registry.suites() if kind in (None, "suite") else ()
    if arguments.json:
        print(json.dumps([*map(offer_facts, offers), *map(suite_facts, suites)], indent=2))
        return _told(registry.failures)
    rows = [*map(_row, offers), *(("suite", s.name, s.plugin, s.suite.summary, "", "") for s in suites)]
    if on_terminal():
        _print_table(rows)
    else:
        _print_lines(rows)
    return _told(registry.failures)


def on_terminal() -> bool:
    """Say whether a person is looking."""
    return sys.stdout.isatty()


def offer_facts(offer: Offer) -> dict[str, object]:
    """Give what `list --json` says of one piece."""
    return {
        "kind": offer.kind,
        "name": offer.name,
        "plugin": offer.plugin,
        "summary": offer.summary,
        "source": source_of(offer.factory),
        "options": [_option_facts(option) for option in offer.options],
    }


def suite_facts(offer: SuiteOffer) -> dict[str, object]:
    """Give what `list --json` says of one suite: the keys of a piece, and its entries."""
    facts = {"kind": "suite", "name": offer.name, "plugin": offer.plugin, "source": "", "options": []}
    return {**facts, **offer.suite.model_dump(mode="json")}


def option_text(option: Option) -> str:
    """Write an option with its default: `temperature=1.0`, or `path=<Path>` where it must be set."""
    return f"{option.name}=<{option.type}>" if option.required else f"{option.name}={_short(option.default)}"


def _option_facts(option: Option) -> dict[str, object]:
    from astrojepa_bench.options import jsonable

    default = None if option.required else jsonable({"default": option.default})["default"]
    facts = {"name": option.name, "type": option.type, "default": default}
    return {**facts, "required": option.required, "doc": option.doc}


def _short(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _row(offer: Offer) -> Row:
    options = " ".join(option_text(option) for option in offer.options)
    source = source_of(offer.factory)
    return (
        offer.kind,
        offer.name,
        offer.plugin,
        offer.summary,
        options,
        f"Source: {source}." if source else "",
    )


def _print_table(rows: list[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "name", "plugin", "summary", "options", box=box.SIMPLE_HEAD)
    last = {row[0]: row for row in rows}  # of its kind: a line is drawn below it
    for row in rows:
        *facts, summary, options, source = row
        explained = Text(summary).append(f"\n{source}" if source else "", style="dim")
        table.add_row(*map(Text, facts), explained, Text(options), end_section=row is last[row[0]])
    Console().print(table)


def _print_lines(rows: list[Row]) -> None:
    """Print a line a piece, columns aligned; names have no spaces, so `awk` can take them apart."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        print("  ".join([*cells, *filter(None, row[4:])]).rstrip())


def _told(failures: list[LoadFailure]) -> int:
    for failure in failures:
        print(f"failed to load: {failure}", file=sys.stderr)
    return 0
