"""What are hand-made measurements worth beside features of a network that was never trained? No test galaxies.

    python benchmarks/tuning/measurements.py benchmarks/tuning/galaxy_zoo2_morphology.toml

Controls for `lejepa-morphology`, which is trained to read these measurements: scores, as `tune.py` computes them,
of the measurements alone and of them joined to what an untrained encoder reads.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import torch
from tune import request_of, scores

from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.answers import encode_rows
from astrojepa_bench.runs.assembly import assemble, load_galaxies, settle
from astrojepa_bench.runs.plan import make_plan

ENCODERS = ("profile", "vit-micro", "vit-micro-rings")


def main(trials_file):
    """Print a line of JSON for each set of features."""
    wanted = tomllib.loads(Path(trials_file).read_text())
    registry, galaxies, features = load_registry(), None, {}
    for encoder in ENCODERS:
        request = request_of(wanted, {"objective": "untrained", "encoder": encoder})
        plan = make_plan(request, registry)
        if galaxies is None:
            galaxies = load_galaxies(plan.dataset, plan.budget.size_px, request.cache, torch.device("cpu"))
        features[encoder] = untrained(plan.cells[0], galaxies)
    rows = labelled(galaxies.table)
    measured = features["profile"]["last"]
    for name, taps in features.items():
        joined = {tap: torch.cat([values, measured], dim=1) for tap, values in taps.items()}
        show(name, taps, galaxies.table, rows)
        if name != "profile":
            show(f"{name} and profile", joined, galaxies.table, rows)


def labelled(table):
    """List the labelled galaxies that a recipe may be chosen on."""
    rows = table.rows("train", "val")
    return rows[table.label[rows] >= 0]


def untrained(cell, galaxies):
    """Encode them with an encoder as it starts."""
    encoder = assemble(cell, galaxies).objective.judged.eval()
    settle(encoder, galaxies, None)
    return encode_rows(encoder, galaxies.images, labelled(galaxies.table))


def show(name, taps, table, rows):
    """Print the scores of one set of features."""
    found = scores(taps, table.label[rows], table.split[rows] == "val")
    print(json.dumps({"features": name, **found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
