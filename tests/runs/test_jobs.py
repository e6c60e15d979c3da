"""Cells side by side: the numbers of one process, one display, and no process that outlives its command."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import astrojepa_bench as ab
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.runs.executors import pool
from astrojepa_bench.runs.executors.settings import ARITHMETIC, THREADS
from astrojepa_bench.runs.request import make_request, read_config

MOVERS = Path(__file__).parents[1] / "trust" / "movers.py"


def words(out, objectives, *more):
    """Return the command that runs some quick cells."""
    return [
        sys.executable, "-m", "astrojepa_bench", "run", "--plugin", str(MOVERS), "-o", objectives, "-m", "none",
        "-e", "tiny", "-E", "knn,linear", "-d", "hdf5", "--set", "dataset.path=tiny.h5", "--budget", "smoke",
        "--no-floors", "--device", "cpu", "--out", str(out), "--cache", str(out.parent / "cache"), "--json", *more,
    ]  # fmt: skip


def run(out, objectives, *more, threads="1"):
    done = subprocess.run(
        words(out, objectives, *more),
        capture_output=True,
        text=True,
        check=False,
        cwd=out.parent,
        env={**os.environ, "OMP_NUM_THREADS": threads},
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def made(out):
    """Gather records and weights by run, without what differs from day to day."""
    parts = ("status", "scores", "selection", "health", "correct", "warnings", "failure")
    found = {}
    for path in (out / "runs").rglob("*.json"):
        record, weights = json.loads(path.read_text()), out / "weights" / f"{path.stem}.safetensors"
        of_run = [*(record[part] for part in parts), record["training"]["loss_curve"]]
        found[record["objective"], record["seed"]] = (of_run, weights.exists() and weights.read_bytes())
    return found


@pytest.mark.slow
def test_jobs_equal_one_process_and_a_death_costs_its_own_cell(galaxies, tmp_path):
    """Two jobs at a thread each: the same bits. A crash is told with its plugin, and another process goes on."""
    code, here, _ = run(tmp_path / "one", "sound,z-sound", "--seeds", "2")
    also, there, said = run(
        tmp_path / "two", "sound,crash,z-sound", "--seeds", "2", "--jobs", "2", threads="2"
    )
    one, two = made(tmp_path / "one"), made(tmp_path / "two")
    crashed = [two.pop(("crash", seed))[0][-2] for seed in (0, 1)]

    assert (code, also) == (0, 1)
    assert one == two
    assert sorted(here["trained"]) == sorted(there["trained"])
    assert len(there["records"]) == 6
    for failure in crashed:
        assert failure["plugin"] == "movers"
        assert "signal 11 (SIGSEGV) while training" in failure["message"]
    lines = said.splitlines()
    assert sorted(line[:5] for line in lines if line.startswith("[")) == [f"[{k}/6]" for k in range(1, 7)]
    assert len(re.findall(r"seed \d: \w+ in \d+:\d\d", said)) == 6
    made_by = [json.loads(path.read_text()) for path in (tmp_path / "two" / "runs").rglob("*.json")]
    assert {each["environment"]["threads"] for each in made_by if each["failure"] is None} == {1}
    assert not [
        each for each in (tmp_path / "two").rglob("*") if ".partial" in each.name or each.suffix == ".lock"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_no_job_outlives_its_command(galaxies, tmp_path, number, is_running, waited_for):
    """Ctrl-C ends all of them with 130 and gives their locks back; after a kill they end by themselves."""
    out, said = tmp_path / "out", tmp_path / "said.txt"
    with said.open("w") as file:
        command = subprocess.Popen(
            words(out, "endless", "--seeds", "2", "-j", "2"), cwd=tmp_path, stdout=file, stderr=file
        )
    waited_for(lambda: "[1/2]" in said.read_text() and "[2/2]" in said.read_text())
    children = [int(owner.name.split("-")[2]) for owner in (out / "leases").glob("*.lock/*")]
    command.send_signal(number)
    code = command.wait(60)
    waited_for(lambda: not any(map(is_running, children)))

    assert len({*children, command.pid}) == 3
    assert code == (130 if number == signal.SIGINT else -number)
    assert number == signal.SIGKILL or list((out / "leases").iterdir()) == []
    assert "Traceback" not in said.read_text()


@pytest.mark.slow
def test_isolated_jobs_are_limited_in_time_and_damage_is_outlived(galaxies, tmp_path):
    """In Python as on the command line; a damaged record is set aside by whoever runs its cell."""
    asked = {
        "objectives": "endless,sound", "maskers": "none", "encoders": "tiny", "evaluators": "knn",
        "dataset": "hdf5", "settings": {"dataset.path": galaxies}, "budget": "smoke", "floors": False,
        "plugins": [MOVERS], "out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu", "jobs": 2,
    }  # fmt: skip
    first = ab.sweep(**asked, timeout="8s")
    ended, sound = first.records
    first.paths[1].write_bytes(first.paths[1].read_bytes()[:-100])
    again = ab.sweep(**{**asked, "objectives": "sound"})

    assert (ended.status, ended.failure.plugin) == ("timeout", "movers")
    assert "movers.py, line" in ended.failure.message
    assert sound.scores == again.records[0].scores
    assert len(again.trained) == 1
    assert [path.name for path in first.paths[1].parent.glob("*.damaged")]


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "1.5", True, 0, None])
def test_jobs_are_a_number_from_one_on(wrong):
    with pytest.raises(ConfigError, match=r"--jobs .*: expected how many cells run at once, from 1 on"):
        make_request({"objectives": ["untrained"], "jobs": wrong})


def test_jobs_may_stand_in_a_file_and_are_no_part_of_one_run(tmp_path):
    """TOML and Python ask alike; `run()` trains one entry and says so."""
    path = tmp_path / "request.toml"
    path.write_text('objectives = ["untrained"]\njobs = 2\n')
    request = make_request(read_config(path))

    assert (request.jobs, request.has_workers, request.isolates) == (2, True, False)
    with pytest.raises(ConfigError, match=r"takes no 'jobs'.*use sweep"):
        ab.run("untrained", jobs=2)


def test_threads_and_gpus_are_divided(monkeypatch):
    """Each process of three has a third of the threads, at least one; two GPUs are dealt in turns."""
    request = make_request({"objectives": ["untrained"], "jobs": 3})
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    shared = pool.CellPool(request)
    given = [worker.variables for worker in reversed(shared._idle)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    chosen = [worker.variables["CUDA_VISIBLE_DEVICES"] for worker in pool.CellPool(request)._idle]

    assert THREADS in [setting.name for setting in ARITHMETIC]
    assert shared._settings[THREADS] == 2
    assert [each["CUDA_VISIBLE_DEVICES"] for each in given] == ["0", "1", "0"]
    assert {each["OMP_NUM_THREADS"] for each in given} == {"2"}
    assert sorted(chosen) == ["3", "3", "5"]
