"""Names for the galaxies that runs were scored on, where one data set gave several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.naming import titled
from astrojepa_bench.results.record import RunRecord


def galaxy_names(records: Sequence[RunRecord]) -> Callable[[RunRecord], str]:
    """Name the galaxies of each run: the data set, with the options that set its galaxies apart from others here.

    Galaxies are told apart by their fingerprint. Options in which no two fingerprints of a data set differ, and
    options of those that stand alone, are left out: they would say nothing.
    """
    first: dict[str, dict[str, RunRecord]] = {}
    for record in records:
        first.setdefault(record.dataset, {}).setdefault(_fingerprint(record), record)
    names = {
        (dataset, fingerprint): titled(dataset, chosen)
        for dataset, found in first.items()
        for fingerprint, chosen in _differences({f: _options(record) for f, record in found.items()}).items()
    }
    return lambda record: names[record.dataset, _fingerprint(record)]


def _fingerprint(record: RunRecord) -> str:
    return str(record.identity.get("fingerprint", ""))


def _options(record: RunRecord) -> Mapping[str, object]:
    return record.options.get("dataset", {})


def _differences(options: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    """Keep of each what is not the same in all."""
    known = {name for own in options.values() for name in own}
    differing = {
        name for name in known if len({canonical_json(own.get(name)) for own in options.values()}) > 1
    }
    return {key: {n: v for n, v in own.items() if n in differing} for key, own in options.items()}
