"""Which files of a folder are images, which are tables, and what is said about the rest?

A FITS file is told by what it holds: one with a table and no image is a table, whatever its name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from astrojepa_bench.data.sources.container import Container, RefusedError, shown, unpacked
from astrojepa_bench.data.sources.fits_structure import BLOCK, CARD, check_structure
from astrojepa_bench.errors import DataError, nearest

FITS = (".fits", ".fit", ".fts")
PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp")
PACKED = (".gz", ".fz")
IMAGES = frozenset({*FITS, *PICTURES, ".npy", *(f"{inner}{outer}" for inner in FITS for outer in PACKED)})
TABLES = (".csv", ".parquet", ".fits", ".tsv", ".tab", ".ecsv", ".vot", ".votable", ".pq", ".parq")
"""Endings of tables; of two that lie equally deep, that of the first is read."""

OUTER = (".gz", ".fz", ".bz2", ".xz", ".z", ".zip")  # these end the name of a file that has an ending already
TABLE = "table"  # the usual name
NONE = "none"
DOCUMENTS = ("readme", "license", "licence", "citation", "changelog", "thumbs.db", "desktop.ini")
HEAD_BYTES = 6 * BLOCK  # of a FITS file; holds the headers of most
MOST_NAMED = 5


def suffix_of(name: str) -> str:
    """Return how a file's name ends, in small letters, with what says that it is packed.

    Example:
        >>> suffix_of("a/J0004.19.FITS.gz"), suffix_of("b.JPG"), suffix_of("notes")
        ('.fits.gz', '.jpg', '')
    """
    path = PurePosixPath(name.lower())
    inner = PurePosixPath(path.stem).suffix
    return f"{inner}{path.suffix}" if path.suffix in OUTER and inner in {*IMAGES, *TABLES} else path.suffix


def without_suffix(name: str) -> str:
    """Strip the suffix of an image's file name; "J0004.19" has none."""
    suffix = suffix_of(name)
    return name[: -len(suffix)] if suffix in IMAGES and suffix != PurePosixPath(name).name.lower() else name


def kind_of_table(name: str) -> str:
    """Return the ending that says how a table is to be read, without that of packing; others are read as text."""
    return suffix_of(name).removesuffix(".gz")


@dataclass(frozen=True)
class Sorted:
    """The files of a folder by what they are.

    Attributes:
        images: in order.
        table: the one that is read, or None.
        notes: what is not read.
    """

    images: tuple[str, ...]
    table: str | None
    notes: tuple[str, ...]


def sort_files(container: Container, wanted: str) -> Sorted:
    """Tell images, tables and others apart, and choose the table.

    Args:
        container: the folder.
        wanted: name of the table, `none` for none, or empty to look for one: `table.csv` or its like nearest the
            root, else the only table at the root, whatever its name.

    Raises:
        DataError: the table asked for is not there, or several could be meant.
    """
    names = [name for name in container.names if PurePosixPath(name).name[0] != "."]
    science = set(_fits_tables(container, [name for name in names if suffix_of(name).startswith(FITS)]))
    tables = [
        name for name in names if name in science or (kind_of_table(name) in TABLES and not _is_image(name))
    ]
    table = _chosen(names, tables, wanted)
    images = [name for name in names if _is_image(name) and name not in science and name != table]
    others = sorted({*names} - {*images, *tables, table})
    left = [shown(name) for name in tables if name != table]
    more = f"first {', '.join(left[:MOST_NAMED])}; dataset.table names the one that is"
    notes = [f"{len(left)} tables were not read, {more}"] if left else []
    return Sorted(tuple(images), table, (*notes, *_told_others(others, images)))


def _is_image(name: str) -> bool:
    return suffix_of(name) in IMAGES


def _fits_tables(container: Container, names: Sequence[str]) -> Iterable[str]:
    """Find the FITS files that hold a table and no image, and those that are named like the table."""
    with container.reader() as read:
        for name, head in container.beginnings(names, HEAD_BYTES):
            usual = PurePosixPath(name).name.lower().removesuffix(suffix_of(name)) == TABLE
            if usual and not head.startswith(b"SIMPLE"):
                yield name  # reading it will report what it is instead
            elif usual or _may_be_table(head):
                with suppress(RefusedError):
                    data = unpacked(read(name))
                    if _holds(data, "table") and not _holds(data, "image"):
                        yield name


def _holds(data: bytes, kind: Literal["image", "table"]) -> bool:
    try:
        check_structure(data, kind)
    except RefusedError:
        return False
    return True


def _may_be_table(head: bytes) -> bool:
    """Whether nothing at the beginning of a FITS file shows an image: neither the first header nor the second."""
    cards = [head[at : at + CARD] for at in range(0, len(head), CARD)]
    if not cards or not cards[0].startswith(b"SIMPLE"):
        return False
    extensions = 0
    for card in cards:
        if card.startswith(b"NAXIS   =") and not extensions and card[10:30].strip() != b"0":
            return False
        if card.startswith(b"XTENSION"):
            extensions += 1
            if extensions > 1:
                break
            if b"IMAGE" in card:
                return False
        if card.startswith(b"ZIMAGE"):
            return False
    return True


def _chosen(names: Sequence[str], tables: Sequence[str], wanted: str) -> str | None:
    if wanted == NONE:
        return None
    if wanted:
        named = [name for name in names if name == wanted or name.endswith(f"/{wanted}")]
        if not named:
            close = nearest(wanted, map(shown, tables[:20]))
            raise DataError(f"there is no table '{shown(wanted)}'; {close}")
        return min(named, key=_depth)
    usual = [name for name in tables if PurePosixPath(name).name.lower().partition(".")[0] == TABLE]
    if usual:
        return min(usual, key=_depth)
    those = {*tables}
    lone = [name for name in _at_root(names) if name in those]
    if len(lone) > 1:
        raise DataError(
            f"there are {len(lone)} tables, {', '.join(map(shown, lone[:MOST_NAMED]))}; name the one that lists "
            f"the images as dataset.table, or none ('{NONE}'), or leave one there"
        )
    return lone[0] if lone else None


def _depth(name: str) -> tuple[int, int, str]:
    kind = kind_of_table(name)
    return name.count("/"), TABLES.index(kind) if kind in TABLES else len(TABLES), name


def _at_root(names: Sequence[str]) -> list[str]:
    """List the files beside which there may be folders, below one folder that holds all the rest."""
    tops = {name.partition("/")[0] for name in names}
    if len(tops) == 1 and all("/" in name for name in names):
        (top,) = tops
        return [f"{top}/{name}" for name in _at_root([name.partition("/")[2] for name in names])]
    return [name for name in names if "/" not in name]


def _told_others(others: Sequence[str], images: Sequence[str]) -> list[str]:
    """Count what is neither image nor table by its ending, and name the folders in which there is nothing else."""
    left = [name for name in others if not PurePosixPath(name).name.lower().startswith(DOCUMENTS)]
    if not left:
        return []
    seen = {str(above) for name in images for above in PurePosixPath(name).parents}
    folders: dict[str, list[str]] = {}
    for name in left:
        folder = str(PurePosixPath(name).parent)
        if folder not in seen:
            folders.setdefault(folder, []).append(name)
    return [
        f"{len(left)} files of other kinds were not read: {counted(left)}",
        *(
            f"folder '{shown(folder)}' holds no file that is read: {counted(folders[folder])}"
            for folder in sorted(folders)[:MOST_NAMED]
        ),
    ]


def counted(names: Iterable[str]) -> str:
    """Count files by their ending, the most frequent first ("6 .gif, 1 .heic")."""
    kinds = Counter(suffix_of(name) or "without an ending" for name in names)
    return ", ".join(f"{count} {shown(kind)}" for kind, count in kinds.most_common(20))
