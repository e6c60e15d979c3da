"""More galaxies than memory: a prepared data set ten times the allowed memory, against the same images in memory.

python benchmarks/bench_prepared.py [--quick]

Two processes train one objective on the same table. One holds the images in memory. The other maps the shards from
the disk, may take no more memory (RLIMIT_DATA) than it has after ten steps and a tenth of the images, and drops
the shards from the system's cache before every epoch. They train by turns, some steps each, so that whatever else
the machine does meets both; the ratio is the median over turns. Asserted: the same batches bit for bit, all of the
images read from the disk in every epoch, and at least nine tenths of the rate.
"""

import hashlib
import json
import mmap
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from astrojepa_lejepa import LeJEPA
from table import Row

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.memory import let_go
from astrojepa_bench.data.prepare import prepare
from astrojepa_bench.data.prepared import Prepared
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

GALAXIES, SIDE, BANDS, BATCH = 12_800, 64, 3, 16
SHARE = 0.1  # of the images, that a process may take beyond what it has
EPOCHS, STEPS, WARM = 2, 50, 10  # steps a turn, and before the limit is set
LEAST = 0.9  # of the rate in memory


def table_of(galaxies):
    """Return noise, which nothing compresses."""
    images = np.random.default_rng(0).integers(0, 256, (galaxies + 200, BANDS, SIDE, SIDE), dtype=np.uint8)
    split = np.full(len(images), "train")
    split[:100], split[100:200] = "val", "test"
    return GalaxyTable(
        images=images, ids=np.arange(len(images)).astype(str), split=split, fingerprint="noise",
        spec=ImageSpec(("g", "r", "z"), SIDE, (0.5,) * BANDS, (0.29,) * BANDS), card=Card("noise", "", ""),
        label=np.full(len(images), -1), anomaly=np.zeros(len(images), int),
        anomaly_type=np.full(len(images), ""),
    )  # fmt: skip


def trainer_of(table):
    """Return a trainer of a small transformer."""
    with scoped_global(0, "initial weights"):
        encoder = TokenViT(table.spec, patch=8, width=48, depth=2, heads=2)
        objective = LeJEPA(encoder, encoder.grid, 0, projector=32, embedding=8, slices=16, batch_size=BATCH)
    images = DeviceImages(table.images, torch.device("cpu"), resident_bytes=0)
    budget = Budget("bench", SIDE, 8, EPOCHS * len(table.pretraining_rows), "", "")
    trainer = Trainer(objective, None, table, images, budget, seed=0)
    trainer.rehearses = False
    return trainer


def facts(file, *names):
    """Read numbers of this process [byte or kB]."""
    lines = (line.split() for line in Path(f"/proc/self/{file}").read_text().splitlines())
    found = {words[0].rstrip(":"): int(words[1]) for words in lines if words[1:2] and words[1].isdecimal()}
    return [found[name] for name in names]


def limit(images):
    """Allow a tenth of the images beyond what this process has, and see that it is in force."""
    (data,) = facts("status", "VmData")
    most = data * 1024 + int(SHARE * images.nbytes)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    try:
        mmap.mmap(-1, images.nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        return
    raise AssertionError("the limit is not in force")


def drop(folder, images):
    """Drop the shards from this process and from the system's cache."""
    let_go(images)
    for path in (folder / "shards").iterdir():
        handle = os.open(path, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def train(folder, holds):
    """Train by turns, as many steps as are asked for on stdin, and answer with seconds and the batches' hash."""
    torch.set_num_threads(1)
    table = Prepared(path=folder).load(SIDE, folder.parent / "cache")
    mapped = table.images
    if holds:
        table = replace(table, images=np.array(mapped))
        let_go(mapped)  # what one process has mapped, nobody can drop
    trainer = trainer_of(table)
    for step in range(WARM):
        trainer._step(step)
    if not holds:
        limit(mapped)
    (begin,) = facts("io", "read_bytes")
    print("ready", flush=True)
    for line in sys.stdin:
        first, last = map(int, line.split())
        if not holds and first % (len(trainer.order.rows) // BATCH) == 0:
            drop(folder, mapped)
        seconds, digest = 0.0, hashlib.sha256()
        for step in range(first, last):
            began = time.perf_counter()
            trainer._step(step)
            seconds += time.perf_counter() - began
            digest.update(trainer.images.raw(trainer.order.at(step)).numpy().data)
        (read,) = facts("io", "read_bytes")
        print(json.dumps([seconds, digest.hexdigest(), read - begin]), flush=True)


def measure(folder, galaxies):
    """Let both train by turns; return the ratio of their rates and how much of the images was read an epoch."""
    prepare(table_of(galaxies), folder / "prepared", 0, {})
    command = [sys.executable, __file__, "train", str(folder / "prepared")]
    # what a step takes and frees stays with the process, so that the limit adds to it
    keeps = {f"MALLOC_{what}_THRESHOLD_": str(10**9) for what in ("TRIM", "MMAP")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": {**os.environ, **keeps}}
    children = [
        subprocess.Popen([*command, kind], text=True, bufsize=1, **pipes) for kind in ("mapped", "held")
    ]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    ratios, read = [], 0
    for first in range(0, EPOCHS * galaxies // BATCH, STEPS):
        answers = []
        for child in children:
            child.stdin.write(f"{first} {first + STEPS}\n")
            answers.append(json.loads(child.stdout.readline()))
        (mapped, one, read), (held, other, _) = answers
        assert one == other, f"other batches from step {first} on"
        ratios.append(held / mapped)
    for child in children:
        child.stdin.close()
        assert child.wait() == 0
    size = galaxies * BANDS * SIDE * SIDE
    return statistics.median(ratios), read / size / EPOCHS


def rows(*, quick=False):
    """Yield the row of the table; a quick one has few galaxies, whose shards a system reads in one go."""
    galaxies = 1_600 if quick else GALAXIES
    with tempfile.TemporaryDirectory() as folder:
        ratio, read = measure(Path(folder), galaxies)
    assert read > LEAST or quick, (
        f"only {read:.2f} of the images came from the disk, at {ratio:.3f} of the rate"
    )
    how = f"{read:.2f} of the images read from the disk in every epoch; wall time by turns, batches bit-equal"
    goal = "" if quick else f">= {LEAST}"
    what = "rate of training from shards, ten times the allowed memory, by that in memory"
    yield Row(what, None, None, ratio, "", goal, how, None, "arithmetic")


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(Path(sys.argv[2]), sys.argv[3] == "held")
    else:
        (row,) = rows(quick="--quick" in sys.argv)
        print(" | ".join(cell for cell in row.cells() if cell))
        assert row.is_met is not False
