"""Which packages stand behind a run: who offered its components, and the libraries that these use."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata

from astrojepa_bench.options import Offer
from astrojepa_bench.versions import imported_by

BENCH = "astrojepa-bench"
_by_module = functools.cache(metadata.packages_distributions)


def libraries_behind(offers: Iterable[Offer]) -> frozenset[str]:
    """Collect the installed packages that may move numbers beside those of the bench itself.

    They are what plugin packages require directly, and what the code of components imports; by their names as a
    package index writes them.
    """
    found = set[str]()
    for offer in offers:
        if offer.distribution != BENCH:
            with suppress(metadata.PackageNotFoundError):  # a file
                required = metadata.requires(offer.distribution) or ()
                found |= {re.split(r"[^\w.-]", text)[0] for text in required if "extra" not in text}
        for module in imported_by(offer.factory):
            try:
                found.add(metadata.distribution(module).name)  # most are called as their module
            except metadata.PackageNotFoundError:
                found |= {*_by_module().get(module, ())}
    return frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in found) - {BENCH}
