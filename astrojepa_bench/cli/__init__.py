"""The command line: one file a verb, and the only place that prints.

Verb modules import nothing heavy at the top, so that `--help` answers at once; what a verb needs, it imports
when it runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from astrojepa_bench.errors import BenchError, ConfigError, nearest

PROGRAM = "astrojepa-bench"
VERBS: Mapping[str, str] = {
    "run": "run",
    "score": "score",
    "list": "catalogue",  # a module called list would hide the builtin here
    "show": "show",
    "export": "export",
    "leaderboard": "leaderboard",
    "import-checkpoint": "import_checkpoint",
    "data": "data",
    "embed": "embed",
    "anomalies": "anomalies",
    "latents": "latents",
    "map": "latent_map",  # nor may one be called map
    "clusters": "clusters",
    "neighbours": "neighbours",
    "report": "report",
    "new": "new",
    "check": "check",
    "doctor": "doctor",
}


class Verb(Protocol):
    """What the module of a verb provides.

    Attributes:
        SUMMARY: one line for `--help`.
        configure: declares its arguments.
        execute: does it, and gives the exit code.
    """

    SUMMARY: str
    configure: Callable[[argparse.ArgumentParser], None]
    execute: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 some cells failed (or a bug of ours), 2 the request or the data is wrong, 3 the leaderboard
        drifted, 130 interrupted, 141 the reader of our output went away.
    """
    words = sys.argv[1:] if argv is None else [*argv]
    debug = "--debug" in words
    try:
        return _dispatch(words)
    except BenchError as error:
        return _complain(f"error: {error}", 2, debug)
    except KeyboardInterrupt:
        return _complain("interrupted", 130, debug)
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:  # whatever else arrives here is our bug, and is said to be
        hint = "" if debug else "; add --debug for the traceback"
        return _complain(f"bug: {type(error).__name__}: {error}; please report it{hint}", 1, debug)


def _dispatch(words: list[str]) -> int:
    verb = next((word for word in words if not word.startswith("-")), None)
    if verb is not None and verb not in VERBS:
        raise ConfigError(f"unknown command '{verb}'; {nearest(verb, VERBS)}")
    parser = build_parser(VERBS if verb is None else [verb])
    if not words:
        parser.print_help(sys.stderr)
        return 2
    arguments = parser.parse_args(words)
    code: int = arguments.execute(arguments)
    sys.stdout.flush()  # a reader that went away is noticed here and not at exit
    return code


def build_parser(names: Iterable[str] = VERBS) -> argparse.ArgumentParser:
    """Put the parsers of verbs together; a command imports its own verb only, `--help` all of them."""
    parser = argparse.ArgumentParser(
        PROGRAM,
        description="Which self-supervised objective, with which masking, learns galaxies best?",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in names:
        verb = cast(Verb, import_module(f"astrojepa_bench.cli.{VERBS[name]}"))
        child = verbs.add_parser(
            name,
            help=verb.SUMMARY,
            description=verb.SUMMARY,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.configure(child)
        _add_common(child)
        child.set_defaults(execute=verb.execute)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    common = parser.add_argument_group("on every command")
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    common.add_argument(
        "--plugin",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="load a plugin file (repeatable)",
    )
    common.add_argument("--strict-plugins", action="store_true", help="stop at the first plugin that fails")


def _complain(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)
    return code


def _reader_left() -> int:
    """End quietly, as a program killed by SIGPIPE would, with nothing left to flush at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
