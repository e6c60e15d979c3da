"""`--pretraining N` from the request to the board: a condition of its own, in name, identity and section."""

import json
from pathlib import Path

import pytest

from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import main
from astrojepa_bench.events import listening
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request

LEARNS = """
        tokens = self.encoder.taps(batch.images)["last"]
        return Loss((tokens.mean(0) ** 2).mean(), {})"""


@pytest.fixture
def grid(tmp_path, galaxies, tiny, plugin):
    """Train on the tiny galaxies; gives the records and the notes."""
    file = plugin("learns", LEARNS)

    def run(**fields):
        notes = []
        request = make_request(
            {
                "objectives": "learns", "evaluators": "knn", "floors": False, "dataset": "hdf5",
                "budget": "tiny", "device": "cpu", "settings": {"dataset": {"path": str(galaxies)}},
                "out": tmp_path / "out", "cache": tmp_path / "cache", "plugins": (file,), **fields,
            }
        )  # fmt: skip
        with listening(lambda event: notes.append(event.fields.get("text", ""))):
            records = run_grid(request, load_registry(request.plugins), "tests").records
        return records, [note for note in notes if "--pretraining" in note]

    return run


@pytest.mark.slow
def test_few_galaxies_are_another_run_of_equal_length_scored_on_the_same_galaxies(grid):
    """Twenty galaxies: as many images seen, more epochs, another id; the probe still fits on all of train."""
    ((few,), _), ((full,), _) = grid(pretraining=20), grid()

    assert few.run_id != full.run_id
    assert (few.pretraining, few.identity["pretraining"]) == (20, 20)
    assert (full.pretraining, "pretraining" in full.identity) == (None, False)
    assert few.training.images_seen == pytest.approx(full.training.images_seen, abs=20)
    assert few.training.epochs == pytest.approx(few.training.images_seen / 20)
    assert [score.n for score in few.scores] == [score.n for score in full.scores]
    assert [section.budget for section in build_board([few, full]).sections] == [
        "tiny",
        "tiny, 20 pretraining galaxies",
    ]


def test_more_galaxies_than_there_are_is_the_run_on_all(grid):
    """Nothing is limited, so it is the run without a limit, found again, and said."""
    (full,), _ = grid(objectives="untrained", evaluators="collapse")
    (same,), notes = grid(objectives="untrained", evaluators="collapse", pretraining=10_000)

    assert same == full
    assert len(notes) == 1
    assert notes[0].startswith("--pretraining 10000: there are ")


def test_principal_components_are_fitted_on_the_few_galaxies_too(grid):
    """A floor that has seen every galaxy would stand too high; components beyond the few are refused."""
    (few,), _ = grid(objectives="untrained", encoders="pca", evaluators="collapse", pretraining=20)

    assert few.status == "skipped"
    assert "encoder.components" in (few.skip_reason or "")


def test_the_command_line_takes_it(tmp_path, galaxies, tiny, capsys):
    """`--pretraining 20` reaches the record and the long table."""
    places = ["--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache")]
    words = ["run", "-o", "untrained", "-d", "hdf5", "--set", f"dataset.path={galaxies}", "--budget", "tiny",
             "--device", "cpu", "-E", "collapse", "--no-floors", "--pretraining", "20", "--json"]  # fmt: skip

    assert main([*words, *places]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert json.loads(Path(answer["records"][0]).read_text())["pretraining"] == 20
    header, first, *_ = (tmp_path / "out" / "board.csv").read_text().splitlines()
    assert dict(zip(header.split(","), first.split(","), strict=True))["pretraining"] == "20"
