"""A run that was killed and issued again ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

REAPER = Path(__file__).with_name("reaper.py")
KILLS = int(os.environ.get("ASTROJEPA_KILLS", "8"))


def start(galaxies, out, moment):
    """Run the same small job; the reaper ends it at `moment`."""
    command = [
        sys.executable, "-m", "astrojepa_bench", "run", "--plugin", str(REAPER), "-o", "lejepa", "-m", "brightness",
        "-d", "hdf5", "--budget", "smoke", "--set", f"dataset.path={galaxies}", "--set", "objective.batch_size=64",
        "-E", "linear,knn,collapse", "--no-floors", "--device", "cpu", "--json",
        "--out", str(out), "--cache", str(out / "cache"),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "REAP": moment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def moments():
    """Twenty-two moments in the order in which a run meets them; counts are drawn from a seed."""
    rng = np.random.default_rng(0)
    conversion = [f"task_advanced converting@{count}" for count in sorted(rng.integers(2, 299, 2))]
    steps = [f"step@{count}" for count in rng.integers(1, 4, 4)]
    halves = [f"half a checkpoint@{count}" for count in rng.integers(1, 3, 3)]
    return [
        "task_advanced hashing@2", "before digests@1", *conversion, "before images@1", "after images@1",
        *steps, *halves, "before .pt@1", "after .pt@2",
        "before .safetensors@1", "after .safetensors@1", "task_advanced encoding@2", "before .h5@1",
        "task_advanced scoring@2", "before .json@1", "after .json@1", "before .csv@1",
    ]  # fmt: skip


def record_of(out):
    (path,) = (out / "runs").rglob("*.json")
    return json.loads(path.read_text())


@pytest.mark.slow
def test_killing_a_run_at_every_kind_of_moment_does_not_move_its_numbers(many_galaxies, tmp_path):
    """Conversion, training, half-written checkpoints, encoding, scoring, record, board: same numbers."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(many_galaxies, whole, "never@0")[0] == 0
    for moment in moments():
        code, said = start(many_galaxies, killed, moment)
        assert code == -signal.SIGKILL, f"{moment} was not reached: {said[-500:]}"
    code, said = start(many_galaxies, killed, "never@0")
    expected, found = record_of(whole), record_of(killed)

    assert code == 0
    assert "already done" in said  # the record was whole before the board was
    for part in ("status", "scores", "selection", "health", "run_id"):
        assert found[part] == expected[part]
    for part in ("loss_curve", "rank_curve"):
        assert found["training"][part] == expected["training"][part]
    weights = [next((out / "weights").glob("*.safetensors")).read_bytes() for out in (whole, killed)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_nothing_is_lost_by_kills_at_any_moment(galaxies, tmp_path):
    """Grids, every evaluator, tables, reports, caches, two commands at once; `ASTROJEPA_KILLS=200` tries more."""
    done = subprocess.run(
        [
            sys.executable,
            str(REAPER.with_name("kills.py")),
            str(galaxies),
            str(tmp_path / "kills"),
            str(KILLS),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)

    assert found["lost"] == []
    assert sum(found["kills"].values()) >= KILLS
    assert all(found["kills"].values())
