"""Source images to one array on disk, once per content and size, and safe to kill at any moment.

An entry of the cache is a folder that is filled under another name and renamed when complete, so whatever
bears the final name is whole. One process fills it while others wait. It holds the checksums of its files; each
process checks them when it first opens an entry, and one that differs is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8

from astrojepa_bench.data.memory import let_go
from astrojepa_bench.data.resize import resize
from astrojepa_bench.errors import DataError, StorageError
from astrojepa_bench.events import emit, track
from astrojepa_bench.files import LeaseLostError, discard, locked, renew_leases, replacing
from astrojepa_bench.seals import fault_of_folder, seal_folder
from astrojepa_bench.types import Images

CONVERSION = 1  # raise it whenever the same source starts to give other pixels
LAYOUT = 4  # raise it whenever an entry of the cache holds other files
ROW = np.dtype(
    [("digest", "S32"), ("height", "i4"), ("width", "i4"), ("blank", "?"), ("gaps", "i4"), ("told", "u4")]
)
BYTES, HALVES = np.dtype(np.uint8), np.dtype(np.float16)
MEBIBYTE = 1 << 20
ROWS_AT_ONCE = 256


class Picture(NamedTuple):
    """One image of a source.

    Attributes:
        digest: hash of what the source holds; equal digests of one source mean equal pixels. That of linear flux
            is that of its display, for groups of copies are named by it.
        pixels: channels last; display levels, or linear flux.
        gaps: how many of them have no value in some band (NaN) and show sky instead.
        blank: whether they show nothing where they are displayed; None where the pixels themselves tell.
        told: what was converted before they were these (see `sources.raster.TOLD`).
    """

    digest: bytes
    pixels: UInt8[np.ndarray, "height width band"] | Float[np.ndarray, "height width band"]
    gaps: int = 0
    blank: bool | None = None
    told: int = 0


class Unreadable(NamedTuple):
    """One image of a source that cannot be read.

    Attributes:
        name: as the source names it.
        reason: why, in a few words.
    """

    name: str
    reason: str


class ImageSource(Protocol):
    """Where pictures come from: an HDF5 file, a zip, a folder."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    @property
    def files(self) -> Mapping[str, Path]:
        """Every file that its pictures depend on, by the name that counts as content."""

    @property
    def rendering(self) -> str:
        """Which pixels are made of those bytes, and in which order; empty where there is no choice."""

    @property
    def as_shown(self) -> ImageSource | None:
        """The same pictures stretched for display, where these are linear flux; None where they are displayed."""

    @property
    def bands(self) -> int:
        """How many bands each picture has."""

    def __len__(self) -> int:
        """How many pictures there are."""

    def pictures(self) -> Iterator[Picture | Unreadable]:
        """Read all pictures in order, or report why one cannot be read."""


@dataclass(frozen=True)
class Converted:
    """A source's images at one size.

    Attributes:
        images: memory-mapped, channels first; black where a picture cannot be read.
        rows: hash, size [pixel], blankness, gaps and conversion of each picture as the source holds it (see
            `ROW`); the hash is empty where it cannot be read.
        unreadable: which pictures those are, by row number.
    """

    images: Images
    rows: np.ndarray
    unreadable: Mapping[int, Unreadable]

    @property
    def digests(self) -> np.ndarray:
        """Hash of each picture as the source holds it, as hexadecimal bytes."""
        digests: np.ndarray = self.rows["digest"]
        return digests


def convert(source: ImageSource, size_px: int, cache_dir: Path) -> Converted:
    """Return a source's images at `size_px`, converting them if the cache does not hold them.

    Raises:
        DataError: the source as a whole cannot be read.
        StorageError: the cache cannot be written.
    """
    chosen = [source.rendering] if source.rendering else []
    key = fingerprint(CONVERSION, LAYOUT, content_digest(source.files, cache_dir), size_px, *chosen)
    entry = cached(cache_dir, key, lambda folder: _convert_into(folder, source, size_px))
    unreadable = json.loads((entry / "unreadable.json").read_text())
    return Converted(
        _open_images(entry),
        np.load(entry / "rows.npy"),
        {int(row): Unreadable(*told) for row, told in unreadable.items()},
    )


def _convert_into(folder: Path, source: ImageSource, size_px: int) -> None:
    rows = np.zeros(len(source), dtype=ROW)
    unreadable: dict[int, Unreadable] = {}
    shape = (source.bands, size_px, size_px)
    dtype = BYTES if source.as_shown is None else HALVES

    def resized() -> Iterator[Shaped[np.ndarray, "band height width"]]:
        task = f"converting {source.name} to {size_px} px"
        for row, picture in enumerate(track(source.pictures(), task=task, total=len(source))):
            if isinstance(picture, Unreadable):
                unreadable[row] = picture
                yield np.zeros(shape, dtype=dtype)
            else:
                rows[row] = row_of(picture)
                yield resize(picture.pixels, size_px).astype(dtype, copy=False)

    _write_images(folder, (len(source), *shape), resized(), dtype)
    np.save(folder / "rows.npy", rows)
    (folder / "unreadable.json").write_text(json.dumps(unreadable))


def row_of(picture: Picture) -> tuple[bytes, int, int, bool, int, int]:
    """Return what `ROW` records of a picture."""
    height, width, _ = picture.pixels.shape
    flat = picture.pixels.reshape(height * width, -1)
    blank = bool((flat == flat[0]).all()) if picture.blank is None else picture.blank
    return picture.digest.hex().encode(), height, width, blank, picture.gaps, picture.told


def stack(parts: Sequence[tuple[np.ndarray, np.ndarray]], key: str, cache_dir: Path) -> Images:
    """Put chosen rows of several image arrays behind one another, on disk.

    Args:
        parts: images and the rows to take, in order.
        key: fingerprint of the result.
        cache_dir: where it is kept.
    """
    shape, dtype = (sum(len(rows) for _, rows in parts), *parts[0][0].shape[1:]), parts[0][0].dtype
    chunks = (block for images, rows in parts for block in blocks(images, rows))
    total = sum(len(steps(rows)) for _, rows in parts)
    watched = track(chunks, task="stacking images", total=total, unit=f"blocks of {ROWS_AT_ONCE}")
    return _open_images(cached(cache_dir, key, lambda folder: _write_images(folder, shape, watched, dtype)))


def steps(rows: Int[np.ndarray, " row"]) -> range:
    """Return the starts of blocks of rows small enough to hold in memory."""
    return range(0, len(rows), ROWS_AT_ONCE)


def blocks(
    images: Images, rows: Int[np.ndarray, " row"]
) -> Iterator[Shaped[np.ndarray, "row band height width"]]:
    """Copy chosen rows a block at a time, keeping no more of a memory map in memory than one block."""
    for at in steps(rows):
        yield images[rows[at : at + ROWS_AT_ONCE]]
        let_go(images)


def band_statistics(
    images: Images, rows: Int[np.ndarray, " row"]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Compute mean and standard deviation of each band over the given rows, on the [0, 1] scale.

    Those of flux are in its own unit. Sums of bytes are integers, so the result does not depend on the machine.

    Raises:
        DataError: a band is constant.
    """
    bands = images.shape[1]
    first, second = np.zeros(bands), np.zeros(bands)
    chunks = blocks(images, rows)
    exact, whole, wide = (
        (np.uint64, 255, np.uint16) if images.dtype == np.uint8 else (np.float64, 1, np.float64)
    )
    for block in track(chunks, task="measuring bands", total=len(steps(rows)), unit="blocks"):
        first += block.sum(axis=(0, 2, 3), dtype=exact)
        squares = np.square(block, dtype=wide)  # 255² fits into 16 bits
        second += squares.sum(axis=(0, 2, 3), dtype=exact)
    count = max(1, len(rows)) * images.shape[2] * images.shape[3]
    mean = first / count
    std = np.sqrt(np.maximum(second / count - mean**2, 0))
    if (std < (1e-6 if whole > 1 else 1e-6 * np.abs(mean) + 1e-12)).any():
        band = int(np.argmin(std))
        raise DataError(
            f"band {band} has the constant value {mean[band]:.4g} in all {len(rows)} training images; "
            "a band must vary: leave it out of the file"
        )
    return tuple((mean / whole).tolist()), tuple((std / whole).tolist())


def fingerprint(*parts: object) -> str:
    """Hash facts and arrays, in order, into a short name."""
    digest = hashlib.sha256()
    for part in parts:
        if not isinstance(part, np.ndarray):
            data = str(part).encode()
        elif part.dtype.kind == "U":  # the width of a text array is padding, not content
            data = "\0".join(part.tolist()).encode()
        else:
            data = part.tobytes()
        digest.update(f"{len(data)}:".encode())  # so that no two lists of parts run together alike
        digest.update(data)
    return digest.hexdigest()[:32]


def content_digest(files: Mapping[str, Path], cache_dir: Path) -> str:
    """Hash the content of files; remembered for as long as their sizes and times stay the same.

    Raises:
        DataError: a file cannot be read.
    """
    key = fingerprint(json.dumps([(name, *_stamp(files[name])) for name in sorted(files)]))

    def fill(folder: Path) -> None:
        digests = (f"{name}={file_sha256(files[name])}" for name in sorted(files))
        (folder / "digest").write_text(fingerprint(*digests))

    return (cached(cache_dir, key, fill, room="digests") / "digest").read_text()


def _stamp(path: Path) -> tuple[str, int, int]:
    with reading(path):
        facts = path.stat()
        return str(path.resolve()), facts.st_size, facts.st_mtime_ns


def file_sha256(path: Path) -> str:
    """Hash the bytes of a file.

    Raises:
        DataError: it cannot be read.
    """
    digest = hashlib.sha256()
    with reading(path), path.open("rb") as file:
        total = path.stat().st_size // MEBIBYTE + 1
        pieces = iter(lambda: file.read(MEBIBYTE), b"")
        for piece in track(pieces, task=f"hashing {path.name}", total=total, unit="MiB"):
            digest.update(piece)
    return digest.hexdigest()


def cached(cache_dir: Path, key: str, fill: Callable[[Path], None], room: str = "images") -> Path:
    """Return the complete cache entry `key`, filling it first if it is not there, or not as it was written.

    Raises:
        StorageError: the cache cannot be written.
        LeaseLostError: another lock that this thread held was taken over.
    """
    entry = cache_dir / room / key
    with _writing(cache_dir):
        while not _is_usable(entry):
            with suppress(LeaseLostError), locked(entry):  # taken over: another process fills it
                if not _is_usable(entry, say=True):
                    discard(entry)
                    with replacing(entry) as folder:
                        folder.mkdir()
                        fill(folder)
                        seal_folder(folder)
                break
            renew_leases()  # another lock that was lost would be lost at every turn
    return entry


def _is_usable(entry: Path, *, say: bool = False) -> bool:
    """Whether an entry is there, as it was written; on request say what is wrong with it."""
    if not os.path.lexists(entry):
        return False
    try:
        fault = fault_of_folder(entry) if entry.is_dir() else "it is no folder"
    except OSError as error:
        fault = error.strerror or type(error).__name__
    if fault is not None and say:
        emit("note", text=f"{entry} in the cache is not used ({fault}); it is made again")
    return fault is None


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn any error while a file is read into one line about that file.

    Raises:
        DataError: the file cannot be opened, is truncated or damaged.
    """
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # h5py raises any of these
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        advice = "it may be damaged or incomplete: check the path or fetch it again"
        if isinstance(error, FileNotFoundError):
            advice = "check the path"
        raise DataError(f"{path} cannot be read ({reason}); {advice}") from None


@contextmanager
def _writing(cache_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.reason if isinstance(error, StorageError) else error.strerror or str(error)
        advice = "free some space or name another folder with --cache"
        raise StorageError(f"cannot write to the cache {cache_dir} ({reason}); {advice}", reason) from error


def _write_images(
    folder: Path, shape: tuple[int, ...], blocks: Iterable[np.ndarray], dtype: np.dtype[Any] = BYTES
) -> None:
    # Written in order rather than through a memory map: a full disk is then an error, not a killed process.
    with (folder / "images.npy").open("wb") as file:
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for block in blocks:
            if block.any():
                file.write(np.ascontiguousarray(block).data)
            else:  # thousands of missing images need not fill the disk with zeros
                file.seek(block.nbytes, os.SEEK_CUR)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _open_images(entry: Path) -> Images:
    images: Images = np.load(entry / "images.npy", mmap_mode="r")
    return images
