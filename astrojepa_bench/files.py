"""Files that several processes share: written whole or not at all, and by one process at a time.

Both tools need nothing of the file system but an atomic `rename`, which network disks keep as well; `flock` does
not hold on NFS. Whatever a process leaves beside a file while it works bears its signature, so that the next
process can tell what was abandoned.
"""

from __future__ import annotations

import errno
import glob
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

from astrojepa_bench.errors import BenchError, StorageError

BEAT_S = 20.0
"""How often the owner of a lock shows that it is alive [s]."""
LEASE_S = 120.0
"""How long after its last beat a lock still belongs to its owner, if that runs on another machine [s]."""
ABANDONED_S = 86400.0
"""How old a draft of another machine must be before it counts as abandoned [s]."""
_POLLS_S = (0.05, 1.0)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OF_DISKS = _FULL | {errno.EIO, errno.EROFS, errno.ESTALE}


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
def replacing(path: Path, wanted: int = 0) -> Iterator[Path]:
    """Yield the path of a draft that takes the place of `path` when the block ends without an error.

    A reader finds the old content or the new one at any moment, never a part of one, and an error leaves
    nothing behind. Drafts that killed processes left in the same folder are removed first. The block may make
    the draft a folder; then nothing may stand at `path` yet.

    Args:
        path: the file to be written; its folder is made.
        wanted: how much will be written [byte], if that is known; for the message.

    Raises:
        StorageError: the folder cannot be made or written, or its disk is full, whatever a library raises then.
    """
    signature = _Signature.new()
    draft = path.with_name(f".{path.name}.{signature}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent, ".*.partial")
        yield draft
        _synchronise(draft)
        os.replace(draft, path)
        with suppress(OSError):  # it is in place; some network disks cannot synchronise a folder
            _synchronise(path.parent)
    except Exception as error:
        reason = None if isinstance(error, StorageError) else _why_unwritten(error, draft, wanted)
        if reason is None:
            raise
        raise StorageError.of(path, reason) from error
    finally:
        if signature.pid == os.getpid():  # and not a fork of the process that writes it
            _remove(draft)


def _why_unwritten(error: BaseException, draft: Path, wanted: int) -> str | None:
    """Return by an error why a draft could not be written; None where neither its disk nor its folder is to blame.

    Libraries pass on what the system said in a number or in words, or fail over it; then it is what came before.
    """
    told = re.search(r"(?:os error|errno)[ =]+(\d+)", str(error))
    code = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
    if (
        code is None
        and isinstance(error, OSError)
        and re.fullmatch(r"\d+ requested and \d+ written", str(error))
    ):
        code = errno.ENOSPC  # so NumPy tells it
    about = Path(os.fsdecode(getattr(error, "filename", None) or "."))
    if code not in _OF_DISKS and (code is None or draft.parent not in (about, *about.parents)):
        earlier = error.__cause__ or error.__context__
        return None if earlier is None else _why_unwritten(earlier, draft, wanted)
    reason = os.strerror(code)
    return reason + _space(draft, wanted) * (code in _FULL)


def is_text(path: Path) -> bool:
    """Whether a path is UTF-8; safetensors reads no other."""
    return str(path).encode("utf-8", "ignore").decode() == str(path)


def _space(draft: Path, wanted: int) -> str:
    """Return how much space was wanted for a draft, and how much its disk has."""
    written = sum(path.lstat().st_size for path in (draft, *draft.rglob("*")) if path.is_file())
    asked = f"{wanted / 1e6:,.1f} MB" if wanted else f"more than {written / 1e6:,.1f} MB"
    with suppress(OSError):
        return f"; {asked} wanted, {shutil.disk_usage(draft.parent).free / 1e6:,.1f} MB free on its disk"
    return f"; {asked} wanted"


def _sweep(folder: Path, pattern: str) -> None:
    """Remove drafts that killed processes left in a folder."""
    for abandoned in filter(_is_abandoned, folder.glob(pattern)):
        _remove(abandoned)


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


def discard(path: Path) -> None:
    """Remove a file or a folder from one moment to the next; nothing happens where there is none.

    Raises:
        OSError: its folder cannot be written.
    """
    gone = path.with_name(f".{path.name}.{_Signature.new()}.partial")
    with suppress(FileNotFoundError):
        os.rename(path, gone)
    _remove(gone)


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

    The lock is the folder `<name>.lock`. In it lies one empty file whose name tells the owner; the owner touches it
    every `BEAT_S` seconds. The folder is made under another name, with that file in it, and then renamed, which is
    atomic everywhere: nobody meets a lock without an owner. A lock is free again once its owner has ended on this
    machine, or has been silent for `LEASE_S` seconds on another one. An owner that is stopped here keeps its lock.

    Args:
        path: what is protected; it need not exist.
        wait: whether to wait for another owner; else raise.

    Raises:
        LockedError: another process holds the lock, and `wait` is false; or this thread itself holds it.
        StorageError: the folder cannot be made or written.
    """
    lock = path.with_name(f"{path.name}.lock")
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

    Each step is one atomic operation that a single process can win: renaming a signed folder to a name that is
    free, renaming the abandoned owner's file, and `rmdir` of a lock without owner, which fails as soon as somebody
    signs it.

    Raises:
        StorageError: the folder cannot be made or written.
    """
    draft = lock.with_name(f".{lock.name}.{mine.name}.partial")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(lock):
            return _taken_over(lock, mine)
        _sweep(lock.parent, f".{glob.escape(lock.name)}.*.partial")
        draft.mkdir()
        (draft / mine.name).touch()
        return _put_in_place(draft, lock, mine)
    except OSError as error:
        reason = _why_unwritten(error, draft, 0)
        if reason is None:
            raise
        raise StorageError.of(lock, reason) from error
    finally:
        _remove(draft)


def _put_in_place(draft: Path, lock: Path, mine: Path) -> bool:
    try:
        os.rename(draft, lock)
    except FileNotFoundError:  # the answer to the request that renamed it may have been lost on a network
        return mine.exists()
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):  # somebody else was faster
            return False
        raise
    # The name may have been that of an unsigned lock of an earlier edition, whose owner gives up if it meets us.
    if list(lock.iterdir()) == [mine]:
        return True
    mine.unlink(missing_ok=True)
    return False


def _taken_over(lock: Path, mine: Path) -> bool:
    owners = _owners(lock)
    if mine in owners:  # the answer to the request that made it was lost on a network
        return True
    if not owners or any(_is_held(lock, owner) for owner in owners):
        return False
    try:
        os.rename(owners[0], mine)
        os.utime(mine)
    except FileNotFoundError:  # somebody else was faster
        return False
    for stray in owners[1:]:  # what no edition ever put there must not free the lock one day
        _remove(stray)
    return True


def _owners(lock: Path) -> list[Path]:
    """List what lies in a lock, and clear away what is no lock, or nobody's."""
    try:
        owners = sorted(lock.iterdir())
    except NotADirectoryError:  # earlier editions locked files, and left them
        lock.unlink(missing_ok=True)
        return []
    except FileNotFoundError:  # released just now, or a link to nowhere
        if lock.is_symlink():
            lock.unlink(missing_ok=True)
        return []
    if not owners and _is_silent(
        lock, lock
    ):  # not signed yet by an earlier edition, or killed while it was released
        with suppress(OSError):
            lock.rmdir()
    return owners


def _is_held(lock: Path, owner: Path) -> bool:
    signature = _Signature.read(owner.name)
    alive = None if signature is None else signature.alive
    return bool(alive) or (alive is None and not _is_silent(lock, owner))


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
