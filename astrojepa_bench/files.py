"""Files that several processes share: written whole or not at all, and by one process at a time.

Both tools need nothing of the file system but an atomic `rename`, which network disks keep as well; `flock` does
not hold on NFS. Whatever a process leaves beside a file while it works bears its signature, so that the next
process can tell what was abandoned. A lock is a lease: who is silent for too long loses it, and what it writes from
then on takes no file's place.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from astrojepa_bench.errors import BenchError, StorageError
from astrojepa_bench.owners import Signature

BEAT_S = 20.0
"""How often the owner of a lock shows that it is alive [s]."""
LEASE_S = 120.0
"""How long after its last beat a lock still belongs to its owner, if that runs on another machine [s]."""
ABANDONED_S = 86400.0
"""How old a draft of another machine must be before it counts as abandoned [s]."""
_POLLS_S = (0.05, 1.0)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_OF_DISKS = _FULL | {errno.EIO, errno.EROFS, errno.ESTALE}
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})


class LockedError(BenchError):
    """Another process holds the lock and waiting was not wanted."""


class LeaseLostError(LockedError):
    """Another process took a lock over, because the one that held it was silent for longer than its lease."""


@contextmanager
def replacing(path: Path, wanted: int = 0) -> Iterator[Path]:
    """Yield the path of a draft that takes the place of `path` when the block ends without an error.

    A reader finds the old content or the new one at any moment, never a part of one, and an error leaves
    nothing behind. Drafts that killed processes left in the same folder are removed first. The block may make
    the draft a folder; then nothing may stand at `path` yet. The locks that this thread holds are renewed at the
    last moment: if one was taken over, the file is its new owner's to write.

    Args:
        path: the file to be written; its folder is made.
        wanted: how much will be written [byte], if that is known; for the message.

    Raises:
        StorageError: the folder cannot be made or written, or its disk is full, whatever a library raises then.
        LeaseLostError: a lock that this thread held was taken over.
    """
    signature = Signature.new()
    draft = path.with_name(f".{path.name}.{signature}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent, ".*.partial")
        yield draft
        _synchronise(draft)
        renew_leases()
        os.replace(draft, path)
        with suppress(OSError):  # it is in place; some network disks cannot synchronise a folder
            _synchronise(path.parent)
    except Exception as error:
        if isinstance(
            error, FileNotFoundError
        ):  # perhaps the new owner of what is locked cleared the draft away
            renew_leases()
        known = isinstance(error, StorageError | LeaseLostError)
        reason = None if known else _why_unwritten(error, draft, wanted)
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
    signature = Signature.read(draft.name)
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
    gone = path.with_name(f".{path.name}.{Signature.new()}.partial")
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
    Who wakes up after it was taken over hears so from the next `replacing`, or from `renew_leases`.

    Args:
        path: what is protected; it need not exist.
        wait: whether to wait for another owner; else raise.

    Raises:
        LockedError: another process holds the lock, and `wait` is false; or this thread itself holds it.
        StorageError: the folder cannot be made or written.
    """
    lock = path.with_name(f"{path.name}.lock")
    lease = _Lease(path, lock, lock / str(Signature.new()), (os.getpid(), threading.get_ident()))
    released, held = threading.Event(), _held_here.get(lock)
    if held is not None and held.holder == lease.holder:
        raise LockedError(f"{path} is locked by this very thread; release it before locking it again")
    try:
        pause, longest = _POLLS_S
        while not _acquired(lock, lease.mine):
            if not wait:
                raise LockedError(f"{path} is in use by {_owner_of(lock)}; wait for it to end, or stop it")
            time.sleep(pause)
            pause = min(1.5 * pause, longest)
        _held_here[lock] = lease
        threading.Thread(target=_beat, args=(lease, released), daemon=True).start()
        yield
    finally:
        released.set()
        if lease.holder[0] == os.getpid():  # and not a fork of the owner
            if _held_here.get(lock) is lease:
                del _held_here[lock]
            with suppress(OSError):  # it was taken over in the meantime
                lease.mine.unlink()
                lock.rmdir()


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock of a file just now; nothing is locked by asking."""
    lock = path.with_name(f"{path.name}.lock")
    owners = _owners(lock)
    return any(_is_held(lock, owner) for owner in owners) if owners else os.path.lexists(lock)


def renew_leases() -> None:
    """Begin the leases of all locks that this thread holds anew: whatever it does next, it does as their owner.

    Raises:
        LeaseLostError: one was taken over.
    """
    me = os.getpid(), threading.get_ident()
    for lease in [each for each in [*_held_here.values()] if each.holder == me]:
        lease.renew()


@dataclass
class _Lease:
    """A lock that a thread holds, or held when it last looked.

    Attributes:
        path: what is protected.
        lock: the folder that does it.
        mine: the file in it that signs.
        holder: process and thread.
    """

    path: Path
    lock: Path
    mine: Path
    holder: tuple[int, int]

    def renew(self) -> None:
        """Sign the lock anew, under another name.

        A process may be stopped, or cut off from the disk, for longer than its lease, and know nothing of it. A
        rename asks the disk itself and not a cache of names, and a takeover is one too, so that of both only the
        first succeeds; and it counts as a beat.

        Raises:
            LeaseLostError: somebody else signed it.
        """
        renewed = self.lock / str(Signature.new())
        try:
            os.rename(self.mine, renewed)
        except OSError as error:
            if error.errno not in _GONE:  # a hiccup of the disk; what is written next will tell
                return
            if not renewed.exists():  # else the answer was lost on a network
                raise LeaseLostError(
                    f"{self.path} was taken over by {_owner_of(self.lock)}, since this process was silent for "
                    f"longer than {LEASE_S:g} s; wait for that one to end, then issue the command again"
                ) from None
        self.mine = renewed
        with suppress(OSError):
            os.utime(renewed)


_held_here: dict[Path, _Lease] = {}
"""The locks that this process holds."""


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
    signature = Signature.read(owner.name)
    alive = None if signature is None else signature.alive
    return bool(alive) or (alive is None and not _is_silent(lock, owner))


def _owner_of(lock: Path) -> str:
    """Name the owner of a lock for people."""
    with suppress(OSError):
        signature = next((Signature.read(owner.name) for owner in lock.iterdir()), None)
        if signature is not None:
            return f"process {signature.pid} on {signature.host}"
    return "another process"


def _is_silent(lock: Path, owner: Path) -> bool:
    """Whether a lock shows no sign of life for longer than the lease, by the clock of its own disk.

    A takeover renews the folder's time, a beat that of the owner's file.
    """
    clock = lock.with_name(f".{lock.name}.{Signature.new()}.partial")
    try:
        last = max(lock.stat().st_mtime, owner.stat().st_mtime)
        clock.touch()
        return clock.stat().st_mtime - last > LEASE_S
    except FileNotFoundError:  # released just now
        return False
    finally:
        clock.unlink(missing_ok=True)


def _beat(lease: _Lease, released: threading.Event) -> None:
    while not released.wait(BEAT_S):
        with suppress(OSError):  # a hiccup of the disk, or the lock was taken over
            os.utime(lease.mine)
