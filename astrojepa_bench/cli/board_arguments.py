"""The arguments of the actions of `leaderboard`; argparse and nothing else is imported."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from astrojepa_bench.cli.shared_arguments import json_flag, runs_folder


def build(parser: ArgumentParser) -> None:
    """Declare the arguments of `leaderboard build`."""
    parser.epilog = """examples:
  astrojepa-bench leaderboard build astrojepa-runs
  astrojepa-bench leaderboard build astrojepa-runs --suite galaxy-suite-1 --published astrojepa-zoo"""
    _folder(parser, "build")
    parser.add_argument("--suite", metavar="NAME", help="from now on, judge by this suite's rules")
    parser.add_argument(
        "--published", metavar="SUITE", help="from now on, show the published figures of this suite"
    )


def check(parser: ArgumentParser) -> None:
    """Declare the arguments of `leaderboard check`."""
    parser.epilog = (
        "example:\n  astrojepa-bench leaderboard check leaderboard      (exit code 3: they disagree)"
    )
    _folder(parser, "check")


def migrate(parser: ArgumentParser) -> None:
    """Declare the arguments of `leaderboard migrate`."""
    parser.epilog = "example:\n  astrojepa-bench leaderboard migrate astrojepa-runs --dry-run"
    _folder(parser, "migrate")
    parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")


def compare(parser: ArgumentParser) -> None:
    """Declare the arguments of `leaderboard compare`."""
    parser.epilog = """examples:
  astrojepa-bench leaderboard compare A+random A+MASKER
  astrojepa-bench leaderboard compare "A(batch_size=32)+random" B+random+vit-micro --out leaderboard
  astrojepa-bench leaderboard compare masker:MASKER masker:random

An entry is objective+masker, perhaps +encoder, each with options in brackets where they are not the recipe's;
or the first letters of its id. Levels of a factor are averaged over complete grids."""
    parser.add_argument("a", metavar="A", help="entry, or masker:NAME, or objective:NAME")
    parser.add_argument("b", metavar="B", help="what A is compared with")
    runs_folder(parser)
    json_flag(parser)


def merge(parser: ArgumentParser) -> None:
    """Declare the arguments of `leaderboard merge`."""
    parser.epilog = """example:
  astrojepa-bench leaderboard merge machine-1 machine-2 --out board

Records that --out holds already take part. Where anything contradicts, nothing is written."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="output folder of one machine")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    json_flag(parser, "print only JSON: ids of the runs that were added or completed, board")


def _folder(parser: ArgumentParser, action: str) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, metavar="DIR", help="output folder; or name it with --out"
    )
    runs_folder(parser)
    json_flag(parser)
    parser.set_defaults(action=action)
