"""Whether galaxies are only looked at by a finished run: then there may be too few to divide, even a single one.

What can be divided is divided all the same, so that the galaxies of a run are recognised as its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_LOOKED_AT: ContextVar[bool] = ContextVar("galaxies are only looked at", default=False)


@contextmanager
def only_looked_at() -> Iterator[None]:
    """Load tables in this scope to be looked at: where rows cannot be divided, all of them are test galaxies."""
    token = _LOOKED_AT.set(True)
    try:
        yield
    finally:
        _LOOKED_AT.reset(token)


def are_only_looked_at() -> bool:
    """Return whether what is loaded now is neither trained nor scored on."""
    return _LOOKED_AT.get()
