"""Seals: a kept file knows what it held, so that a bit that flipped on a disk is noticed when the file is read.

A seal is a CRC-32 of all bytes of a file but its own eight digits. It finds every flipped bit, every burst of up to
32 bits, and other damage but for one case in four thousand million; it reads 4 GB in a second. It protects from
disks, not from people: whoever can change a file can seal it again.

Formats that pass over bytes behind their end (HDF5, zip archives of torch, NumPy arrays) bear the seal there;
others hold it among their first bytes. Nothing of a file has to be parsed before it is checked.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from astrojepa_bench.events import track

BLANK = b"seal crc32 00000000"
"""A seal before it is computed."""
SUMS = "checksums.json"
"""The file of a folder that holds the seals of all others in it."""
_SEAL = re.compile(rb"seal crc32 ([0-9a-f]{8})")
_MIB = 1 << 20
_HEAD = 16 * _MIB
_SLOW = 512 * _MIB  # reading so much takes long enough to be shown
_seen: set[tuple[int, ...]] = set()  # files of folders whose seals held: inode, size, time, checksum


def seal_of(content: bytes) -> bytes:
    """Compute the seal that stands behind a file's content."""
    return BLANK[:-8] + f"{zlib.crc32(content):08x}".encode()


def append_seal(path: Path) -> None:
    """Seal a file that was just written, behind its end."""
    crc = _crc(path)
    with path.open("ab") as file:
        file.write(BLANK[:-8] + f"{crc:08x}".encode())


def fill_seal(path: Path) -> None:
    """Compute the seal of a file that holds a blank one among its first bytes."""
    place = _head(path).index(BLANK) + len(BLANK) - 8
    crc = _crc(path, place)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(f"{crc:08x}".encode())


def seal_holds(path: Path) -> bool | None:
    """Whether a file is what was written under its seal; None where it bears none.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - len(BLANK)))
        found, place = _SEAL.fullmatch(file.read()), size - 8
    if found is None:
        found = _SEAL.search(_head(path))
        place = found.start(1) if found else 0
        return found and _crc(path, place) == int(found[1], 16)
    return _crc(path, size=size - len(BLANK)) == int(found[1], 16)


def seal_folder(folder: Path) -> None:
    """Write down size and checksum of every file of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): (path.stat().st_size, _crc(path)) for path in files}
    (folder / SUMS).write_text(json.dumps(sums))


def fault_of_folder(folder: Path) -> str | None:
    """Return what in a folder is not as it was sealed, in a few words, or None; each file is read once a process.

    Raises:
        OSError: it cannot be read.
    """
    try:
        sums = json.loads((folder / SUMS).read_bytes())
        known = {str(name): (int(size), int(crc)) for name, (size, crc) in sums.items()}
    except FileNotFoundError:
        return "an earlier version wrote it, without checksums"
    except (ValueError, TypeError, AttributeError):
        return f"{SUMS} is damaged"
    for name, (size, crc) in known.items():  # and whatever else lies there was not asked for
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        facts = path.stat()
        stamp = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, crc)
        if facts.st_size != size:
            return f"{name} has {facts.st_size:,} bytes, written were {size:,}"
        if stamp not in _seen and _crc(path) != crc:
            return f"{name} has another checksum than when it was written"
        _seen.add(stamp)
    return None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _crc(path: Path, but: int | None = None, size: int | None = None) -> int:
    """Compute the CRC-32 of a file's first `size` bytes, with the eight digits at `but` as zeros."""
    size = path.stat().st_size if size is None else size
    crc, done = 0, 0
    pieces = _pieces(path, size)
    if size > _SLOW:
        pieces = track(pieces, task=f"checking {path.name}", total=-(-size // _MIB), unit="MiB")
    for piece in pieces:
        if but is not None and but < done + len(piece) and done < but + 8:
            digits = range(max(but - done, 0), min(but + 8 - done, len(piece)))
            piece = piece[: digits.start] + b"0" * len(digits) + piece[digits.stop :]
        crc, done = zlib.crc32(piece, crc), done + len(piece)
    return crc


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(_MIB, size))):
            size -= len(piece)
            yield piece
