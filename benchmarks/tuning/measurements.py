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
from tune import features_of, galaxies_of, request_of, scores

from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.assemble import assemble
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.train import train

ENCODERS = ("profile", "vit-micro", "vit-micro-rings")


def main(trials_file):
    """Print a line of JSON for each set of features."""
    wanted = tomllib.loads(Path(trials_file).read_text())
    registry = load_registry()
    plans = [make_plan(request_of(wanted, untrained(encoder)), registry) for encoder in ENCODERS]
    galaxies = galaxies_of(wanted, plans[0])
    measured, *read = (features_of(encoder_of(plan, galaxies), galaxies) for plan in plans)
    show("profile", measured, galaxies.table)
    for name, taps in zip(ENCODERS[1:], read, strict=True):
        joined = {tap: torch.cat([values, measured["last"]], dim=1) for tap, values in taps.items()}
        show(name, taps, galaxies.table)
        show(f"{name} and profile", joined, galaxies.table)


def encoder_of(plan, galaxies):
    """Build the encoder of a plan's one cell, ready to be scored."""
    cell = plan.cells[0]
    return train(assemble(cell, galaxies), galaxies, plan.budget, cell.seed).objective.scored_encoder


def untrained(encoder):
    """Ask for an encoder as it starts."""
    return {"objective": "untrained", "encoder": encoder}


def show(name, taps, table):
    """Print the scores of one set of features."""
    print(json.dumps({"features": name, **scores(taps, table)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
