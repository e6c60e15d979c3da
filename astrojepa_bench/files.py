"""Files that several processes share: written whole or not at all, and by one process at a time.

Both tools need nothing of the file system but an atomic `mkdir` and an atomic `rename`, which network disks keep
as well; `flock` does not hold on NFS. Whatever a process leaves beside a file while it works bears its
signature, so that the next process can tell what was abandoned.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from astrojepa_bench.errors import BenchError

BEAT_S = 20.0
"""How often the owner of a lock shows that it is alive [s]."""
LEASE_S = 120.0
"""How long after its last beat a lock still belongs to its owner, if that runs on another machine [s]."""
ABANDONED_S = 86400.0
"""How old a draft of another machine must be before it counts as abandoned [s]."""
_POLLS_S = (0.05, 1.0)


class LockedError(BenchError):
    """Another process holds the lock and waiting was not wanted."""


@dataclass(frozen=True)
class _Signature:
    """The process that left a file, and a token that no other file has.

    Attributes:
        host: name of its machine, for people to read.
        place: what its process number refers to (see `_place`).
        pid: its process number.
        started: when it started [clock ticks since boot], since numbers are given out again; 0 if unknown.
        token: random letters.
    """

    host: str
    place: str
    pid: int
    started: int
    token: str

    @classmethod
    def new(cls) -> _Signature:
        host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:24] or "unnamed"
        _, started = _process(os.getpid())
        return cls(host, _place(), os.getpid(), started, secrets.token_hex(4))

    @classmethod
    def read(cls, name: str) -> _Signature | None:
        """Find a signature in a file name; None if there is none."""
        found = re.search(r"(\w+)-([0-9a-f]{8})-(\d+)-(\d+)-([0-9a-f]{8})(?:\.partial)?$", name)
        return cls(found[1], found[2], int(found[3]), int(found[4]), found[5]) if found else None

    def __str__(self) -> str:
        return f"{self.host}-{self.place}-{self.pid}-{self.started}-{self.token}"

    @property
    def alive(self) -> bool | None:
        """Whether the process still runs; None if that cannot be told from here."""
        if self.place != _place() or os.name != "posix":
            return None
        state, started = _process(self.pid)
        if state:
            return state not in "ZX" and self.started in (0, started)
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # another user's process
            return None
        return None  # some process has this number, but perhaps not the same one


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a draft that takes the place of `path` when the block ends without an error.

    A reader finds the old content or the new one at any moment, never a part of one, and an error leaves
    nothing behind. Drafts that killed processes left in the same folder are removed first. The block may make
    the draft a folder; then nothing may stand at `path` yet.

    Args:
        path: the file to be written; its folder is made.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in filter(_is_abandoned, path.parent.glob(".*.partial")):
        _remove(abandoned)
    signature = _Signature.new()
    draft = path.with_name(f".{path.name}.{signature}.partial")
    try:
        yield draft
        _synchronise(draft)
        os.replace(draft, path)
        with suppress(OSError):  # it is in place; some network disks cannot synchronise a folder
            _synchronise(path.parent)
    finally:
        if signature.pid == os.getpid():  # and not a fork of the process that writes it
            _remove(draft)


def _is_abandoned(draft: Path) -> bool:
    """Whether the process that wrote a draft has ended or, on another machine, must have."""
    signature = _Signature.read(draft.name)
    if signature is None or signature.alive:
        return False
    if signature.alive is False:
        return True
    try:  # what fills a folder touches the files in it
        newest = max(path.stat().st_mtime for path in (draft, *draft.glob("*")))
    except OSError:
        return False
    return time.time() - newest > ABANDONED_S


def _remove(draft: Path) -> None:
    with suppress(OSError):
        draft.unlink(missing_ok=True)
    shutil.rmtree(draft, ignore_errors=True)


def _synchronise(path: Path) -> None:
    """Make a file or a folder's entries survive a power cut; Windows cannot open folders, and need not."""
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file while the block runs.

    The lock is the folder `<name>.lock`, because making a folder is atomic everywhere. In it lies one empty
    file whose name tells the owner; the owner touches it every `BEAT_S` seconds. A lock is free again once its
    owner has ended on this machine, or has been silent for `LEASE_S` seconds on another one. An owner that is
    stopped here keeps its lock.

    Args:
        path: what is protected; it need not exist.
        wait: whether to wait for another owner; else raise.

    Raises:
        LockedError: another process holds the lock, and `wait` is false; or this thread itself holds it.
        OSError: the folder cannot be made or written.
    """
    lock = path.with_name(f"{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    signature, me = _Signature.new(), (os.getpid(), threading.get_ident())
    mine, released = lock / str(signature), threading.Event()
    if _held_here.get(lock) == me:
        raise LockedError(f"{path} is locked by this very thread; release it before locking it again")
    try:
        pause, longest = _POLLS_S
        while not _acquired(lock, mine):
            if not wait:
                raise LockedError(f"{path} is in use by {_owner_of(lock)}; wait for it to end, or stop it")
            time.sleep(pause)
            pause = min(1.5 * pause, longest)
        _held_here[lock] = me
        threading.Thread(target=_beat, args=(mine, released), daemon=True).start()
        yield
    finally:
        released.set()
        if signature.pid == os.getpid():  # and not a fork of the owner
            if _held_here.get(lock) == me:
                del _held_here[lock]
            with suppress(OSError):  # it was taken over in the meantime
                mine.unlink()
                lock.rmdir()


_held_here: dict[Path, tuple[int, int]] = {}
"""Process and thread that hold a lock, as far as they are of this process."""


def _acquired(lock: Path, mine: Path) -> bool:
    """Make the lock, or take it over if its owner is gone; return whether it is ours now.

    Each step is one atomic operation that a single process can win: `mkdir` of a missing lock, renaming the
    abandoned owner's file, and `rmdir` of a lock without owner, which fails as soon as somebody signs it.
    """
    try:
        lock.mkdir()
    except FileExistsError:
        return _taken_over(lock, mine)
    try:
        mine.touch(exist_ok=False)
    except FileNotFoundError:  # this process slept so long that the unsigned lock was cleared away
        return False
    if list(lock.iterdir()) == [mine]:
        return True
    mine.unlink(missing_ok=True)  # cleared away and made anew by somebody else
    return False


def _taken_over(lock: Path, mine: Path) -> bool:
    try:
        owners = list(lock.iterdir())
    except NotADirectoryError:  # earlier editions locked files, and left them
        lock.unlink(missing_ok=True)
        return False
    except FileNotFoundError:  # released just now
        return False
    if mine in owners:  # the answer to the request that made it was lost on a network
        return True
    if not owners:  # not signed yet, or its owner was killed before that
        if _is_silent(lock, lock):
            with suppress(OSError):
                lock.rmdir()
        return False
    owner = owners[0]
    signature = _Signature.read(owner.name)
    alive = None if signature is None else signature.alive
    if alive or (alive is None and not _is_silent(lock, owner)):
        return False
    try:
        os.rename(owner, mine)
        os.utime(mine)
    except FileNotFoundError:  # somebody else was faster
        return False
    return True


def _owner_of(lock: Path) -> str:
    """Name the owner of a lock for people."""
    with suppress(OSError):
        signature = next((_Signature.read(owner.name) for owner in lock.iterdir()), None)
        if signature is not None:
            return f"process {signature.pid} on {signature.host}"
    return "another process"


def _is_silent(lock: Path, owner: Path) -> bool:
    """Whether a lock shows no sign of life for longer than the lease, by the clock of its own disk.

    A takeover renews the folder's time, a beat that of the owner's file.
    """
    clock = lock.with_name(f".{lock.name}.{_Signature.new()}.partial")
    try:
        last = max(lock.stat().st_mtime, owner.stat().st_mtime)
        clock.touch()
        return clock.stat().st_mtime - last > LEASE_S
    except FileNotFoundError:  # released just now
        return False
    finally:
        clock.unlink(missing_ok=True)


def _beat(mine: Path, released: threading.Event) -> None:
    while not released.wait(BEAT_S):
        with suppress(OSError):  # a hiccup of the disk, or the lock was taken over
            os.utime(mine)


@cache
def _place() -> str:
    """Hash what process numbers refer to: this machine since its last start, and this container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]


def _process(pid: int) -> tuple[str, int]:
    """Read a process's state (one letter) and start [clock ticks since boot]; "" and 0 where neither is told."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return facts[0], int(facts[19])
    except (OSError, IndexError, ValueError):
        return "", 0
