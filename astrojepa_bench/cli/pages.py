"""What a piece says of itself: its source, and the page that its module opens with."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

from astrojepa_bench.signatures import made_by

ROLES = "astrojepa_bench.roles"


def page_of(factory: Callable[..., Any]) -> str:
    """Give the docstring of the module that a piece is defined in: formula, cost, expectation, source."""
    module = sys.modules.get(made_by(factory).__module__)
    return (getattr(module, "__doc__", "") or "").strip()


def source_of(factory: Callable[..., Any]) -> str:
    """Give the first sentence of `Source:`, the nearest to the piece: its class, its module, its parents.

    Example:
        >>> class Ring:
        ...     '''Hide a ring.
        ...
        ...     Source: Saturn et al. 1610 (arXiv 0000.00001), section 2. Deviations: none.
        ...     '''
        >>> source_of(Ring)
        'Saturn et al. 1610 (arXiv 0000.00001), section 2'
    """
    return next(filter(None, map(_first_sentence, _docstrings(factory))), "")


def prose_of(docstring: str) -> str:
    """Leave out the `Args:` section of a docstring: the options say the same, with types and defaults."""
    return re.sub(r"\n*^Args:[ ]*\n(?:[ \t]+.*(?:\n|\Z)|[ \t]*\n)+", "\n\n", docstring, flags=re.M).strip()


def _docstrings(factory: Callable[..., Any]) -> Iterator[str]:
    piece = made_by(factory)
    yield inspect.cleandoc(piece.__doc__ or "")
    yield page_of(piece)
    parents = piece.__mro__[1:] if inspect.isclass(piece) else ()
    yield from (inspect.cleandoc(parent.__doc__ or "") for parent in parents if parent.__module__ != ROLES)


def _first_sentence(docstring: str) -> str:
    found = re.search(r"^Source:\s*(.+?)(?:\n\s*\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    text = " ".join(found[1].split()) if found else ""
    return re.split(r"\.(?=\s+[A-Z]|$)", text)[0]  # "et al. 2023" goes on: a digit starts no sentence
