"""The whole way on a GPU: every contestant trains there, repeats itself, and agrees with the CPU.

Run with `pytest -m gpu`; without a CUDA device everything here skips.
"""

import math

import numpy as np
import pytest
import torch
from astrojepa_sigreg import epps_pulley, random_slices, sigreg

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.geometry.grids import MaskSizes, PatchGrid
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
GPU = torch.device("cuda")
CONTESTANTS = [
    ("ijepa", "multiblock"), ("lejepa", "brightness"), ("lejepa", "none"), ("ijepa-sigreg", "random"),
    ("masked-lejepa", "radial"), ("mae", "inverse"), ("vicreg", "none"), ("supervised", "none"),
    ("lejepa-morphology", "brightness"), ("untrained", "none"), ("visreg", "none"), ("simclr", "none"),
    ("barlow-twins", "none"), ("byol", "none"), ("dino", "none"),
]  # fmt: skip
GALAXIES = {"dataset": {"galaxies": 320}}


@pytest.fixture
def record_of(tmp_path, monkeypatch):
    """Return the record of one cell on 320 synthetic galaxies, each call in a folder of its own."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 64, 8, 640, "vit-micro", "tests"))
    calls = iter(range(100))

    def record(objective, masker="none", *, device="cuda", encoders=(), precision="auto"):
        places = {"out": tmp_path / f"out{next(calls)}", "cache": tmp_path / "cache"}
        asked = {"objectives": objective, "maskers": masker, "encoders": list(encoders), "budget": "tiny"}
        rest = {"device": device, "floors": False, "evaluators": "linear,knn,collapse", "settings": GALAXIES}
        request = make_request({**asked, **rest, **places, "precision": precision})
        return run_grid(request, load_registry(()), "tests").records[0]

    return record


@pytest.mark.parametrize(("objective", "masker"), CONTESTANTS)
def test_every_objective_trains_and_is_scored_on_a_gpu(record_of, objective, masker):
    """It ends scored, in bf16, with finite losses, and the record names the GPU."""
    record = record_of(objective, masker)
    assert record.status in ("ok", "collapsed"), record.failure
    assert record.identity["precision"] == "bf16"
    assert record.environment.device == "cuda"
    assert all(math.isfinite(score.value) for score in record.scores)


@pytest.mark.parametrize(("objective", "masker"), [("lejepa", "brightness"), ("ijepa", "multiblock")])
def test_the_same_seed_on_the_same_gpu_gives_the_same_scores(record_of, objective, masker):
    """Training twice changes no figure."""
    first, second = record_of(objective, masker), record_of(objective, masker)
    assert [s.value for s in first.scores] == [s.value for s in second.scores]


@pytest.mark.parametrize("encoder", ["pca", "pixels", "profile", "vit-micro"])
def test_what_is_not_trained_scores_alike_on_both(record_of, encoder):
    """Features computed without autocast differ by rounding: accuracies agree within a few of 80 test galaxies."""
    gpu = record_of("untrained", encoders=[encoder])
    cpu = record_of("untrained", encoders=[encoder], device="cpu")
    for metric in ("accuracy", "balanced_accuracy"):
        assert gpu.value("linear", metric) == pytest.approx(cpu.value("linear", metric), abs=0.06)
    assert gpu.value("collapse", "effective_rank") == pytest.approx(
        cpu.value("collapse", "effective_rank"), rel=0.02
    )


@pytest.mark.parametrize(
    ("objective", "masker"),
    [each for each in CONTESTANTS if each[0] not in ("untrained", "lejepa-morphology")],  # it diagonalises
)
@pytest.mark.parametrize("resident", [True, False])
def test_no_step_waits_for_the_gpu(objective, masker, resident):
    """Torch itself raises where the host would wait; images lie on the GPU or in the memory of the host."""
    registry, pixels = load_registry(()), np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32), np.uint8)
    spec, kinds = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3), np.array([""] * 64)
    ids, split, label = np.array([f"{i:02}" for i in range(64)]), np.array(["train"] * 64), np.arange(64) % 2
    table = GalaxyTable(pixels, ids, split, spec, Card("noise", "", ""), "f00d", label, 0 * label, kinds)
    encoder = TokenViT(spec, patch=4, width=16, depth=2, heads=2)
    built = registry.get("objective", objective).factory(encoder, encoder.grid, 2, batch_size=16).to(GPU)
    drawn = registry.get("masker", masker).factory(encoder.grid)
    images = DeviceImages(pixels, GPU, resident_bytes=10**9 if resident else 0)
    trainer = Trainer(built, drawn, table, images, Budget("tiny", 32, 4, 64, "vit", "tests"), 0)
    trainer.rehearses = False
    trainer._step(0)  # what is found out or made room for once is no matter
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step in (1, 2):
            trainer._step(step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    trainer._read_masks()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_either_precision_can_be_had(record_of, precision):
    """The record says which it was; it learns in both."""
    record = record_of("ijepa", "random", precision=precision)
    assert (record.identity["precision"], record.identity["device_class"]) == (precision, "cuda")
    assert record.training.loss_curve[-1][1] < record.training.loss_curve[0][1]


def test_sigreg_stays_in_float32_under_autocast():
    """On the same slices the statistic is the CPU's to a thousandth: bf16 would be off by a hundredth."""
    samples = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cuda", torch.bfloat16):
        found = sigreg(samples.to(GPU), torch.Generator(GPU).manual_seed(1))
    slices = random_slices(64, 256, torch.Generator(GPU).manual_seed(1)).cpu()
    assert float(found) == pytest.approx(float(epps_pulley(samples @ slices).mean()), rel=1e-3)


@pytest.mark.parametrize(
    "name", ["random", "multiblock", "brightness", "brightness-seed", "radial", "saliency", "inverse"]
)
def test_masks_drawn_on_a_gpu_hide_exactly_what_was_asked(name):
    """Sizes and disjointness hold where the numbers are drawn by the GPU's own generator."""
    grid, sizes = PatchGrid(8, 8, 8), MaskSizes(16, 4, 9)
    masker = load_registry(()).get("masker", name).factory(grid)
    images = torch.rand(32, 3, 64, 64, generator=torch.Generator(GPU).manual_seed(2), device=GPU)
    masks = masker.draw(images, sizes, torch.Generator(GPU).manual_seed(0))
    assert masks.context.device.type == "cuda"
    masks.validate(grid, sizes)
