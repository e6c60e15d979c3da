"""Which files lie in a folder or zip? They are read safely: nothing outside it, and nothing too large."""

from __future__ import annotations

import bz2
import copy
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from astrojepa_bench.data.convert import reading
from astrojepa_bench.data.given import check_regular, in_bytes, read_at_most
from astrojepa_bench.errors import BenchError, DataError

LARGEST_FILE = 256 << 20  # bytes; a cut-out or table is smaller, a decompression bomb is not
HIGHEST_COMPRESSION = 1100  # deflate reaches 1032
PIECE = 1 << 16
LONGEST_SHOWN = 100
DRIVE = re.compile(r"[A-Za-z]:")
GZIP = b"\x1f\x8b"
ENCRYPTED = 0x1  # flag bit of a zip entry
Read: TypeAlias = Callable[[str], bytes]


class RefusedError(Exception):
    """One file cannot be used; the text says why, in a few words."""


@dataclass(frozen=True)
class Container:
    """A folder, or a zip that stands for one.

    Attributes:
        path: where it is.
        names: its files, sorted, relative to it.
        links: those of them that are symbolic links.
    """

    path: Path
    names: tuple[str, ...]
    links: frozenset[str] = frozenset()

    @classmethod
    def opened(cls, path: Path) -> Container:
        """List a folder or zip.

        Raises:
            DataError: it is missing, neither of these, damaged or encrypted.
        """
        with reading(path):
            path.stat()
            if path.is_dir():
                files = {f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.is_file()}
                links = frozenset(name for name, file in files.items() if file.is_symlink())
                return cls(path, tuple(sorted(files)), links)
        check_regular(path)
        with _unzipping(path) as archive:
            members = _members(path, archive)
        if any(info.flag_bits & ENCRYPTED for info in members):
            raise DataError(f"{path} is an encrypted zip; unpack it with its password and give the folder")
        names = {info.filename for info in members if not info.filename.startswith("__MACOSX")}
        return cls(path, tuple(sorted(names)))

    @contextmanager
    def reader(self) -> Iterator[Read]:
        """Yield a function that reads one file by name, or raises `RefusedError` with the reason.

        Names that lead out of the folder are not followed, whatever lies there. Symbolic links are.

        Raises:
            DataError: the zip cannot be opened any more.
        """
        if self.path.is_dir():
            yield partial(_carefully, partial(_from_folder, self.path))
        else:
            with _unzipping(self.path) as archive:
                yield partial(_carefully, partial(_from_zip, archive))

    def beginnings(self, names: Sequence[str], size: int) -> Iterator[tuple[str, bytes]]:
        """Yield the first bytes of some files, unpacked; none of one that cannot be read."""
        with nullcontext() if self.path.is_dir() else _unzipping(self.path) as archive:
            for name in names:
                with suppress(RefusedError), guarded():
                    yield name, unpacked(self._beginning(archive, name, size), size)
                    continue
                yield name, b""

    def _beginning(self, archive: zipfile.ZipFile | None, name: str, size: int) -> bytes:
        if escapes(name):
            return b""
        if archive is None:
            file = self.path / name
            if not file.is_file():
                return b""
            with file.open("rb") as stream:
                return stream.read(size)
        info = archive.getinfo(name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return _from_zip(archive, name)[:size]
        with archive.open(info) as entry:
            return entry.read(size)


def unpacked(data: bytes, most: int | None = None) -> bytes:
    """Return what is packed by gzip, and anything else as it is.

    Args:
        data: of a file.
        most: bytes to return at most; by default it is an error if there are more than a file may have.

    Raises:
        RefusedError: it is damaged, or unpacks to more than a file may have.
    """
    if not data.startswith(GZIP):
        return data
    held, rest, limit = bytearray(), data, LARGEST_FILE + 1 if most is None else most
    while rest.startswith(GZIP) and len(held) < limit:
        unpacker = zlib.decompressobj(wbits=31)
        with guarded():
            held += unpacker.decompress(rest, limit - len(held))
        if not unpacker.eof and most is None and len(held) < limit:
            raise RefusedError("its gzip is cut short")
        rest = unpacker.unused_data
    if most is None:
        _check_size(len(held))
    return bytes(held)


def escapes(name: str) -> bool:
    """Return whether a relative name could lead out of its folder, on this system or another."""
    return "\\" in name or name.startswith("/") or DRIVE.match(name) is not None or ".." in name.split("/")


def spelt(name: str) -> str:
    """Spell a file name so that it can be written anywhere: some file systems allow what no text may hold."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "")


def composed(text: str) -> str:
    """Spell an accented letter as one sign, for some systems write it as two, in names of files above all."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def shown(text: str) -> str:
    """Shorten any text to something that fits into a line of a message."""
    line = " ".join(spelt(text).split())
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"


@contextmanager
def guarded() -> Iterator[None]:
    """Turn whatever a decoder of foreign bytes raises into `RefusedError`: damaged ones make it raise anything."""
    try:
        yield
    except (RefusedError, BenchError):
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RefusedError(shown(reason) or type(error).__name__) from None


@contextmanager
def _unzipping(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with guarded():
            _check_signature(path)
            archive = zipfile.ZipFile(path)
    except RefusedError as why:
        raise DataError(f"{path} is a damaged zip ({why}); fetch it again") from None
    with archive:
        yield archive


def _members(path: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the files of a zip.

    Raises:
        DataError: one has no name, or all of them together claim more than so many bytes can hold.
    """
    if not all(info.filename for info in archive.infolist()):
        raise DataError(
            f"{path} has an entry without a name; pack it again, or unpack it and give the folder"
        )
    members = [info for info in archive.infolist() if not info.is_dir()]
    claim, size = sum(info.file_size for info in members), path.stat().st_size
    if claim > max(LARGEST_FILE, size * HIGHEST_COMPRESSION):
        raise DataError(
            f"{path} claims to hold {in_bytes(claim)} in {in_bytes(size)}, which no compression does; it is "
            "damaged or made up"
        )
    return members


def _check_signature(path: Path) -> None:
    if not path.is_file() or not is_zip(path):
        raise DataError(f"{path} is neither a folder nor a zip of images; give one of these")


def is_zip(path: Path) -> bool:
    """Return whether a file is a zip, or the beginning of one."""
    with reading(path), path.open("rb") as file:
        return file.read(2) == b"PK" or zipfile.is_zipfile(path)


def _carefully(read: Read, name: str) -> bytes:
    if escapes(name):
        raise RefusedError("escapes the folder")
    with guarded():
        return unpacked(read(name))


def _from_folder(folder: Path, name: str) -> bytes:
    file = folder / name
    if not file.is_file():  # a device or a pipe would never end
        raise RefusedError("missing")
    _check_size(file.stat().st_size)
    try:
        return read_at_most(file, LARGEST_FILE)
    except DataError as error:
        raise RefusedError(str(error)) from None


def _from_zip(archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.NameToInfo:
        raise RefusedError("missing")
    info = archive.getinfo(name)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise RefusedError("a symbolic link; pack the file itself")
    _check_size(info.file_size)
    if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with archive.open(info) as stream:  # of these, no more than that is ever unpacked
            return stream.read(info.file_size)
    if info.compress_type == zipfile.ZIP_BZIP2:
        return _from_bzip2(archive, info)
    raise RefusedError(f"packed by method {info.compress_type}; pack it again with deflate")


def _from_bzip2(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Unpack an entry a piece at a time: `zipfile` would unpack gigabytes of a short one before it counts them."""
    packed = copy.copy(info)
    packed.compress_type, packed.file_size = zipfile.ZIP_STORED, info.compress_size
    packed.CRC = None  # type: ignore[assignment] # it is that of the unpacked bytes
    unpacker, held = bz2.BZ2Decompressor(), bytearray()
    with archive.open(packed) as stream:
        while not unpacker.eof and len(held) <= info.file_size:
            piece = stream.read(PIECE) if unpacker.needs_input else b""
            if unpacker.needs_input and not piece:
                raise RefusedError("cut short")
            held += unpacker.decompress(piece, PIECE)
    if len(held) != info.file_size or zlib.crc32(held) != info.CRC:
        raise RefusedError("it is not what the zip's directory says: damaged or made up")
    return bytes(held)


def _check_size(size: int) -> None:
    if size > LARGEST_FILE:
        raise RefusedError(f"{size >> 20} MB, more than {LARGEST_FILE >> 20}")
