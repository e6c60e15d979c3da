"""Join the output folders of several machines into one, or refuse and write nothing.

Records of one id must tell the same: equal scores, training curves and answers. Where one folder holds scores that
another lacks, or scores of a newer evaluator, the joined record has both. Times, machines and dates may differ; the
earlier run stays.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.score import Scored
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import Store, write_atomically
from astrojepa_bench.versions import own_number

SHOWN = 5
_ENDED = frozenset({*SCORED, "diverged", "skipped"})
_SIDE_FILES = ("suite.json", "published.json", "galaxies/*.csv")


@dataclass(frozen=True)
class PlacedRecord:
    """A record, and the folder in which it was found."""

    folder: Path
    record: RunRecord


def merge(folders: Sequence[Path], out: Path) -> list[RunRecord]:
    """Join records and what lies beside them: galaxies of fingerprints, published figures, rules of a suite.

    Args:
        folders: output folders.
        out: where to; records that lie there take part.

    Returns:
        The records that were written: those that `out` lacked, or held with less.

    Raises:
        ConfigError: a folder holds no records, or `out` cannot be written.
        DataError: a record is corrupt; protocols are mixed; one id has two different sets of numbers; a file
            beside the records is not the same everywhere. Nothing was written.
    """
    sources = list(dict.fromkeys([*folders, *([out] if Store(out).paths() else [])]))
    found = [PlacedRecord(folder, record) for folder in sources for record in _records_of(folder)]
    _refuse_mixed_protocols(found)
    by_id: dict[str, list[PlacedRecord]] = {}
    for each in found:
        by_id.setdefault(each.record.run_id, []).append(each)
    conflicts = [fault for same in by_id.values() for fault in _conflicts(same)]
    side_files = _side_files(sources)
    for path, ((first, content), *others) in side_files.items():
        conflicts += [f"{path} differs in {first} and {folder}" for folder, each in others if each != content]
    if conflicts:
        more = f" (and {len(conflicts) - SHOWN} more)" if len(conflicts) > SHOWN else ""
        raise DataError(f"nothing was merged: {'; '.join(conflicts[:SHOWN])}{more}; find out which is right")
    present = {each.record.run_id: each.record for each in found if each.folder == out}
    joined = [_joined([each.record for each in by_id[run_id]]) for run_id in sorted(by_id)]
    changed = [record for record in joined if present.get(record.run_id) != record]
    for record in changed:
        Store(out).write(record)
    for path, held in side_files.items():
        write_atomically(out / path, held[0][1])
    return changed


def _records_of(folder: Path) -> list[RunRecord]:
    """Read a folder; ids have to follow from the identities, or two runs could pass for one.

    Raises:
        ConfigError: it holds no records.
        DataError: a record is corrupt, or its id is not its own.
    """
    records = Store(folder).records()
    if not records:
        raise ConfigError(f"{folder} holds no records (runs/**/*.json); name the output folder of a run")
    for record in records:
        for fault in record.identity_faults():
            raise DataError(
                f"nothing was merged: {Store(folder).path(record)}: {fault}; restore or delete it"
            )
    return records


# --- what may not be joined -----------------------------------------------------------------------------------


def _refuse_mixed_protocols(found: Iterable[PlacedRecord]) -> None:
    homes: dict[str, dict[Path, int]] = {}
    for each in found:
        counts = homes.setdefault(str(each.record.identity.get("protocol")), {})
        counts[each.folder] = counts.get(each.folder, 0) + 1
    if len(homes) > 1:
        said = "; ".join(
            f"protocol {protocol} in {', '.join(f'{folder} ({n} records)' for folder, n in counts.items())}"
            for protocol, counts in sorted(homes.items())
        )
        raise DataError(f"nothing was merged: protocols are mixed ({said}); run them again with one version")


def _conflicts(same: Sequence[PlacedRecord]) -> list[str]:
    """List, pair by pair, what runs of one id contradict each other in."""
    ended = [each for each in same if each.record.status in _ENDED]
    faults = []
    for one, other in itertools.combinations(ended, 2):
        fault = _contradiction(one.record, other.record)
        if fault is not None:
            faults.append(f"run {one.record.run_id} in {one.folder} and {other.folder}: {fault}")
    return faults


def _contradiction(one: RunRecord, other: RunRecord) -> str | None:
    """Find the first number in which two records of one run differ."""
    if one.status != other.status:
        return f"ended as {one.status} and as {other.status}"
    for name in sorted(one.evaluators.keys() & other.evaluators.keys()):
        settings = {canonical_json(record.evaluators[name].get("options")) for record in (one, other)}
        if _version(one, name) == _version(other, name) and len(settings) > 1:
            return f"{name} scored them with different options"
    mine, theirs = _numbers(one), _numbers(other)
    for key in sorted(mine.keys() & theirs.keys()):
        if mine[key] != theirs[key]:
            return f"{' '.join(key)} is {mine[key]} and {theirs[key]}"
    asked = {key[:2] for key in mine} & {key[:2] for key in theirs}
    for key in sorted(mine.keys() ^ theirs.keys()):
        if key[:2] in asked:
            return f"only one of them has {' '.join(key)}"
    curves = (record.training.model_dump(exclude={"recipe"}) for record in (one, other))
    return None if len({canonical_json(curve) for curve in curves}) == 1 else "their training curves differ"


def _numbers(record: RunRecord) -> dict[tuple[str, str, str], Any]:
    """Return every number that is judged, by evaluator, its version, and metric; which galaxies were right, too."""
    found: dict[tuple[str, str, str], Any] = {
        (s.evaluator, s.evaluator_version, s.metric): s.value for s in record.scores
    }
    for name, text in record.correct.items():
        evaluator, _, metric = name.partition(".")
        found[evaluator, _version(record, evaluator), f"{metric} by galaxy"] = text
    return found


def _version(record: RunRecord, evaluator: str) -> str:
    return next((s.evaluator_version for s in record.scores if s.evaluator == evaluator), "")


def _side_files(sources: Iterable[Path]) -> dict[str, list[tuple[Path, bytes]]]:
    """Read what lies beside the records, by its path in the folder."""
    held: dict[str, list[tuple[Path, bytes]]] = {}
    for folder, pattern in itertools.product(sources, _SIDE_FILES):
        for path in sorted(folder.glob(pattern)):
            name = path.relative_to(folder).as_posix()
            held.setdefault(name, []).append((folder, path.read_bytes()))
    return held


# --- joining --------------------------------------------------------------------------------------------------


def _joined(same: Sequence[RunRecord]) -> RunRecord:
    """Join the records of one run: the earliest of those that were scored most, and what it lacks."""

    def place(record: RunRecord) -> tuple[bool, int, str, str]:
        ended, scored = record.status in _ENDED, len(record.evaluators)
        return not ended, -scored, record.provenance.created_utc, canonical_json(record.facts())

    first, *rest = sorted(same, key=place)
    for other in rest:
        if first.status in SCORED and other.status in SCORED:
            first = _with_scores_of(first, other)
    told = {canonical_json(each.model_dump(mode="json")): each for r in same for each in r.reproductions}
    ordered = sorted(told.items(), key=lambda item: (item[1].date, item[0]))
    return first.model_copy(update={"reproductions": [each for _, each in ordered]})


def _with_scores_of(record: RunRecord, other: RunRecord) -> RunRecord:
    """Add the scores of evaluators that a record lacks or has from an older version."""
    taken = {
        name
        for name in other.evaluators
        if name not in record.evaluators
        or own_number(_version(other, name)) > own_number(_version(record, name))
    }
    if not taken:
        return record
    facts, more = record.facts(), Scored.of_record(other.facts())
    spent = {name: seconds for name, seconds in more.seconds.items() if name in taken}
    lacking = more.without([name for name in other.evaluators if name not in taken])
    lacking = replace(lacking, seconds=spent, eval_seconds=sum(spent.values()))
    kept = Scored.of_record(facts).without(taken)
    kept = replace(kept, seconds={name: s for name, s in kept.seconds.items() if name not in taken})
    return RunRecord.model_validate(kept.plus(lacking).in_record(facts))
