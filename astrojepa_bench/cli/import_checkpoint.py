"""`import-checkpoint`: make a run of a model from AstroJEPA's zoo, and score it where galaxies are given."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from astrojepa_bench.cli.names import settings_of

if TYPE_CHECKING:
    from astrojepa_bench.explore.checkpoint import Checkpoint
    from astrojepa_bench.registry import Registry
    from astrojepa_bench.results.record import RunRecord
    from astrojepa_bench.results.store import Store


def execute(arguments: Namespace) -> int:
    """Import, score, and write the board. Exit code 1 if scoring failed."""
    from astrojepa_bench.board.render import write_board
    from astrojepa_bench.results.record import SCORED
    from astrojepa_bench.results.store import Store

    store = Store(arguments.out)
    records = _imported(arguments, store)
    board = write_board(arguments.out)
    if arguments.json:
        print(json.dumps({"records": [str(store.path(record)) for record in records], "board": str(board)}))
    else:
        print("\n".join(line for record in records for line in _lines(record, store)))
        print(f"leaderboard: {board}")
    return 0 if all(record.status in SCORED for record in records) else 1


def _imported(arguments: Namespace, store: Store) -> list[RunRecord]:
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.events import listening
    from astrojepa_bench.explore.checkpoint import import_checkpoint, read_checkpoint
    from astrojepa_bench.registry import load_registry

    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    store.prepare()
    with console_listener() as listener, listening(listener), listening(registry.observe):
        checkpoint = read_checkpoint(arguments.file)
        if arguments.dataset is None:
            _refuse_unused(arguments)
            return [import_checkpoint(checkpoint, registry, store, _command())]
        return _scored(arguments, checkpoint, registry, store)


def _refuse_unused(arguments: Namespace) -> None:
    from astrojepa_bench.errors import ConfigError

    if arguments.evaluator or arguments.set:
        raise ConfigError("-E and --set say how to score; name the galaxies too, with -d DATASET")


def _scored(
    arguments: Namespace, checkpoint: Checkpoint, registry: Registry, store: Store
) -> list[RunRecord]:
    from astrojepa_bench.data.cache_folder import default_cache
    from astrojepa_bench.explore.checkpoint import score_checkpoint
    from astrojepa_bench.options import check_all_used
    from astrojepa_bench.runs.assemble import load_galaxies
    from astrojepa_bench.runs.component import Component
    from astrojepa_bench.runs.grid import choose_device
    from astrojepa_bench.runs.plan import evaluators_named

    settings = settings_of(arguments)
    named = [
        name.strip() for text in arguments.evaluator or ["core"] for name in text.split(",") if name.strip()
    ]
    judges = evaluators_named(tuple(named), registry)
    offer = registry.get("dataset", arguments.dataset)
    check_all_used(settings, [offer, *judges])
    device = choose_device(arguments.device)
    cache = arguments.cache or default_cache()
    galaxies = load_galaxies(Component.of(offer, settings), checkpoint.size_px, cache, device)
    evaluators = [Component.of(judge, settings) for judge in judges]
    return score_checkpoint(checkpoint, registry, store, _command(), galaxies, evaluators)


def _command() -> str:
    return shlex.join(["astrojepa-bench", *sys.argv[1:]])


def _lines(record: RunRecord, store: Store) -> list[str]:
    found = f"{record.run_id}  {record.title}: {record.status}"
    how = "" if record.scores else "; not scored (add -d DATASET)" if not record.failure else ""
    return [f"{found}{how}", f"  {store.path(record)}", *(f"  warning: {text}" for text in record.warnings)]
