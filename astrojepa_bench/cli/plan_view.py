"""What a plan looks like: a line a cell for people, one object for programs."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Sequence

from astrojepa_bench.runs.grid import PlannedCell, total_minutes


def plan_json(planned: Sequence[PlannedCell]) -> str:
    """Write a plan for programs."""
    cells = [each.facts() for each in planned]
    return json.dumps({"cells": cells, "minutes": total_minutes(planned)}, indent=1)


def plan_text(planned: Sequence[PlannedCell], jobs: int = 1) -> str:
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
    return "\n".join([*lines, "", f"{len(planned)} cells: {counted}; {_sum(planned, jobs)}"])


def _sum(planned: Sequence[PlannedCell], jobs: int) -> str:
    """Tell how long the missing cells take one after the other and at once, or of how many nobody knows."""
    unknown = sum(each.minutes is None for each in planned)
    known = sum(each.minutes or 0.0 for each in planned)
    clock = clock_minutes(planned, jobs)
    if clock is not None:
        at_once = f"; with --jobs {jobs} they end after {clock:.1f}, if each takes as long beside others"
        return f"about {known:.1f} minutes to run" + at_once * (jobs > 1)
    least = f"at least {known:.1f} minutes to run, and " if known else ""
    return f"{least}nothing measured in --out tells how long {unknown} of them take"


def clock_minutes(planned: Sequence[PlannedCell], jobs: int) -> float | None:
    """Tell when the last of so many jobs ends, each of which takes the next cell; None where nobody knows."""
    ends = [0.0] * jobs
    for each in planned:
        if each.minutes is None:
            return None
        heapq.heappushpop(ends, ends[0] + each.minutes)
    return round(max(ends), 2)
