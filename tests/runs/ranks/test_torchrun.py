"""A command under torchrun: one record a cell, the numbers of one process, and a fault that harms no other cell."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

ODD = Path(__file__).with_name("odd_ranks.py")
GALAXIES = 240
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    """Write noisy round and long galaxies."""
    path, rng = tmp_path_factory.mktemp("galaxies") / "few.h5", np.random.default_rng(0)
    label, (y, x) = np.arange(GALAXIES) % 2, np.mgrid[-32:32, -32:32]
    shapes = [np.exp(-(x**2 + y**2) / 60), np.exp(-(x**2 / 200 + y**2 / 15))]
    images = np.stack([shapes[kind] for kind in label])[..., None] * [180, 200, 150]
    images = np.clip(images + rng.normal(20, 12, images.shape), 0, 255).astype(np.uint8)
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images, label
        file["ra"], file["dec"] = np.arange(GALAXIES) % 360.0, 10.0 + np.arange(GALAXIES) // 360
    return path


def words(galaxies, out, objectives, *more):
    return [
        "-m", "astrojepa_bench", "run", "--plugin", str(ODD), "-o", objectives, "-m", "random", "-d", "hdf5",
        "--set", f"dataset.path={galaxies}", "--set", "encoder.patch=16", "--budget", "smoke", "-E", "knn",
        "--no-floors", "--device", "cpu", "--json", "--out", str(out), "--cache", str(out.parent / "cache"), *more,
    ]  # fmt: skip


def ran(launcher, *command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*launcher, *command], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def both(galaxies, tmp_path_factory):
    """Run a grid in one process and under torchrun."""
    folder, cells = tmp_path_factory.mktemp("runs"), "lejepa,steady,drawing,stumbling,untrained"
    one = ran([sys.executable], *words(galaxies, folder / "one", cells))
    two = ran(TORCHRUN, *words(galaxies, folder / "two", cells))
    return {"one": (one, records(folder / "one")), "two": (two, records(folder / "two"))}


def records(out):
    found = [json.loads(path.read_text()) for path in (out / "runs").rglob("*.json")]
    done = {(each["objective"], each["masker"]): each for each in found}
    assert len(done) == len(found)  # one record a cell
    return done


def test_two_ranks_train_what_one_process_trains(both):
    """The same run by its id, the same first loss, and the same last one but for the order of sums."""
    one, two = both["one"][1], both["two"][1]
    assert one.keys() == two.keys()
    for key in [("lejepa", "random"), ("steady", "none")]:
        alone, together = one[key], two[key]
        assert alone["status"] == together["status"] in ("ok", "collapsed")
        assert alone["run_id"] == together["run_id"]
        assert (alone["environment"]["world_size"], together["environment"]["world_size"]) == (1, 2)
        curve, other = alone["training"]["loss_curve"], together["training"]["loss_curve"]
        assert other[0][1] == pytest.approx(curve[0][1], rel=1e-4)
        assert other[-1][1] == pytest.approx(curve[-1][1], rel=2e-2)
        assert together["training"]["images_seen"] == alone["training"]["images_seen"]
        for spent in ("flops", "tokens"):
            assert together["cost"][spent] == alone["cost"][spent]


def test_the_first_process_alone_speaks(both):
    """Results on stdout once, as of any command."""
    done, found = both["two"]
    told = json.loads(done.stdout)
    assert len(told["records"]) == len(found) == 5
    assert Path(told["board"]).is_file()
    assert done.stderr.count("lejepa + random") == 2  # it began and ended


def test_what_fails_on_one_rank_is_recorded_with_its_plugin_and_harms_no_other_cell(both):
    """The others do not hang, and the cells after it are trained."""
    done, found = both["two"]
    failed = found["stumbling", "none"]
    assert failed["status"] == "failed"
    assert failed["failure"]["message"] == "rank 1: ValueError: this rank has no third step"
    assert failed["failure"]["origin"] == "plugin"
    assert "odd_ranks" in failed["failure"]["plugin"]
    assert both["one"][1]["stumbling", "none"]["status"] in ("ok", "collapsed")
    assert both["one"][0].returncode == 0
    assert done.returncode == 1


def test_the_number_of_ranks_is_part_of_a_run_that_depends_on_it(both):
    """An objective that draws for one rank's galaxies is another run on two ranks."""
    one, two = (both[name][1]["drawing", "none"] for name in ("one", "two"))
    assert two["status"] == one["status"]
    assert two["run_id"] != one["run_id"]
    assert two["identity"].pop("world_size") == 2
    assert two["identity"] == one["identity"]


def test_floors_are_scored_by_the_first_process_alone(both):
    """There is nothing to train together."""
    found = both["two"][1]["untrained", "none"]
    assert (found["status"], found["environment"]["world_size"]) == ("ok", 1)


def test_no_process_is_left_where_the_launcher_is_killed(galaxies, tmp_path):
    """It can end nobody then; torchrun ends the others where it lives and one of them is killed."""
    command = [*TORCHRUN, *words(galaxies, tmp_path / "out", "lasting")]
    started = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)
    for line in started.stderr:
        if b"training" in line:
            break
    workers = children(started.pid)
    assert len(workers) == 2
    started.kill()
    until = time.monotonic() + 60
    while any(map(is_alive, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_alive, workers))
    started.wait(60)
    started.stderr.close()


def children(parent):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(path.parent.name))
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
