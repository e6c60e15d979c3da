"""`docs/own_galaxies.ipynb` is what its script writes, holds its pictures, and runs."""

import base64
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOK = json.loads((DOCS / "own_galaxies.ipynb").read_text())
OUTPUTS = [output for cell in NOTEBOOK["cells"] for output in cell.get("outputs", [])]


@pytest.fixture(scope="module")
def writer():
    """Load the script, which needs the libraries of notebooks."""
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    spec = importlib.util.spec_from_file_location("write_notebook", DOCS / "write_notebook.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_notebook_is_what_its_script_writes(writer):
    """Whoever changes the template runs `python docs/write_notebook.py`."""
    committed = [(cell["cell_type"], "".join(cell["source"])) for cell in NOTEBOOK["cells"]]

    assert committed == writer.cells_of(writer.TEMPLATE.read_text())


def test_the_notebook_holds_what_it_shows_and_no_place_of_the_machine_that_ran_it():
    """Pictures of galaxies, cards, tables; no error, no warning, no dump, and small enough for the web."""
    data = [output.get("data", {}) for output in OUTPUTS]
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(each["image/jpeg"]))))
        for each in data
        if "image/jpeg" in each
    ]

    assert len(pictures) >= 3
    assert all(picture.std() > 20 for picture in pictures)
    assert sum("text/html" in each for each in data) >= 4
    assert max(len("".join(each.get("text/plain", ""))) for each in data) < 1_500
    assert {output["output_type"] for output in OUTPUTS} <= {"display_data", "execute_result", "stream"}
    assert {output.get("name", "stdout") for output in OUTPUTS} == {"stdout"}
    assert (DOCS / "own_galaxies.ipynb").stat().st_size < 800_000
    assert "/tmp/" not in json.dumps(OUTPUTS)
    assert str(Path.home()) not in json.dumps(OUTPUTS)


@pytest.mark.slow
def test_the_notebook_runs(writer, tmp_path, monkeypatch):
    """Every cell, as a reader runs it; features tell redshifts better than the mean; notes are told once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    notebook = writer.notebook_of(writer.TEMPLATE.read_text())
    writer.run(notebook, tmp_path)
    shown = [
        "".join(o.get("data", {}).get("text/plain", "")) for c in notebook.cells for o in c.get("outputs", [])
    ]
    [errors] = [json.loads(text.replace("'", '"')) for text in shown if text.startswith("{'features'")]

    assert errors["features"] < 0.9 * errors["mean"]
    assert sum("my_images: images are 64 px" in text for text in shown) == 0
    assert not any("/tmp/" in text for text in shown)
