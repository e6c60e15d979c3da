"""`score`: evaluate a finished run once more, by other evaluators; nothing is trained."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from astrojepa_bench.board.render import read_board, write_board
from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.names import registry_of, settings_of, split_names
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.record_view import class_names, score_line
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import choose_device
from astrojepa_bench.runs.rescore import Rescored, rescore


def execute(arguments: Namespace) -> int:
    """Score, write the record and the board, and print what is new."""
    registry = registry_of(arguments)
    with progress(registry):
        rescored = rescore(
            arguments.run,
            split_names(arguments.evaluator),
            registry,
            out=arguments.out,
            cache=arguments.cache or default_cache(),
            device=choose_device(arguments.device),
            settings=settings_of(arguments),
            dataset=arguments.dataset,
        )
    out = rescored.path.parents[3]
    found = read_board(out)
    board = write_board(out, found)
    for line in found.damaged:
        print(f"left out: {line}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"records": [str(rescored.path)], "board": str(board)}))
    else:
        _show(rescored)
        print(f"\nLeaderboard: {board}")
    return 0


def _show(rescored: Rescored) -> None:
    record = rescored.record
    classes = class_names(Store(rescored.path.parents[3]).weights_path(record.run_id))
    for name in rescored.added:
        reason = record.not_scored.get(name)
        spent = record.cost.evaluation.get(name, 0.0)
        print(f"{name}: {f'not scored: {reason}' if reason else f'{spent:.1f} s'}")
        for score in record.scores:
            if score.evaluator == name:
                print(f"  {score_line(score, classes)}")
    if not rescored.added:
        print(f"run {record.run_id} has these scores already")
