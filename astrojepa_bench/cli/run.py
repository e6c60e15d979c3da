"""The main job: train and score every combination asked for, and end with the leaderboard."""

from __future__ import annotations

import json
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from astrojepa_bench.board.render import read_board, write_board
from astrojepa_bench.board.rules import keep_rules, refuse_other_rules, rules_of
from astrojepa_bench.cli.board_view import board_text
from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.data_path import name_the_reader
from astrojepa_bench.cli.metrics_view import metrics_text
from astrojepa_bench.cli.names import registry_of, settings_of
from astrojepa_bench.cli.next_steps import next_steps
from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.plan_view import plan_json, plan_text
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.slurm_view import array_json, array_text
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.files import locked
from astrojepa_bench.launched import launched
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.executors.slurm_script import submit, write_array
from astrojepa_bench.runs.grid import GridResult, device_of, plan_grid, run_grid
from astrojepa_bench.runs.ranks.leader import leading
from astrojepa_bench.runs.request import EVALUATOR_SETS, RunRequest, make_request, read_config
from astrojepa_bench.runs.suite_board import board_suite

if TYPE_CHECKING:
    from astrojepa_bench.explore.products import Products


def execute(arguments: Namespace) -> int:
    """Run the grid. Exit code 1 if a cell failed, diverged or ran out of memory."""
    request = request_from(arguments)
    arguments.plugin = [*request.plugins]
    registry = registry_of(arguments)
    _refuse_elsewhere(request, registry, arguments)
    if arguments.dry_run:
        with progress(registry):
            planned = plan_grid(request, registry)
        print(plan_json(planned) if arguments.json else plan_text(planned, request.jobs))
        return 0
    if request.executor == "slurm":
        return _hand_to_slurm(request, registry, arguments)
    for name in arguments.observer or ():
        registry.attend(name, request.out)
    began = time.time()
    try:
        with leading(request), _judged(request, registry), progress(registry):
            result = run_grid(request, registry, command_line())
            products = _products(result, request, registry)
    except Exception:
        with suppress(Exception):  # what was finished before is not kept from the board, and the error counts
            if any(path.stat().st_mtime >= began for path in Store(request.out).paths()):
                write_board(request.out)
        raise
    show(result, request, products, as_json=arguments.json)
    return 0 if result.all_well else 1


def _refuse_elsewhere(request: RunRequest, registry: Registry, arguments: Namespace) -> None:
    """Refuse what does not go with the place where cells run, and observers that nobody offers.

    Raises:
        ConfigError: naming what to leave out, or the nearest observer.
        PluginError: two plugins offer an observer.
    """
    for name in arguments.observer or ():
        registry.observer(name)  # told here, and not by each task of an array
    if arguments.observer and request.executor == "ray":
        raise ConfigError(
            "--observer follows trainings on this machine, --executor ray trains on a cluster; leave one out"
        )
    if arguments.submit and request.executor != "slurm":
        raise ConfigError("--submit is of --executor slurm; name it, or leave --submit out")
    if request.executor != "local" and launched().size > 1:
        raise ConfigError(
            f"--executor {request.executor} is for many cells and torchrun for one; leave one of them out"
        )


def _hand_to_slurm(request: RunRequest, registry: Registry, arguments: Namespace) -> int:
    """Write the script of what is missing, and submit it if asked to; where nothing is, build the board."""
    wanted = request.model_copy(update={"device": device_of(request).type})
    with _judged(request, registry), progress(registry):
        planned = plan_grid(wanted, registry)
        array = write_array(wanted, planned, sys.argv[1:])
    if array is not None:
        job = submit(array) if arguments.submit else None
        print(array_json(array, job) if arguments.json else array_text(array, job))
        return 0
    print("every cell is done; there is nothing for Slurm to do", file=sys.stderr)
    store = Store(request.out)
    records = tuple(record for each in planned if (record := store.recall(each.run_id)))
    result = GridResult(records, tuple(store.path(record) for record in records))
    with progress(registry):
        products = _products(result, request, registry)
    show(result, request, products, as_json=arguments.json)
    return 0 if result.all_well else 1


@contextmanager
def _judged(request: RunRequest, registry: Registry) -> Iterator[None]:
    """Keep the rules of a suite beside the runs of its board, as soon as there are any.

    Raises:
        ConfigError: the folder is judged by other rules; before anything runs.
    """
    offer = board_suite(request, registry)
    rules = None if offer is None else rules_of(offer)
    if rules is not None:
        refuse_other_rules(request.out, rules)
    try:
        yield
    finally:
        if rules is not None and Store(request.out).paths():
            keep_rules(request.out, rules)


def request_from(arguments: Namespace) -> RunRequest:
    """Merge defaults, --config and flags into a request.

    Raises:
        ConfigError: something is unknown, missing or of the wrong type.
    """
    fields: dict[str, Any] = read_config(arguments.config) if arguments.config else {}
    if arguments.dataset is None and isinstance(fields.get("dataset"), str):
        arguments.dataset = fields["dataset"]
        name_the_reader(arguments)  # of a path in the file, as of one on the command line
    flags = {
        "objectives": arguments.objective,
        "maskers": arguments.masker,
        "encoders": arguments.encoder,
        "suite": arguments.suite,
        "match": arguments.match,
        "pretraining": arguments.pretraining,
        "labels": arguments.labels,
        "dataset": arguments.dataset,
        "data": _places(arguments.data or (), fields.get("data", {})),
        "evaluators": arguments.evaluator,
        "budget": arguments.budget,
        "seeds": arguments.seeds,
        "floors": False if arguments.no_floors else None,
        "out": arguments.out,
        "cache": arguments.cache,
        "device": arguments.device,
        "precision": arguments.precision,
        "plugins": arguments.plugin,
        "shard": arguments.shard,
        "isolate": arguments.isolate or None,
        "jobs": arguments.jobs,
        "overlap": arguments.overlap,
        "timeout": arguments.timeout,
        "executor": arguments.executor,
        "executor_options": arguments.executor_option,
        "ray_address": arguments.ray_address,
    }
    if arguments.executor not in (None, fields.get("executor")):  # what the file asks of another is not meant
        fields = {name: fields[name] for name in fields if name not in ("executor_options", "ray_address")}
    fields |= {name: value for name, value in flags.items() if value not in (None, [], {})}
    for address, options in settings_of(arguments).items():
        fields.setdefault("settings", {}).setdefault(address, {}).update(options)
    return make_request(fields)


def _places(texts: Iterable[str], configured: object) -> object:
    """Read `gz2=folder` as the place of the files of `gz2`, and add it to those of the configuration."""
    places: dict[str, str] = {}
    for text in texts:
        key, equals, place = text.partition("=")
        if not (key and equals and place):
            raise ConfigError(f"--data {text}: expected KEY=PATH, such as gz2=folder")
        if key in places:
            raise ConfigError(f"--data {key} is given twice; leave one of them out")
        places[key] = place
    return {**configured, **places} if isinstance(configured, dict) else configured


def _products(result: GridResult, request: RunRequest, registry: Registry) -> Products | None:
    """Write what a suite promises of its runs; None where it promises nothing."""
    suite = None if request.suite is None else registry.suite(request.suite).suite
    if suite is None or not suite.products:
        return None
    draws = import_module("astrojepa_bench.cli.products")  # heavy, and seldom needed
    products: Products = draws.made_of(result.records, suite, request, registry)
    return products


def show(result: GridResult, request: RunRequest, products: Products | None = None, *, as_json: bool) -> None:
    """Write the board and print it: one line per entry, or one per metric if more than `core` was asked for."""
    with locked(Store(request.out).lease_path("board")):  # or an older one could be written after a newer one
        board = read_board(request.out)
        page = write_board(request.out, board)
    for line in board.damaged:
        print(f"left out: {line}", file=sys.stderr)
    if as_json:
        paths = [str(path) for path in result.paths]
        paths_made = [] if products is None else [str(path) for path in products.paths]
        made = {} if products is None else {"products": paths_made, "absent": [*products.absent]}
        print(json.dumps({"records": paths, "trained": [*result.trained], "board": str(page), **made}))
        return
    more = set(request.evaluators) - {"core", *EVALUATOR_SETS["core"]}
    text = metrics_text if more else board_text  # columns have room for the core evaluators alone
    print(text(board, shutil.get_terminal_size((100, 24)).columns))
    print(f"\nLeaderboard: {page}")
    for line in () if products is None else products.lines:
        print(line)
    print(next_steps(result.records, request.out, is_looked_at=products is not None))
