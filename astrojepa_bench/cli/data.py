"""`data`: look at a dataset before anything is trained on it; one file an action."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from astrojepa_bench.cli import Verb

SUMMARY = "look at galaxies: a card, a contact sheet, a check of a file; or fetch a published set"
ACTIONS: Mapping[str, str] = {
    "info": "data_info",
    "show": "data_show",
    "verify": "data_verify",
    "fetch": "data_fetch",
}


def configure(parser: ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, module in ACTIONS.items():
        action = cast("Verb", import_module(f"astrojepa_bench.cli.{module}"))
        child = actions.add_parser(
            name,
            help=action.SUMMARY,
            description=action.SUMMARY,
            formatter_class=RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        action.configure(child)
        child.set_defaults(act=action.execute)


def execute(arguments: Namespace) -> int:
    """Do what was chosen."""
    code: int = arguments.act(arguments)
    return code
