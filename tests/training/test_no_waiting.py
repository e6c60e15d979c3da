"""No step reads a value from the device: on a GPU every reading waits for all that was asked of it before.

A CPU tells as well: the operations that hand a value to Python, or whose shape depends on one, are the same there.
`test_gpu.py` asks the GPU itself.
"""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.registry import load_registry
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.draw import UnreadMasks
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

aten = torch.ops.aten
READING = {
    aten._local_scalar_dense, aten.is_nonzero, aten.equal, aten.nonzero, aten.masked_select, aten._unique2,
    aten.unique_dim, aten.unique_consecutive, aten.multinomial, aten.repeat_interleave.Tensor, aten._linalg_eigh,
    aten.linalg_cholesky_ex, aten._linalg_svd, aten.linalg_inv_ex,
}  # fmt: skip
KNOWN = {"lejepa-morphology": "aten._linalg_eigh"}  # of a dozen numbers, in every step
SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)


class Watch(TorchDispatchMode):
    """Notes what is read."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in READING or func.overloadpacket in READING:
            self.seen.append(str(func.overloadpacket))
        if func.overloadpacket in (aten.index, aten.index_put_, aten.index_put):
            chosen = [index for index in args[1] if index is not None and index.dtype == torch.bool]
            self.seen.extend(["rows chosen by a mask"] * len(chosen))
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(scope="module")
def table():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 3, 32, 32), dtype=np.uint8)
    ids, nothing = np.array([f"g{i:02}" for i in range(32)]), np.zeros(32, dtype=int)
    split, kinds = np.array(["train"] * 32), np.array([""] * 32)
    card = Card("noise", "none", "tests")
    return GalaxyTable(pixels, ids, split, SPEC, card, "f00d", np.arange(32) % 2, nothing, kinds)


def read_in_steps(registry, table, name, masker):
    """List what two steps read where masks are checked later, as on a GPU."""
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=4, width=16, depth=2, heads=2)
        objective = registry.get("objective", name).factory(encoder, encoder.grid, 2, batch_size=8)
    drawn = registry.get("masker", masker).factory(encoder.grid)
    images, budget = (
        DeviceImages(table.images, torch.device("cpu")),
        Budget("tiny", 32, 4, 24, "vit", "tests"),
    )
    trainer = Trainer(objective, drawn, table, images, budget, 0)
    trainer.unread_masks, trainer.rehearses = UnreadMasks(), False
    objective.train()
    trainer._step(0)  # what is found out once is no matter
    with Watch() as watch:
        for step in (1, 2):
            trainer._step(step)
    return watch.seen


FAST = [("ijepa", "multiblock"), ("lejepa", "brightness")]
SLOW = [
    ("ijepa-sigreg", "saliency"), ("masked-lejepa", "radial"), ("mae", "inverse"), ("mae", "brightness-seed"),
    ("lejepa", "none"), ("vicreg", "none"), ("visreg", "none"), ("simclr", "none"), ("barlow-twins", "none"),
    ("byol", "none"), ("dino", "none"), ("supervised", "none"), ("lejepa-morphology", "random"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "masker"), [*FAST, *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)]
)
def test_a_step_reads_nothing(registry, table, name, masker):
    """Of any shipped objective, with a masker of each kind; what one is known to read is read in every step."""
    known = [KNOWN[name]] * 2 if name in KNOWN else []
    assert read_in_steps(registry, table, name, masker) == known


def test_the_watch_sees_what_is_read():
    """A condition on a tensor, a number taken from one, and rows chosen by a mask."""
    values = torch.arange(4.0)
    with Watch() as watch:
        _ = values.sum().item() if values.any() else None
        _ = values[values > 1]
    assert watch.seen.count("aten._local_scalar_dense") + watch.seen.count("aten.is_nonzero") >= 2
    assert "rows chosen by a mask" in watch.seen
