"""Which image does a row of a table mean: the one that it names, or the one that is named like its id?"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from astrojepa_bench.data.column_names import candidates
from astrojepa_bench.data.sources.container import composed, escapes, shown, spelt
from astrojepa_bench.data.sources.file_kinds import without_suffix
from astrojepa_bench.data.sources.tables import column_of, heads_of, ids_of, texts_of
from astrojepa_bench.data.splitting.selection import OnBadImage, true_notes
from astrojepa_bench.errors import DataError

ROOTED = re.compile(r"/|[A-Za-z]:/")  # a path of another machine
PLAIN = re.compile(r"(?!\w:)[^/\\.][^/\\]*(/[^/\\.][^/\\]*)*")  # a path that needs no tidying


@dataclass(frozen=True)
class Matched:
    """Rows and their images.

    Attributes:
        names: of files, one a row; empty where a row has none.
        ids: of galaxies, one a row.
        taken: names of columns by what they say.
        notes: what was found otherwise than the table says.
    """

    names: tuple[str, ...]
    ids: np.ndarray
    taken: Mapping[str, str]
    notes: tuple[str, ...]


def matched_images(
    table: str, frame: pd.DataFrame, images: Sequence[str], on_bad_image: OnBadImage
) -> Matched:
    """Find the image of each row, and name the galaxies.

    Args:
        table: where it lies, relative to the folder.
        frame: its rows.
        images: all images of the folder.
        on_bad_image: whether an id that fits two images ends everything, or the first is taken; and whether rows
            that fit one image, none of them exactly, end everything or go without.

    Raises:
        DataError: the table has columns neither of paths nor of ids, or none that fits an image, or nobody can tell
            which row or image is meant.
    """
    files = _Files(images, PurePosixPath(table).parent)
    heads = heads_of(frame)
    named = (name for name in candidates("path", heads) if files.knows_any(texts_of(_column(frame, name))))
    path = next((name for name in heads if name.lower() == "path"), None) or next(named, "")
    ids, told = _id_column(frame)
    taken = {role: name for role, name in (("id", ids), ("path", path)) if name}
    if path:
        texts = texts_of(_column(frame, path))
        names = files.all_stated(texts, on_bad_image)
        called = _filled(None if not ids else ids_of(_column(frame, ids))[0], texts)
    elif ids:
        fitting = (ids, *candidates("id", heads), *candidates("path", heads))
        key = next((name for name in fitting if files.fits_any(texts_of(_column(frame, name)))), ids)
        names = files.all_named_like(ids_of(_column(frame, key))[0], on_bad_image, _heading(table, frame))
        called = _filled(ids_of(_column(frame, ids))[0], names if key != ids else [""] * len(frame))
        taken |= {"path": key} if key != ids else {}
    else:
        raise DataError(f"{shown(table)} has no column 'id' or 'path'; {_heading('', frame)}")
    return Matched(tuple(names), called, taken, (*told, *files.notes()))


def _column(frame: pd.DataFrame, name: str) -> pd.Series:
    column = column_of(frame, name)
    if column is None:
        raise DataError(f"column '{shown(name)}' stands several times in the table; rename all but one")
    return column


def _heading(table: str, frame: pd.DataFrame) -> str:
    columns = ", ".join(map(shown, heads_of(frame)[:20]))
    return f"{shown(table)} has no column 'path'; found {columns}" if table else f"found {columns}"


def _id_column(frame: pd.DataFrame) -> tuple[str, list[str]]:
    """Choose the column of ids: `id`, or the first of another usual name that names each row differently."""
    notes: list[str] = []
    for name in candidates("id", heads_of(frame)):
        texts, told = ids_of(_column(frame, name))
        filled = [text for text in texts if text]
        repeated = len(filled) - len(set(filled))
        if filled and (name.lower() == "id" or not repeated):
            return name, [*notes, *told]
        why = f"repeats {repeated} of its values" if filled else "is empty"
        notes.append(f"column '{shown(name)}' {why} and is not taken for ids")
    return "", notes


def _filled(ids: Sequence[str] | None, paths: Sequence[str]) -> np.ndarray:
    """Return the ids, where they are empty the paths without suffix."""
    ids = [""] * len(paths) if ids is None else ids
    rows = enumerate(zip(ids, paths, strict=True), start=1)
    return np.array([name or shown(without_suffix(path)) or f"row {row}" for row, (name, path) in rows])


class _Files:
    """Looks up images by what a table calls them.

    Args:
        images: all of the folder.
        here: where the table lies.
    """

    def __init__(self, images: Sequence[str], here: PurePosixPath) -> None:
        self.images, self.known = tuple(images), frozenset(images)
        self.beside = "" if here == PurePosixPath() else f"{here}/"
        self.here = here
        self.otherwise: list[tuple[str, str]] = []
        self.shared = ""  # which rows fit one image
        self._indexes: dict[str, dict[str, list[str]]] = {}

    def notes(self) -> list[str]:
        """Note which images were found under another name than the table's."""
        said, found = self.otherwise[0] if self.otherwise else ("", "")
        return true_notes({
            f"{len(self.otherwise)} images were found under another name than the table's, first {shown(found)} "
            f"for '{shown(said)}'": self.otherwise,
            f"{self.shared}; none of them has an image": self.shared,
        })  # fmt: skip

    def knows_any(self, texts: Iterable[str]) -> bool:
        """Whether any text is the path of an image."""
        return any(text and (self._tidied(text) in self.known or self._elsewhere(text)) for text in texts)

    def fits_any(self, texts: Iterable[str]) -> bool:
        """Whether an image is named like any of these."""
        return any(text and self._like(text) for text in texts)

    def all_stated(self, texts: Sequence[str], on_bad_image: OnBadImage) -> list[str]:
        """Return the image that each path means; the path itself where there is none that no other path names.

        Raises:
            DataError: several paths mean one image, and none is to be skipped.
        """
        names = [self._tidied(text) for text in texts]
        named = self.known.intersection(names)
        found = [
            "" if name in named else self._elsewhere(text) for name, text in zip(names, texts, strict=True)
        ]
        loose = self._served(
            [(t, each if each not in named else "") for t, each in zip(texts, found, strict=True)],
            on_bad_image,
        )
        return [each or name for each, name in zip(loose, names, strict=True)]

    def all_named_like(self, ids: Sequence[str], on_bad_image: OnBadImage, heading: str) -> list[str]:
        """Find each id's image by its file name, with or without folder and suffix; empty where there is none.

        Raises:
            DataError: no id has an image, or one fits several, or several fit one, and none is to be skipped.
        """
        exact = [self._index("named", _names_of)[composed(each)] if each else [] for each in ids]
        named = {
            name for found in exact for name in found
        }  # of two ids that differ in case, neither takes both
        here = [
            found or [name for name in self._like(each) if name not in named]
            for each, found in zip(ids, exact, strict=True)
        ]
        if not any(here):
            raise DataError(f"no image is named like an id (first '{shown(ids[0])}'), and {heading}")
        many = [places for places in here if len(places) > 1]
        if many and on_bad_image == "fail":
            raise DataError(
                f"{len(many)} ids fit more than one image, first {shown(many[0][0])} and {shown(many[0][1])}; "
                "add a column 'path'"
            )
        rows = zip(ids, exact, here, strict=True)
        loose = self._served(
            [(each, places[0] if places and not found else "") for each, found, places in rows], on_bad_image
        )
        return [found[0] if found else each for found, each in zip(exact, loose, strict=True)]

    def _served(self, loose: Sequence[tuple[str, str]], on_bad_image: OnBadImage) -> list[str]:
        """Return the image of each row that was not found under its very name; none where other rows fit it too.

        Args:
            loose: what each row calls its image, and the image, empty where it has none or another way to it.
            on_bad_image: `fail` to end everything where several rows fit one image.

        Raises:
            DataError: they do.
        """
        fitting: dict[str, set[str]] = defaultdict(set)  # a text that stands twice means one image twice
        for text, image in loose:
            fitting[image].add(text)
        many = {image: sorted(texts) for image, texts in fitting.items() if image and len(texts) > 1}
        if many:
            image, texts = next(iter(many.items()))
            self.shared = (
                f"{sum(map(len, many.values()))} names fit an image that others fit too, first "
                f"{shown(texts[0])} and {shown(texts[1])} the image {shown(image)}"
            )
        if many and on_bad_image == "fail":
            raise DataError(f"{self.shared}; name the image of each in a column 'path'")
        self.otherwise += [(text, image) for text, image in loose if image and image not in many]
        return ["" if image in many else image for _, image in loose]

    def _like(self, text: str) -> list[str]:
        """List the images that are named like a text, or but for case, or for zeros before a number."""
        if not text:
            return []
        for index, key in (
            (self._index("named", _names_of), composed(text)),
            (
                self._index("folded", lambda name: {each.casefold() for each in _names_of(name)}),
                composed(text).casefold(),
            ),
            (self._index("numbered", _numbers), _number(text)),
        ):
            if key and (found := index[key]):
                return found
        return []

    def _elsewhere(self, text: str) -> str:
        """Find the only image that a path may mean that does not lie where it says; empty where there is none."""
        text = text.replace("\\", "/")  # as Windows writes it
        if ROOTED.match(text):
            return self._ending_like(text)
        if not text or escapes(text):
            return ""
        tidied = self._tidied(text)
        whole = self._index("whole", lambda name: {composed(name).casefold()})
        named = self._index("named", _names_of)
        for found in (
            [text] if text in self.known else [],
            whole[composed(tidied).casefold()],
            whole[composed(text).casefold()],
            named[composed(text)] if "/" not in text else [],
        ):
            if len(found) == 1:
                return found[0]
        return ""

    def _ending_like(self, path: str) -> str:
        """Find the only image whose path ends as that of another machine; empty where there is none."""
        parts, ends = PurePosixPath(composed(path)).parts[1:], self._index("ends", _ends_of)
        tails = ("/".join(parts[at:]) for at in range(len(parts)))
        longest = next((ends[tail] for tail in tails if ends[tail]), [])
        return longest[0] if len(longest) == 1 and ".." not in parts else ""

    def _tidied(self, path: str) -> str:
        """Return a path relative to the folder; one that escapes it stays as it is: reading it is refused."""
        if PLAIN.fullmatch(path):
            return f"{self.beside}{path}"
        return path if not path or escapes(path) else str(self.here / path)

    def _index(self, name: str, keys: Callable[[str], set[str]]) -> dict[str, list[str]]:
        if name not in self._indexes:
            index: dict[str, list[str]] = defaultdict(list)
            for image in self.images:
                for key in keys(image):
                    index[key].append(image)
            self._indexes[name] = index
        return self._indexes[name]


def _names_of(image: str) -> set[str]:
    """Return what an image may be called: its path or its name, with or without suffix."""
    name = PurePosixPath(image).name
    return {composed(spelt(each)) for each in (image, without_suffix(image), name, without_suffix(name))}


def _ends_of(image: str) -> set[str]:
    parts = composed(image).split("/")
    return {"/".join(parts[at:]) for at in range(len(parts))}


def _numbers(image: str) -> set[str]:
    return {_number(without_suffix(PurePosixPath(image).name))} - {""}


def _number(text: str) -> str:
    """Return a whole number without zeros before it, empty where it is none."""
    return (text.lstrip("0") or "0") if text.isdecimal() else ""
