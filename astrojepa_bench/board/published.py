"""Published figures of other authors, stored in the folder of a board, so that equal folders give equal pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pydantic import TypeAdapter, ValidationError

from astrojepa_bench.board.columns import ACCURACY, newest_versions, of_one_setting
from astrojepa_bench.board.places import place_names
from astrojepa_bench.board.statistics import summarise
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.identity import canonical_json
from astrojepa_bench.results.record import SCORED, RunRecord
from astrojepa_bench.results.store import write_atomically
from astrojepa_bench.suites import Block, Published

FILE = "published.json"
STATE = "quoted"
"""The state of such a row, where those of the board are re-run or reported."""
LEGEND = (
    f"Numbers of others, {STATE} as they printed them: linear accuracy in per cent unless stated. Other splits, "
    "crops and probes, so no row here is comparable with a row above without reading what differs. *Ours* is the "
    "linear accuracy of the nearest entry on this board, its mean over seeds ± their standard deviation."
)
_FIGURES = TypeAdapter(tuple[Published, ...])


def keep_published(out: Path, figures: Sequence[Published]) -> None:
    """Store figures in the folder of a board; from then on its page shows them.

    Args:
        out: the board's folder.
        figures: the figures, in their order on the page.

    Raises:
        ConfigError: the folder cannot be written.
    """
    facts = [figure.model_dump(mode="json", exclude_defaults=True) for figure in figures]
    write_atomically(out / FILE, (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())


def read_published(out: Path) -> tuple[Published, ...]:
    """Read the figures stored in the folder of a board; none where there is no file.

    Raises:
        DataError: the file is no list of figures.
    """
    try:
        return _FIGURES.validate_json((out / FILE).read_bytes())
    except FileNotFoundError:
        return ()
    except (ValidationError, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(
            f"{out / FILE} holds no published figures ({reason}); delete it, or write it again with "
            "`leaderboard build --published SUITE`"
        ) from None


def published_lines(
    figures: Iterable[Published],
    records: Sequence[RunRecord],
    titles: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, str]]:
    """Set figures beside the nearest entries of a board.

    Args:
        figures: the published figures.
        records: the records of the board.
        titles: what its galaxies are called, by fingerprint.

    Returns:
        one a figure: what it is of, the figure, ours, how it was measured and by whom, what differs, its source.
    """
    name = place_names(records, titles)
    placed = [(name(r), r) for r in records]
    return [
        {
            "model": each.model, "figure": each.figure, "ours": _ours(each.entry, placed),
            "measured": each.measured, "split": each.split, "head": each.head, "ran_by": each.ran_by,
            "differs": each.differs, "source": each.source, "state": STATE,
        }
        for each in figures
    ]  # fmt: skip


def _ours(entry: Block | None, placed: Iterable[tuple[str, RunRecord]]) -> str:
    """Return the accuracy of an entry for each dataset and budget it ran on, as text."""
    if entry is None:
        return ""
    places: dict[str, list[RunRecord]] = {}
    for place, record in placed:
        if record.status in SCORED and is_entry(record, entry):
            places.setdefault(place, []).append(record)
    cells = [text for place in sorted(places) if (text := _accuracy(place, places[place]))]
    return "; ".join(cells) or "not run"


def _accuracy(place: str, records: Sequence[RunRecord]) -> str:
    versions = newest_versions(records)
    records = of_one_setting(records, versions)
    values = [value for record in records if (value := ACCURACY.read(record, versions)) is not None]
    return f"{ACCURACY.text(summarise(values))} ({place})" if values else ""


def is_entry(record: RunRecord, entry: Block) -> bool:
    """Return whether a run belongs to an entry: its components, with the options that the entry names."""
    named = {"objective": entry.objectives, "masker": entry.maskers, "encoder": entry.encoders}
    if any(getattr(record, kind) not in names for kind, names in named.items()):
        return False
    return all(
        name in record.options.get(kind, {})
        and canonical_json(record.options[kind][name]) == canonical_json(value)
        for kind in named
        for name, value in entry.options.get(kind, {}).items()
    )
