"""The command line answers at once, says what is wrong in one line, and ends with the agreed code."""

import json
import os
import re
import subprocess
import sys
from importlib import import_module

import pytest

from astrojepa_bench.cli import VERBS, build_parser, catalogue, main
from astrojepa_bench.errors import ConfigError

HEAVY = {"torch", "timm", "sklearn", "pandas", "numpy", "rich", "pydantic", "h5py", "matplotlib", "scipy"}


def imported_by(*words):
    """List the top-level packages that a command imports, in a process of its own."""
    command = [sys.executable, "-X", "importtime", "-m", "astrojepa_bench", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}


@pytest.mark.parametrize(
    "words", [["--help"], ["list", "--help"], ["run", "--help"], ["data", "info", "--help"]]
)
def test_help_imports_nothing_heavy(words):
    """Help that waits for torch is not read."""
    imported = imported_by(*words)

    assert "astrojepa_bench" in imported
    assert imported & HEAVY == set()


def test_help_lists_every_verb(capsys):
    """Each verb is there, with its summary."""
    with pytest.raises(SystemExit) as left:
        main(["--help"])

    assert left.value.code == 0
    listed = re.findall(r"^ {4}([\w-]+)", capsys.readouterr().out, re.MULTILINE)
    assert listed == list(VERBS)
    assert {"run", "score", "list", "show", "export", "leaderboard", "data", "doctor"} <= set(listed)


def test_no_command_shows_help_and_is_a_wrong_request(capsys):
    """Nothing was asked, so nothing was done."""
    assert main([]) == 2
    assert "usage: astrojepa-bench" in capsys.readouterr().err


def test_unknown_verb_is_answered_with_the_nearest(capsys):
    """A slip of the finger is not met with a wall of usage."""
    assert main(["lsit"]) == 2
    assert "unknown command 'lsit'; did you mean 'list'?" in capsys.readouterr().err


def raising(error):
    """Return a verb that raises."""

    def execute(arguments):
        raise error

    return execute


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ConfigError("no such\ngalaxy"), 2, "error: no such galaxy"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            ZeroDivisionError("oh"),
            1,
            "bug: ZeroDivisionError: oh; please report it; add --debug for the traceback",
        ),
    ],
)
def test_errors_end_in_one_line_and_a_code(monkeypatch, capsys, error, code, message):
    """Scripts read the code, people the line; neither wants a traceback."""
    monkeypatch.setattr(catalogue, "execute", raising(error))

    assert main(["list"]) == code
    assert capsys.readouterr().err == f"astrojepa-bench: {message}\n"


def test_debug_shows_the_traceback(monkeypatch, capsys):
    """Authors want to see where it happened."""
    monkeypatch.setattr(catalogue, "execute", raising(ConfigError("no such galaxy")))

    assert main(["list", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_flags_are_not_guessed_from_their_first_letters(capsys):
    """A script that relied on it would break with the next flag."""
    with pytest.raises(SystemExit) as left:
        main(["list", "--js"])

    assert left.value.code == 2


def test_missing_plugin_file_is_a_wrong_request(command):
    """Every verb takes --plugin, and checks it."""
    code, _, err = command("list", plugin="nowhere.py")

    assert code == 2
    assert "nowhere.py: no such Python file" in err


def test_reader_that_leaves_is_no_error(monkeypatch, capsys):
    """`astrojepa-bench list | head -1` ends quietly, as shells expect of a closed pipe."""
    monkeypatch.setattr(catalogue, "execute", raising(BrokenPipeError()))
    monkeypatch.setattr(os, "dup2", lambda *_: None)

    assert main(["list"]) == 141
    assert capsys.readouterr().err == ""


def test_every_verb_takes_the_common_flags():
    """What helps with one verb helps with all."""
    arguments = build_parser(["doctor"]).parse_args(
        ["doctor", "--plugin", "a.py", "--plugin", "b.py", "--debug"]
    )

    assert [path.name for path in arguments.plugin] == ["a.py", "b.py"]
    assert arguments.debug
    assert not arguments.strict_plugins
    assert arguments.does == "doctor"


def test_every_row_of_the_table_names_a_module_and_a_summary():
    """A row that is wrong would be noticed only by whoever types it."""
    rows = [*VERBS.values(), *(row for verb in VERBS.values() for row in verb.actions.values())]

    for row in rows:
        assert row.summary.endswith(".")
        assert row.actions or callable(import_module(f"astrojepa_bench.cli.{row.module}").execute)


@pytest.mark.parametrize("before", [["--plugin", "{ring}"], ["--plugin={ring}", "--debug"]])
def test_common_flags_may_stand_before_the_command(ring, capsys, before):
    """`--plugin F list` is how many programs are called; F is no command."""
    code = main([*(word.format(ring=ring) for word in before), "list"])

    assert code == 0
    assert "ringmasks" in capsys.readouterr().out


REFUSED = [
    (["rnu", "-o", "untrained"], "unknown command 'rnu'", "pydantic"),
    (["run", "--objectiv", "untrained"], "unrecognized arguments: --objectiv", "pydantic"),
    (["run", "-o", "untrained", "--set", "masker"], "'masker' is not KIND.OPTION=VALUE", "torch"),
    (["run", "-o", "untraned"], "unknown objective 'untraned'", "trainer"),
    (["run", "-o", "untrained", "-m", "rndom"], "unknown masker 'rndom'", "trainer"),
    (["run", "-o", "untrained", "-e", "vit-nano"], "unknown encoder 'vit-nano'", "trainer"),
    (["run", "-o", "untrained", "-d", "synthetik"], "unknown dataset 'synthetik'", "trainer"),
    (["run", "--suite", "baselin"], "unknown suite 'baselin'", "trainer"),
    (["run", "-o", "untrained", "-E", "knnn"], "unknown evaluator 'knnn'", "trainer"),
    (["run", "-o", "untrained", "-m", "none", "--set", "masker.tau=1"], "has no option 'tau'", "trainer"),
    (
        ["run", "-o", "untrained", "--set", "dataset.galaxis=9"],
        "no dataset has an option 'galaxis'",
        "trainer",
    ),
    (["run", "-o", "untrained", "--set", "masker:rndom.tau=1"], "unknown masker 'rndom'", "trainer"),
    (["score", "3f9a", "-E", "core,knnn"], "unknown evaluator 'knnn'", "trainer"),
    (["embed", "3f9a", "--out", "x.h5", "-d", "synthetik"], "unknown dataset 'synthetik'", "explore"),
]
LOADED = {
    "pydantic": ["pydantic", "astrojepa_bench.cli.names"],
    "torch": ["torch", "astrojepa_bench.cli.run"],
    "trainer": ["astrojepa_bench.cli.run", "astrojepa_bench.runs.cell", "astrojepa_bench.board.render"],
    "explore": ["astrojepa_bench.cli.embed", "astrojepa_bench.explore.sample"],
}
CHILD = """
import json, sys
from astrojepa_bench.cli import main
for words in json.load(sys.stdin):
    try:
        code = main(words)
    except SystemExit as left:
        code = left.code
    print(code, *sys.modules, file=sys.stdout)
"""


@pytest.mark.slow
def test_what_nobody_offers_is_refused_before_the_command_is_imported():
    """In one line, with code 2: neither a verb's module nor what it works with is loaded for a slip."""
    asked = json.dumps([words for words, *_ in REFUSED])
    command = [sys.executable, "-c", CHILD]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=True)
    messages = [line for line in done.stderr.splitlines() if not line.startswith(("usage", " "))]
    answers = [line.split() for line in done.stdout.splitlines()]

    for (words, said, kept_out), message, (code, *modules) in zip(REFUSED, messages, answers, strict=True):
        assert said in message, words
        assert code == "2", words
        assert set(LOADED[kept_out]) & set(modules) == set(), words
