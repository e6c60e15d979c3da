"""What a plan looks like: a line a cell for people, one object for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from astrojepa_bench.runs.grid import PlannedCell, total_minutes


def plan_json(planned: Sequence[PlannedCell]) -> str:
    """Write a plan for programs."""
    cells = [each.facts() for each in planned]
    return json.dumps({"cells": cells, "minutes": total_minutes(planned)}, indent=1)


def plan_text(planned: Sequence[PlannedCell]) -> str:
    """Write a plan for people: state, length, images to see and name of each cell, and the sum."""
    lines = []
    for each in planned:
        minutes = "unknown" if each.minutes is None else f"{each.minutes:.1f} min"
        length = minutes if each.state == "missing" else ""
        because = "" if each.reason is None else f" ({each.reason})"
        seen = f"{each.images:,} images" if each.state == "missing" and each.images else ""
        lines.append(f"{each.state:8}{length:>12}{seen:>18}  {each.cell.label}{because}")
    counts = Counter(each.state for each in planned)
    counted = ", ".join(
        f"{counts[state]} {state}" for state in ("cached", "missing", "skipped") if counts[state]
    )
    return "\n".join([*lines, "", f"{len(planned)} cells: {counted}; {_sum(planned)}"])


def _sum(planned: Sequence[PlannedCell]) -> str:
    """Tell how long the missing cells take one after the other, or from how many on nobody knows."""
    unknown = sum(each.minutes is None for each in planned)
    known = sum(each.minutes or 0.0 for each in planned)
    if not unknown:
        return f"about {known:.1f} minutes to run"
    least = f"at least {known:.1f} minutes to run, and " if known else ""
    return f"{least}nothing measured in --out tells how long {unknown} of them take"
