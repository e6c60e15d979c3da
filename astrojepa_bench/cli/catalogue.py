"""`list`: what is on offer, by whom, and which plugins could not be used."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astrojepa_bench.options import Offer, Option
    from astrojepa_bench.registry import LoadFailure

SUMMARY = "List datasets, encoders, maskers, objectives and evaluators."


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
    offers = registry.offers(arguments.kind and arguments.kind.lower().removesuffix("s"))
    if arguments.json:
        print(json.dumps([offer_facts(offer) for offer in offers], indent=2))
    elif on_terminal():
        _print_table(offers)
    else:
        _print_lines(offers)
    _print_failures(registry.failures)
    return 0


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
        "options": [_option_facts(option) for option in offer.options],
    }


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


def _row(offer: Offer) -> tuple[str, ...]:
    options = " ".join(option_text(option) for option in offer.options)
    return (offer.kind, offer.name, offer.plugin, offer.summary, options)


def _print_table(offers: tuple[Offer, ...]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("kind", "name", "plugin", "summary", "options", box=box.SIMPLE_HEAD)
    for offer in offers:
        table.add_row(
            *(Text(cell) for cell in _row(offer)), end_section=offer is _last_of_kind(offers, offer)
        )
    Console().print(table)


def _last_of_kind(offers: tuple[Offer, ...], offer: Offer) -> Offer:
    return [other for other in offers if other.kind == offer.kind][-1]


def _print_lines(offers: tuple[Offer, ...]) -> None:
    """Print a line a piece, columns aligned; names have no spaces, so `awk` can take them apart."""
    rows = [_row(offer) for offer in offers]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        print("  ".join([*cells, row[4]]).rstrip())


def _print_failures(failures: list[LoadFailure]) -> None:
    for failure in failures:
        print(f"failed to load: {failure}", file=sys.stderr)
