"""Evaluation as a share of training: what the command takes for each, of the objectives that train fastest.

Whole runs at `small` on the simulated galaxies, in one thread. Seconds are those of the record, so of the clock:
the machine must be quiet. The note counts the arithmetic of encoding every galaxy once, which none can spare.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import torch
from machine import flops_of
from ours import Size, encoder_of
from table import Row

import astrojepa_bench as ab
from astrojepa_bench.results.record import RunRecord

ENTRIES = ("ijepa", "mae")
SMALL = Size(64, 8, 96, 4, 4, 64)


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Run each entry, and divide."""
    settings = {"dataset.galaxies": 240} if quick else {}
    goal = "" if quick else "<= 0.2"
    with tempfile.TemporaryDirectory() as folder:
        for objective in ENTRIES:
            record = ab.run(
                objective, "random", budget="smoke" if quick else "small", settings=settings, device="cpu",
                out=Path(folder) / "runs", cache=Path(folder) / "cache",
            ).record  # fmt: skip
            assert record.status == "ok", f"{objective} is {record.status}"
            ours_s, trained_s = record.cost.eval_seconds, record.cost.train_seconds
            yield Row(
                f"evaluation of {objective} as a share of its training", ours_s, trained_s, ours_s / trained_s, "s",
                goal, parts_of(record, Path(folder) / "runs"), None, "arithmetic",
            )  # fmt: skip


def parts_of(record: RunRecord, out: Path) -> str:
    """Say what evaluation is made of, and how much of it is arithmetic that cannot be spared."""
    with h5py.File(out / "features" / f"{record.run_id}.h5") as file:
        galaxies = sum(len(file[split]["ids"]) for split in ("train", "val", "test"))
        galaxies += file["extras/augmented_views/last"][..., 0].size
    encoder = encoder_of(SMALL)
    batch = torch.rand(SMALL.batch, 3, SMALL.image_px, SMALL.image_px)
    with torch.no_grad():
        flops = flops_of(lambda: encoder.taps(batch)) / SMALL.batch * galaxies
    spent = record.cost.evaluation
    encoding = spent["features"] + spent["augmented_views"]
    rest = record.cost.eval_seconds - encoding - spent["linear"]
    return (
        f"encoding {galaxies} images {encoding:.1f} s ({flops / record.cost.flops:.0%} of the arithmetic of "
        f"training), linear probe {spent['linear']:.1f} s, other {rest:.1f} s"
    )
