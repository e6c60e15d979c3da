"""Freeze what verdicts need of the records of 26 November 2026: `board_2026_11_26.json.gz`.

Later boards move those records, and the tests of the board's statistics rest on these very numbers. To make the
file again, in the repository:

    git archive f7c8e74 leaderboard/runs | tar -x -C DIRECTORY
    python tests/golden/freeze_board.py DIRECTORY/leaderboard/runs
"""

import gzip
import json
import sys
from pathlib import Path

KEPT = (
    "schema_version", "run_id", "entry_id", "status", "objective", "masker", "encoder", "dataset", "standing",
    "seed", "budget", "pretraining", "options", "altered", "identity",
)  # fmt: skip
METRICS = {
    ("linear", "accuracy"), ("linear", "balanced_accuracy"), ("knn", "accuracy"), ("kmeans", "ami"),
    ("anomaly", "auroc_physical"), ("collapse", "effective_rank"),
}  # fmt: skip
FROZEN = Path(__file__).parent / "board_2026_11_26.json.gz"


def freeze(runs: Path) -> None:
    """Keep identities and six scores of the runs on all galaxies."""
    records = [json.loads(path.read_text()) for path in sorted(runs.rglob("*.json"))]
    frozen = [
        {key: record[key] for key in KEPT}
        | {"scores": [s for s in record["scores"] if (s["evaluator"], s["metric"]) in METRICS]}
        for record in sorted(records, key=lambda record: record["run_id"])
        if record["pretraining"] is None
    ]
    text = json.dumps(frozen, sort_keys=True, separators=(",", ":"))
    FROZEN.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    freeze(Path(sys.argv[1]))
