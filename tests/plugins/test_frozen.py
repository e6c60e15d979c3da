"""Frozen: exactly the weights of the file are scored, other files are other runs, and no code of a file is run."""

import h5py
import numpy as np
import pytest
import torch
from astrojepa_frozen import Frozen
from safetensors.torch import save_file

from astrojepa_bench import open_run
from astrojepa_bench.encoders.vit import TokenViT, ViTMicro
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.types import ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)


def encoder_of(seed=0, width=32):
    with scoped_global(seed, "tests"):
        return TokenViT(SPEC, patch=8, width=width, depth=1, heads=2)


def images():
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def saved(encoder, path):
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["given.safetensors", "given.pt"])
def test_features_are_those_of_the_file(tmp_path, name):
    """Whatever the encoder started from, the judged one answers like the one that was saved."""
    source = encoder_of(seed=1)
    method = Frozen(encoder_of(seed=2), None, 0, weights=saved(source, tmp_path / name))

    assert not torch.allclose(method.encoder(images()).values, source(images()).values)
    assert torch.equal(method.scored_encoder(images()).values, source(images()).values)


def test_nothing_is_trained_and_no_masks_are_asked_for():
    """It is a contestant that the loop leaves alone."""
    assert (Frozen.trains, Frozen.masks, Frozen.labels, Frozen.standing) == (
        False,
        "ignored",
        "none",
        "contestant",
    )


def test_weights_of_another_size_are_refused(tmp_path):
    """A file that does not fit ends in one line; nothing is loaded in part."""
    path = saved(encoder_of(width=48), tmp_path / "wide.safetensors")

    with pytest.raises(DataError, match=r"objective 'frozen': weights wide\.safetensors hold"):
        _ = Frozen(encoder_of(), None, 0, weights=path).scored_encoder


def test_a_missing_file_is_told(tmp_path):
    """The message names the path."""
    with pytest.raises(ConfigError, match=r"objective 'frozen': no file at .*nothing\.pt"):
        _ = Frozen(encoder_of(), None, 0, weights=tmp_path / "nothing.pt").scored_encoder


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_code_in_a_file_is_never_run(tmp_path):
    """A pickle that would do something is refused before it does."""
    path = tmp_path / "trap.pt"
    torch.save({"embed.weight": Trap()}, path)

    with pytest.raises(DataError, match="running code"):
        _ = Frozen(encoder_of(), None, 0, weights=path).scored_encoder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Score weights from a file on a hundred and fifty noisy galaxies; give the grid's result."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 8, 64, "vit-micro", "tests"))
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "tiny.h5", "w") as file:
        file["images"] = rng.integers(0, 256, (150, 32, 32, 3), dtype=np.uint8)
        file["ans"] = np.arange(150) % 2

    def score(weights):
        settings = {"dataset": {"path": str(tmp_path / "tiny.h5")}, "objective": {"weights": str(weights)}}
        request = make_request(
            {
                "objectives": ["frozen"], "dataset": "hdf5", "budget": "tiny", "evaluators": "knn",
                "floors": False, "settings": settings, "out": tmp_path / "out", "cache": tmp_path / "cache",
                "device": "cpu",
            }
        )  # fmt: skip
        return run_grid(request, load_registry(), "test")

    return score


def vit_micro(seed):
    with scoped_global(seed, "tests"):
        return ViTMicro(SPEC)


@pytest.mark.slow
def test_other_weights_are_another_run_and_the_same_weights_are_not(run, tmp_path):
    """Identity follows what the file holds: not its name, nor where it lies."""
    first = run(saved(vit_micro(1), tmp_path / "weights.safetensors")).records[0]
    moved = run(saved(vit_micro(1), tmp_path / "elsewhere.safetensors")).records[0]
    other = run(saved(vit_micro(2), tmp_path / "weights.safetensors")).records[0]

    assert (first.status, other.status) == ("ok", "ok")
    assert moved.run_id == first.run_id
    assert other.run_id != first.run_id
    assert first.options["objective"] == {"weights": "weights.safetensors"}


def test_a_finished_run_opens_without_the_file(run, tmp_path):
    """The run has kept the weights; the file may be gone."""
    path = saved(vit_micro(1), tmp_path / "weights.safetensors")
    record = run(path).paths[0]
    path.unlink()
    opened = open_run(record)

    assert torch.equal(opened.encoder.embed.weight, vit_micro(1).embed.weight)


def test_a_request_for_a_missing_file_ends_before_anything_runs(run, tmp_path):
    """A path that cannot be read is a mistake of the request, not a failed cell."""
    with pytest.raises(ConfigError, match=r"objective\.weights=.*nothing\.pt cannot be read"):
        run(tmp_path / "nothing.pt")
