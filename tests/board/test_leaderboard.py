"""The `leaderboard` command, as a script meets it."""

import json
import subprocess
import sys

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.results.store import Store


@pytest.fixture
def out(tmp_path, six_entries):
    """An output folder with records and no board yet."""
    for record in six_entries:
        Store(tmp_path).write(record)
    return tmp_path


def test_building_prints_the_board_and_where_it_is(out, capsys):
    """A person sees the table; the files lie beside the records."""
    assert main(["leaderboard", "build", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "alpha + brightness" in printed
    assert str(out / "README.md") in printed
    assert (out / "board.csv").is_file()
    assert (out / "board.json").is_file()


def test_json_is_all_that_is_printed(out, capsys):
    """Scripts parse stdout as it is."""
    assert main(["leaderboard", "build", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"board": str(out / "README.md")}
    assert main(["leaderboard", "check", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"board": str(out / "README.md"), "drift": []}


def test_drift_exits_with_three_and_says_where(out, capsys):
    """An edited score is found, whatever layout the editor left behind."""
    main(["leaderboard", "build", str(out)])
    path = Store(out).paths()[0]
    facts = json.loads(path.read_text())
    facts["scores"][0]["value"] = 0.999
    path.write_text(json.dumps(facts))
    capsys.readouterr()
    assert main(["leaderboard", "check", str(out)]) == 3
    assert "board.csv differs from its records" in capsys.readouterr().out
    assert main(["leaderboard", "check", str(out), "--json"]) == 3
    assert "board.json differs from its records" in json.loads(capsys.readouterr().out)["drift"]


@pytest.mark.parametrize("action", ["build", "check"])
def test_a_folder_without_records_exits_with_two(tmp_path, capsys, action):
    """The request is wrong, in one line on stderr."""
    assert main(["leaderboard", action, str(tmp_path / "nowhere")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1


def test_a_records_folder_without_a_board_exits_with_two(out, capsys):
    """Checking before building is a request that cannot be met."""
    assert main(["leaderboard", "check", str(out)]) == 2
    assert "build it with" in capsys.readouterr().err


def test_checking_a_board_needs_no_torch(out):
    """A board can be checked where torch is too heavy, and help answers at once."""
    main(["leaderboard", "build", str(out)])
    script = (
        "import sys; from astrojepa_bench.cli import main;"
        f"code = main(['leaderboard', 'check', {str(out)!r}]); assert code == 0, code;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
