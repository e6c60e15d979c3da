"""Galaxies and runs are named alike in every command: `-d DATA`, `--out DIR`, `latest`."""

import json
import shlex
from argparse import Namespace, _SubParsersAction
from pathlib import Path

import h5py
import numpy as np
import pytest

from astrojepa_bench.cli import _with_target, build_parser, main
from astrojepa_bench.cli.data_path import name_the_reader
from astrojepa_bench.cli.names import announce, check_names
from astrojepa_bench.cli.next_steps import next_steps
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore.endings import ENDINGS, listed
from astrojepa_bench.explore.figures import check_picture, new_figure, picture_bytes
from astrojepa_bench.explore.tables import check_format
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store

GALAXIES = {  # what reads galaxies, and may be told where they lie
    "run", "plan", "score", "reproduce", "import-checkpoint", "embed", "anomalies", "latents", "map", "clusters",
    "neighbours", "report", "predict", "data info", "data show", "data overlap", "data prepare", "data verify",
}  # fmt: skip
RUNS = (GALAXIES - {"data info", "data show", "data overlap", "data verify"}) | {
    "show", "list", "export", "leaderboard build", "leaderboard check", "leaderboard migrate", "leaderboard merge",
    "leaderboard compare",
}  # fmt: skip


def leaves(parser, names=()):
    """Find the parser of every command, with the words that lead to it."""
    children = [action for action in parser._actions if isinstance(action, _SubParsersAction)]
    if not children:
        yield names, parser
    for name, child in (children[0].choices if children else {}).items():
        yield from leaves(child, (*names, name))


MAKERS = {
    "run",
    "plan",
    "import-checkpoint",
    "data prepare",
    "list",
}  # they name a folder and open no run of it
COMMANDS = {" ".join(names): parser for names, parser in leaves(build_parser())}


def required(parser, skipped=()):
    """Return words that stand for whatever a command cannot do without."""
    words = []
    firsts = [group._group_actions[0] for group in parser._mutually_exclusive_groups if group.required]
    for action in parser._actions:
        if (action.required or action in firsts) and action.dest not in skipped:
            value = next(iter(action.choices)) if action.choices else "1" if action.type is int else "x"
            words += [*action.option_strings[-1:], value]
    return words


@pytest.fixture
def galaxies(tmp_path):
    """Return a file of galaxies."""
    with h5py.File(tmp_path / "few.h5", "w") as file:
        file["images"], file["ans"] = np.zeros((4, 8, 8, 3), np.uint8), np.arange(4)
    return tmp_path / "few.h5"


@pytest.mark.parametrize("name", sorted(GALAXIES))
def test_a_path_names_galaxies_in_every_command(name, galaxies):
    """As a word of `data`, or behind `-d`, which means the same there."""
    parser = build_parser()
    skipped = ("target", "file") if name.startswith("data ") else ()
    words = [*name.split(), "-d", str(galaxies), *required(COMMANDS[name], skipped)]
    given = parser.parse_args(_with_target(words) if name.startswith("data ") else words)
    if name.startswith("data "):
        assert str(vars(given).get("target", vars(given).get("file"))) == str(galaxies)
        return
    given.plugin = []
    name_the_reader(given)

    assert given.dataset == "hdf5"
    assert f"dataset.path={galaxies}" in given.set


def test_every_command_that_reads_galaxies_was_tried():
    """A new command that takes galaxies or runs joins the lists above."""
    takes = {
        name for name, parser in COMMANDS.items() if {"dataset", "target"} & {a.dest for a in parser._actions}
    }
    opens = {
        name for name, parser in COMMANDS.items() if {"run", "subject"} & {a.dest for a in parser._actions}
    }

    assert takes == GALAXIES - {"data verify"}
    assert opens == RUNS - {name for name in RUNS if name.startswith("leaderboard")} - MAKERS


@pytest.mark.parametrize("name", sorted(RUNS))
def test_the_folder_is_called_out_in_every_command(name):
    """And a picture or table may still be, as long as its name has an ending and no folder lies there."""
    parser = COMMANDS[name]
    given = parser.parse_args(["--out", "board", *required(parser, ("out",))])
    assert given.out == Path("board")
    for word in getattr(given, "products", ()):
        for ending in ENDINGS[word]:
            if any(ending in ENDINGS[other] for other in given.products[: given.products.index(word)]):
                continue  # a word before it takes this one
            both = ["--out", f"x{ending}", "--out", "board", *required(parser)]
            given = parser.parse_args(both)
            assert (getattr(given, word), given.out) == (Path(f"x{ending}"), Path("board"))


def test_a_folder_with_an_ending_is_a_folder_where_it_lies(tmp_path, monkeypatch):
    """What is there decides."""
    monkeypatch.chdir(tmp_path)
    parser = COMMANDS["map"]
    assert parser.parse_args(["latest", "--out", "runs.png"]).picture == Path("runs.png")
    (tmp_path / "runs.png").mkdir()
    given = parser.parse_args(["latest", "--out", "runs.png"])

    assert (given.picture, given.out) == (None, Path("runs.png"))
    with pytest.raises(ConfigError, match="name a file with --picture FILE"):
        check_names(given)


def test_a_path_where_nothing_lies_is_told(capsys):
    """In one line, before anything is imported for it."""
    assert main(["plan", "-o", "untrained", "-d", "no/such/folder"]) == 2
    assert "-d no/such/folder: nothing lies there; give a file or a folder" in capsys.readouterr().err


def test_the_first_line_comes_once_and_only_from_a_command_of_its_own(capsys):
    """Who calls from Python hears nothing."""
    alone = Namespace(is_own_process=True)
    for given in (alone, alone, Namespace()):
        announce(given)

    assert capsys.readouterr().err.count("importing torch") == 1


# --- runs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def records(tmp_path):
    """Three runs in an output folder: a contestant, a better one of an hour later, and a floor after both."""
    out = []
    for number, (objective, standing, value) in enumerate(
        [("alpha", "contestant", 0.4), ("beta", "contestant", 0.9), ("untrained", "floor", 0.3)]
    ):
        score = {
            "evaluator": "linear",
            "metric": "accuracy",
            "value": value,
            "higher_is_better": True,
            "n": 100,
        }
        out.append(
            RunRecord(
                run_id=f"{number}1f3" * 4, entry_id=f"{number}" * 16, status="ok", objective=objective,
                masker="random", encoder="vit-micro", dataset="folder", seed=0, budget="smoke",
                standing=standing, scores=[score], identity={"seed": 0},
                provenance={"created_utc": f"2026-01-01T1{number}:00:00+00:00"},
            )
        )  # fmt: skip
        Store(tmp_path / "my runs").write(out[-1])
    return out


def test_runs_are_listed_newest_first(records, tmp_path, capsys):
    """With id, entry, status, time and score; as JSON too."""
    assert main(["list", "runs", "--out", str(tmp_path / "my runs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert main(["list", "runs", "--out", str(tmp_path / "my runs"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)

    assert [line.split()[0] for line in lines[2:]] == ["21f321f3", "11f311f3", "01f301f3"]
    assert "2026-01-01 11:00  linear.accuracy 0.900" in lines[3]
    assert [each["run_id"] for each in facts] == [record.run_id for record in reversed(records)]
    assert facts[1]["score"] == {"metric": "linear.accuracy", "value": 0.9}


def test_latest_is_the_newest_that_is_no_floor(records, tmp_path, capsys):
    """Floors are scored after what they frame, and nobody means them by it."""
    assert main(["show", "latest", "--out", str(tmp_path / "my runs")]) == 0
    assert capsys.readouterr().out.startswith(f"{records[1].run_id}  beta + random")
    for record in records[:2]:
        Store(tmp_path / "my runs").path(record).unlink()
    assert Store(tmp_path / "my runs").locate("latest").stem == records[2].run_id


def test_run_ends_with_commands_that_can_be_copied(records, tmp_path):
    """They look at the first planned contestant, not at the best; they are words that the parser takes."""
    told = next_steps([records[2], *records[:2]], tmp_path / "my runs")
    commands = [shlex.split(line) for line in told.splitlines() if line.startswith("  astrojepa-bench")]

    assert "01f301f3  alpha + random + vit-micro, seed 0" in told
    assert len(commands) == 3
    for _, *words in commands:
        given = build_parser().parse_args(words)
        assert (given.run, given.out) == ("01f301f3", tmp_path / "my runs")
    assert "list runs --out 'my runs'" in next_steps(records, Path("my runs"))
    assert max(map(len, next_steps(records, Path("astrojepa-runs")).splitlines())) <= 80


def test_curves_are_shown_where_they_are_asked_for(records, tmp_path, capsys):
    """Hundreds of numbers would push the scores out of sight."""
    curves = {"loss_curve": [(1, 0.123456)], "rank_curve": [(1, 9.87)], "term_curves": {"a": [(1, 7.77)]}}
    training = records[0].training.model_copy(update=curves)
    path = Store(tmp_path / "c").write(records[0].model_copy(update={"training": training}))
    shown = {}
    for flags in ((), ("--curves",)):
        assert main(["show", str(path), *flags]) == 0
        shown[flags] = capsys.readouterr().out

    assert "curve" not in shown[()]
    assert "loss_curve" in shown[("--curves",)]
    assert shown[()].index("linear.accuracy") < shown[()].index("training")


@pytest.mark.parametrize("word", ENDINGS)
def test_what_a_word_takes_is_written_as_such(word, tmp_path):
    """One list tells which file `--out` means, what its help says and what is refused: of pictures, `.jpeg` too."""
    for ending in ENDINGS[word]:
        if word == "picture":
            check_picture(tmp_path / f"x{ending}")
            assert picture_bytes(new_figure(2, 2, "a picture"), ending.removeprefix("."))
        if word in ("table", "latents"):
            check_format(tmp_path / f"x{ending}", ENDINGS[word])
    takers = [parser for parser in COMMANDS.values() if word in (parser.get_default("products") or ())]
    texts = [str(action.help) for parser in takers for action in parser._actions if action.dest == word]
    assert texts
    assert all(listed(ENDINGS[word]) in text for text in texts)
