"""What it costs to open a file of the size of Galaxy10 DECaLS: time and peak memory, first and second time.

pytest benchmarks/bench_galaxy10.py -o addopts=--import-mode=importlib --benchmark-json=FILE

Writes 2.6 GB of gzip (chunks as h5py chooses them, each over 555 rows) and up to 5.4 GB of cache to the
temporary folder, in about 5 minutes. The extra info holds the peak memory of the process that loads.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL_SIZE = Path(__file__).with_name("galaxy10_full_size.py")


def run(*words):
    """Run the generator or the loader in a process of its own, on one core."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FULL_SIZE), *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    path = tmp_path_factory.mktemp("full_size") / "galaxy10.h5"
    run("write", path)
    yield path
    path.unlink()


@pytest.mark.parametrize("size_px", [64, 224])
def test_open_the_full_file(benchmark, galaxies, tmp_path, size_px):
    """The first opening converts; the second reads what the first left."""

    def load():
        return json.loads(run("load", galaxies, size_px, tmp_path / "cache", tmp_path / "table.npz"))

    first = benchmark.pedantic(load, rounds=1, iterations=1)
    second = load()
    assert first["notes"] == second["notes"]
    benchmark.extra_info.update(
        first_seconds=first["seconds"], first_peak_gb=first["peak_gb"],
        second_seconds=second["seconds"], second_peak_gb=second["peak_gb"],
    )  # fmt: skip
