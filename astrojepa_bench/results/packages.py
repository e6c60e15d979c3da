"""Which packages stand behind a run: who offered its components, and the libraries that these use."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata

from astrojepa_bench.options import Offer
from astrojepa_bench.versions import RULER, imported_by

BENCH = "astrojepa-bench"


def libraries_behind(offers: Iterable[Offer]) -> frozenset[str]:
    """Collect the installed packages that may move numbers beside those of the bench itself.

    They are what plugin packages require directly, and what the code of components imports; by their names as a
    package index writes them.
    """
    found = set[str]()
    for offer in offers:
        if offer.distribution != BENCH:
            with suppress(metadata.PackageNotFoundError):  # a file
                found |= {
                    _name_in(text) for text in metadata.requires(offer.distribution) or () if _is_plain(text)
                }
        for module in imported_by(offer.factory):
            found |= _packages_of(module)
    return frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in found) - {BENCH}


def _is_plain(requirement: str) -> bool:
    return "extra" not in requirement.partition(";")[2]


def _name_in(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    return "" if found is None else found[0]


def _packages_of(module: str) -> frozenset[str]:
    """Return the packages that a module belongs to; they are mostly called as it is."""
    with suppress(metadata.PackageNotFoundError):
        return frozenset({metadata.distribution(module).name})
    return frozenset() if module == RULER else frozenset(_by_module().get(module, ()))


@functools.cache
def _by_module() -> dict[str, list[str]]:
    return dict(metadata.packages_distributions())
