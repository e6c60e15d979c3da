"""`reproduce`: run a record again, and say whether its numbers came out again."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence

from astrojepa_bench.board.render import write_board
from astrojepa_bench.board.reproduction import Reproduced, judge_rerun
from astrojepa_bench.board.rules import read_rules
from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.names import registry_of, settings_of
from astrojepa_bench.cli.origin import command_line
from astrojepa_bench.cli.printing import print
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.errors import DataError
from astrojepa_bench.files import locked
from astrojepa_bench.results.galaxy_places import GalaxyPlaces
from astrojepa_bench.results.record import SCORED
from astrojepa_bench.results.store import find_run
from astrojepa_bench.runs.grid import choose_device
from astrojepa_bench.runs.reproduce import reproduction, rerun

_WORDS = {
    "equal": "equal to the last bit",
    "inside": "inside its prediction interval",
    "outside": "outside its prediction interval",
}


def execute(arguments: Namespace) -> int:
    """Rerun, judge, print, and keep the verdict if asked to. Exit code 1 if the rerun fell outside."""
    registry = registry_of(arguments)
    store, record = find_run(arguments.run, arguments.out)
    device = choose_device(arguments.device or str(record.identity.get("device_class") or "cpu"))
    with progress(registry):
        cache = arguments.cache or default_cache()
        done = rerun(
            record,
            registry,
            settings_of(arguments),
            cache,
            device,
            command_line(),
            dataset=arguments.dataset,
            places=GalaxyPlaces(store.out).of(record),
        )
    if done.again.status not in {*SCORED, "diverged"}:
        said = done.again.failure.message if done.again.failure else done.again.skip_reason
        raise DataError(
            f"run {record.run_id} could not be run again: it ended as {done.again.status}: {said}"
        )
    found = judge_rerun(record, done.again, store.survey().records, read_rules(store.out))
    if arguments.record:
        with locked(store.lease_path(record.run_id)):
            by_now = store.find(record.run_id)
            if by_now is None:
                raise DataError(f"the record of run {record.run_id} is gone from {store.runs}; restore it")
            told = [*by_now.reproductions, reproduction(done, found.verdict)]
            store.write(by_now.model_copy(update={"reproductions": told}))
        write_board(store.out)
    if arguments.json:
        print(json.dumps({"verdict": found.verdict, "scores": [score.facts() for score in found.scores]}))
    else:
        _show(record.title, record.run_id, found, done.notes)
    return 1 if found.verdict == "outside" else 0


def _show(title: str, run_id: str, found: Reproduced, notes: Sequence[str]) -> None:
    print(f"{title}, run {run_id}: {_WORDS[found.verdict]}")
    for each in found.scores:
        now = "none" if each.now is None else f"{each.now:.4f}"
        where = (
            "" if each.interval is None else f"   expected {each.interval[0]:.4f} to {each.interval[1]:.4f}"
        )
        odd = "" if each.is_inside else "   outside"
        print(f"  {each.evaluator}.{each.metric}: was {each.was:.4f}, is {now}{where}{odd}")
    for note in (*notes, *found.notes):
        print(f"  note: {note}")
