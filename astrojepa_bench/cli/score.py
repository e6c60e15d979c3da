"""`score`: evaluate a finished run once more, by other evaluators; nothing is trained."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astrojepa_bench.results.record import RecordedScore
    from astrojepa_bench.runs.rescore import Rescored

SUMMARY = "Add evaluators to a finished run, without training; its record is written again."


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments of `score`."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = (
        "examples:\n  astrojepa-bench score 3f9a2c -E redshift,factors\n"
        "  astrojepa-bench score board/runs/…/3f9a….json -E full --set dataset.path=FILE.h5"
    )
    parser.add_argument("run", metavar="RUN", help="a record's .json, or the first letters of a run id")
    parser.add_argument(
        "-E", "--evaluator", action="append", required=True, metavar="NAME",
        help="evaluator, core or full (repeatable, or separated by commas)",
    )  # fmt: skip
    parser.add_argument("-d", "--dataset", metavar="NAME", help="dataset (default: the run's)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KIND.OPTION=VALUE", help="set an option (repeatable)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("astrojepa-runs"), metavar="DIR", help="where run ids are looked up"
    )
    parser.add_argument("--cache", type=Path, metavar="DIR", help="cache folder for converted galaxies")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print where the record is, as JSON, only")


def execute(arguments: Namespace) -> int:
    """Score, write the record and the board, and print what is new."""
    from astrojepa_bench.board.render import write_board

    rescored = _rescored(arguments)
    board = write_board(rescored.path.parents[3])
    if arguments.json:
        print(json.dumps({"records": [str(rescored.path)], "board": str(board)}))
    else:
        _show(rescored)
        print(f"\nLeaderboard: {board}")
    return 0


def _rescored(arguments: Namespace) -> Rescored:
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.data.cache_folder import default_cache
    from astrojepa_bench.events import listening
    from astrojepa_bench.options import parse_settings
    from astrojepa_bench.registry import load_registry
    from astrojepa_bench.runs.grid import choose_device
    from astrojepa_bench.runs.rescore import rescore

    names = [name.strip() for text in arguments.evaluator for name in text.split(",") if name.strip()]
    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    with console_listener() as listener, listening(listener), listening(registry.observe):
        return rescore(
            arguments.run,
            names,
            registry,
            out=arguments.out,
            cache=arguments.cache or default_cache(),
            device=choose_device(arguments.device),
            settings=parse_settings(arguments.set),
            dataset=arguments.dataset,
        )


def _show(rescored: Rescored) -> None:
    from astrojepa_bench.cli.show import score_line

    record = rescored.record
    for name in rescored.added:
        reason = record.not_scored.get(name)
        spent = record.cost.evaluation.get(name, 0.0)
        print(f"{name}: {f'not scored: {reason}' if reason else f'{spent:.1f} s'}")
        for score in _of(record.scores, name):
            print(f"  {score_line(score)}")
    if not rescored.added:
        print(f"run {record.run_id} has these scores already")


def _of(scores: list[RecordedScore], name: str) -> list[RecordedScore]:
    return [score for score in scores if score.evaluator == name]
