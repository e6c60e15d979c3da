"""Whatever a plugin raises or hands out costs its own cell, under its own name; everything else stands."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from astrojepa_bench.cli import main

HERE = Path(__file__).parent
PROGRAM = """
import sys
from astrojepa_bench.cli import main
from astrojepa_bench.training.budgets import BUDGETS, Budget

BUDGETS["tiny"] = Budget("tiny", 64, 8, 256, "vit-micro", "tests")
sys.exit(main())
"""
PIECES = ("sound_pieces", "hostile_objectives", "hostile_maskers", "hostile_encoders", "hostile_evaluators")
DRIVER = """
import json, sys
from pathlib import Path
from astrojepa_bench.cli import main
from astrojepa_bench.registry import load_registry
from astrojepa_bench.training.budgets import BUDGETS, Budget

BUDGETS["tiny"] = Budget("tiny", 64, 8, 256, "vit-micro", "tests")
commands, files = json.loads(sys.argv[1])
offers = load_registry([Path(file) for file in files]).offers()
for stem in {offer.plugin for offer in offers}:
    names = ",".join(offer.name for offer in offers if offer.plugin == stem)
    commands = [[word.replace("@" + stem, names) for word in words] for words in commands]
codes = [main(words) for words in commands]
expected = {name: status for key, module in [*sys.modules.items()] if key.startswith("astrojepa_file_hostile")
            for name, status in module.EXPECTED.items()}
print(json.dumps({"codes": codes, "expected": expected}))
"""


@pytest.fixture(scope="module")
def galaxies(tmp_path_factory):
    """Write a hundred noisy galaxies of two kinds."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("galaxies") / "hundred.h5"
    y, x = np.mgrid[-32:32, -32:32]
    shapes = [np.exp(-(x**2 + y**2) / 60), np.exp(-(x**2 / 200 + y**2 / 15))]
    label = np.arange(100) % 2
    images = np.stack([shapes[kind] for kind in label])[..., None] * [180, 200, 150]
    images = np.clip(images + rng.normal(20, 12, images.shape), 0, 255).astype(np.uint8)
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images, label
        file["ra"], file["dec"] = np.arange(len(label)) % 360.0, np.full(len(label), 10.0)
    return path


def words(galaxies, out, *more):
    """Spell a `run` command on these galaxies with all pieces of this folder."""
    plugins = [word for name in PIECES for word in ("--plugin", str(HERE / f"{name}.py"))]
    data = ["-d", "hdf5", "--set", f"dataset.path={galaxies}", "--cache", str(galaxies.parent / "cache")]
    common = ["--budget", "tiny", "--seeds", "1", "--no-floors", "--device", "cpu", "--out", str(out)]
    return ["run", *data, *common, *plugins, *more]


def driven(*commands):
    """Run commands one after the other in one process, as a user's Python would; give codes and expectations."""
    files = [str(HERE / f"{name}.py") for name in PIECES]
    asked = [sys.executable, "-c", DRIVER, json.dumps([commands, files])]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "please report it" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def records(out):
    """Read all records of a folder by objective, masker and encoder."""
    found = [json.loads(path.read_text()) for path in Path(out).rglob("runs/**/*.json")]
    return {(each["objective"], each["masker"], each["encoder"]): each for each in found}


@pytest.fixture(scope="module")
def ran(galaxies, tmp_path_factory):
    """Run every hostile piece beside a sound one: objectives, maskers, encoders, then evaluators."""
    out = tmp_path_factory.mktemp("hostile") / "out"
    spreads, common = ["-o", "spreads", "-m", "none"], ["-e", "plain", "-E", "power"]
    told, said = driven(
        words(galaxies, out, "-o", "spreads,@hostile_objectives", "-m", "none", *common),
        words(galaxies, out, "-o", "follows", "-m", "random,@hostile_maskers", *common),
        words(galaxies, out, *spreads, "-e", "plain,@hostile_encoders", "-E", "power"),
        words(galaxies, out, *spreads, "-e", "plain", "-E", "power,@hostile_evaluators"),
    )
    return out, told, said


def judged(ran):
    """Yield each fault: its name, the status wanted and found, and the plugin wanted and found."""
    out, told, _ = ran
    found, wanted = records(out), told["expected"]
    for at, kind in enumerate(("objectives", "maskers", "encoders")):
        for key, record in found.items():
            if key[at] in wanted:
                plugin = (record["failure"] or {}).get("plugin")
                yield key[at], wanted[key[at]], record["status"], f"hostile_{kind}", plugin
    not_scored = found["spreads", "none", "plain"]["not_scored"]
    for name in (each for each, status in wanted.items() if status == "not scored"):
        said = not_scored.get(name, "")
        plugin = "hostile_evaluators" if "(plugin hostile_evaluators)" in said else None
        yield name, "not scored", "not scored" if said else "scored", "hostile_evaluators", plugin


@pytest.mark.slow
def test_each_fault_costs_its_own_cell_under_its_own_name(ran):
    """Every fault has the status of its kind, and at least nine of ten are blamed on the plugin that did it."""
    rows = list(judged(ran))
    table = "\n".join("{:<18} {:<11} {:<11} {:<20} {}".format(*map(str, row)) for row in rows)
    print(table)
    wrong = [row for row in rows if row[1] != row[2]]
    blamed = sum(row[3] == row[4] for row in rows)
    print(f"{blamed} of {len(rows)} blamed right")

    assert len(rows) >= 60
    assert not wrong, table
    assert blamed >= 0.9 * len(rows), table


@pytest.mark.slow
def test_the_sound_stand_beside_the_hostile(ran):
    """Every cell has a record, sound ones are scored, the board is built, and the exit code tells of failures."""
    out, told, _ = ran
    found, cells = records(out), {name for name, status in told["expected"].items() if status != "not scored"}

    assert told["codes"] == [1, 1, 1, 0]
    assert {name for key in found for name in key} >= cells
    for key in (("spreads", "none", "plain"), ("follows", "random", "plain")):
        assert found[key]["status"] in ("ok", "collapsed")
        assert [score["metric"] for score in found[key]["scores"]] == ["mean_square"]
    assert "exit-0" in (out / "README.md").read_text()
    said = [each["failure"]["message"] for each in found.values() if each["failure"]]
    assert max(map(len, said)) == 2_000
    assert not [text for text in said if any(ord(letter) < 32 for letter in text)]


@pytest.mark.slow
def test_evaluators_that_fail_leave_scores_and_weights_as_they_were(galaxies, tmp_path):
    """One is added to a scored run: nothing is trained, nothing is lost, and the next command does nothing."""
    ask = ("-o", "spreads", "-m", "none", "-e", "plain", "-E")
    out = tmp_path / "out"
    driven(words(galaxies, out, *ask, "power"))
    before = records(out)["spreads", "none", "plain"]
    weights = {path: path.read_bytes() for path in out.rglob("*.safetensors")}
    told, _ = driven(words(galaxies, out, *ask, "power,e-value-error,e-init"))
    after = records(out)["spreads", "none", "plain"]
    _, said = driven(words(galaxies, out, *ask, "power,e-value-error,e-init"))

    assert told["codes"] == [0]
    assert (after["status"], after["scores"], after["training"]) == (
        before["status"], before["scores"], before["training"],
    )  # fmt: skip
    assert after["not_scored"]["e-value-error"] == (
        "evaluator 'e-value-error' (plugin hostile_evaluators) raised ValueError: boom of an evaluator"
    )
    assert "hostile_evaluators" in after["not_scored"]["e-init"]
    assert {path: path.read_bytes() for path in out.rglob("*.safetensors")} == weights
    assert "already done" in said


# --- commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["d-exits", "d-keyboard", "d-mute", "d-key"])
@pytest.mark.parametrize("verb", [["data", "info"], ["run", "-o", "untrained", "-m", "none", "-d"]])
def test_no_plugin_ends_a_command_as_it_likes(name, verb, tmp_path, capsys):
    """An exit, an interrupt, any error: one line that names the plugin, and the code of a wrong request."""
    out = ["--out", str(tmp_path)] if verb[0] == "run" else []
    code = main([*verb, name, *out, "--plugin", str(HERE / "hostile_datasets.py")])
    said = capsys.readouterr().err.splitlines()

    assert code == 2
    assert said[-1].startswith("astrojepa-bench: error: ")
    assert "hostile_datasets" in said[-1]
    assert "please report it" not in said[-1]


def as_program(*words, **environment):
    """Run the program itself, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
def test_stdout_holds_the_answer_alone(galaxies, tmp_path):
    """Python's prints, file descriptors, other programs, at import, in a loss and at exit: all is on stderr."""
    pieces = ["--plugin", str(HERE / "sound_pieces.py"), "--plugin", str(HERE / "loud_pieces.py")]
    code, listed, said = as_program("list", "--json", *pieces)
    assert code == 0
    assert "loud" in {each["name"] for each in json.loads(listed)}
    for noise in (
        "import NOISE",
        "NOISE by number",
        "NOISE to what was stdout",
        "NOISE of a program",
        "exit NOISE",
    ):
        assert noise in said

    ask = (
        *words(galaxies, tmp_path / "out"),
        *pieces[2:],
        "-o",
        "loud",
        "-m",
        "none",
        "-e",
        "plain",
        "-E",
        "power",
    )
    code, answer, said = as_program(*ask, "--json")
    assert code == 0
    assert len(json.loads(answer)["records"]) == 1
    assert "loss NOISE" in said
    code, table, said = as_program(*ask)
    assert code == 0
    assert "NOISE" not in table
    assert "Leaderboard: " in table


@pytest.mark.slow
def test_a_person_ends_the_command_and_loses_nothing(galaxies, tmp_path):
    """Ctrl-C in the second of three cells: 130, the first stays; then the same command does the other two."""
    out, loud = tmp_path / "out", str(HERE / "loud_pieces.py")
    ask = (*words(galaxies, out), "--plugin", loud, "-m", "none", "-e", "plain", "-E", "power")
    asked = (*ask, "-o", "spreads,stopped,value-error")
    code, _, said = as_program(*asked, INTERRUPT="1")
    first = {key[0]: record["status"] for key, record in records(out).items()}
    again, _, _ = as_program(*asked)
    after = {key[0]: record["status"] for key, record in records(out).items()}

    assert code == 130
    assert "astrojepa-bench: interrupted" in said
    assert first == {"spreads": after["spreads"]}
    assert again == 1
    assert after["value-error"] == "failed"
    assert after["stopped"] in ("ok", "collapsed")
    assert not [*out.rglob("*.lock"), *out.rglob("*.partial")]
