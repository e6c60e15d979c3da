"""Which files make up a Parquet table? One, those of a folder, or the partitions of a HATS catalogue.

HATS (Hierarchical Adaptive Tiling Scheme) is the layout of LSDB: `dataset/Norder=K/Dir=D/Npix=P.parquet`, a file or
a folder of files for each HEALPix pixel that holds about as many rows as the others, beside what describes it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from astrojepa_bench.data.convert import reading
from astrojepa_bench.data.given import check_regular, read_at_most
from astrojepa_bench.data.sources.container import RefusedError, guarded, shown
from astrojepa_bench.data.sources.declared_splits import honoured_splits
from astrojepa_bench.data.sources.file_kinds import IMAGES, suffix_of
from astrojepa_bench.data.sources.hub_folder import leads_out
from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.data.splitting.splits import SPELLINGS
from astrojepa_bench.errors import DataError

SUFFIXES = (".parquet", ".parq", ".pq")
MAGIC = b"PAR1"
COLLECTION = "collection.properties"
PROPERTIES = ("hats.properties", "properties")
HIPSCAT = "catalog_info.json"  # what HATS was called before
OF_GALAXIES = frozenset({"object", "source", ""})  # other catalogues repeat rows of one of these
PARTITION = re.compile(r"Norder=(\d{1,2})/(?:Dir=\d+/)?Npix=(\d{1,18})(?=[./])")
DIGITS = re.compile(r"[0-9]{1,18}")
SPLIT = re.compile(rf"({'|'.join(sorted(SPELLINGS, key=len, reverse=True))})(?![a-z])", re.IGNORECASE)
LARGEST_STATEMENT = 8 << 20  # bytes of what describes a catalogue
DEEPEST_ORDER = 29


@dataclass(frozen=True)
class ParquetFiles:
    """The files of a table, in order.

    Attributes:
        path: as given: a file or folder.
        files: by name, relative to `path`.
        facts: what a HATS catalogue states of itself, empty for anything else.
        splits: name of each file's split, where they declare any that is to be honoured.
        notes: what was left out.
    """

    path: Path
    files: Mapping[str, Path]
    facts: Mapping[str, str] = field(default_factory=dict)
    splits: Mapping[str, str] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def opened(cls, path: Path) -> ParquetFiles:
        """List the files of a table; none of them is opened.

        Raises:
            DataError: nothing is there, no file is Parquet, or the catalogue holds copies of another's rows.
        """
        with reading(path):
            path.stat()
        if not path.is_dir():
            return cls(path, {path.name: path})
        if is_hats(path):
            return cls._catalogue(path)
        inner = [child.name for child in sorted(path.iterdir()) if child.is_dir() and is_hats(child)]
        if inner:
            told = ", ".join(map(shown, inner[:9]))
            raise DataError(
                f"{path} holds {len(inner)} HATS catalogues ({told}); give the path of one of them"
            )
        names = list(_walked(path))
        if not names:
            raise DataError(f"{path} holds no Parquet file; expected names that end in {', '.join(SUFFIXES)}")
        # Read off the name of a file or of a folder above it: `train-00000-of-00002`, `test/0.parquet`.
        matches = {name: list(filter(None, map(SPLIT.match, name.split("/")[::-1]))) for name in names}
        if not any(matches.values()):
            return cls(path, {name: path / name for name in names})
        parts = {name: found[0][1].lower() if found else "the rest" for name, found in matches.items()}
        kept, honoured, notes = honoured_splits(list(dict.fromkeys(parts.values())))
        used = [name for name in names if parts[name] in kept]
        return cls(path, {n: path / n for n in used}, {}, parts if honoured else None, notes)

    @classmethod
    def _catalogue(cls, path: Path) -> ParquetFiles:
        root, facts = _primary(path)
        kind = facts.get("dataproduct_type", facts.get("catalog_type", ""))
        if kind not in OF_GALAXIES:
            raise DataError(
                f"{root} is a HATS catalogue of kind '{shown(kind)}', whose rows are those of another; give the "
                "object catalogue that it belongs to"
            )
        found = {name: PARTITION.search(name) for name in _walked(root)}
        pixels = {name: (int(match[1]), int(match[2])) for name, match in found.items() if match}
        if not pixels:
            raise DataError(
                f"{root} is a HATS catalogue without partitions (Norder=…/Npix=…); fetch it again"
            )
        # By the first pixel of the deepest order in each, in the nested scheme: neighbours follow one another.
        deep = {name: pixel << (2 * max(0, DEEPEST_ORDER - order)) for name, (order, pixel) in pixels.items()}
        names = sorted(pixels, key=lambda name: (deep[name], name))
        places = [(root / name).relative_to(path).as_posix() for name in names]
        missing = _listed(root) - set(pixels.values())
        order, pixel = min(missing, default=(0, 0))
        notes = true_notes({
            f"{len(missing)} partitions of its list are not there, first Norder={order}/Npix={pixel}": missing
        })  # fmt: skip
        return cls(path, {place: path / place for place in places}, facts, None, tuple(notes))


def is_hats(folder: Path) -> bool:
    """Return whether a folder is the root of a HATS catalogue, of a collection of them, or of its forerunner."""
    marks = (COLLECTION, PROPERTIES[0], HIPSCAT)
    if any((folder / mark).is_file() for mark in marks):
        return True
    return (folder / PROPERTIES[1]).is_file() and "hats_nrows" in _properties(folder / PROPERTIES[1])


def holds_parquet(folder: Path) -> bool:
    """Return whether a folder is a HATS catalogue, or holds Parquet files and no images."""
    if is_hats(folder):
        return True
    found = False
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        if "hats.properties" in files or COLLECTION in files:
            return True  # which of several it is will be asked
        kinds = {suffix_of(name) for name in files}
        if kinds & IMAGES:
            return False
        found = found or bool(kinds & {*SUFFIXES})
    return found


def is_parquet(path: Path) -> bool:
    """Return whether a file starts as Parquet does."""
    with reading(path), path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def check_parquet(path: Path) -> None:
    """Make sure that a file is regular, and Parquet.

    Raises:
        DataError: it is not.
    """
    check_regular(path)
    if not is_parquet(path):
        raise DataError(f"{path} is no Parquet file; leave it out, or fetch it again")


def _walked(folder: Path) -> Iterator[str]:
    """Go through a folder's Parquet files, sorted; links to folders may form circles and are not followed."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); check the path") from None

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
        here = Path(place).relative_to(folder)
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith((".", "_")):
                yield (here / name).as_posix()


def _primary(path: Path) -> tuple[Path, dict[str, str]]:
    """Find the catalogue itself, which in a collection has a name, and what is stated of it."""
    root = path
    if (path / COLLECTION).is_file():
        name = _properties(path / COLLECTION).get("hats_primary_table_url", "")
        root = path / name
        if not name or leads_out(name) or not root.is_dir():
            raise DataError(
                f"{path / COLLECTION} names '{shown(name)}' as the catalogue, which is no folder beside it; "
                "give the folder of the catalogue itself"
            )
    stated = next((root / name for name in (*PROPERTIES, HIPSCAT) if (root / name).is_file()), None)
    return root, {} if stated is None else _properties(stated)


def _properties(path: Path) -> dict[str, str]:
    data = read_at_most(path, LARGEST_STATEMENT)
    try:
        with guarded():
            if path.name == HIPSCAT:
                return {str(key): str(value) for key, value in dict(json.loads(data)).items()}
    except RefusedError as why:
        raise DataError(f"{path} cannot be read ({why}); fetch it again") from None
    lines = (line.strip() for line in data.decode("utf-8", "replace").splitlines())
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#!")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _listed(root: Path) -> set[tuple[int, int]]:
    """Read which partitions a catalogue says that it has; none where it does not tell."""
    path = root / "partition_info.csv"
    if not path.is_file():
        return set()
    lines = read_at_most(path, 8 * LARGEST_STATEMENT).decode("utf-8", "replace").splitlines()
    heads = [name.strip() for name in lines[0].split(",")] if lines else []
    if not {"Norder", "Npix"} <= set(heads):
        return set()
    rows = (dict(zip(heads, line.split(","), strict=False)) for line in lines[1:])
    pairs = ((row.get("Norder", "").strip(), row.get("Npix", "").strip()) for row in rows)
    digits = [pair for pair in pairs if all(map(DIGITS.fullmatch, pair))]
    return {(int(order), int(pixel)) for order, pixel in digits}
