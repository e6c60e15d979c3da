"""Files that several processes share: written whole or not at all, and by one process at a time.

Both tools need nothing of the file system but atomic `mkdir` and `rename`, which network disks keep as well;
`flock` does not hold on NFS.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT_S = 20.0
"""How often the owner of a lock shows that it is alive [s]."""
LEASE_S = 120.0
"""How long after its last beat a lock is still its owner's [s]."""
_POLL_S = 0.2


class LockedError(Exception):
    """Another process holds the lock and waiting was not wanted."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a draft that takes the place of `path` when the block ends without an error.

    A reader finds the old file or the new one at any moment, never a part of one, and nothing is left behind
    by an error. What a killed process leaves is removed by the next writer of the same file.

    Args:
        path: the file to be written; its folder is made.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for abandoned in path.parent.glob(f".{path.name}.*.partial"):
        if time.time() - _modified(abandoned, default=time.time()) > LEASE_S:
            abandoned.unlink(missing_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut; Windows cannot, and need not."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock beside a file while the block runs.

    The lock is the folder `<name>.lock`, because making a folder is atomic everywhere. Its owner renews it every
    `BEAT_S` seconds. It is free again once its owner has ended on this machine, or has been silent for
    `LEASE_S` seconds on another one.

    Args:
        path: what is protected; it need not exist.
        wait: whether to wait for another owner; else raise.

    Raises:
        LockedError: another process holds the lock, and `wait` is false.
        OSError: the folder cannot be made or written.
    """
    lock = path.with_name(f"{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while not _acquired(lock):
        if not wait:
            raise LockedError(f"{path} is in use by another process")
        time.sleep(_POLL_S)
    released = threading.Event()
    beat = threading.Thread(target=_beat, args=(lock, released), daemon=True)
    beat.start()
    try:
        yield
    finally:
        released.set()
        beat.join()
        shutil.rmtree(lock, ignore_errors=True)


def _acquired(lock: Path) -> bool:
    """Make the lock, or clear one whose owner is gone; return whether it is ours now."""
    try:
        lock.mkdir()
    except FileExistsError:
        _clear_abandoned(lock)
        return False
    (lock / "owner.json").write_text(json.dumps({"token": secrets.token_hex(8), **_this_process()}))
    return True


def _clear_abandoned(lock: Path) -> None:
    """Take an abandoned lock away, exactly once however many processes try.

    Its new name holds the owner's token and stays, so that a process that saw the same abandoned lock, but comes
    later, cannot take away the lock that was made in the meantime.
    """
    try:
        owner = json.loads((lock / "owner.json").read_text())
    except (OSError, ValueError):  # just made, not signed yet, or just released
        owner = {}
    silent = time.time() - _modified(lock, default=time.time())
    if silent > LEASE_S or _has_ended(owner):
        grave = lock.with_name(f".{lock.name}.{owner.get('token', 'unsigned')}")
        with suppress(OSError):
            if not owner:
                lock.joinpath("owner.json").touch()
            os.rename(lock, grave)
    for old in lock.parent.glob(f".{lock.name}.*"):
        if time.time() - _modified(old, default=time.time()) > 10 * LEASE_S:
            shutil.rmtree(old, ignore_errors=True)


def _this_process() -> dict[str, object]:
    return {"place": _place(), "pid": os.getpid(), "started": _started(os.getpid())}


def _has_ended(owner: dict[str, object]) -> bool:
    """Whether the owner ran here and runs no longer; of other machines only silence can tell."""
    pid = owner.get("pid")
    if not isinstance(pid, int) or owner.get("place") != _place() or not Path("/proc/self/stat").exists():
        return False
    return _started(pid) != owner.get("started")


def _place() -> str:
    """Name what process numbers refer to: this machine since its last start, and this container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return "/".join(parts)


def _started(pid: int) -> str | None:
    """Read when a process started [clock ticks since boot], since its number may be given out again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _beat(lock: Path, released: threading.Event) -> None:
    while not released.wait(BEAT_S):
        with suppress(OSError):
            os.utime(lock)


def _modified(path: Path, default: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return default
