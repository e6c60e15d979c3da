"""`list`: what is on offer, from which plugin, and which plugins could not be used; or the runs of a folder."""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import Namespace
from importlib import import_module
from typing import TypeAlias

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from astrojepa_bench.cli.component_view import component_facts
from astrojepa_bench.cli.listed import ListedComponent
from astrojepa_bench.cli.names import catalogue_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.escaping import plain

LONGEST = 240  # letters of what is said of a source or an expectation; `show` has all of it
Row: TypeAlias = tuple[str, str, str, str, str, str]


def execute(arguments: Namespace) -> int:
    """Print every offer; failures follow, or go to stderr with --json."""
    if arguments.kind == "runs":
        code: int = import_module("astrojepa_bench.cli.list_runs").execute(
            arguments
        )  # what is on offer needs none
        return code
    catalogue = catalogue_of(arguments)
    kind = arguments.kind and arguments.kind.lower().removesuffix("s")
    components = () if kind == "suite" else catalogue.offers(kind)
    suites = catalogue.suites if kind in (None, "suite") else ()
    if arguments.json:
        facts = [*map(component_facts, components), *(suite.facts for suite in suites)]
        print(json.dumps(facts, indent=2))
    else:
        rows = [*map(_row, components), *(("suite", s.name, s.plugin, s.summary, "", "") for s in suites)]
        if on_terminal():
            _print_table(rows)
        else:
            _print_lines(rows)
    for failure in catalogue.failures:
        print(f"failed to load: {failure}", file=sys.stderr)
    return 0


def on_terminal() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout.isatty()


def _row(component: ListedComponent) -> Row:
    texts = {"Source": component.source, "Expected": component.expected}
    told = [
        f"{name}: {textwrap.shorten(text, LONGEST, placeholder=' …')}" for name, text in texts.items() if text
    ]
    return (
        component.kind,
        component.name,
        component.plugin,
        component.summary,
        " ".join(option.text for option in component.options),
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
