"""What `run` ends with: which runs there are now, and the commands that look at one of them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from astrojepa_bench.cli.list_runs import LETTERS
from astrojepa_bench.cli.shared_arguments import RUNS
from astrojepa_bench.results.record import SCORED, RunRecord

NAMED = 5
"""How many runs are named at most; `list runs` names all."""
LOOKS = (
    ("report", "--page report.html"),
    ("map", "--thumbnails --picture map.png"),
    ("anomalies", "--table odd.csv"),
)
FURTHER = (
    ("neighbours", "--index 0 --picture neighbours.png"),
    ("clusters", "--picture clusters.png"),
    ("score", "--evaluator full"),
)
"""What comes next where report, map and anomalies are written already."""


def next_steps(records: Sequence[RunRecord], out: Path, *, is_looked_at: bool = False) -> str:
    """Name the runs of a grid, and write three commands that look at one, ready to be copied.

    The run that they look at is the first that was planned of a contestant, whatever it scored: nothing is chosen
    on test.

    Args:
        records: of the grid, in the order of its plan.
        out: the output folder.
        is_looked_at: whether its report, map and anomalies are there.
    """
    folder = [] if out == RUNS else ["--out", str(out)]
    scored = [record for record in records if record.status in SCORED]
    # floors frame what was asked for; they are named where there is nothing else
    asked = [record for record in scored if record.standing == "contestant"] or scored
    lines = ["Runs:"]
    lines += [f"  {each.run_id[:LETTERS]}  {each.title}, seed {each.seed}" for each in asked[:NAMED]]
    if len(records) > len(asked[:NAMED]):
        lines.append(f"  all {len(records)}: {shlex.join(['astrojepa-bench', 'list', 'runs', *folder])}")
    if not asked:
        return "\n".join(lines)
    lines.append("Next:" if len(asked) == 1 else "Next, with the first of them:")
    for verb, product in FURTHER if is_looked_at else LOOKS:
        command = shlex.join(["astrojepa-bench", verb, asked[0].run_id[:LETTERS], *folder])
        lines.append(f"  {command} {product}")
    return "\n".join(lines)
