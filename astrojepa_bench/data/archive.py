"""JPEG and PNG images in a folder or a zip, with or without a `table.csv` beside them."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, UInt8
from PIL import Image

from astrojepa_bench.data.catalogue import Catalogue
from astrojepa_bench.data.conversion import Picture, Unreadable, reading
from astrojepa_bench.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
TABLE = "table.csv"
GREY_MODES = frozenset({"1", "L", "LA"})
DEEP_MODES = ("I", "F")  # also "I;16" and its like: more than 8 bits would be cut off silently
UNREADABLE = (
    OSError, KeyError, ValueError, SyntaxError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile,
    Image.DecompressionBombError,
)  # fmt: skip


@dataclass(frozen=True)
class ImageFiles:
    """Images by name in a folder or zip.

    Attributes:
        path: folder or zip.
        names: one entry an image, in order.
        ids: unique name of each image.
        columns: further columns of the table, as text, empty where unknown.
    """

    path: Path
    names: tuple[str, ...]
    ids: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]

    @classmethod
    def opened(cls, path: Path) -> ImageFiles:
        """List what is there, by `table.csv` if there is one, else by file name.

        The table has the columns `id` and `path` (relative to the table), and any others.

        Raises:
            DataError: no images, or a table without those columns or with repeated ids.
        """
        try:
            with reading(path), _reader(path) as read:
                listing = _listing(path)
                table = min((n for n in listing if PurePosixPath(n).name == TABLE), key=len, default=None)
                files = _listed(path, listing) if table is None else _tabled(path, table, read(table))
        except zipfile.BadZipFile as error:
            raise DataError(f"{path} is a damaged zip ({error}); fetch it again") from None
        if not files.names:
            raise DataError(f"{path} holds no image; expected JPEG or PNG files, with or without {TABLE}")
        return files

    def __len__(self) -> int:
        return len(self.names)

    @property
    def name(self) -> str:
        """Base name of the folder or zip."""
        return self.path.name

    @property
    def files(self) -> Mapping[str, Path]:
        """The zip, or every image of the folder and its table."""
        if self.path.is_file():
            return {"": self.path}
        wanted = {*self.names, *(name for name in _listing(self.path) if PurePosixPath(name).name == TABLE)}
        listing = [name for name in _listing(self.path) if name in wanted]
        return {name: self.path / name for name in listing}

    @property
    def rendering(self) -> str:
        """Nothing: there is one way to show a JPEG or PNG image."""
        return ""

    @property
    def bands(self) -> int:
        """3 if any image is in colour, else 1 (reads every header)."""
        with reading(self.path), _reader(self.path) as read:
            return 3 if any(_is_colour(read, name) for name in self.names) else 1

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Read all images in order, or say which cannot be read."""
        bands = self.bands
        with reading(self.path), _reader(self.path) as read:
            for name in self.names:
                try:
                    picture: Picture | Unreadable = _picture(read(name), bands)
                except UNREADABLE as error:
                    picture = Unreadable(name, _reason(error))
                yield picture

    def catalogue(self) -> Catalogue:
        """Give class names, redshift and position, unknown where empty or absent."""
        bare = Catalogue.bare(np.array(self.ids))
        names, label = _classes(self.columns.get("label", ("",) * len(self)))
        redshift, ra, dec = (self._number(name) for name in ("redshift", "ra", "dec"))
        return replace(bare, label=label, class_names=names, redshift=redshift, ra=ra, dec=dec)

    def _number(self, name: str) -> Float[np.ndarray, " image"]:
        text = pd.Series(self.columns.get(name, ("",) * len(self)), dtype=object)
        return pd.to_numeric(text, errors="coerce").to_numpy(np.float64)


def _classes(words: Sequence[str]) -> tuple[tuple[str, ...], Int[np.ndarray, " image"]]:
    names = sorted({word for word in words if word})
    place = {"": -1, **{name: number for number, name in enumerate(names)}}
    return tuple(names), np.array([place[word] for word in words], dtype=np.int64)


@contextmanager
def _reader(path: Path) -> Iterator[Callable[[str], bytes]]:
    if path.is_dir():
        yield lambda name: (path / name).read_bytes()
    else:
        with zipfile.ZipFile(path) as archive:
            yield archive.read


def _listing(path: Path) -> list[str]:
    if path.is_dir():
        return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    with zipfile.ZipFile(path) as archive:
        return sorted(name for name in archive.namelist() if not name.startswith("__MACOSX"))


def _listed(path: Path, listing: list[str]) -> ImageFiles:
    names = [PurePosixPath(name) for name in listing]
    names = [name for name in names if name.suffix.lower() in SUFFIXES and not name.name.startswith(".")]
    texts = tuple(str(name) for name in names)
    return ImageFiles(path, texts, tuple(str(name.with_suffix("")) for name in names), {})


def _tabled(path: Path, table: str, text: bytes) -> ImageFiles:
    try:
        frame = pd.read_csv(io.BytesIO(text), dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas' own parser errors are ValueErrors
        raise DataError(f"{path.name}: {table} is not a CSV table ({_reason(error)}); mend it") from None
    missing = [name for name in ("id", "path") if name not in frame]
    if missing:
        raise DataError(
            f"{path.name}: {table} has no column {missing[0]!r}; found {', '.join(map(str, frame))}"
        )
    repeated = frame["id"][frame["id"].duplicated()]
    if len(repeated):
        raise DataError(f"{path.name}: {table} has {len(repeated)} repeated ids, first {repeated.iloc[0]!r}")
    folder = PurePosixPath(table).parent
    names = tuple(str(folder / name) for name in frame["path"])
    return ImageFiles(path, names, tuple(frame["id"]), {str(name): tuple(frame[name]) for name in frame})


def _is_colour(read: Callable[[str], bytes], name: str) -> bool:
    try:
        with Image.open(io.BytesIO(read(name))) as image:
            return image.mode not in GREY_MODES
    except UNREADABLE:
        return False  # reading it in full will say why


def _picture(data: bytes, bands: int) -> Picture:
    digest = hashlib.sha256(data).digest()[:16]
    with Image.open(io.BytesIO(data)) as image:
        return Picture(digest, _pixels(image, bands))


def _pixels(image: Image.Image, bands: int) -> UInt8[np.ndarray, "height width band"]:
    if image.mode.startswith(DEEP_MODES):
        raise ValueError(f"mode {image.mode} is not 8 bits a band")
    if image.mode == "P":  # a palette may carry transparency, which only RGBA holds
        image = image.convert("RGBA")
    pixels = np.asarray(image.convert("L" if bands == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], bands)


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyError | FileNotFoundError):
        return "missing"
    return " ".join(str(error).split()) or type(error).__name__
