"""Where the galaxies of an output folder lie on this machine: records keep the names of files and no folders.

Whoever loads galaxies for a run leaves their places here, by fingerprint; whoever opens the run finds them again.
Nothing depends on it: what is loaded is held against the fingerprint of the run, and without this memory, as in a
folder that was merged or sent elsewhere, the places are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from astrojepa_bench.errors import BenchError
from astrojepa_bench.files import is_text, locked, replacing
from astrojepa_bench.results.index import FOLDER
from astrojepa_bench.results.record import RunRecord

FILE = "galaxies"  # not called *.json: whatever is called so below a folder may be a record
Places: TypeAlias = Mapping[str, Mapping[str, str]]
"""The paths that are options of a dataset, by the name of the dataset and of the option."""


class _KeptPlaces(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: int = 1
    galaxies: dict[str, dict[str, dict[str, str]]] = {}


class GalaxyPlaces:
    """The memory of one output folder.

    Args:
        out: the output folder.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / FOLDER / FILE

    def of(self, record: RunRecord) -> Places:
        """Return where the galaxies of a run lay when they were last loaded; nothing where nobody knows."""
        return self._read().galaxies.get(str(record.identity.get("fingerprint")), {})

    def keep(self, fingerprint: str, dataset: str, options: Mapping[str, object]) -> None:
        """Remember where galaxies lie; a folder that cannot be written goes without.

        Args:
            fingerprint: of the galaxies.
            dataset: name of the dataset that read them.
            options: of the dataset; those that are paths count.
        """
        paths = {
            name: value.expanduser().absolute() for name, value in options.items() if isinstance(value, Path)
        }
        found = {name: str(path) for name, path in paths.items() if is_text(path)}
        if found.items() <= self._read().galaxies.get(fingerprint, {}).get(dataset, {}).items():
            return
        with suppress(OSError, BenchError), locked(self._path):
            kept = self._read()  # another process may have written meanwhile
            kept.galaxies.setdefault(fingerprint, {}).setdefault(dataset, {}).update(found)
            content = kept.model_dump_json(indent=1).encode()
            with replacing(self._path) as draft:
                draft.write_bytes(content)

    def _read(self) -> _KeptPlaces:
        with suppress(OSError, ValidationError):
            return _KeptPlaces.model_validate_json(self._path.read_bytes())
        return _KeptPlaces()
