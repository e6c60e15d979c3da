"""The main job: train and score every combination asked for, and end with the leaderboard."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astrojepa_bench.cli.data_target import bad_image_setting

if TYPE_CHECKING:
    from astrojepa_bench.runs.grid import GridResult
    from astrojepa_bench.runs.request import RunRequest

SUMMARY = "train and score objectives with maskers; ends with the leaderboard"
EXAMPLES = """examples:
  astrojepa-bench run --objective OBJECTIVE --masker brightness
  astrojepa-bench run -o A,B -m random,brightness -d hdf5 --set dataset.path=FILE.h5 --seeds 3 --out board
  astrojepa-bench run --suite baseline --budget small --seeds 3 --out board

Issue the same command again and only what is missing is done. `astrojepa-bench list` shows all names."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; what is not given comes from --config, then from the defaults."""
    parser.epilog = EXAMPLES
    names = parser.add_argument_group("what competes (repeatable, or separated by commas)")
    names.add_argument("-o", "--objective", action="append", metavar="NAME", help="self-supervised objective")
    names.add_argument("-m", "--masker", action="append", metavar="NAME", help="masker (default: random)")
    names.add_argument("-e", "--encoder", action="append", metavar="NAME", help="encoder (default: budget's)")
    names.add_argument("--suite", metavar="NAME", help="a named grid instead of -o and -m (list suites)")
    ruler = parser.add_argument_group("how it is measured")
    ruler.add_argument("-d", "--dataset", metavar="NAME", help="galaxies (default: synthetic)")
    ruler.add_argument("-E", "--evaluator", action="append", metavar="NAME", help="evaluator, core or full")
    ruler.add_argument("--budget", metavar="NAME", help="smoke, small (default), standard or long")
    ruler.add_argument("--seeds", metavar="N", help="how many seeds, or a list such as 0,4 (default: 1)")
    ruler.add_argument(
        "--pretraining", type=int, metavar="N", help="pretrain on at most N galaxies, as many images seen"
    )
    ruler.add_argument("--no-floors", action="store_true", help="do not score the floors beside the entries")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KIND.OPTION=VALUE", help="set an option (repeatable)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file; flags win over it")
    parser.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: astrojepa-runs)")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="cache folder for converted galaxies")
    parser.add_argument(
        "--on-bad-image", choices=("fail", "skip"), help="unreadable images: stop (default), or leave out"
    )
    parser.add_argument("--device", metavar="NAME", help="auto (default), cpu or cuda")
    parser.add_argument("--json", action="store_true", help="print where the records are, as JSON, only")


def execute(arguments: argparse.Namespace) -> int:
    """Run the grid. Exit code 1 if a cell failed, diverged or ran out of memory."""
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.events import listening
    from astrojepa_bench.registry import load_registry
    from astrojepa_bench.runs.grid import run_grid

    request = request_from(arguments)
    registry = load_registry(request.plugins, arguments.strict_plugins)
    with console_listener() as listener, listening(listener), listening(registry.observe):
        result = run_grid(request, registry, shlex.join(["astrojepa-bench", *sys.argv[1:]]))
    show(result, request, as_json=arguments.json)
    return 0 if result.all_well else 1


def request_from(arguments: argparse.Namespace) -> RunRequest:
    """Merge defaults, --config and flags into a request.

    Raises:
        ConfigError: something is unknown, missing or of the wrong type.
    """
    from astrojepa_bench.options import parse_settings
    from astrojepa_bench.runs.request import make_request, read_config

    settings = [*arguments.set, *bad_image_setting(arguments.on_bad_image)]
    fields: dict[str, Any] = read_config(arguments.config) if arguments.config else {}
    fields |= {name: value for name, value in _flags(arguments).items() if value not in (None, [])}
    for address, options in parse_settings(settings).items():
        fields.setdefault("settings", {}).setdefault(address, {}).update(options)
    return make_request(fields)


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "objectives": arguments.objective,
        "maskers": arguments.masker,
        "encoders": arguments.encoder,
        "suite": arguments.suite,
        "pretraining": arguments.pretraining,
        "dataset": arguments.dataset,
        "evaluators": arguments.evaluator,
        "budget": arguments.budget,
        "seeds": arguments.seeds,
        "floors": False if arguments.no_floors else None,
        "out": arguments.out,
        "cache": arguments.cache,
        "device": arguments.device,
        "plugins": arguments.plugin,
    }


def show(result: GridResult, request: RunRequest, *, as_json: bool) -> None:
    """Write the board and print it: an entry a line, or a metric a line where more than the core was asked."""
    import shutil

    from astrojepa_bench.board.render import write_board
    from astrojepa_bench.board.table import build_board
    from astrojepa_bench.cli.board_view import board_text
    from astrojepa_bench.cli.metrics_view import metrics_text
    from astrojepa_bench.results.store import Store
    from astrojepa_bench.runs.request import EVALUATOR_SETS

    board = write_board(request.out)
    if as_json:
        print(json.dumps({"records": [str(path) for path in result.paths], "board": str(board)}))
        return
    more = set(request.evaluators) - {"core", *EVALUATOR_SETS["core"]}
    text = metrics_text if more else board_text  # columns have room for the core evaluators alone
    print(text(build_board(Store(request.out).records()), shutil.get_terminal_size((100, 24)).columns))
    print(f"\nLeaderboard: {board}")
