"""Remembers which record files were read before, so that a large folder is read fast.

Of every file it keeps the size, the time of change and the hash of its content, and what followed from that
content: that it is a record, the hash of its facts, and its former id. Whether a file is still the same is told by
its content. Nothing depends on the index: without it, or where it is stale or damaged, the same follows from the
records.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from astrojepa_bench.errors import DataError
from astrojepa_bench.files import replacing
from astrojepa_bench.results.identity import digest
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.seals import BLANK, fill_seal, seal_holds

FOLDER, FILE = ".index", "records"  # not called *.json: whatever is called so below a folder may be a record
VERSION = 1
"""Raised whenever a record is read, or its facts are hashed, in another way."""


class IndexedFile(BaseModel):
    """What is known of one record file.

    Attributes:
        size, mtime_ns: as they were.
        sha256: of its content.
        facts: hash of the record's facts.
        formerly: the id that it had before it was migrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    mtime_ns: int
    sha256: str
    facts: str
    formerly: str | None = None


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seal: str = BLANK.decode()  # first: it is looked for at the beginning of the file
    version: int
    fields: str
    files: dict[str, IndexedFile] = {}


class RecordIndex:
    """The memory of one output folder.

    Args:
        out: the output folder.
    """

    def __init__(self, out: Path) -> None:
        self._path, self._out = out / FOLDER / FILE, out
        self._known = _read(self._path)
        self._found: dict[str, IndexedFile] = {}

    def read(self, path: Path) -> tuple[RunRecord, str]:
        """Read a record file, and the hash of its facts; one that was read before is not checked again.

        Raises:
            DataError: unreadable, or not a run record.
        """
        try:
            content, status = path.read_bytes(), path.stat()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); restore or delete it") from None
        name, sha256 = path.relative_to(self._out).as_posix(), hashlib.sha256(content).hexdigest()
        known = self._known.get(name)
        if known is not None and known.sha256 == sha256:
            record, facts = RunRecord.model_validate_json(content), known.facts
        else:
            record, facts = RunRecord.hashed(content, path)
        self._found[name] = IndexedFile(
            size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sha256, facts=facts,
            formerly=record.formerly,
        )  # fmt: skip
        return record, facts

    def unchanged(self, path: Path) -> IndexedFile | None:
        """Look a file up without reading it, by its size and time; None where those are not as they were."""
        known = self._known.get(path.relative_to(self._out).as_posix())
        if known is None:
            return None
        try:
            status = path.stat()
        except OSError:
            return None
        return known if (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns) else None

    def keep(self) -> None:
        """Remember what was read; a folder that cannot be written goes without."""
        if self._found != self._known:
            content = _Content(version=VERSION, fields=_fields(), files=self._found)
            with suppress(OSError), replacing(self._path) as draft:
                draft.write_bytes(content.model_dump_json().encode())
                fill_seal(draft)


def _read(path: Path) -> dict[str, IndexedFile]:
    """Read an index; nothing, if there is none, or it is damaged or of another version."""
    try:
        if not seal_holds(path):
            return {}
        content = _Content.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}
    return content.files if (content.version, content.fields) == (VERSION, _fields()) else {}


def _fields() -> str:
    """Hash what a record consists of: a new field changes the facts of every record."""
    return digest(RunRecord.model_json_schema())
