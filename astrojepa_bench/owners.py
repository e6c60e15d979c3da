"""Whose a lock or a half-written file is: the signature that a process leaves in the name of a file."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Signature:
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
    def new(cls) -> Signature:
        """Sign for this process, with a new token."""
        host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:24] or "unnamed"
        _, started = _process(os.getpid())
        return cls(host, _place(), os.getpid(), started, secrets.token_hex(4))

    @classmethod
    def read(cls, name: str) -> Signature | None:
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
