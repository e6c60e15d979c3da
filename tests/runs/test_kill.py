"""A run that was killed and issued again ends as if nothing had happened."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest


def command(galaxies, out):
    return [sys.executable, "-m", "astrojepa_bench", "run", "-o", "lejepa", "-d", "hdf5", "--budget", "smoke",
            "--set", f"dataset.path={galaxies}", "-E", "knn,collapse", "--no-floors", "--device", "cpu", "--json",
            "--out", str(out), "--cache", str(out / "cache")]  # fmt: skip


def start(galaxies, out):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    threads = {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(galaxies, out), env={**os.environ, **threads}, **quiet)


def scores(out):
    (path,) = (out / "runs").rglob("*.json")
    return json.loads(path.read_text())["scores"]


@pytest.mark.slow
def test_killing_a_run_does_not_move_its_scores(galaxies, tmp_path):
    """SIGKILL at seeded moments leaves no broken record, and finishing gives the uninterrupted scores."""
    began = time.monotonic()
    assert start(galaxies, tmp_path / "whole").wait() == 0
    took = time.monotonic() - began
    killed = tmp_path / "killed"
    for share in np.random.default_rng(0).uniform(0.2, 0.95, 4):
        process = start(galaxies, killed)
        try:
            process.wait(timeout=share * took)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    assert start(galaxies, killed).wait() == 0
    assert scores(killed) == scores(tmp_path / "whole")
