"""`leaderboard`: render a board from its records, check a rendered one, or give old records new ids."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from pathlib import Path

from astrojepa_bench.board.published import keep_published
from astrojepa_bench.board.render import PAGE, check_board, doubts, read_board, write_board
from astrojepa_bench.board.rules import keep_rules, rules_of
from astrojepa_bench.cli.board_view import board_text
from astrojepa_bench.cli.names import registry_of
from astrojepa_bench.cli.printing import print
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.results.migrate import migrate


def execute(arguments: Namespace) -> int:
    """Build, check or migrate; checking exits with 3 where the board and its records disagree."""
    if arguments.folder is None:
        arguments.folder = arguments.out
    if arguments.action == "migrate":
        return _migrate(arguments)
    if arguments.action == "check":
        return _check(arguments.folder, arguments.json)
    if arguments.suite:
        keep_rules(arguments.folder, rules_of(registry_of(arguments).suite(arguments.suite)))
    if arguments.published:
        offer = registry_of(arguments).suite(arguments.published)
        if not offer.suite.published:
            raise ConfigError(
                f"--published: {offer.title} has no published figures; name another suite, or leave it out"
            )
        keep_published(arguments.folder, offer.suite.published)
    return _build(arguments.folder, arguments.json)


def _migrate(arguments: Namespace) -> int:
    """Move records of edition 1 to their new ids, and rebuild the board if there is one."""
    # Not above: it loads torch, and building or checking a board needs none.
    from astrojepa_bench.runs.component import component_chain

    folder, dry_run = arguments.folder, arguments.dry_run
    offers = registry_of(arguments).offers("evaluator")
    moved = migrate(folder, {offer.name: component_chain(offer) for offer in offers}, dry_run=dry_run)
    if moved and not dry_run and (folder / PAGE).is_file():
        write_board(folder, read_board(folder))
    if arguments.json:
        ids = [{"formerly": each.before.stem, "run_id": each.after.stem} for each in moved]
        print(json.dumps({"migrated": ids, "dry_run": dry_run}))
    else:
        lines = [f"{each.before.relative_to(folder)} -> {each.after.name}" for each in moved if dry_run]
        verb = "would get" if dry_run else "got"
        print("\n".join([*lines, f"{folder}: {len(moved)} records {verb} new ids"]))
    return 0


def _build(folder: Path, as_json: bool) -> int:
    board = read_board(folder)
    doubted = doubts(folder, board)  # before it is written: what was settled so far is compared
    page = write_board(folder, board)
    for line in doubted:
        print(line, file=sys.stderr)
    if as_json:
        print(json.dumps({"board": str(page)}))
    else:
        print(board_text(board, shutil.get_terminal_size((100, 24)).columns))
        print(f"board: {page}")
    return 0


def _check(folder: Path, as_json: bool) -> int:
    drift = check_board(folder)
    if as_json:
        print(json.dumps({"board": str(folder / PAGE), "drift": drift}))
    else:
        print("\n".join(drift) or f"{folder}: the board follows from its records")
    return 3 if drift else 0
