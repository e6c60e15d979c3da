"""What gathering the visible tokens saves against attending around the hidden ones, at equal output.

Run: pytest benchmarks/bench_step.py -o addopts=--import-mode=importlib
"""

import pytest
import torch

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.types import ImageSpec

BATCH, VISIBLE = 32, 16  # of 64 patches: the context share of published multi-block masks


@pytest.fixture(scope="module")
def scene():
    generator = torch.Generator().manual_seed(0)
    encoder = TokenViT(ImageSpec(("z", "r", "g"), 64, (0.2,) * 3, (0.1,) * 3), patch=8).eval()
    images = torch.rand(BATCH, 3, 64, 64, generator=generator)
    keep = torch.rand(BATCH, 64, generator=generator).argsort(dim=1)[:, :VISIBLE]
    return encoder, images, keep


def gathered(encoder, images, keep):
    return encoder(images, keep=keep).values


def masked(encoder, images, keep):
    """Encode every token, but let each attend to visible ones only; then pick the visible ones."""
    values, _ = encoder.patches(images, None)
    visible = torch.zeros(len(images), values.shape[1], dtype=torch.bool).scatter_(1, keep, True)
    for block in encoder.blocks:
        values = block(values, attn_mask=visible[:, None, None, :])
    return encoder.norm(values).gather(1, keep[..., None].expand(-1, -1, values.shape[-1]))


@pytest.mark.benchmark(group=f"encode {VISIBLE} of 64 tokens, forward and backward")
@pytest.mark.parametrize("way", [gathered, masked], ids=["gathered", "masked"])
def test_gathering_gives_what_masking_gives(benchmark, scene, way):
    encoder, images, keep = scene
    torch.testing.assert_close(way(*scene), gathered(*scene), atol=1e-5, rtol=1e-4)

    def step():
        way(encoder, images, keep).square().mean().backward()

    benchmark(step)
