"""The command line answers at once, says what is wrong in one line, and ends with the agreed code."""

import os
import re
import subprocess
import sys

import pytest

from astrojepa_bench.cli import VERBS, build_parser, catalogue, main
from astrojepa_bench.errors import ConfigError

HEAVY = {"torch", "timm", "sklearn", "pandas", "numpy", "rich", "pydantic", "h5py", "matplotlib", "scipy"}


def imported_by(*words):
    """List the top-level packages that a command imports, in a process of its own."""
    command = [sys.executable, "-X", "importtime", "-m", "astrojepa_bench", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}


@pytest.mark.parametrize("words", [["--help"], ["list", "--help"]])
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
    """Give a verb that raises."""

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
    assert arguments.module == "doctor"
