"""`import-checkpoint`: turn a model trained elsewhere into a run, and score it if galaxies are given."""

from __future__ import annotations

import json
from argparse import Namespace

from astrojepa_bench.board.render import write_board
from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.names import registry_of, settings_of, split_names
from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.importers import Imported
from astrojepa_bench.options import check_all_used
from astrojepa_bench.registry import Registry
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.grid import choose_device
from astrojepa_bench.runs.importing import import_run, read_model, score_imported
from astrojepa_bench.runs.plan import evaluators_named


def execute(arguments: Namespace) -> int:
    """Import, score, and write the board. Exit code 1 if scoring failed."""
    if arguments.dataset is None and (arguments.evaluator or arguments.set):
        raise ConfigError("-E and --set choose how it is scored; name the galaxies too, with -d DATASET")
    registry, store = registry_of(arguments), Store(arguments.out)
    store.prepare()
    with progress(registry):
        imported = read_model(arguments.file, registry, arguments.format)
        if arguments.dataset is None:
            records = [import_run(imported, registry, store, command_line())]
        else:
            records = _scored(arguments, imported, registry, store)
    board = write_board(arguments.out)
    if arguments.json:
        print(json.dumps({"records": [str(store.path(record)) for record in records], "board": str(board)}))
    else:
        for record in records:
            _print_record(record, store)
        print(f"leaderboard: {board}")
    return 0 if all(record.status in SCORED for record in records) else 1


def _scored(arguments: Namespace, imported: Imported, registry: Registry, store: Store) -> list[RunRecord]:
    settings = settings_of(arguments)
    chosen = evaluators_named(tuple(split_names(arguments.evaluator or ["core"])), registry)
    offer = registry.get("dataset", arguments.dataset)
    check_all_used(settings, [offer, *chosen])
    cache, device = arguments.cache or default_cache(), choose_device(arguments.device)
    galaxies = load_galaxies(Component.of(offer, settings), imported.spec.size_px, cache, device)
    evaluators = [Component.of(each, settings) for each in chosen]
    return score_imported(imported, registry, store, command_line(), galaxies, evaluators)


def _print_record(record: RunRecord, store: Store) -> None:
    unscored = not record.scores and not record.failure
    hint = "; not scored (add -d DATASET)" if unscored else ""
    print(f"{record.run_id}  {record.title}: {record.status}{hint}")
    print(f"  {store.path(record)}")
    for text in record.warnings:
        print(f"  warning: {text}")
