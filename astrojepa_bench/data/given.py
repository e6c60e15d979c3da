"""May a file that a user gives be opened, and how much of it be read? Only a regular one, and within a limit."""

from __future__ import annotations

import os
import stat
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from astrojepa_bench.errors import ConfigError, DataError

LARGEST_TOML = 1 << 20  # bytes; a grid of runs takes a few thousand
MOST_DOTS = 100  # in a line: keys nested deeper than anybody writes take the parser minutes
KINDS = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket"}
RESERVED_BYTES = 256 << 20  # what the libraries themselves still take


def check_regular(path: Path) -> None:
    """Make sure that a path is a file with an end: a pipe would wait and a device give bytes for ever.

    Symbolic links are followed.

    Raises:
        DataError: it is something else, or is not there.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be read ({reason}); check the path") from None
    if not stat.S_ISREG(mode):
        kind = next((word for test, word in KINDS.items() if test(mode)), "a device")
        raise DataError(f"{path} is {kind}; expected a regular file: copy what it holds into one")


def read_at_most(path: Path, most: int) -> bytes:
    """Read a regular file in full.

    Raises:
        DataError: it is not regular, or cannot be read, or holds more bytes than `most`.
    """
    check_regular(path)
    try:
        # Whatever has taken its place since: opening a pipe must not wait.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check the path") from None
    if len(data) > most:
        raise DataError(f"{path} has more than {most} bytes, too many for what it is read for; shorten it")
    return data


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file whose size and nesting are bounded.

    Args:
        path: the file.
        what: how messages call it.

    Raises:
        ConfigError: it is no regular file, too large, or not TOML.
    """
    try:
        data = read_at_most(path, LARGEST_TOML)
    except DataError as error:
        raise ConfigError(f"{what}: {error}; give the path of a TOML file") from None
    try:
        lines = data.splitlines()
        deepest = max(range(len(lines)), key=lambda number: lines[number].count(b"."), default=0)
        if lines and lines[deepest].count(b".") > MOST_DOTS:
            raise ValueError(f"line {deepest + 1} has more than {MOST_DOTS} dots")
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise ConfigError(f"{what} is no TOML: it is nested too deeply; use plain tables") from None
    except ValueError as error:  # also numbers of more digits than Python reads, and bytes that are no text
        raise ConfigError(f"{what} is no TOML: {' '.join(str(error).split())[:300]}") from None


def check_affordable(wanted: int, what: str) -> None:
    """Make sure that the memory suffices before anything is allocated.

    Args:
        wanted: bytes.
        what: takes them, for the message ("a billion rows").

    Raises:
        DataError: there is not so much memory.
    """
    free = available_bytes()
    if wanted > free:
        raise DataError(
            f"{what} would take {in_bytes(wanted)} of memory, and {in_bytes(free)} are available; give fewer, or "
            "raise the limit"
        )


def available_bytes() -> int:
    """Estimate how much memory may still be taken: of the machine, and within this process's limits."""
    bounds = [1 << 62]
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        bounds += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    with suppress(ImportError, OSError, ValueError, IndexError):
        import resource  # not everywhere

        pages, page = Path("/proc/self/statm").read_text().split(), resource.getpagesize()
        used = {resource.RLIMIT_AS: int(pages[0]) * page, resource.RLIMIT_DATA: int(pages[5]) * page}
        limits = {kind: resource.getrlimit(kind)[0] for kind in used}
        bounds += [limit - used[kind] for kind, limit in limits.items() if limit != resource.RLIM_INFINITY]
    return max(0, min(bounds) - RESERVED_BYTES)


def in_bytes(count: int) -> str:
    """Write a number of bytes as people read it.

    Example:
        >>> in_bytes(3_000_000_000)
        '3.0 GB'
    """
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
