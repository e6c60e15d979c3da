"""The pages of components: their source, and the text that their module opens with."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

from astrojepa_bench.signatures import made_by

ROLES = "astrojepa_bench.roles"


def page_of(factory: Callable[..., Any]) -> str:
    """Return the docstring of the module that a component is defined in: formula, cost, expectation, source."""
    page = getattr(sys.modules.get(made_by(factory).__module__), "__doc__", None)
    return page.strip() if isinstance(page, str) else ""


def source_of(factory: Callable[..., Any]) -> str:
    """Return the first sentence of `Source:`, looked for in the class, in its module and in its parents.

    Example:
        >>> class Ring:
        ...     '''Hide a ring.
        ...
        ...     Source: Saturn et al. 1610 (arXiv 0000.00001), section 2. Deviations: none.
        ...     '''
        >>> source_of(Ring), deviations_of(Ring), expected_of(Ring)
        ('Saturn et al. 1610 (arXiv 0000.00001), section 2', 'none.', '')
    """
    return _source_and_rest(factory)[0]


def deviations_of(factory: Callable[..., Any]) -> str:
    """Return what differs from the source: what follows its first sentence."""
    return re.sub(r"^Deviations[^:]*: ", "", _source_and_rest(factory)[1])


def expected_of(factory: Callable[..., Any]) -> str:
    """Return what a component is expected to reach: the rest of the paragraph from the word `Expected` on."""
    return _paragraph(factory, r"(?:^|(?<=[.;] ))Expected:?")


def _source_and_rest(factory: Callable[..., Any]) -> tuple[str, str]:
    # "et al. 2023" goes on: a digit starts no sentence
    first, *rest = re.split(r"\.(?=\s+[A-Z]|$)", _paragraph(factory, "^Source:"))
    return first, ".".join(rest).strip()


def _paragraph(factory: Callable[..., Any], opening: str) -> str:
    """Return a paragraph from its opening on, looked for in the class, in its module and in its parents."""
    component = made_by(factory)
    parents = component.__mro__[1:] if inspect.isclass(component) else ()
    docstrings = [component.__doc__, page_of(component)]
    docstrings += [parent.__doc__ for parent in parents if parent.__module__ != ROLES]
    for docstring in docstrings:
        text = inspect.cleandoc(docstring or "")
        found = re.search(rf"{opening}\s*(.+?)(?:\n\s*\n|\Z)", text, re.MULTILINE | re.DOTALL)
        if found:
            return " ".join(found[1].split())
    return ""


def prose_of(docstring: str) -> str:
    """Leave out the `Args:` section of a docstring: the options say the same, with types and defaults."""
    return re.sub(r"\n*^Args:[ ]*\n(?:[ \t]+.*(?:\n|\Z)|[ \t]*\n)+", "\n\n", docstring, flags=re.M).strip()
