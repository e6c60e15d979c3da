"""I-JEPA's option `joint`: one sequence of the predictor an image, where blocks see one another's places."""

import pytest
import torch
from astrojepa_ijepa import IJEPA, Predictor
from astrojepa_ijepa_sigreg import IJEPASigReg
from astrojepa_random import RandomPatches
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.geometry.grids import Masks, PatchGrid
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)
GALAXIES = 6


def objective(kind=IJEPA, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=16, depth=2, heads=2)
        sizes = {"predictor_width": 16, "predictor_depth": 1, "predictor_heads": 2, "crop": None}
        return kind(encoder, encoder.grid, 0, **{**sizes, "targets": 2, "target_scale": 0.25, **options})


def batch():
    rows = torch.arange(GALAXIES)
    images = torch.rand(GALAXIES, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def ask(method, verb):
    streams = Streams(0, 0, torch.device("cpu"), progress=1.0)
    return getattr(method, verb)(batch(), MaskDraw(RandomPatches(method.grid), streams), streams)


def predicted(method, masks):
    """Predict under given masks."""
    return method.predict(
        batch(), lambda _images, _sizes: masks, Streams(0, 0, torch.device("cpu"))
    ).predicted


def masks_of(first, second):
    """Show patches 0 to 3 and hide two blocks of four."""
    targets = torch.tensor([first, second]).expand(GALAXIES, -1, -1)
    return Masks(torch.arange(4).expand(GALAXIES, -1), targets)


@pytest.mark.parametrize("options", [{}, {"dense": 0.5}, {"depths": 2}])
def test_one_block_is_the_published_form(options):
    """Where there are no other blocks nothing differs, bit by bit, with either addition of V-JEPA 2.1."""
    apart, joint = (objective(targets=1, joint=joint, **options) for joint in (False, True))
    assert torch.equal(ask(apart, "loss").total, ask(joint, "loss").total)
    assert torch.equal(ask(apart, "predict").predicted, ask(joint, "predict").predicted)


def test_blocks_that_may_not_look_at_one_another_are_the_published_form():
    """One layer, all blocks in one sequence, and a mask in the attention: the blocks' own answers come out."""
    method = objective().eval()
    predictor, masks = method.predictor, masks_of([5, 6, 9, 10], [10, 11, 14, 15])
    context = method.encoder(batch().images, keep=masks.context)
    asked = predictor.mask_token + predictor.codes[masks.targets.flatten(1)]
    values = torch.cat([predictor.enter(context.values) + predictor.codes[masks.context], asked], dim=1)
    member = torch.tensor([0] * 4 + [1] * 4 + [2] * 4)  # context, first block, second block
    may_look = (member[None] == 0) | (member[:, None] == member[None])

    def answers(mask):
        seen = predictor.blocks[0](values, attn_mask=mask)[:, 4:]
        return predictor.leave(predictor.norm(seen)).unflatten(1, (2, 4))

    torch.testing.assert_close(predicted(method, masks), answers(may_look), rtol=1e-5, atol=1e-6)
    method.joint = True
    torch.testing.assert_close(predicted(method, masks), answers(None), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(answers(None), answers(may_look), atol=1e-4)


@pytest.mark.parametrize("joint", [False, True])
def test_where_another_block_lies_matters_in_one_sequence_alone(joint):
    """The published predictor asks for each block as if it were the only one, down to the last bit."""
    method = objective(joint=joint, predictor_depth=2).eval()
    first, others = [5, 6, 9, 10], ([7, 8, 11, 12], [12, 13, 14, 15])
    here, there = (predicted(method, masks_of(first, other))[:, 0] for other in others)
    assert torch.allclose(here, there, rtol=0, atol=1e-4) == (not joint)
    assert torch.equal(here, there) == (not joint)


def test_half_the_arithmetic():
    """A sequence of L tokens costs 24 L w² in products of weights and 4 L² w in attention, a layer."""
    context, blocks, target, width, depth, dim = 16, 4, 11, 64, 2, 96
    with scoped_global(0, "tests"):
        predictor = Predictor(dim, PatchGrid(8, 8, 8), width=width, depth=depth, heads=4)
    seen = torch.arange(context)[None]
    targets = torch.randint(64, (1, blocks, target), generator=torch.Generator().manual_seed(0))

    def counted(layout):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            predictor(torch.zeros(1, context, dim), seen, layout)
        return counter.get_total_flops()

    def formula(sequences, tokens):
        layers = depth * sequences * (24 * tokens * width**2 + 4 * tokens**2 * width)
        return layers + 2 * width * dim * (context + blocks * target)  # in and out of the predictor

    apart, joint = counted(targets), counted(targets.flatten(1)[:, None])
    assert apart == formula(blocks, context + target)
    assert joint == formula(1, context + blocks * target)
    assert 0.5 < joint / apart < 0.65


def test_the_regularised_form_has_it_too():
    """SIGReg sees the context alone, so its term stays as it is, bit by bit; what is predicted changes."""
    apart, joint = (ask(objective(IJEPASigReg, joint=joint), "loss").terms for joint in (False, True))
    assert torch.equal(apart["sigreg"], joint["sigreg"])
    assert apart["prediction"].item() != joint["prediction"].item()
    assert apart["prediction"].item() == pytest.approx(joint["prediction"].item(), rel=0.05)
