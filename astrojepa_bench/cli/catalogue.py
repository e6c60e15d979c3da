"""`list`: what is on offer, from which plugin, and which plugins could not be used."""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import Namespace
from typing import TypeAlias

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from astrojepa_bench.cli.names import registry_of
from astrojepa_bench.cli.pages import expected_of, source_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.escaping import plain
from astrojepa_bench.options import Offer, jsonable
from astrojepa_bench.signatures import Option
from astrojepa_bench.suites import SuiteOffer

LONGEST = 240  # letters of what is said of a source or an expectation; `show` has all of it
Row: TypeAlias = tuple[str, str, str, str, str, str]


def execute(arguments: Namespace) -> int:
    """Print every offer; failures follow, or go to stderr with --json."""
    registry = registry_of(arguments)
    kind = arguments.kind and arguments.kind.lower().removesuffix("s")
    offers = () if kind == "suite" else registry.offers(kind)
    suites = registry.suites() if kind in (None, "suite") else ()
    if arguments.json:
        print(json.dumps([*map(offer_facts, offers), *map(suite_facts, suites)], indent=2))
    else:
        rows = [*map(_row, offers), *(("suite", s.name, s.plugin, s.suite.summary, "", "") for s in suites)]
        if on_terminal():
            _print_table(rows)
        else:
            _print_lines(rows)
    for failure in registry.failures:
        print(f"failed to load: {failure}", file=sys.stderr)
    return 0


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def offer_facts(offer: Offer) -> dict[str, object]:
    """Return what `list --json` prints of one component."""
    options = list[dict[str, object]]()
    for option in offer.options:
        default = None if option.required else jsonable({"default": option.default})["default"]
        facts = {"name": option.name, "type": option.type, "default": default}
        options.append({**facts, "required": option.required, "doc": option.doc})
    return {
        "kind": offer.kind,
        "name": offer.name,
        "plugin": offer.plugin,
        "summary": offer.summary,
        "source": source_of(offer.factory),
        "expected": expected_of(offer.factory),
        "options": options,
    }


def suite_facts(offer: SuiteOffer) -> dict[str, object]:
    """Return what `list --json` prints of one suite: the keys of a component, and its entries."""
    facts = {
        "kind": "suite",
        "name": offer.name,
        "plugin": offer.plugin,
        "source": "",
        "expected": "",
        "options": [],
    }
    return {**facts, **offer.suite.model_dump(mode="json")}


def option_text(option: Option) -> str:
    """Return an option with its default: `temperature=1.0`, or `path=<Path>` where it must be set."""
    if option.required:
        return f"{option.name}=<{option.type}>"
    default = option.default if isinstance(option.default, str) else repr(option.default)
    return f"{option.name}={default}"


def _row(offer: Offer) -> Row:
    options = " ".join(option_text(option) for option in offer.options)
    texts = {"Source": source_of(offer.factory), "Expected": expected_of(offer.factory)}
    told = [
        f"{name}: {textwrap.shorten(text, LONGEST, placeholder=' …')}" for name, text in texts.items() if text
    ]
    return (
        offer.kind,
        offer.name,
        offer.plugin,
        offer.summary,
        options,
        " ".join(each if each.endswith((".", "…")) else f"{each}." for each in told),
    )


def _print_table(rows: list[Row]) -> None:
    table = Table("kind", "name", "plugin", "summary", "options", box=box.SIMPLE_HEAD)
    last = {row[0]: row for row in rows}  # of its kind: a line is drawn below it
    for row in rows:
        *facts, summary, options, source = map(plain, row)
        explained = Text(summary).append(f"\n{source}" if source else "", style="dim")
        table.add_row(*map(Text, facts), explained, Text(options), end_section=row is last[row[0]])
    Console().print(table)


def _print_lines(rows: list[Row]) -> None:
    """Print a line a component, columns aligned; names have no spaces, so `awk` can take them apart."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)]
        print("  ".join([*cells, *filter(None, row[4:])]).rstrip())
