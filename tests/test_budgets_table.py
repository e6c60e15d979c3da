"""The table of budgets in the README is what its script writes, and follows from budgets and records."""

import importlib.util
import json
from pathlib import Path

import pytest

from astrojepa_bench.errors import DataError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.training.budgets import BUDGETS

DOCS = Path(__file__).parents[1] / "docs"
SPEC = importlib.util.spec_from_file_location("write_budgets", DOCS / "write_budgets.py")
writer = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(writer)


@pytest.fixture(scope="module")
def table():
    return writer.table(load_registry())


def test_the_readme_has_the_table_that_its_script_writes(table):
    """Whoever changes a budget, the recommended recipe or its records runs `python docs/write_budgets.py`."""
    [found] = writer.MARKS.findall(writer.README.read_text())

    assert found == table


def test_a_row_follows_from_its_budget_and_from_what_was_measured(table):
    """Images times seconds an image; what nobody measured says so."""
    rows = {line.split("`")[1]: line for line in table.splitlines() if line.startswith("| `")}
    seconds = json.loads(writer.MEASURED.read_text())["seconds_an_image"]

    assert [*rows] == [*BUDGETS]
    assert f"| {writer.duration(25_000 * seconds)} |" in rows["small"]
    assert f"| {writer.duration(2_000 * seconds)} |" in rows["smoke"]
    assert "| 25,000 | 64 |" in rows["small"]
    assert rows["smoke"].count("≈") == 0
    assert rows["long"].count("≈") == 2
    assert rows["small"].endswith("| 84 |")  # shown 300 times each; one step of 32 takes 64
    assert rows["long"].endswith("| 17,736 |")  # shown 300 times each


def test_a_time_of_another_recipe_is_refused(tmp_path, monkeypatch):
    """Another batch takes another time: two cores are measured again when the recipe moves."""
    old = {**json.loads(writer.MEASURED.read_text()), "batch_size": 128}
    (tmp_path / "budgets.json").write_text(json.dumps(old))
    monkeypatch.setattr(writer, "MEASURED", tmp_path / "budgets.json")

    with pytest.raises(DataError, match="'batch_size': 128}, the recommended recipe is"):
        writer.table(load_registry())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.9, "0.9 s"),
        (5.6, "5.6 s"),
        (75, "75 s"),
        (600, "10 min"),
        (5399, "90 min"),
        (7200, "2 h"),
        (864000, "10 days"),
    ],
)
def test_a_time_is_written_as_a_person_would(seconds, said):
    assert writer.duration(seconds) == said
