"""`list runs`: what an output folder holds, the newest run first."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from tabulate import tabulate

from astrojepa_bench.cli.printing import print
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store

HEADLINES = ("linear.accuracy", "redshift.r2", "knn.accuracy")
"""What one score tells most of a run, where it was scored: the board is ordered by the first."""
LETTERS = 8  # of an id: enough to tell any two runs of a folder apart, and short enough to be typed


def execute(arguments: Namespace) -> int:
    """Print a line a run; records that cannot be read go to stderr."""
    found = Store(arguments.out).survey()
    runs = sorted(found.records, key=lambda each: (each.provenance.created_utc, each.run_id), reverse=True)
    for line in found.damaged:
        print(f"left out: {line}", file=sys.stderr)
    if arguments.json:
        print(json.dumps([run_facts(record) for record in runs], indent=2))
        return 0
    if not runs:
        print(f"{arguments.out} holds no runs; name their folder with --out", file=sys.stderr)
        return 0
    print(tabulate([_line(run_facts(record)) for record in runs], headers=_COLUMNS, disable_numparse=True))
    return 0


def run_facts(record: RunRecord) -> dict[str, object]:
    """Return what a list tells of a run."""
    scores = {f"{each.evaluator}.{each.metric}": each.value for each in record.scores}
    metric = next((name for name in HEADLINES if name in scores), None)
    return {
        "run_id": record.run_id,
        "entry": record.title,
        "dataset": record.dataset,
        "budget": record.budget,
        "seed": record.seed,
        "status": record.status,
        "created_utc": record.provenance.created_utc,
        "score": metric and {"metric": metric, "value": scores[metric]},
    }


_COLUMNS = ("run", "entry", "data", "budget", "seed", "status", "when (UTC)", "score")


def _line(facts: dict[str, object]) -> list[str]:
    """Write a run so that most lines fit into 100 characters."""
    run_id, entry, *texts, when, _ = map(str, facts.values())
    score = facts["score"]
    told = f"{score['metric']} {score['value']:.3f}" if isinstance(score, dict) else ""
    return [run_id[:LETTERS], entry, *texts, when[:16].replace("T", " "), told]
