"""A grid of eight cells with two jobs of one thread each, against one process with two threads: wall time.

python benchmarks/bench_jobs.py [--pairs N] [--quick]

Commands as a user issues them, start-up included. The results are compared too: two jobs find what one process with
one thread does, to the last bit. Wall time needs a machine with two idle cores; pairs are timed in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

GRID = ["-o", "ijepa,lejepa", "-m", "random,brightness", "--seeds", "2"]
FEW = ["-o", "ijepa", "-m", "random", "--seeds", "2"]


class Timed(NamedTuple):
    """What was measured.

    Attributes:
        cells: of the grid.
        jobs_s, one_s: median wall time of two jobs, and of one process with two threads [s].
        ratio: median over the pairs of the first by the second.
        spread: its quartiles.
    """

    cells: int
    jobs_s: float
    one_s: float
    ratio: float
    spread: tuple[float, float]


def issue(folder: Path, grid: list[str], threads: int, jobs: int) -> tuple[float, Path]:
    """Run a grid into a fresh folder; return how long it took [s], and the folder."""
    out = folder / f"out{threads}{jobs}"
    shutil.rmtree(out, ignore_errors=True)
    words = [
        sys.executable, "-m", "astrojepa_bench", "run", *grid, "--set", "dataset.galaxies=400", "--budget", "smoke",
        "--no-floors", "--device", "cpu", "--out", str(out), "--cache", str(folder / "cache"), "--jobs", str(jobs),
    ]  # fmt: skip
    began = time.perf_counter()
    subprocess.run(
        words,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began, out


def found(out: Path) -> dict[str, object]:
    """Gather scores, curves and weights by run."""
    results: dict[str, object] = {}
    for path in (out / "runs").rglob("*.json"):
        record = json.loads(path.read_text())
        weights = out / "weights" / f"{path.stem}.safetensors"
        results[path.stem] = (record["status"], record["scores"], record["training"]["loss_curve"])
        results[weights.name] = weights.read_bytes()
    return results


def measure(pairs: int, *, quick: bool = False) -> Timed:
    """Compare the results of two cells, then time the grid, or those two again, in turn.

    Raises:
        AssertionError: two jobs find something else than one process at a thread a cell.
    """
    grid, both = FEW if quick else GRID, list[tuple[float, float]]()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        one, two = (issue(folder, FEW, threads, jobs=threads)[1] for threads in (1, 2))
        assert found(one) == found(two), "two jobs of one thread differ from one process of one thread"
        for _ in range(pairs):
            jobs_s, out = issue(folder, grid, threads=2, jobs=2)
            both.append((jobs_s, issue(folder, grid, threads=2, jobs=1)[0]))
        cells = len([*(out / "runs").rglob("*.json")])
    ratios = [ours / theirs for ours, theirs in both]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive") if pairs > 1 else ratios * 3
    jobs_s, one_s = (statistics.median(each) for each in zip(*both, strict=True))
    return Timed(cells, jobs_s, one_s, statistics.median(ratios), (low, high))


def rows(*, quick: bool = False) -> Iterator[object]:
    """Yield the row of the table of ratios."""
    from table import Row

    timed = measure(1, quick=quick)
    yield Row(
        f"grid of {timed.cells} cells with --jobs 2, wall time against one process with two threads", timed.jobs_s,
        timed.one_s, timed.ratio, "s", "" if quick else "<= 0.6",
        "wall time, two idle cores; equal to the bit at a thread a cell", timed.spread,
        "start-up: torch is imported in each process",
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--pairs", type=int, default=3, metavar="N", help="how often both are timed (default: 3)"
    )
    parser.add_argument("--quick", action="store_true", help="two cells: to see that it runs")
    asked = parser.parse_args()
    print(measure(asked.pairs, quick=asked.quick))
