"""`leaderboard`: render the board of an output folder from its records, or check a rendered one."""

from __future__ import annotations

import json
import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

from astrojepa_bench.errors import ConfigError

SUMMARY = "Build the leaderboard of an output folder, or check that it still follows from its records."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `leaderboard`."""
    parser.epilog = (
        "examples:\n"
        "  astrojepa-bench leaderboard build astrojepa-runs\n"
        "  astrojepa-bench leaderboard build astrojepa-runs --published astrojepa-zoo\n"
        "  astrojepa-bench leaderboard check leaderboard      (exit code 3: it drifted)"
    )
    parser.add_argument("action", choices=("build", "check"), help="render the board, or check it")
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path("astrojepa-runs"),
        metavar="DIR",
        help="output folder with records below runs/ (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--published",
        metavar="SUITE",
        help="build: from now on show the figures that this suite says were published",
    )


def execute(arguments: Namespace) -> int:
    """Build or check; checking exits with 3 where the board and its records disagree."""
    if arguments.published:
        _keep_published(arguments)
    action = _build if arguments.action == "build" else _check
    return action(arguments.folder, arguments.json)


def _keep_published(arguments: Namespace) -> None:
    from astrojepa_bench.board.published import keep_published
    from astrojepa_bench.registry import load_registry

    offer = load_registry(arguments.plugin, arguments.strict_plugins).suite(arguments.published)
    if arguments.action == "check" or not offer.suite.published:
        said = (
            "knows no published figures" if arguments.action == "build" else "can only be kept while building"
        )
        raise ConfigError(
            f"--published: {offer.title} {said}; use `leaderboard build` with another suite, or leave it out"
        )
    keep_published(arguments.folder, offer.suite.published)


def _build(folder: Path, as_json: bool) -> int:
    from astrojepa_bench.board.render import write_board
    from astrojepa_bench.board.table import build_board
    from astrojepa_bench.cli.board_view import board_text
    from astrojepa_bench.results.store import Store

    page = write_board(folder)
    if as_json:
        print(json.dumps({"board": str(page)}))
    else:
        print(board_text(build_board(Store(folder).records()), shutil.get_terminal_size((100, 24)).columns))
        print(f"board: {page}")
    return 0


def _check(folder: Path, as_json: bool) -> int:
    from astrojepa_bench.board.render import PAGE, check_board

    drift = check_board(folder)
    if as_json:
        print(json.dumps({"board": str(folder / PAGE), "drift": drift}))
    else:
        print("\n".join(drift) or f"{folder}: the board follows from its records")
    return 3 if drift else 0
