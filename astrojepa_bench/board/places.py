"""Names for where runs stand: on which galaxies, and with which budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from astrojepa_bench.results.naming import differing, titled
from astrojepa_bench.results.record import RunRecord


def budget_name(budget: str, few: int | None) -> str:
    """Name a budget, and the number of pretraining galaxies where that was limited."""
    return f"{budget}, {few} pretraining galaxies" if few else budget


def place_title(galaxies: str, budget: str) -> str:
    """Name what the runs of a section share."""
    return f"{galaxies}, budget {budget}"


def galaxy_names(records: Sequence[RunRecord]) -> Callable[[RunRecord], str]:
    """Name the galaxies of each run: the data set, with the options that set its galaxies apart from others here.

    Galaxies are told apart by their fingerprint. Options in which no two fingerprints of a data set differ, and
    options of those that stand alone, are left out: they would say nothing.
    """
    options: dict[str, dict[str, Mapping[str, object]]] = {}
    for record in records:
        own = record.options.get("dataset", {})
        options.setdefault(record.dataset, {}).setdefault(_fingerprint(record), own)
    telling = {dataset: differing(found.values()) for dataset, found in options.items()}

    def name(record: RunRecord) -> str:
        own = options[record.dataset][_fingerprint(record)]
        return titled(record.dataset, {key: own[key] for key in telling[record.dataset] if key in own})

    return name


def _fingerprint(record: RunRecord) -> str:
    return str(record.identity.get("fingerprint", ""))
