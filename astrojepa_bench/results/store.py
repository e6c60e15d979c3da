"""The output folder: one atomic JSON per run, and next to them the files too large to commit.

```
out/runs/<dataset>/<objective>+<masker>/<run id>.json   the truth
out/galaxies/<fingerprint>.csv                          of which test galaxies its bits are, with their classes
out/weights/  out/checkpoints/  out/features/           by run id, ignored by git
out/leases/                                             who works on a run just now
out/.index/                                             which records were read before, and what they hold
```
"""

from __future__ import annotations

import gc
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.files import replacing
from astrojepa_bench.results.correct import galaxies_text, read_classes
from astrojepa_bench.results.index import RecordIndex
from astrojepa_bench.results.record import SCORED, RunRecord


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
            ConfigError: the folder cannot be made or written.
        """
        for folder in (self.runs, self.leases):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
            except OSError as error:
                raise _unwritable(folder, error) from None

    def path(self, record: RunRecord) -> Path:
        """Return where a record belongs."""
        pair = f"{_safe(record.objective)}+{_safe(record.masker)}"
        return self.runs / _safe(record.dataset) / pair / f"{record.run_id}.json"

    def write(self, record: RunRecord) -> Path:
        """Write a record, whole or not at all, over any earlier one of the same run.

        Raises:
            ConfigError: the folder cannot be made or written.
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
            ConfigError: the folder cannot be made or written.
        """
        path, content = self.galaxies_path(fingerprint), galaxies_text(ids, label).encode()
        if (label >= 0).any() and not (path.is_file() and path.read_bytes() == content):
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
        """Look a run up by its id, or by the one that it had before it was migrated; None if there is no record."""
        path = next(self.runs.glob(f"*/*/{run_id}.json"), None) or self._formerly.get(run_id)
        return self.read(path) if path else None

    def locate(self, prefix: str) -> Path:
        """Find the one record file whose run id starts with some letters, or whose id before it was migrated does.

        Args:
            prefix: the letters; or `latest`, for the scored run that was made last.

        Raises:
            ConfigError: there is none, or more than one.
        """
        if prefix == "latest":
            scored = [record for record in self.records() if record.status in SCORED]
            if not scored:
                raise ConfigError(
                    f"there is no scored run below {self.runs}; name the output folder with --out"
                )
            return self.path(max(scored, key=lambda each: (each.provenance.created_utc, each.run_id)))
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
        return self._read_all(RecordIndex(self.out))[0]

    def indexed(self) -> tuple[list[RunRecord], dict[str, str]]:
        """Read every record as `records` does, and remember what was read for the next time.

        Returns:
            The records, and the hash of the facts of each by run id.

        Raises:
            DataError: as `records` says.
        """
        index = RecordIndex(self.out)
        found = self._read_all(index)
        index.keep()
        return found

    def _read_all(self, index: RecordIndex) -> tuple[list[RunRecord], dict[str, str]]:
        records, hashes = [], {}
        with _uncollected():
            for path in self.paths():
                record, facts = index.read(path)
                if path != self.path(record):
                    raise DataError(
                        f"{path} holds {self.path(record).relative_to(self.out)}; move or delete it"
                    )
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
        return records, hashes

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

    @cached_property
    def _formerly(self) -> dict[str, Path]:
        """Record files by the ids that they had before they were migrated; read once, as nothing adds to them."""
        index, found = RecordIndex(self.out), dict[str, Path]()
        for path in self.paths():
            known = index.unchanged(path)
            match = None if known else re.search(rb'"formerly": "([^"]+)"', path.read_bytes())
            former = known.formerly if known else match and match[1].decode()
            if former:
                found[former] = path
        return found


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


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that any reader, at any moment, finds the old content or the new one, never a part.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    try:
        with replacing(path) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> ConfigError:
    reason = error.strerror or type(error).__name__
    return ConfigError(f"{path} cannot be written ({reason}); choose a writable --out folder with space left")


def _safe(name: str) -> str:
    """Turn a name into one that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "unnamed"
