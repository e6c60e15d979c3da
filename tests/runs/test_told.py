"""`--labels N` and columns from request to board: who reads is told, marked, and another run; nobody else."""

import json

import h5py
import numpy as np
import pytest

from astrojepa_bench.board.page_details import run_command
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.events import listening
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.grid import plan_grid, run_grid
from astrojepa_bench.runs.reproduce import rerun
from astrojepa_bench.runs.request import make_request, parse_labels

PLUGIN = '''
from torch.nn import functional

from astrojepa_bench.plugin import Loss, Objective, Recipe, hookimpl


class Plain(Objective):
    """Is told nothing."""

    masks = "ignored"
    version = 1

    def recipe(self):
        """Take few steps."""
        return Recipe(1e-3, batch_size=64, scales_with="sqrt", reference_batch=16)

    def loss(self, batch, draw, streams):
        """Draw tokens together."""
        return Loss(self.encoder(batch.images).values.square().mean(), {"told": (batch.labels >= 0).sum()})


class Some(Plain):
    """Is told some labels."""

    labels = "some"


class Spectra(Plain):
    """Is told spectra."""

    columns = {"spectrum": 8}

    def loss(self, batch, draw, streams):
        """Draw the mean token to the spectrum's mean."""
        wanted = batch.columns["spectrum"].mean(1).nan_to_num()
        return Loss((self.encoder(batch.images).values.mean((1, 2)) - wanted).square().mean(), {})


@hookimpl
def astrojepa_objectives():
    """Offer them."""
    return {"plain": Plain, "some": Some, "spectra": Spectra}
'''


@pytest.fixture
def grid(tmp_path, galaxies, tiny):
    """Train on the tiny galaxies, or only plan it; gives the records, or what is planned, and the notes."""
    file = tmp_path / "told_plugin.py"
    file.write_text(PLUGIN)

    def run(objectives, columns=None, dry=False, **fields):
        notes, options = [], {"path": str(galaxies)} | ({"columns": str(columns)} if columns else {})
        request = make_request(
            {
                "objectives": objectives, "evaluators": "collapse", "floors": False, "dataset": "hdf5",
                "budget": "tiny", "device": "cpu", "settings": {"dataset": options},
                "out": tmp_path / "out", "cache": tmp_path / "cache", "plugins": (file,), **fields,
            }
        )  # fmt: skip
        with listening(lambda event: notes.append(event.fields.get("text", ""))):
            registry = load_registry(request.plugins)
            records = plan_grid(request, registry) if dry else run_grid(request, registry, "tests").records
        return records, notes

    return run


@pytest.fixture
def spectra(tmp_path):
    """Write a spectrum of every other galaxy."""
    path, stream = tmp_path / "spectra.h5", np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["id"] = np.arange(0, 180, 2).astype(str).astype(object)
        file["spectrum"] = stream.normal(size=(90, 8))
        file["label"] = np.zeros(90)
    return path


@pytest.mark.slow
def test_few_labels_are_another_run_of_who_reads_them_and_of_nobody_else(grid):
    """Named by it, scored in the same section; a share is the number that it makes."""
    (plain, some), _ = grid("plain,some")
    (same, few), _ = grid("plain,some", labels="10%")
    (again,), notes = grid("some", labels=few.labels)

    assert same == plain
    assert "labels" not in plain.identity
    assert few.run_id != some.run_id
    assert (few.labels, few.identity["labels"], some.labels) == (9, 9, None)
    assert again == few
    assert any("already done" in note for note in notes)
    assert (plain.reads, some.reads, few.reads) == ([], ["labels"], ["labels"])
    assert (few.training.recipe["rate"], few.training.recipe["learning_rate"]) == (2e-3, 1e-3)
    assert few.training.images_seen == some.training.images_seen
    told = [dict(record.training.term_curves["told"]) for record in (plain, few, some)]
    assert max(told[0].values()) == 0 < max(told[1].values()) < max(told[2].values())

    board = build_board([plain, some, few])
    assert len(board.sections) == 1
    named = {row.label.split(" + ")[0] for row in board.sections[0].rows}
    assert named == {"plain", "some", "some(labels=9)"}
    said = [note for note in board.sections[0].notes if " reads " in note]
    assert [note.partition(" reads ")[2] for note in said] == ["labels.", "labels (9 of them)."]
    assert "--labels 9" in run_command([few])


@pytest.mark.slow
def test_columns_are_read_from_a_file_and_marked(grid, spectra, tmp_path, capsys):
    """Their content is part of the run; who does not read them has the run that it had without."""
    (plain,), _ = grid("plain")
    (same, told), _ = grid("plain,spectra", columns=spectra)
    with h5py.File(spectra, "r+") as file:
        file["spectrum"][...] += 1
    (other,), _ = grid("spectra", columns=spectra)

    assert same.run_id == plain.run_id
    assert (told.group, told.reads, told.standing) == ("told by measurements", ["spectrum"], "contestant")
    assert other.run_id != told.run_id
    assert "columns" not in plain.identity
    assert main(["show", other.run_id, "--out", str(tmp_path / "out")]) == 0
    assert "reads spectrum\n" in capsys.readouterr().out


@pytest.mark.slow
def test_without_its_columns_an_objective_is_skipped_with_those_that_there_are(grid, spectra):
    """A reason in one line, that names what to do; a column of another width is no better."""
    with h5py.File(spectra, "r+") as file:
        file["mass"] = np.ones(90)
        file["spectrum_of_4"] = np.ones((90, 4))
        del file["spectrum"]
    (planned,), _ = grid("spectra", dry=True)
    (bare,), _ = grid("spectra")
    (lacking,), _ = grid("spectra", columns=spectra, seeds=[2])
    with h5py.File(spectra, "r+") as file:
        file["spectrum"] = np.ones((90, 4))
    (narrow,), _ = grid("spectra", columns=spectra, seeds=[1])

    assert [each.status for each in (bare, lacking, narrow)] == ["skipped"] * 3
    assert "reads spectrum, which the galaxies lack; they have ra, dec" in bare.skip_reason
    assert "--set dataset.columns=FILE" in bare.skip_reason
    assert (planned.state, planned.reason) == ("skipped", bare.skip_reason)
    assert "they have ra, dec, mass, spectrum_of_4" in lacking.skip_reason
    assert "reads 8 numbers of 'spectrum' and the galaxies have 4" in narrow.skip_reason


@pytest.mark.slow
def test_a_run_with_few_labels_is_made_again_from_its_record(grid, tmp_path, galaxies):
    """With as many labels, of the same galaxies."""
    (record,), _ = grid("some", labels=12)
    registry = load_registry([tmp_path / "told_plugin.py"])
    settings = {"dataset": {"path": str(galaxies)}}
    import torch

    found = rerun(record, registry, settings, tmp_path / "cache", torch.device("cpu"), "tests")

    assert found.again.run_id == record.run_id
    assert found.again.training.loss_curve == record.training.loss_curve


@pytest.mark.slow
def test_the_command_line_takes_labels(tmp_path, galaxies, tiny, capsys):
    """`plan --labels` moves the ids of who reads them, and multiplies no cell."""
    words = ["plan", "-o", "supervised,untrained", "-d", "hdf5", "--set", f"dataset.path={galaxies}", "--json",
             "--budget", "tiny", "--device", "cpu", "--no-floors", "--out", str(tmp_path / "out"),
             "--cache", str(tmp_path / "cache")]  # fmt: skip
    planned = []
    for more in ([], ["--labels", "10%"], ["--labels", "9"], ["--labels", "100%"]):
        assert main([*words, *more]) == 0
        cells = json.loads(capsys.readouterr().out)["cells"]
        planned.append({cell["objective"]: cell["run_id"] for cell in cells})
        assert len(cells) == 2

    assert planned[1] == planned[2]
    assert planned[3] == planned[0]
    assert {name for name in planned[0] if planned[0][name] != planned[1][name]} == {"supervised"}


@pytest.mark.parametrize(
    "given", ["0", "1", "-3", "0%", "200%", "few", "2.5", "", True, 1.5, float("nan"), "1e3"], ids=str
)
def test_labels_that_mean_nothing_are_refused(given):
    """One label tells no two classes apart."""
    with pytest.raises(ConfigError, match="expected a number of labels from 2 on, or a share"):
        parse_labels(given)
