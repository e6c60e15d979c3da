"""A finished run opens again without its galaxies, and is what it was."""

import shutil

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from astrojepa_bench import open_run
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluation.extract import encode_rows
from astrojepa_bench.events import listening
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request

ALIASED = '''
from astrojepa_bench.plugin import Loss, Objective, hookimpl


class Aliased(Objective):
    """Knows its encoder by two names."""

    masks = "ignored"
    version = 1

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.again = encoder

    def loss(self, batch, draw, streams):
        """Shrink the features."""
        return Loss(self.encoder(batch.images).values.square().mean(), {})


@hookimpl
def astrojepa_objectives():
    """Offer it."""
    return {"aliased": Aliased}
'''


@pytest.fixture
def finished(tmp_path, galaxies, tiny):
    """Run one cell on the tiny galaxies; give its record's path."""

    def run(**fields):
        fields = {"maskers": "random", "evaluators": "knn", "floors": False, **fields}
        places = {"out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu"}
        settings = {"dataset": {"path": str(galaxies)}, **fields.pop("settings", {})}
        request = make_request(
            {"dataset": "hdf5", "budget": "tiny", "settings": settings, **places, **fields}
        )
        return run_grid(request, load_registry(request.plugins), "tests").paths[0]

    return run


def kept_features(path, record):
    """Read the features that were scored, without the galaxies."""
    with h5py.File(Store(path.parents[3]).features_path(record.run_id)) as file:
        return file["test/last"][:]


def test_opened_encoder_gives_the_features_that_were_scored(finished, galaxies, tmp_path):
    """Weights, options and normalisation all come back: the same galaxies give the same numbers."""
    path = finished(objectives="ijepa", settings={"objective": {"targets": 2}})
    table = Hdf5(path=galaxies).load(32, tmp_path / "cache")
    run = open_run(path)
    found = encode_rows(run.encoder, DeviceImages(table.images, torch.device("cpu")), table.rows("test"))

    assert np.allclose(found["last"], kept_features(path, run.record), atol=1e-6)
    assert run.encoder is run.objective.teacher
    assert run.objective.sizes.targets == 2
    assert run.masker.grid == run.encoder.grid
    assert (run.spec, run.classes) == (table.spec, 3)


@pytest.mark.slow
def test_run_opens_without_its_galaxies(finished, galaxies, tmp_path):
    """The galaxies may be gone, and their cache with them."""
    path = finished(objectives="lejepa")
    galaxies.unlink()
    shutil.rmtree(tmp_path / "cache")
    run = open_run(path)

    assert run.encoder(torch.rand(2, 3, 32, 32)).values.isfinite().all()
    assert not run.objective.training
    assert "projector.0.weight" in load_file(run.store.weights_path(run.record.run_id))


def test_floor_that_fits_its_axes_opens(finished):
    """What an encoder fitted without gradients lies in its buffers."""
    run = open_run(
        finished(objectives="untrained", encoders="pca", settings={"encoder": {"components": 8, "size": 8}})
    )

    assert run.masker is None
    assert run.encoder.axes.norm(dim=1).numpy() == pytest.approx(np.ones(8), abs=1e-5)


def test_encoder_known_by_two_names_is_kept(finished, tmp_path):
    """Tensors that share memory are refused by the format unless they are separated."""
    file = tmp_path / "aliased.py"
    file.write_text(ALIASED)
    path = finished(objectives="aliased", plugins=(file,))
    run = open_run(path, registry=load_registry([file]))

    assert run.objective.again is run.encoder


def test_first_letters_of_an_id_are_enough(finished, tmp_path):
    """An id is looked up in the output folder; several that fit, or none, are an error that says what to do."""
    path = finished(objectives="untrained", seeds="2")
    run = open_run(path.stem[:10], out=tmp_path / "out")

    assert run.record.run_id == path.stem
    with pytest.raises(ConfigError, match="2 run ids start with ''"):
        open_run("", out=tmp_path / "out")
    with pytest.raises(ConfigError, match=r"no run id starts with 'zz'.*out="):
        open_run("zz", out=tmp_path / "out")


def test_lost_or_damaged_weights_are_told_in_one_line(finished):
    """The message says how to get them again."""
    path = finished(objectives="untrained")
    weights = Store(path.parents[3]).weights_path(path.stem)
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match="delete it and run again"):
        open_run(path)
    weights.unlink()
    with pytest.raises(DataError, match=r"no weights at .* issue the command"):
        open_run(path)
    with pytest.raises(DataError, match="cannot be read"):
        open_run(path.with_name("nothing.json"))


def test_another_version_of_a_piece_is_told(finished, monkeypatch):
    """Weights that fit may still mean something else under a newer plugin."""
    path, heard = finished(objectives="untrained"), []
    registry = load_registry()
    monkeypatch.setattr(registry.get("objective", "untrained").factory, "version", 99)
    with listening(heard.append):
        open_run(path, registry=registry)

    assert any("is v99 now, was v1" in event.fields["text"] for event in heard)


def test_failed_run_has_nothing_to_open(finished, tmp_path):
    """A run that never ended has no weights, and the message says how it ended."""
    file = tmp_path / "broken.py"
    file.write_text(ALIASED.replace("return Loss", "raise ValueError  #"))
    path = finished(objectives="aliased", plugins=(file,))

    with pytest.raises(DataError, match="ended as failed"):
        open_run(path)
