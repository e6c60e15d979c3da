"""Peak memory of a whole `run` on 60,000 galaxies: at most the images and 1.5 GB more.

python benchmarks/bench_memory.py [--quick]

Writes an HDF5 file of disks in noise with labels and positions (64 px, 3 bands: 737 MB), trains and scores one cell
of the smallest budget on it in a process of its own, from an empty cache, and prints the peak of what that process
held: its own memory and all pages of files that it had mapped. Some minutes.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
from table import Row

GALAXIES, SIDE, BANDS = 60_000, 64, 3
AT_ONCE = 1000
# A small process stands between: Linux counts what the starter of a process held at the time to that process.
BETWEEN = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
assert status == 0, f"the run failed ({status})"
print(usage.ru_maxrss * 1024)
"""


def write(path, galaxies, seed=0):
    """Write galaxies of two classes, edge-on and round, spread over the sky."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, galaxies)
    down, across = np.mgrid[:SIDE, :SIDE].astype(np.float32) - (SIDE - 1) / 2
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (galaxies, SIDE, SIDE, BANDS), "u1")
        for at in range(0, galaxies, AT_ONCE):
            rows = slice(at, min(at + AT_ONCE, galaxies))
            draw = rng.random((4, len(label[rows]), 1, 1), dtype=np.float32)
            turn, flat = np.pi * draw[0], np.where(label[rows][:, None, None] == 0, 0.9, 0.25)
            long = np.cos(turn) * across + np.sin(turn) * down
            short = (np.cos(turn) * down - np.sin(turn) * across) / flat
            light = (90 + 120 * draw[1]) * np.exp(-np.hypot(long, short) / (3 + 6 * draw[2]))
            tint = 0.6 + 0.4 * rng.random((len(light), 1, 1, BANDS), dtype=np.float32)
            noise = rng.normal(32, 6, (len(light), SIDE, SIDE, BANDS))
            images[rows] = np.clip(noise + light[..., None] * tint, 0, 255).astype(np.uint8)
        file["ans"] = label.astype(np.uint8)
        place = rng.permutation(galaxies)  # half a degree apart: no two overlap
        file["ra"], file["dec"] = 0.5 * (place % 700) + 0.25, 0.5 * (place // 700) - 40.0


def peak_of_run(folder, galaxies=GALAXIES, options=()):
    """Run a cell on such a file; return the peak of its memory [byte], its seconds, and the bytes of its images."""
    path = folder / "galaxies.h5"
    if not path.exists():
        write(path, galaxies)
    command = [
        sys.executable, "-m", "astrojepa_bench", "run", "-o", "lejepa", "-m", "random", "-d", "hdf5", "--set",
        f"dataset.path={path}", "--budget", "smoke", "--seeds", "1", "--no-floors", "--out", str(folder / "out"),
        "--cache", str(folder / "cache"), *options,
    ]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", BETWEEN, *command], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(done.stdout), time.monotonic() - began, galaxies * SIDE * SIDE * BANDS


def rows(*, quick=False):
    """Yield the row of the table; a quick one has few galaxies, whose images weigh nothing beside the program."""
    galaxies = 2_000 if quick else GALAXIES
    with tempfile.TemporaryDirectory() as folder:
        peak, _, data = peak_of_run(Path(folder), galaxies)
    goal = "" if quick else "<= 1.5"
    how = "the ratio is what the run takes beside the bytes of its images; a process of its own"
    what = f"peak memory of `run`, {galaxies:,} galaxies of {SIDE} px"
    yield Row(what, peak / 1e9, data / 1e9, (peak - data) / 1e9, "GB", goal, how, None, "memory")


if __name__ == "__main__":
    (row,) = rows(quick="--quick" in sys.argv)
    print(" | ".join(cell for cell in row.cells() if cell))
    assert row.is_met is not False
