"""Names for where runs stand: on which galaxies, and with which budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from astrojepa_bench.results.naming import differing, titled
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.training.budgets import is_flop_matched, other_images

TELLING = {"effort": "budget ", "fingerprint": "galaxies ", "splits": "splits ", "protocol": "protocol "}
CUT = 24  # characters of a hash are enough


def budget_name(budget: str, few: int | None, effort: object = "") -> str:
    """Name a budget, what else than its own images was given, and the pretraining galaxies where limited."""
    images = other_images(budget, effort)
    given = ", FLOP-matched" if is_flop_matched(effort) else f", {images:,} images" if images else ""
    return f"{budget}{given}, {few} pretraining galaxies" if few else f"{budget}{given}"


def place_names(records: Sequence[RunRecord], titles: Mapping[str, str]) -> Callable[[RunRecord], str]:
    """Name what each run shares with its section: galaxies, budget, and the device where there are several."""
    title = galaxy_names(records, titles)
    devices: dict[str, set[str]] = {}

    def place(record: RunRecord) -> str:
        effort = record.identity.get("budget")
        return f"{title(record)}, budget {budget_name(record.budget, record.pretraining, effort)}"

    for record in records:
        devices.setdefault(place(record), set()).add(device_of(record))

    def name(record: RunRecord) -> str:
        here = place(record)
        return here if len(devices[here]) == 1 else f"{here}, {device_of(record)}"

    return name


def device_of(record: RunRecord) -> str:
    """Name the device class and the precision of a run."""
    return " ".join(str(record.identity.get(key, "")) for key in ("device_class", "precision")).strip()


def galaxy_names(records: Sequence[RunRecord], titles: Mapping[str, str]) -> Callable[[RunRecord], str]:
    """Name the galaxies of each run: the title that a suite gives them, or else the data set.

    A data set is named with the options that set its galaxies apart from others here.

    Galaxies are told apart by their fingerprint. Options in which no two fingerprints of a data set differ, and
    options of those that stand alone, are left out: they would say nothing.

    Args:
        records: all that are named apart.
        titles: by fingerprint.
    """
    options: dict[str, dict[str, Mapping[str, object]]] = {}
    for record in records:
        own = record.options.get("dataset", {})
        options.setdefault(record.dataset, {}).setdefault(_fingerprint(record), own)
    telling = {dataset: differing(found.values()) for dataset, found in options.items()}

    def name(record: RunRecord) -> str:
        if titles.get(_fingerprint(record)):
            return titles[_fingerprint(record)]
        own = options[record.dataset][_fingerprint(record)]
        return titled(record.dataset, {key: own[key] for key in telling[record.dataset] if key in own})

    return name


def _fingerprint(record: RunRecord) -> str:
    return str(record.identity.get("fingerprint", ""))


def told_apart(titles: Sequence[str], places: Sequence[object]) -> list[str]:
    """Name each place by its title, and places of one title also by what sets them apart.

    Args:
        titles: of the places, in their order.
        places: what has the attributes of `TELLING`.
    """
    named = list[str]()
    for title, place in zip(titles, places, strict=True):
        same = [other for other, t in zip(places, titles, strict=True) if t == title]
        telling = []
        for name, word in TELLING.items():
            values = {str(getattr(each, name)) for each in same}
            cut = CUT if len({value[:CUT] for value in values}) == len(values) else None
            telling += [f"{word}{str(getattr(place, name))[:cut]}"] * (len(values) > 1)
        named.append(", ".join([title, *telling]))
    return named
