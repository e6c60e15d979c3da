"""Which of the parts that a data set is stored in are splits to be honoured?"""

from __future__ import annotations

from collections.abc import Sequence

from astrojepa_bench.data.splitting.selection import true_notes
from astrojepa_bench.data.splitting.splits import SPELLINGS


def honoured_splits(names: Sequence[str]) -> tuple[tuple[str, ...], bool, tuple[str, ...]]:
    """Keep the splits that are to be honoured, or all where that is impossible, and note it.

    Args:
        names: of all parts.

    Returns:
        Names of the parts that are used, whether they are splits, and notes.
    """
    known = [name for name in names if name.lower() in SPELLINGS]
    honoured = {"train", "test"} <= {SPELLINGS[name.lower()] for name in known}
    told = ", ".join(f"'{name}'" for name in names if not (honoured and name in known))
    notes = true_notes({
        f"splits {told} are neither train, validation nor test and were left out": honoured and told,
        f"splits {told} are not train and test: all rows were divided anew": not honoured and len(names) > 1,
    })  # fmt: skip
    return tuple(known if honoured else names), honoured, tuple(notes)
