"""The catalogue, kept between commands: what is on offer is told without importing a plugin, or torch.

It is kept below the user's cache folder, one file for each set of surroundings: Python, its path, the installed
packages with their versions and when they were installed, the entry points, and the `--plugin` paths. Beside the
catalogue stand size and times of every file of the ruler and of plugin code that was imported for it, and which
files lay beside these. Where anything differs, and where the file is damaged, the plugins are read again. A
catalogue with a plugin that failed is not kept, since that may depend on what cannot be seen here; nor is one of
files that were written just now.

What is kept is text to be printed, in JSON: no command builds or runs anything from it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from astrojepa_bench.cli.listed import OfferCatalogue
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.errors import BenchError
from astrojepa_bench.files import replacing
from astrojepa_bench.registry import installed_sources
from astrojepa_bench.seals import BLANK, seal_holds, seal_of
from astrojepa_bench.versions import RULER, is_plugin_code

FOLDER = "catalogues"
KEPT = 16
"""How many catalogues are kept: those of other environments and of other plugin paths among them."""
JUST_NOW_S = 2.0
"""A file that was written so shortly before may have been written again since, within the same tick [s]."""
_METADATA = (".dist-info", ".egg-info", ".egg-link", ".egg", ".pth")
_Facts: TypeAlias = tuple[int, int, int]


class _KeptCatalogue(BaseModel):
    """A catalogue, and what it was made of.

    Attributes:
        format: of this file.
        files: size, time of writing and time of change of each file [byte, ns, ns].
        folders: a digest of what lies in the folders of these files.
        catalogue: what was on offer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    format: Literal[1] = 1
    files: dict[str, _Facts]
    folders: dict[str, str]
    catalogue: OfferCatalogue


@dataclass(frozen=True)
class Memory:
    """The place of one catalogue on disk.

    Attributes:
        path: its file.
        plugins: files and folders of plugins that were given by path.
        began_s: when it was made, before any plugin was imported [s since 1970].
    """

    path: Path
    plugins: tuple[Path, ...]
    began_s: float

    @classmethod
    def of(cls, plugins: Sequence[Path]) -> Memory:
        """Return the place of the catalogue of what is installed here and of some plugins given by path."""
        given = tuple(path.absolute() for path in plugins)
        points = [(source.plugin, source.package) for source in installed_sources()]
        python = (sys.version, sys.prefix, sys.flags.optimize, sys.path)
        surroundings = json.dumps([python, points, _packages(), [*map(str, given)]])
        name = hashlib.sha256(surroundings.encode()).hexdigest()[:16]
        return cls(default_cache() / FOLDER / f"{name}.json", given, time.time())

    def recall(self) -> OfferCatalogue | None:
        """Return the catalogue; None where there is none, it is damaged, or anything has changed since."""
        with suppress(OSError, ValueError):
            if seal_holds(self.path):
                kept = _KeptCatalogue.model_validate_json(self.path.read_bytes()[: -len(BLANK)])
                seen = self._folders(kept.files)
                if seen == kept.folders and {file: _facts(file) for file in kept.files} == kept.files:
                    return kept.catalogue
        return None

    def keep(self, catalogue: OfferCatalogue) -> None:
        """Write a catalogue of the plugins that were just imported, if it can be relied on next time."""
        if catalogue.failures or not catalogue.components:
            return
        with suppress(OSError, ValueError, BenchError):
            files = {file: _facts(file) for file in _imported_files()}
            if any(written > (self.began_s - JUST_NOW_S) * 1e9 for _, written, _ in files.values()):
                return
            kept = _KeptCatalogue(files=files, folders=self._folders(files), catalogue=catalogue)
            text = kept.model_dump_json()
            if _KeptCatalogue.model_validate_json(text) == kept:
                content = text.encode()
                with replacing(self.path) as draft:
                    draft.write_bytes(content + seal_of(content))
                by_age = sorted(self.path.parent.glob("*.json"), key=os.path.getmtime, reverse=True)
                for old in by_age[KEPT:]:
                    old.unlink(missing_ok=True)

    def _folders(self, files: Iterable[str]) -> dict[str, str]:
        """Digest which modules lie beside some files and in given folders: a new one may be imported next time."""
        given = [place for path in self.plugins if path.is_dir() for place, _, _ in os.walk(path)]
        return {place: _names_in(place) for place in sorted({*map(os.path.dirname, files), *given})}


def _packages() -> list[tuple[str, int]]:
    """List the files that tell which packages are installed, in which versions, and since when.

    A package that was installed anew may have come from another folder though its version is the same.
    """
    found = set[tuple[str, int]]()
    for place in sys.path:
        with suppress(OSError), os.scandir(place or ".") as entries:
            found |= {
                (each.name, each.stat().st_mtime_ns) for each in entries if each.name.endswith(_METADATA)
            }
    return sorted(found)


def _imported_files() -> list[str]:
    """List the files of the ruler and of plugin code that are in memory."""
    found = set[str]()
    seen = dict[
        tuple[str, str], bool
    ]()  # whether the modules of a package that lie in a folder are such code
    for name, module in [*sys.modules.items()]:
        top, file = name.partition(".")[0], getattr(module, "__dict__", {}).get("__file__")
        if not isinstance(file, str):
            continue
        place = top, os.path.dirname(file)
        if place not in seen:
            seen[place] = top == RULER or is_plugin_code(top, file)
        if seen[place]:
            found.add(os.path.abspath(file))
    return sorted(found)


def _facts(file: str) -> _Facts:
    found = os.stat(file)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _names_in(folder: str) -> str:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(".py") or entry.is_dir())
    told = "\n".join(name for name in names if not name.startswith((".", "__pycache__")))
    return hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()[:16]
