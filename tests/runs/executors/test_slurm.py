"""Cells as an array of Slurm: the script that is written, and a real Slurm that runs it through stops and kills."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from astrojepa_bench.board.render import write_board
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.executors.asked import parse_task_time
from astrojepa_bench.runs.executors.slurm_script import submit, write_array
from astrojepa_bench.runs.grid import plan_grid, run_grid
from astrojepa_bench.runs.plan import dealt, make_plan
from astrojepa_bench.runs.request import make_request

PACED = Path(__file__).with_name("paced.py")
MOVERS = Path(__file__).parents[2] / "trust" / "movers.py"
BENCH = [sys.executable, "-m", "astrojepa_bench"]


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(scope="module")
def planned(galaxies_of_module, tiny_of_module, tmp_path_factory, registry):
    """Plan six cells on the tiny file, of which nothing is done."""
    out = tmp_path_factory.mktemp("planned") / "out"
    request = make_request(
        {
            "objectives": "untrained", "seeds": 6, "floors": False, "dataset": "hdf5", "budget": "tiny", "out": out,
            "settings": {"dataset": {"path": galaxies_of_module}}, "evaluators": "knn", "executor": "slurm",
            "cache": out.parent / "cache",
        }
    )  # fmt: skip
    return request, plan_grid(request, registry)


def with_minutes(planned, minutes):
    """Return cells of known length; `cached` where it is None."""
    states = ["cached" if length is None else "missing" for length in minutes]
    pairs = zip(planned, states, [length or 0.0 for length in minutes], strict=True)
    return [replace(cell, state=state, minutes=length) for cell, state, length in pairs]


def array_of(planned, tmp_path, minutes=None, words=("run", "-o", "untrained"), **fields):
    """Write the script of a plan whose cells take so many minutes; nobody knows how many where none are given."""
    request, cells = planned
    asked = make_request({**request.model_dump(exclude_unset=True), "out": tmp_path / "out", **fields})
    return write_array(asked, cells if minutes is None else with_minutes(cells, minutes), words)


def header(array):
    lines = [line for line in array.script.read_text().splitlines() if line.startswith("#SBATCH ")]
    return dict(line.removeprefix("#SBATCH --").partition("=")[::2] for line in lines)


def test_as_many_cells_come_to_a_task_as_fit_into_its_time(planned, tmp_path):
    """By hand: of an hour 56 minutes are left: six cells of 18 minutes are two tasks, of 30 minutes six."""

    def parts(*minutes):
        array = array_of(planned, tmp_path, minutes, executor_options=("time=1:00:00",))
        return array.parts, array.tasks

    assert parts(9, 9, 9, 9, 9, 9) == (1, (1,))
    assert parts(18, 18, 18, 18, 18, 18) == (2, (1, 2))
    assert parts(30, 30, 30, 30, 30, 30) == (6, (1, 2, 3, 4, 5, 6))
    assert parts(300, 1, 1, 1, 1, 1) == (1, (1,))  # longer than any task: it comes back anyway
    assert parts(300, 300, 1, 1, 1, 1) == (2, (1, 2))
    assert parts(None, None, 50, None, None, None) == (1, (1,))
    assert parts(30, None, None, 30, None, None) == (2, (1, 2))  # dealt like cards: to either part


def test_parts_are_those_that_shard_deals_and_done_ones_have_no_task(planned, tmp_path, registry):
    """A cell that is missing lies in the part of its task; what is done costs nobody a start."""
    array = array_of(planned, tmp_path, (50, 50, None, None, 50, 50), executor_options=("time=60",))
    plan = make_plan(planned[0], registry)
    held = [
        cell.seed
        for task in array.tasks
        for part in dealt([plan], (task, array.parts))
        for cell in part.cells
    ]

    assert array.parts == 6
    assert header(array)["array"] == "1-2,5-6"
    assert held == [0, 1, 4, 5]


def test_unknown_lengths_take_a_task_each_and_the_script_says_so(planned, tmp_path):
    """Nobody guesses: a task goes on when it comes back, so that one too short loses nothing."""
    array = array_of(planned, tmp_path)
    text = array.script.read_text()

    assert (array.parts, array.tasks) == (6, (1, 2, 3, 4, 5, 6))
    assert "# Missing: 6 cells; nothing measured tells how long 6 take: a task each." in text


def test_the_script_holds_what_was_asked_for_and_nothing_else(planned, tmp_path, monkeypatch):
    """Options as Slurm reads them; the words as typed, without those of this call; quotes survive a shell."""
    folder = tmp_path / 'it\'s 100% "here"'
    folder.mkdir()
    monkeypatch.chdir(folder)
    words = (
        "run", "-o", "untrained", "--executor", "slurm", "--set", "dataset.path=a b;rm $(x).h5",
        "--submit", "--json", "--executor-option", "mem=16G", "--out", "out",
        "--executor-option=comment=night's $HOME",
    )  # fmt: skip
    options = ("mem=16G", "comment=night's $HOME", "exclusive", "time=90")
    array = array_of(planned, folder, words=words, out=Path("out"), executor_options=options)
    script, found = array.script, header(array)
    checked = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    command = script.read_text().partition("USR1\n\n")[2].partition(" &\n")[0].replace("\\\n", "")

    assert (checked.returncode, checked.stderr) == (0, "")
    assert script == folder / "out" / "slurm" / "array.sh"
    assert (found["time"], found["mem"], found["exclusive"], found["requeue"]) == ("01:30:00", "16G", "", "")
    assert found["signal"] == "B:USR1@120"
    assert shlex.split(found["comment"]) == ["night's $HOME"]
    assert shlex.split(found["chdir"]) == [str(folder)]
    assert shlex.split(found["output"]) == [f"{folder}/out/slurm/%A_%a.log".replace("100%", "100%%")]
    assert shlex.split(command) == [
        sys.executable, "-m", "astrojepa_bench", "run", "-o", "untrained", "--set", "dataset.path=a b;rm $(x).h5",
        "--executor", "local", "--device", "auto", "--out", str(folder / "out"),
        "--shard", "$SLURM_ARRAY_TASK_ID/6",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("array=1-9", "sets it itself"), ("--mem=4G", "by its long name"), ("mem=", "by its long name"),
        ("mem=4G\n#SBATCH --uid=0", "by its long name"), ("comment=a\\b", "no backslash"),
        ("time=1", "five minutes"), ("time=soon", "five minutes"), ("time=UNLIMITED", "five minutes"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused(option, said):
    """Nothing reaches the script that could end a line, or that it says itself."""
    with pytest.raises(ConfigError, match=said):
        make_request({"objectives": "untrained", "executor": "slurm", "executor_options": [option]})


def test_time_limits_are_read_as_slurm_reads_them():
    """From the manual of sbatch: minutes, minutes:seconds, hours:minutes:seconds, days-hours, and so on."""
    read = {
        "60": 3600,
        "10:30": 630,
        "1:00:00": 3600,
        "2-0": 172800,
        "1-2:30": 95400,
        "1-0:0:30": 86430,
        "2h": 7200,
    }

    assert {text: parse_task_time(text) for text in read} == read


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"executor": "slrum"}, "did you mean 'slurm'"),
        ({"executor_options": ["mem=4G"]}, "of --executor slurm or ray"),
        ({"ray_address": "127.0.0.1:6379"}, "of --executor ray"),
        ({"executor": "slurm", "executor_options": ["gres=gpu:1"], "device": "cpu"}, "--device cpu for none"),
    ],
)
def test_what_an_executor_does_not_take_is_refused(fields, said):
    """In one line, before anything runs."""
    with pytest.raises(ConfigError, match=said):
        make_request({"objectives": "untrained", **fields})


def test_a_gpu_that_is_asked_for_is_the_device_of_the_tasks(planned, registry):
    """The machine that writes the script needs none; its plan is that of the tasks."""
    request, cells = planned
    asked = request.model_copy(update={"executor_options": ("gres=gpu:a100:1",)})
    ids = {cell.run_id for cell in plan_grid(asked, registry)}

    assert len(ids) == 6
    assert not ids & {cell.run_id for cell in cells}


def test_a_grid_that_is_dealt_out_already_and_a_python_call_are_refused(planned, tmp_path, registry):
    """Tasks deal the grid out themselves; and only a command can be repeated by a script."""
    with pytest.raises(ConfigError, match="leave out --shard"):
        array_of(planned, tmp_path, shard="1/2")
    with pytest.raises(ConfigError, match="astrojepa-bench run"):
        run_grid(planned[0], registry, "test")


def test_without_slurm_submitting_says_where(planned, tmp_path, monkeypatch):
    """The script is there, and can be taken along."""
    array = array_of(planned, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no sbatch on this machine; submit .*array\.sh"):
        submit(array)


# --- a real one -----------------------------------------------------------------------------------------------


def words(out, *more):
    """Return the command of four cells that take a while."""
    return [
        *BENCH, "run", "--plugin", str(MOVERS), "--plugin", str(PACED), "-o", "paced", "-m", "none", "-e", "tiny",
        "-E", "knn", "-d", "hdf5", "--set", "dataset.path=tiny.h5", "--budget", "smoke", "--no-floors",
        "--seeds", "4", "--out", str(out), "--cache", str(out.parent / "cache"), *more,
    ]  # fmt: skip


def issued(command, environment, folder):
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class Disturbed:
    """An array of which three tasks are disturbed, each once, when it comes to its third step."""

    def __init__(self, slurm, job, trained, waited_for):
        self.slurm, self.job, self.trained, self.waited_for = slurm, job, trained, waited_for
        self.left = {0: self.tell, 1: self.kill, 2: self.requeue}
        self.hastened = {}

    def says(self, *command):
        return subprocess.run(command, env=self.slurm, capture_output=True, text=True, check=False).stdout

    def tell(self, task, _):
        """Make it a task that would end in two minutes, which is told so: Slurm looks every thirty seconds."""
        self.says("scontrol", "update", f"JobId={task}", "TimeLimit=2")

    def kill(self, task, pid):
        os.kill(pid, signal.SIGKILL)
        self.waited_for(lambda: "FAILED" in self.says("scontrol", "show", "job", task))
        self.requeue(task, pid)

    def requeue(self, task, _):
        self.says("scontrol", "requeue", task)

    def ended(self):
        """Disturb what has come far enough; return whether all have ended."""
        for seed, step, pid in self.trained():
            if step >= 2 and seed in self.left:
                self.left.pop(seed)(f"{self.job}_{seed + 1}", pid)
        queue = self.says("squeue", "-o", "%i %r").splitlines()  # nothing, not even a header, where it fails
        for line in queue:
            if "BeginTime" in line:
                self.hasten(line.split()[0])
        assert len(queue) != 1 or not self.left, "a task ended before its third step"
        return len(queue) == 1

    def hasten(self, task):
        """Let a task begin that would wait for two minutes.

        Not at once: Slurm fails a task that begins in the very second in which its last life was ended.
        """
        if self.hastened.get(task, -60) < time.monotonic() - 30:
            self.hastened[task] = time.monotonic()
            self.says("scontrol", "update", f"JobId={task}", "StartTime=now+5", "TimeLimit=15")

    def told(self):
        return "\n".join(
            self.says(*words) for words in (("squeue",), ("sinfo", "-R"), ("scontrol", "show", "job"))
        )


def logs_below(folder):
    """Return how the logs of daemons and tasks end."""
    logs = [path for path in sorted(folder.rglob("*.log")) if "munge" not in path.name]
    return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in logs)


@pytest.mark.slow
def test_an_array_is_stopped_killed_and_requeued_and_every_cell_is_done_once(
    slurm, galaxies, numbers, trained, waited_for, tmp_path
):
    """Told of the end of its time; its command killed; requeued in the middle: numbers as if undisturbed."""
    steps = tmp_path / "steps"
    here = {**os.environ, "OMP_NUM_THREADS": "1"}
    there = {**slurm, "OMP_NUM_THREADS": "1", "STEPS": str(steps), "PACE": "0.4"}
    steps.touch()
    issued(words(tmp_path / "here"), here, tmp_path)
    expected = numbers(tmp_path / "here")
    out = tmp_path / "a folder, 100% shared"
    asked = ("--executor", "slurm", "--executor-option", "cpus-per-task=1", "--executor-option", "time=15")
    answer = json.loads(issued(words(out, *asked, "--submit", "--json"), there, tmp_path))
    array = Disturbed(slurm, answer["job"], lambda: trained(steps), waited_for)

    assert (answer["tasks"], answer["cells"]) == (4, 4)
    try:
        waited_for(array.ended, 900)
    except AssertionError as error:
        pytest.fail(f"{error}\n{steps.read_text()[-300:]}\n{array.told()}\n{logs_below(tmp_path)}")
    last = max(step for _, step, _ in trained(steps))
    lives = {seed: dict.fromkeys(pid for s, _, pid in trained(steps) if s == seed) for seed in range(4)}

    assert numbers(out) == expected, logs_below(tmp_path)
    assert Counter(seed for seed, step, _ in trained(steps) if step == last) == dict.fromkeys(range(4), 1)
    assert [len(lives[seed]) for seed in range(4)] == [2, 2, 2, 1]
    for seed in range(3):  # the second life goes on where the first ended
        second = [step for s, step, pid in trained(steps) if (s, pid) == (seed, [*lives[seed]][1])]
        assert 1 not in second  # step 0 is rehearsed, to count its arithmetic
    board = (out / "README.md").read_bytes()
    assert write_board(out).read_bytes() == board
    assert not [*(out / "leases").iterdir(), *(out / "checkpoints").glob("*.pt")]
    script = out / "slurm" / "array.sh"
    before = script.stat().st_mtime_ns
    again = json.loads(issued(words(out, *asked, "--submit", "--json"), there, tmp_path))
    assert (len(again["records"]), again["trained"], script.stat().st_mtime_ns) == (4, [], before)
    more = json.loads(issued(words(out, *asked, "--json", "--seeds", "6"), there, tmp_path))
    assert (more["tasks"], more["cells"], more["job"]) == (
        1,
        2,
        None,
    )  # by now it is known that both fit into one
