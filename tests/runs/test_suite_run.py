"""A suite from the command line to the board."""

import json

import pytest

from astrojepa_bench.cli import main

SUITE = '''
from astrojepa_bench.plugin import Block, Suite, hookimpl


@hookimpl
def astrojepa_suites():
    """Offer untrained encoders of two widths."""
    narrow = {"encoder": {"width": 48}}
    blocks = [Block(objectives=["untrained"]), Block(objectives=["untrained"], options=narrow)]
    return {"widths": Suite(summary="Does width matter?", blocks=blocks, evaluators=["knn"])}
'''


@pytest.mark.slow
def test_a_suite_runs_and_its_entries_are_told_apart_by_name(tmp_path, galaxies, tiny, capsys):
    """Two blocks of one objective are two rows, the altered one named by its option, in files and in print."""
    path = tmp_path / "widths.py"
    path.write_text(SUITE)
    words = ["run", "--suite", "widths", "--plugin", str(path), "-d", "hdf5", "--set", f"dataset.path={galaxies}",
             "--budget", "tiny", "--device", "cpu", "--no-floors", "--cache", str(tmp_path / "cache"),
             "--out", str(tmp_path / "out")]  # fmt: skip

    assert main(words) == 0
    assert "vit-micro(width=48)" in capsys.readouterr().out  # names fold between words
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| untrained + none  " in page  # with the usual encoder, which is named above the table
    assert "| untrained + none + vit-micro(width=48) " in page
    assert main([*words, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["records"]) == 2


def test_a_suite_and_an_objective_are_one_too_many(capsys):
    """Exit code 2 and one line that says what to leave out."""
    assert main(["run", "--suite", "baseline", "-o", "untrained"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
