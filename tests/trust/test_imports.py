"""Checkpoints that a disk or a person changed: refused in one line or imported, and no code of them is run."""

import pickle

import numpy as np
import pytest
import torch
from astrojepa_checkpoint import read_checkpoint
from torch import nn

from astrojepa_bench.encoders.weights import read_torch
from astrojepa_bench.errors import BenchError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.importing import import_run, read_model

WIDTH, HEADS = 24, 3
ATTEMPTS = 50


class Part(nn.Module):
    """One transformer of the published module."""

    def __init__(self, depth):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(1, 16, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)


class Published(nn.Module):
    """The published module, small."""

    def __init__(self):
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, 8, 8)})
        self.context_encoder, self.target_encoder, self.predictor = Part(1), Part(1), Part(1)
        self.mask_token = nn.Parameter(torch.randn(1, 1, WIDTH))


@pytest.fixture
def checkpoint(tmp_path):
    """Write a checkpoint as training scripts do: its losses are NumPy's numbers."""
    torch.manual_seed(0)
    content = {
        "epoch": 99, "model_state_dict": Published().state_dict(), "config": {"num_heads": HEADS},
        "val_loss": np.mean([0.03, 0.04]), "rates": [np.float64(1e-3), np.float32(2.0)], "best": np.int64(7),
        "done": np.bool_(True),
    }  # fmt: skip
    torch.save(content, tmp_path / "published.pth")
    return tmp_path / "published.pth"


def test_numbers_of_numpy_are_read(checkpoint):
    """Under the names that NumPy 1 and 2 give the function that makes them; as plain numbers."""
    found = read_torch(checkpoint)
    assert (found["val_loss"], found["rates"], found["best"], found["done"]) == (0.035, [0.001, 2.0], 7, True)
    assert "validation loss 0.035" in read_checkpoint(checkpoint).warnings[0]
    for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        old = pickle.dumps({"loss": np.float64(2.5)}, protocol=2)
        path = checkpoint.with_name("old.pth")
        torch.save({"loss": np.float64(2.5)}, path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes().replace(b"numpy._core.multiarray", module))
        assert read_torch(path) == {"loss": 2.5}, old


class Scalar:
    """Call NumPy's function with what no script writes."""

    def __init__(self, *given):
        self.given = given

    def __reduce__(self):
        return np.float64(1).__reduce__()[0], self.given


class FlaggedType:
    """A type whose flags lie about it: NumPy itself would follow what it takes for pointers."""

    def __reduce__(self):
        return np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 63)


@pytest.mark.parametrize(
    "trap",
    [
        Scalar(np.dtype("O"), b"12345678"), Scalar(np.dtype("f8"), b"123"), Scalar(np.dtype("V8"), b"12345678"),
        Scalar("f8", b"12345678"), np.datetime64("2020"), np.array([print]), np.complex64(1),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused(tmp_path, trap):
    """Objects, records, dates: nothing of NumPy's own reading of files is used."""
    torch.save({"x": trap}, tmp_path / "trap.pth")
    with pytest.raises(pickle.UnpicklingError):
        read_torch(tmp_path / "trap.pth")


def test_flags_of_a_number_are_not_believed(tmp_path):
    """Only its kind and the order of its bytes count."""
    torch.save({"x": Scalar(FlaggedType(), np.float64(2.5).tobytes())}, tmp_path / "trap.pth")
    assert read_torch(tmp_path / "trap.pth") == {"x": 2.5}


def spoilt(whole, rng, attempt):
    """Flip a bit, cut the file, or put garbage into it."""
    at = int(rng.integers(len(whole)))
    match attempt % 5:
        case 0:
            return whole[:at]
        case 1:
            return whole[:at] + rng.bytes(64) + whole[at + 64 :]
    changed = bytearray(whole)
    changed[at if attempt % 2 else at % 4000] ^= 1 << int(
        rng.integers(8)
    )  # the first bytes describe the others
    return bytes(changed)


@pytest.mark.slow
def test_no_changed_checkpoint_ends_in_a_crash(checkpoint):
    """Each is imported or refused in one line."""
    whole, rng, refusals, registry = checkpoint.read_bytes(), np.random.default_rng(5), [], load_registry()
    for attempt in range(ATTEMPTS):
        checkpoint.write_bytes(spoilt(whole, rng, attempt))
        try:
            import_run(
                read_model(checkpoint, registry), registry, Store(checkpoint.with_name("zoo")), "tests"
            )
        except BenchError as error:
            refusals.append(str(error))
    assert [said for said in refusals if "\n" in said or "ask its author" in said] == []
    print(f"{ATTEMPTS} changed checkpoints: {len(refusals)} refused, the others imported")
