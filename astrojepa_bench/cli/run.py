"""The main job: train and score every combination asked for, and end with the leaderboard."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from argparse import Namespace
from typing import Any

from astrojepa_bench.board.render import read_board, write_board
from astrojepa_bench.cli.board_view import board_text
from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.metrics_view import metrics_text
from astrojepa_bench.cli.names import registry_of, settings_of
from astrojepa_bench.cli.plan_view import plan_json, plan_text
from astrojepa_bench.registry import Registry
from astrojepa_bench.runs.grid import GridResult, plan_grid, run_grid
from astrojepa_bench.runs.request import EVALUATOR_SETS, RunRequest, make_request, read_config


def execute(arguments: Namespace) -> int:
    """Run the grid. Exit code 1 if a cell failed, diverged or ran out of memory."""
    request = request_from(arguments)
    arguments.plugin = [*request.plugins]
    registry = registry_of(arguments)
    if arguments.dry_run:
        return _rehearse(request, registry, as_json=arguments.json)
    with progress(registry):
        result = run_grid(request, registry, shlex.join(["astrojepa-bench", *sys.argv[1:]]))
    show(result, request, as_json=arguments.json)
    return 0 if result.all_well else 1


def _rehearse(request: RunRequest, registry: Registry, *, as_json: bool) -> int:
    """Print what the request would do."""
    with progress(registry):
        planned = plan_grid(request, registry)
    print(plan_json(planned) if as_json else plan_text(planned))
    return 0


def request_from(arguments: Namespace) -> RunRequest:
    """Merge defaults, --config and flags into a request.

    Raises:
        ConfigError: something is unknown, missing or of the wrong type.
    """
    fields: dict[str, Any] = read_config(arguments.config) if arguments.config else {}
    flags = {
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
        "shard": arguments.shard,
    }
    fields |= {name: value for name, value in flags.items() if value not in (None, [])}
    for address, options in settings_of(arguments).items():
        fields.setdefault("settings", {}).setdefault(address, {}).update(options)
    return make_request(fields)


def show(result: GridResult, request: RunRequest, *, as_json: bool) -> None:
    """Write the board and print it: one line per entry, or one per metric if more than `core` was asked for."""
    board = read_board(request.out)
    page = write_board(request.out, board)
    if as_json:
        paths = [str(path) for path in result.paths]
        print(json.dumps({"records": paths, "trained": [*result.trained], "board": str(page)}))
        return
    more = set(request.evaluators) - {"core", *EVALUATOR_SETS["core"]}
    text = metrics_text if more else board_text  # columns have room for the core evaluators alone
    print(text(board, shutil.get_terminal_size((100, 24)).columns))
    print(f"\nLeaderboard: {page}")
