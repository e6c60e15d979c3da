"""Cells on a real cluster of Ray: a node is removed, a driver killed, workers die, and every cell is done once."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from astrojepa_bench.board.render import write_board
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.runs.executors.asked import RayCell, read_ray
from astrojepa_bench.runs.request import make_request

PACED = Path(__file__).with_name("paced.py")
MOVERS = Path(__file__).parents[2] / "trust" / "movers.py"
BENCH = [sys.executable, "-m", "astrojepa_bench"]


def start(folder, out, objective, seeds, *more):
    """Start the command of cells that take a while, with one thread, beside their galaxies."""
    words = [
        *BENCH, "run", "--plugin", str(MOVERS), "--plugin", str(PACED), "-o", objective, "-m", "none", "-e", "tiny",
        "-E", "knn", "-d", "hdf5", "--set", "dataset.path=tiny.h5", "--budget", "smoke", "--no-floors", "--device",
        "cpu", "--seeds", str(seeds), "--out", str(out), "--cache", "cache", "--json", *more,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=folder, env=environment, **pipes)


def answered(process, code=0):
    """Wait for a command; return what it printed for programs, and for people."""
    out, err = process.communicate(timeout=500)
    assert process.returncode == code, err[-3000:]
    return json.loads(out), err


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return None


@pytest.mark.slow
def test_a_node_is_removed_and_a_driver_killed_and_every_cell_is_done_once(
    ray_nodes, galaxies, numbers, trained, waited_for, tmp_path
):
    """The lost node's cell goes on elsewhere, a new driver takes up what is left: numbers as if undisturbed."""
    address, (_, *others) = ray_nodes
    out, steps, there = tmp_path / "out", tmp_path / "steps", ("--executor", "ray", "--ray-address", address)
    answered(start(tmp_path, tmp_path / "here", "paced", 5))
    expected = numbers(tmp_path / "here")

    def at_work_beside_the_head():
        """Return the daemon of a node on which a cell has come to its third step, and the seed of that cell."""
        for seed, step, pid in trained(steps):
            raylet = parent_of(parent_of(pid))
            if step == 2 and parent_of(raylet) in [node.pid for node in others]:
                return raylet, seed
        return None

    driver = start(tmp_path, out, "paced", 3, *there)
    lost, seed = waited_for(at_work_beside_the_head, 200)
    os.kill(lost, signal.SIGKILL)
    answer, said = answered(driver)
    assert len(answer["trained"]) == len(set(answer["trained"])) == 3, said
    assert [line.split(" in ")[0] for line in said.splitlines() if "collapsed in" in line]  # told as they end

    driver = start(tmp_path, out, "paced", 5, *there)
    waited_for(lambda: {3, 4} <= {seed for seed, step, _ in trained(steps) if step == 2}, 200)
    driver.kill()
    driver.communicate()
    answer, said = answered(start(tmp_path, out, "paced", 5, *there))
    assert (len(answer["records"]), len(answer["trained"])) == (5, 2), said

    last = max(step for _, step, _ in trained(steps))
    lives = {s: [*dict.fromkeys(pid for other, _, pid in trained(steps) if other == s)] for s in range(5)}
    assert numbers(out) == expected
    assert Counter(s for s, step, _ in trained(steps) if step == last) == dict.fromkeys(range(5), 1)
    assert {s for s in lives if len(lives[s]) == 2} == {seed, 3, 4}
    for again in (seed, 3, 4):  # on from the checkpoint; step 0 is rehearsed, to count its arithmetic
        assert 1 not in [step for s, step, pid in trained(steps) if (s, pid) == (again, lives[again][1])]
    board = (out / "README.md").read_bytes()
    assert write_board(out).read_bytes() == board
    assert not [*(out / "leases").iterdir(), *(out / "checkpoints").glob("*.pt")]

    # A cell that takes its worker with it ends with a record, after as many tries as Ray gives it.
    answer, said = answered(start(tmp_path, tmp_path / "lost", "parricide", 1, *there), code=1)
    (path,) = answer["records"]
    failure = json.loads(Path(path).read_bytes())["failure"]
    assert failure["origin"] == "infrastructure", said
    assert "its worker was lost 4 times (WorkerCrashedError" in failure["message"]

    # Where there is no cluster, that is said, and not minutes later.
    nowhere = start(tmp_path, out, "paced", 6, "--executor", "ray", "--ray-address", "127.0.0.1:1")
    _, said = nowhere.communicate(timeout=120)
    assert nowhere.returncode == 2
    assert "--ray-address 127.0.0.1:1: no cluster of Ray answers" in said


def test_what_a_cell_takes_of_a_node_is_read():
    """Whole processors, parts of GPUs, memory with its unit; anything else is refused."""
    assert read_ray([]) == RayCell()
    assert read_ray(["num_cpus=4", "num_gpus=0.25", "memory=1.5G"]) == RayCell(4, 0.25, 3 * 2**29)
    wrong_gpus = "num_gpus", "num_gpus=1.5", "num_gpus=0.00001"
    for wrong in ("num_cpus=0.5", "num_cpus=0", "num_cpus=2G", "cpus=2", "memory=lots", *wrong_gpus):
        with pytest.raises(ConfigError, match="--executor-option"):
            make_request({"objectives": "untrained", "executor": "ray", "executor_options": [wrong]})
    with pytest.raises(ConfigError, match="leave out --jobs"):
        make_request({"objectives": "untrained", "executor": "ray", "jobs": 2})
