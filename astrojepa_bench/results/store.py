"""The output folder: one atomic JSON per run, and next to them the files too large to commit.

```
out/runs/<dataset>/<objective>+<masker>/<run id>.json   the truth
out/galaxies/<fingerprint>.csv                          of which test galaxies its bits are, with their classes
out/weights/  out/checkpoints/  out/features/           by run id, ignored by git
out/leases/                                             who works on a run just now
out/.index/                                             which records were read before, and where galaxies lay
```
"""

from __future__ import annotations

import gc
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from astrojepa_bench.errors import ConfigError, DataError, StorageError
from astrojepa_bench.events import emit
from astrojepa_bench.files import is_text, replacing
from astrojepa_bench.results.correct import galaxies_text, read_classes
from astrojepa_bench.results.index import RecordIndex
from astrojepa_bench.results.record import SCORED, RunRecord

PROBE = 1 << 16  # bytes that an output folder must have room for


class Holdings(NamedTuple):
    """What an output folder holds.

    Attributes:
        records: those that can be read, in an order that depends on their content only.
        hashes: of the facts of each, by run id.
        damaged: a line for each file that is no record, or lies where its content does not belong (a renamed copy
            would count one seed twice): what is wrong with it, and the way out.
    """

    records: list[RunRecord]
    hashes: dict[str, str]
    damaged: tuple[str, ...]


class Store:
    """Records below one output folder. Making a store touches nothing; writing makes the folders.

    Args:
        out: the output folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    @property
    def runs(self) -> Path:
        """The folder of the records."""
        return self.out / "runs"

    @property
    def leases(self) -> Path:
        """The folder of the locks."""
        return self.out / "leases"

    def prepare(self) -> None:
        """Make the folders of records and locks now, so that a bad `--out` is known before anything is trained.

        Raises:
            StorageError: the folder cannot be made or written.
        """
        if not is_text(self.out.absolute()):
            raise StorageError.of(self.out, "its path is not UTF-8")
        for folder in (self.runs, self.leases):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as probe:
                    probe.write(bytes(PROBE))
            except OSError as error:
                raise _unwritable(folder, error) from None

    def path(self, record: RunRecord) -> Path:
        """Return where a record belongs."""
        pair = f"{_safe(record.objective)}+{_safe(record.masker)}"
        return self.runs / _safe(record.dataset) / pair / f"{record.run_id}.json"

    def write(self, record: RunRecord) -> Path:
        """Write a record, whole or not at all, over any earlier one of the same run.

        Raises:
            StorageError: the folder cannot be made or written.
            ContractError: the record holds NaN.
        """
        path = self.path(record)
        write_atomically(path, record.to_json().encode())
        return path

    def keep_galaxies(self, fingerprint: str, ids: np.ndarray, label: Int[np.ndarray, " galaxy"]) -> None:
        """Write down which test galaxies the bits in records are of; a file that says so already is left alone.

        Args:
            fingerprint: of the galaxies.
            ids: of the test galaxies.
            label: class index of each, -1 where nobody knows it; those have no bit.

        Raises:
            StorageError: the folder cannot be made or written.
        """
        path, content = self.galaxies_path(fingerprint), galaxies_text(ids, label).encode()
        if not (label >= 0).any():
            return
        is_there = path.is_file()
        if is_there and path.read_bytes() == content:
            return
        if is_there:
            emit("note", text=f"{path} is not the list of these galaxies and is written anew")
        write_atomically(path, content)

    def classes(self, fingerprint: str) -> Int[np.ndarray, " galaxy"] | None:
        """Read the class of each galaxy that records have a bit of, in the order of the bits; None if not kept.

        Raises:
            DataError: the file is no list of galaxies.
        """
        path = self.galaxies_path(fingerprint)
        return read_classes(path) if path.is_file() else None

    def paths(self) -> list[Path]:
        """List the record files, by path; drafts and locks do not count."""
        found = (path for path in self.runs.rglob("*.json") if not path.name.startswith("."))
        return sorted(path for path in found if path.parent.suffix != ".lock")

    def read(self, path: Path) -> RunRecord:
        """Read one record file.

        Raises:
            DataError: unreadable, or not a run record.
        """
        try:
            return RunRecord.from_json(path.read_bytes(), path)
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); restore or delete it") from None

    def find(self, run_id: str) -> RunRecord | None:
        """Look a run up by its id, or by the one that it had before it was migrated; None if there is no record.

        Raises:
            DataError: its record is damaged.
        """
        path = self._path_of(run_id)
        return self.read(path) if path else None

    def recall(self, run_id: str, *, set_aside: bool = False) -> RunRecord | None:
        """Look a run up as `find` does, but pass over a damaged record with a note.

        Args:
            run_id: its id.
            set_aside: whether to rename a damaged record, so that another can take its place and nothing is lost;
                call it while holding the run's lease.
        """
        try:
            return self.find(run_id)
        except DataError as error:
            path = self._path_of(run_id)
            kept = "" if not set_aside or path is None else f"; it is kept as {_set_aside(path).name}"
            emit("note", text=f"{error}{kept}; run {run_id} counts as not done")
            return None

    def _path_of(self, run_id: str) -> Path | None:
        """Find the record file of a run, at the place where its content belongs if there are several."""
        found = sorted(self.runs.glob(f"*/*/{run_id}.json"))
        for path in found[:-1]:
            try:
                if self.path(self.read(path)) == path:
                    return path
            except DataError:
                continue
        return found[-1] if found else self._formerly.get(run_id)

    def locate(self, prefix: str) -> Path:
        """Find the one record file whose run id starts with some letters, or whose id before it was migrated does.

        Args:
            prefix: the letters; or `latest`, for the scored run that was made last: a floor only where there is
                nothing else, since floors come after the entries that they frame.

        Raises:
            ConfigError: there is none, or more than one.
        """
        if prefix == "latest":
            scored = [record for record in self.survey().records if record.status in SCORED]
            if not scored:
                raise ConfigError(
                    f"there is no scored run below {self.runs}; name the output folder with --out"
                )
            asked_for = [record for record in scored if record.standing != "floor"] or scored
            return self.path(max(asked_for, key=lambda each: (each.provenance.created_utc, each.run_id)))
        found = {path.stem: path for path in self.paths() if path.stem.startswith(prefix)}
        found |= {old: path for old, path in self._formerly.items() if old.startswith(prefix)}
        if len(set(found.values())) == 1:
            return next(iter(found.values()))
        if found:
            ids = ", ".join(list(found)[:5])
            raise ConfigError(f"{len(found)} run ids start with '{prefix}' ({ids}); give more letters")
        raise ConfigError(
            f"no run id starts with '{prefix}' below {self.runs}; give a record's file, or name the output "
            "folder with --out"
        )

    def records(self) -> list[RunRecord]:
        """Read every record, in an order that depends on their content only.

        Raises:
            DataError: a file is not a record, or lies where its content does not belong (a renamed copy
                would count one seed twice).
        """
        return self._read_all(RecordIndex(self.out), strict=True).records

    def survey(self) -> Holdings:
        """Read every record that can be read, say what is wrong with the others, and remember what was read."""
        index = RecordIndex(self.out)
        found = self._read_all(index)
        index.keep()
        return found

    def _read_all(self, index: RecordIndex, *, strict: bool = False) -> Holdings:
        records, hashes, damaged = list[RunRecord](), dict[str, str](), list[str]()
        with _uncollected():
            for path in self.paths():
                try:
                    record, facts = index.read(path)
                    if path != self.path(record):
                        home = self.path(record).relative_to(self.out)
                        raise DataError(f"{path} holds {home}; move or delete it")
                except DataError as error:
                    if strict:
                        raise
                    damaged.append(
                        str(error).replace(f"{path} ", f"{path.relative_to(self.out).as_posix()} ")
                    )
                    continue
                records.append(record)
                hashes[record.run_id] = facts
        records.sort(
            key=lambda r: (
                r.dataset,
                r.budget,
                r.objective,
                r.masker,
                r.encoder,
                r.entry_id,
                r.seed,
                r.run_id,
            )
        )
        return Holdings(records, hashes, tuple(damaged))

    def galaxies_path(self, fingerprint: str) -> Path:
        """Return where the labelled test galaxies of a data set are listed."""
        return self.out / "galaxies" / f"{_safe(fingerprint)}.csv"

    def weights_path(self, run_id: str) -> Path:
        """Return where the weights of the whole objective lie."""
        return self.out / "weights" / f"{run_id}.safetensors"

    def checkpoint_path(self, run_id: str) -> Path:
        """Return where a run in progress keeps its state."""
        return self.out / "checkpoints" / f"{run_id}.pt"

    def features_path(self, run_id: str) -> Path:
        """Return where features and what evaluators predict of each galaxy are kept."""
        return self.out / "features" / f"{run_id}.h5"

    def lease_path(self, run_id: str) -> Path:
        """Return what a process locks while it works on a run."""
        return self.leases / run_id

    def remove_drafts(self, run_id: str) -> None:
        """Remove files that killed processes left half-written; call it while holding the run's lease."""
        for path in (self.weights_path(run_id), self.checkpoint_path(run_id), self.features_path(run_id)):
            for draft in path.parent.glob(f"*{run_id}*.partial"):
                draft.unlink(missing_ok=True)
        for draft in self.runs.glob(f"*/*/.{run_id}.json.*.partial"):
            draft.unlink(missing_ok=True)

    @cached_property
    def _formerly(self) -> dict[str, Path]:
        """Record files by the ids that they had before they were migrated; read once, as nothing adds to them."""
        index, found = RecordIndex(self.out), dict[str, Path]()
        for path in self.paths():
            known = index.unchanged(path)
            try:
                match = None if known else re.search(rb'"formerly": "(\w+)"', path.read_bytes())
            except OSError:  # no file that can be read
                continue
            former = known.formerly if known else match and match[1].decode("ascii", "replace")
            if former:
                found[former] = path
        return found


def find_run(where: str | Path, out: Path) -> tuple[Store, RunRecord]:
    """Find a scored record by its file or its id's first letters, and the output folder it lies in.

    Raises:
        ConfigError: nothing, or more than one, is found.
        DataError: the record has no scores.
    """
    path, store = Path(where), Store(out)
    if path.suffix == ".json":
        above = path.absolute().parents  # out / runs / dataset / pair / id.json
        store = Store(above[min(3, len(above) - 1)])
    else:
        path = store.locate(str(where))
    record = store.read(path)
    if record.status not in SCORED:
        raise DataError(
            f"run {record.run_id} ended as {record.status}: it has no weights; open one that is ok or collapsed"
        )
    return store, record


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector, which would search records, all of which stay, for half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _set_aside(path: Path) -> Path:
    """Rename a damaged record, so that it counts no more and nothing is lost.

    Raises:
        StorageError: the folder cannot be written.
    """
    names = (path.with_name(f"{path.name}.damaged{number or ''}") for number in count())
    kept = next(name for name in names if not os.path.lexists(name))
    try:
        os.rename(path, kept)
    except OSError as error:
        raise _unwritable(path, error) from None
    return kept


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that any reader, at any moment, finds the old content or the new one, never a part.

    Raises:
        StorageError: the folder cannot be made or written, or its disk is full.
    """
    with replacing(path, len(content)) as draft:
        draft.write_bytes(content)


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError.of(path, error.strerror or type(error).__name__)


def _safe(name: str) -> str:
    """Turn a name into one that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "unnamed"
