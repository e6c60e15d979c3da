"""The answer to "does I-JEPA learn on galaxies?" is the same wherever it is told."""

import importlib
import inspect
import sys
import tomllib
from pathlib import Path

import astrojepa_ijepa
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks" / "ijepa"


@pytest.fixture(scope="module")
def told():
    """What the experiment's script says of the committed tables and records, part by part."""
    sys.path.insert(0, str(FOLDER))
    try:
        verdict = importlib.import_module("verdict")
    finally:
        sys.path.remove(str(FOLDER))
    wanted = tomllib.loads((FOLDER / "experiment.toml").read_text())
    return [*verdict.told(wanted, ROOT / "leaderboard", FOLDER)]


def test_the_page_of_the_plugin_tells_the_answer(told):
    """Its sentence is that of the script, number by number."""
    *_, answer, _ = told

    assert answer in " ".join(inspect.getdoc(astrojepa_ijepa).split())


def test_the_session_of_the_experiment_is_what_its_script_prints(told):
    """Tables and answer stand in the README as the script prints them, and its claim on the board."""
    *session, claim = told

    printed = "$ python benchmarks/ijepa/verdict.py leaderboard\n" + "\n\n".join(session)
    assert printed in (FOLDER / "README.md").read_text()
    asked = tomllib.loads((ROOT / "leaderboard" / "claims.toml").read_text())["chapters"]
    bound = tomllib.loads(claim.replace("[[chapters.claims]]", "[[claims]]"))["claims"][0]
    assert bound in [each for chapter in asked for each in chapter["claims"]]
