"""Move the records of edition 1, whose identities did not cover all code behind a run, to new ids.

Such a record keeps what it says and gets a chain that no new run has, so that it is shown, marked, and never taken
for a run of today's code. Nothing is trained or scored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.events import track
from astrojepa_bench.results.identity import EDITION_1, digest, entry_digest
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store
from astrojepa_bench.versions import OWN, version_text


@dataclass(frozen=True)
class Migrated:
    """A record of edition 1 and where it went.

    Attributes:
        before: its file.
        after: the file that took its place.
    """

    before: Path
    after: Path


def migrate(out: Path, chains: Mapping[str, Mapping[str, str]], *, dry_run: bool = False) -> list[Migrated]:
    """Recompute the id of every record of edition 1, and rename its files accordingly.

    It can be interrupted and repeated: records that have a chain stay as they are.

    Args:
        out: the output folder.
        chains: today's version of each evaluator by name. Where its own integer is the recorded one, it measures
            what it measured then, and the recorded scores are shown with those of today.
        dry_run: change nothing.

    Returns:
        The records that moved, or would.

    Raises:
        ConfigError: there are no records, or the folder cannot be written.
        DataError: a record file is corrupt.
    """
    store = Store(out)
    paths = store.paths()
    if not paths:
        raise ConfigError(f"{out} holds no records (runs/**/*.json); name the folder of an earlier run")
    moved = []
    for path in track(paths, task="migrating records", total=len(paths), unit="records"):
        old = store.read(path)
        if "chain" in old.identity:
            continue
        new = migrated(old, chains)
        moved.append(Migrated(path, store.path(new)))
        if not dry_run:
            _move_files(store, old, new)
            store.write(new)
            path.unlink()
    return moved


def migrated(record: RunRecord, chains: Mapping[str, Mapping[str, str]]) -> RunRecord:
    """Return a record of edition 1 with its new id.

    Args:
        record: without a chain.
        chains: today's version of each evaluator by name.
    """
    identity = {**record.identity, "chain": EDITION_1}
    known = dict[str, Mapping[str, str]]()
    for name, chain in chains.items():
        version = record.evaluators.get(name, {}).get("version")
        texts = {score.evaluator_version for score in record.scores if score.evaluator == name}
        declared = texts <= {f"{version} (edition 1)"}  # else the scores tell of a hash of its source
        if declared and version == chain[OWN]:
            known[name] = chain
    facts: dict[str, Any] = {
        **record.facts(),
        "identity": identity,
        "run_id": digest(identity),
        "entry_id": entry_digest(identity),
        "formerly": record.run_id,
    }
    facts["evaluators"] = {
        name: {**described, "version": known.get(name, described.get("version"))}
        for name, described in record.evaluators.items()
    }
    facts["scores"] = [
        {**score, "evaluator_version": version_text(known[score["evaluator"]])}
        if score["evaluator"] in known
        else score
        for score in facts["scores"]
    ]
    return RunRecord.model_validate(facts)


def _move_files(store: Store, old: RunRecord, new: RunRecord) -> None:
    """Move weights, checkpoint and features to the new id; those that moved before an interruption are there."""
    features = store.out / "answers" / f"{old.run_id}.h5"
    moves = {
        store.weights_path(old.run_id): store.weights_path(new.run_id),
        store.checkpoint_path(old.run_id): store.checkpoint_path(new.run_id),
        features: store.features_path(new.run_id),
    }
    for before, after in moves.items():
        if before.is_file():
            if before is features:
                _stamp(before, str(old.identity.get("fingerprint", "")))
            after.parent.mkdir(parents=True, exist_ok=True)
            os.replace(before, after)
    with suppress(OSError):  # it holds the features of other runs yet
        features.parent.rmdir()


def _stamp(path: Path, fingerprint: str) -> None:
    """Write into a file of features of which galaxies they are; a damaged one is computed anew one day."""
    with suppress(OSError), h5py.File(path, "a") as file:
        file.attrs["fingerprint"] = fingerprint
