"""What it costs to put the process back after each block of a cell, against one step of training.

Run: pytest benchmarks/bench_border.py -o addopts=--import-mode=importlib
"""

import warnings

import pytest
import torch

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.runs.executors.restoring import restored
from astrojepa_bench.types import ImageSpec

STEPS_OF_THE_SMALLEST_BUDGET = 16  # 2,000 images in batches of 128
BLOCKS = 3  # of a cell: keeping, training, scoring


@pytest.fixture(scope="module")
def step():
    """One step of a forward and a backward pass, as short as a real one gets."""
    encoder = TokenViT(ImageSpec(("z", "r", "g"), 64, (0.2,) * 3, (0.1,) * 3), patch=8)
    images = torch.rand(128, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return lambda: encoder(images).values.square().mean().backward()


def put_back():
    """Move two settings, and let them be put back."""
    with restored([]):
        torch.set_grad_enabled(False)
        warnings.simplefilter("error")


@pytest.mark.benchmark(group="a block of a cell, and a step of training")
@pytest.mark.parametrize("what", ["put back", "step"])
def test_a_block_and_a_step(benchmark, step, what):
    benchmark(put_back if what == "put back" else step)
    assert torch.is_grad_enabled()


def test_putting_back_is_a_small_share_of_the_smallest_training(step):
    """The best of a few of each, in one run."""
    from time import perf_counter

    def best(act):
        spent = []
        for _ in range(5):
            began = perf_counter()
            act()
            spent.append(perf_counter() - began)
        return min(spent)

    assert BLOCKS * best(put_back) < 0.02 * STEPS_OF_THE_SMALLEST_BUDGET * best(step)
