"""The board's own record: whether the intervals that it forecast held what came."""

from __future__ import annotations

from collections.abc import Iterable

from astrojepa_bench.board.columns import Versions
from astrojepa_bench.board.evidence import gather, scored
from astrojepa_bench.board.families import Entries
from astrojepa_bench.board.inference import forecast
from astrojepa_bench.board.rules import Rules
from astrojepa_bench.board.verdicts import TrackRecord

FIRST = 3
"""From so many seeds of an entry the later ones are forecast."""


def track_record(entries: Entries, versions: Versions, rules: Rules) -> TrackRecord:
    """Forecast each later seed of a section from the first three seeds of all entries, and count what came true.

    Nothing that came later enters a forecast: the common spread too is that of the first seeds.
    """
    runs = {
        entry: [run for run, _ in scored(each, versions, rules.headline)] for entry, each in entries.items()
    }
    early = gather({e: each[:FIRST] for e, each in runs.items() if each}, versions, rules, rules.headline)
    if early is None:
        return TrackRecord()
    later = {entry: each[FIRST:] for entry, each in runs.items() if len(each) > FIRST}
    found = list[tuple[int, int]]()
    for entry, each in later.items():
        low, high = forecast(early.scores[entry], early.prior, rules.alpha)
        inside = [low <= score.value <= high for _, score in scored(each, versions, rules.headline)]
        found.append((len(inside), sum(inside)))
    return TrackRecord(tuple(found))


def total(records: Iterable[TrackRecord]) -> TrackRecord:
    """Put the track records of several sections together."""
    return TrackRecord(tuple(entry for each in records for entry in each.by_entry))
