"""The output folder: one atomic JSON per run, and beside them the files too large to commit.

```
out/runs/<dataset>/<objective>+<masker>/<run id>.json   the truth
out/weights/  out/checkpoints/  out/answers/            by run id, ignored by git
```
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results.record import RunRecord


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

    def prepare(self) -> None:
        """Make the folder of the records now, so that a bad `--out` is known before anything is trained.

        Raises:
            ConfigError: the folder cannot be made or written.
        """
        probe = self.runs / f".probe.{secrets.token_hex(4)}.tmp"
        write_atomically(probe, b"")
        probe.unlink(missing_ok=True)

    def path(self, record: RunRecord) -> Path:
        """Say where a record belongs."""
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

    def paths(self) -> list[Path]:
        """List the record files, by path; files that a killed run left half-written do not count."""
        return sorted(p for p in self.runs.rglob("*.json") if not p.name.startswith("."))

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
        """Look a run up by its id; None if it has no record here."""
        path = next((path for path in self.paths() if path.stem == run_id), None)
        return self.read(path) if path else None

    def locate(self, prefix: str) -> Path:
        """Find the one record file whose run id starts with some letters.

        Raises:
            ConfigError: there is none, or more than one.
        """
        found = [path for path in self.paths() if path.stem.startswith(prefix)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(path.stem for path in found[:5])
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
        records = []
        for path in self.paths():
            record = self.read(path)
            if path != self.path(record):
                raise DataError(f"{path} holds {self.path(record).relative_to(self.out)}; move or delete it")
            records.append(record)
        return sorted(records, key=_order)

    def weights_path(self, run_id: str) -> Path:
        """Say where the weights of the whole objective lie."""
        return self.out / "weights" / f"{run_id}.safetensors"

    def checkpoint_path(self, run_id: str) -> Path:
        """Say where a run in progress keeps its state."""
        return self.out / "checkpoints" / f"{run_id}.pt"

    def features_path(self, run_id: str) -> Path:
        """Say where features and per-galaxy answers are kept."""
        return self.out / "answers" / f"{run_id}.h5"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that any reader, at any moment, finds the old content or the new one, never a part.

    Raises:
        ConfigError: the folder cannot be made or written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_through(draft, content)
        os.replace(draft, path)
        _sync_folder(path.parent)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigError(
            f"{path} cannot be written ({reason}); choose a writable --out folder with space left"
        ) from None
    finally:
        _forget(draft)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut; Windows cannot, and needs not."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _forget(draft: Path) -> None:
    try:
        draft.unlink(missing_ok=True)
    except OSError:  # the folder itself could not be made: there is no draft
        return


def _safe(name: str) -> str:
    """Turn a name into one that every file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-") or "unnamed"


def _order(record: RunRecord) -> tuple[str | int, ...]:
    names = (record.dataset, record.budget, record.objective, record.masker, record.encoder)
    return (*names, record.entry_id, record.seed, record.run_id)
