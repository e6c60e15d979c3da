"""The stdout of a command holds its results and nothing else, whatever plugins print while they work.

Plugins print by `print`, by file descriptor, from C or through programs that they start. In a process of its own a
command therefore moves its stdout to another descriptor and leaves stderr behind number 1; and while plugins work,
`sys.stdout` is stderr too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def own_stdout() -> Iterator[None]:
    """Move stdout to a descriptor that nobody else knows while the block runs, and leave stderr behind number 1.

    For a process that ends after the block: what is printed later, as at exit, goes to stderr. Nothing is done
    where one of the two is closed.
    """
    before = sys.stdout
    try:
        before.flush()
        own = os.dup(before.fileno())
        os.dup2(sys.stderr.fileno(), before.fileno())
    except (OSError, ValueError, AttributeError):
        yield
        return
    buffering = 1 if os.isatty(own) else -1
    with open(own, "w", encoding=before.encoding, errors=before.errors, buffering=buffering) as results:
        _set_stdout(results)
        try:
            yield
        finally:
            with suppress(OSError, ValueError):
                results.flush()
            _set_stdout(sys.stderr)


@contextmanager
def plugins_at_work() -> Iterator[None]:
    """Let what is printed while the block runs go to stderr."""
    before = sys.stdout
    with suppress(OSError, ValueError, AttributeError):
        before.flush()
    _set_stdout(sys.stderr)
    try:
        yield
    finally:
        _set_stdout(before)


def _set_stdout(stream: object) -> None:
    """Print to a stream from now on, and measure the terminal by it."""
    sys.stdout = sys.__stdout__ = stream  # type: ignore[misc,assignment]
