"""A cell in a process of its own: equal to one in this process, and unable to take anything down with it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import astrojepa_bench as ab
from astrojepa_bench.board.render import write_board
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.options import Offer
from astrojepa_bench.runs.executors.autopsy import Death, duration, ending_of
from astrojepa_bench.runs.request import make_request, parse_duration

MOVERS = Path(__file__).parents[1] / "trust" / "movers.py"
BENCH = [sys.executable, "-m", "astrojepa_bench"]


def words(out, objectives, *more):
    """Return the command that runs some quick cells."""
    return [
        *BENCH, "run", "--plugin", str(MOVERS), "-o", objectives, "-m", "none", "-e", "tiny", "-E", "knn",
        "-d", "hdf5", "--set", "dataset.path=tiny.h5", "--budget", "smoke", "--no-floors", "--device", "cpu",
        "--out", str(out), "--cache", str(out.parent / "cache"), "--json", *more,
    ]  # fmt: skip


def run(out, objectives, *more):
    """Run it beside the galaxies; return its exit code, its records by objective, and what it said."""
    done = subprocess.run(
        words(out, objectives, *more), capture_output=True, text=True, check=False, cwd=out.parent
    )
    return done.returncode, records(out), done.stdout, done.stderr


def records(out):
    found = [json.loads(path.read_text()) for path in (out / "runs").rglob("*.json")]
    return {record["objective"]: record for record in found}


def numbers(record):
    return (
        record["scores"],
        record["training"]["loss_curve"],
        record["training"]["rank_curve"],
        record["health"],
    )


@pytest.mark.slow
def test_cells_in_their_own_process_end_equal_and_a_crash_ends_no_other(galaxies, tmp_path):
    """Scores and curves to the last bit; galaxies are not converted again; each death is told, with its plugin."""
    _, here, _, _ = run(tmp_path / "here", "sound")
    code, found, said, told = run(tmp_path / "alone", "exit-0,crash,sound", "--isolate")
    answer = json.loads(said)
    messages = {name: (record["failure"] or {}).get("message", "") for name, record in found.items()}

    assert code == 1
    assert len(answer["records"]) == 3
    assert numbers(found["sound"]) == numbers(here["sound"])
    assert found["sound"]["status"] in ("ok", "collapsed")
    assert len(answer["trained"]) == 1
    assert "converting" not in told
    for name, what in {
        "exit-0": "exit status 0 while training",
        "crash": "signal 11 (SIGSEGV) while training",
    }.items():
        assert what in messages[name]
        assert found[name]["failure"]["plugin"] == "movers"
        assert found[name]["failure"]["phase"] == "training"
        assert found[name]["status"] == "failed"
    assert "movers.py, line" in messages["crash"]  # where it was
    assert not [
        path for path in (tmp_path / "alone").rglob("*") if ".partial" in path.name or path.suffix == ".lock"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_the_process_of_a_cell_ends_with_its_command(galaxies, tmp_path, number, is_running, waited_for):
    """Else it would write behind the back of the next one. An interrupt ends with 130 and gives the lock back."""
    out = tmp_path / "out"
    with (tmp_path / "said.txt").open("w") as file:
        command = subprocess.Popen(words(out, "endless", "--isolate"), cwd=tmp_path, stdout=file, stderr=file)
    waited_for(lambda: "[1/1]" in (tmp_path / "said.txt").read_text())
    (owner,) = next((out / "leases").glob("*.lock")).iterdir()
    child = int(owner.name.split("-")[2])
    command.send_signal(number)
    code = command.wait(60)
    waited_for(lambda: not is_running(child))

    assert child != command.pid
    assert code == (130 if number == signal.SIGINT else -number)
    assert number == signal.SIGKILL or list((out / "leases").iterdir()) == []
    assert "Traceback" not in (tmp_path / "said.txt").read_text()


@pytest.mark.slow
def test_two_equal_commands_share_a_grid(galaxies, tmp_path):
    """Each of four cells is trained once; both commands end well, with the same board."""
    out = tmp_path / "out"
    command = words(out, "sound,z-sound", "--seeds", "2")
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [each.communicate(timeout=300) for each in both]
    answers = [json.loads(out) for out, _ in said]
    board = (out / "README.md").read_bytes()
    again = write_board(out)

    assert [each.returncode for each in both] == [0, 0]
    trained = sorted(run_id for answer in answers for run_id in answer["trained"])
    assert len(trained) == len(set(trained)) == 4
    assert answers[0]["records"] == answers[1]["records"]
    assert again.read_bytes() == board
    assert list((out / "leases").iterdir()) == []


@pytest.mark.slow
def test_a_cell_that_is_out_of_time_says_where_it_was(tmp_path):
    """`run(timeout=…)` comes back with a record, whatever its objective does, and names its plugin."""
    record = ab.run(
        "endless", "none", encoder="tiny", settings={"dataset.galaxies": 60}, budget="smoke", evaluators="knn",
        plugins=[MOVERS], out=tmp_path / "out", cache=tmp_path / "cache", device="cpu", timeout="8s",
    ).record  # fmt: skip

    assert (record.status, record.failure.origin, record.failure.plugin) == ("timeout", "plugin", "movers")
    assert "the limit is 8s a cell, and it was still training" in record.failure.message
    assert "movers.py, line" in record.failure.message


def test_a_time_limit_names_its_unit_or_is_in_seconds():
    """And asks for a process a cell."""
    request = make_request({"objectives": ["untrained"], "timeout": "15m"})

    assert (request.timeout, request.isolates) == (900.0, True)
    assert not make_request({"objectives": ["untrained"]}).isolates
    assert [parse_duration(text) for text in ("90", "1.5h", 2)] == [90.0, 5400.0, 2.0]
    for wrong in ("soon", "-1s", "0", "nan", "1e400", "1h30"):
        with pytest.raises(ConfigError, match=r"expected a time such as 90s, 15m or 2h"):
            make_request({"objectives": ["untrained"], "timeout": wrong})


def test_what_ended_a_process_is_told():
    """By exit code or signal, and by what it was doing; without a stack the objective is named while it trains."""
    objective = Offer("objective", "x", print, "astrojepa_x", "x", "1.0", "An objective.", ())
    killed = ending_of(Death(-9, "training"), [objective])
    left = ending_of(Death(0, "scoring"), [objective])
    refused = ending_of(Death(0, "building", said="its code changed"), [objective])

    assert (killed.status, killed.failure.origin, killed.failure.plugin) == (
        "failed",
        "infrastructure",
        "astrojepa_x",
    )
    assert (left.status, left.failure.phase, left.failure.plugin) == ("failed", "scoring", None)
    assert refused.failure.message == "its code changed"
    assert ending_of(Death(-2, "training"), [objective]).status == "interrupted"
    assert (duration(7200), duration(90), duration(61.5)) == ("2h", "90s", "61.5s")


BESIDE = {
    "parts.py": "from astrojepa_bench.plugin import Loss, augment\n\n\ndef spread(features):\n"
    "    return (1 - (features.var(0, correction=0) + 1e-4).sqrt()).relu().mean()\n",
    "objective.py": """
from parts import Loss, augment, spread

from astrojepa_bench.plugin import Objective, hookimpl


class Beside(Objective):
    masks = "ignored"
    version = 1

    def loss(self, batch, draw, streams):
        from parts import spread as late

        features = self.encoder(augment(batch.images, streams.local("view"))).values.mean(1)
        return Loss(spread(features) + late(features), {})


@hookimpl
def astrojepa_objectives():
    return {"beside": Beside}
""",
}


@pytest.mark.slow
def test_a_folder_of_plugins_runs_alone_as_here(galaxies, tmp_path):
    """Its process finds the neighbours of a plugin too, at once and late, and both runs are the same one."""
    for name, text in BESIDE.items():
        (tmp_path / "mine").mkdir(exist_ok=True)
        (tmp_path / "mine" / name).write_text(text)
    given = ("--plugin", str(tmp_path / "mine"))
    code, here, _, said = run(tmp_path / "here", "beside", *given)
    also, alone, _, told = run(tmp_path / "alone", "beside", *given, "--isolate")

    assert (code, also) == (0, 0), said + told
    assert numbers(here["beside"]) == numbers(alone["beside"])
    assert here["beside"]["run_id"] == alone["beside"]["run_id"]
    assert ".parts" in here["beside"]["identity"]["chain"]["objective"]
