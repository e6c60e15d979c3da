"""I-JEPA: the teacher follows and never learns, and what is hidden stays hidden."""

import math

import pytest
import torch
from astrojepa_ijepa import IJEPA
from astrojepa_random import NoMasks, RandomPatches

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Progress

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)


def objective(depth=2, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=32, depth=depth, heads=2)
        return IJEPA(encoder, encoder.grid, 0, targets=2, predictor_width=32, predictor_depth=1, **options)


def batch(galaxies=8):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def answer_of(method, verb, masker=RandomPatches):
    streams = Streams(0, 0, torch.device("cpu"))
    return getattr(method, verb)(batch(), MaskDraw(masker(method.grid), streams), streams)


def moved_apart(method):
    """Move the online encoder away from its teacher."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)
    return method


def test_no_gradient_reaches_the_teacher():
    """Encoder and predictor learn; the teacher neither receives nor wants gradient."""
    method = objective()
    loss = answer_of(method, "loss")
    loss.total.backward()

    assert loss.first_non_finite() is None
    assert not any(p.requires_grad or p.grad is not None for p in method.teacher.parameters())
    assert all(p.grad is not None for p in method.encoder.parameters())
    assert all(p.grad is not None for p in method.predictor.parameters())


def test_a_step_moves_the_teacher_once():
    """Every weight of the teacher becomes m·teacher + (1 - m)·online; the online encoder stays."""
    method = moved_apart(objective())
    teacher = [p.clone() for p in method.teacher.parameters()]
    online = [p.detach().clone() for p in method.encoder.parameters()]
    progress = Progress(7, 50)
    momentum = method.momentum(progress)
    method.after_step(progress)

    assert 0 < momentum < 1
    for found, old, new in zip(method.teacher.parameters(), teacher, online, strict=True):
        torch.testing.assert_close(found, momentum * old + (1 - momentum) * new)
    assert all(torch.equal(p, q) for p, q in zip(method.encoder.parameters(), online, strict=True))


@pytest.mark.parametrize("steps", [10, 196, 5000])
def test_less_than_one_percent_of_the_teachers_start_is_left(steps):
    """The recorded share is the product of all momenta, at most exp(-1/2h) = 0.7 % for h = 0.1."""
    method = objective(depth=1, horizon=0.1)
    for step in range(1, steps + 1):
        method.after_step(Progress(step, steps))
    left = method.health()["teacher_start_left"]
    expected = math.prod(method.momentum(Progress(step, steps)) for step in range(1, steps + 1))

    assert left == pytest.approx(expected)
    assert left < 0.01
    assert steps < 1000 or left == pytest.approx(math.exp(-5), rel=0.05)


def test_recorded_share_is_what_the_weights_keep():
    """With a frozen online encoder the distance to it shrinks by exactly the recorded share."""
    method = moved_apart(objective())
    start = method.teacher.embed.weight - method.encoder.embed.weight.detach()
    for step in range(1, 31):
        method.after_step(Progress(step, 40))
    left = method.teacher.embed.weight - method.encoder.embed.weight.detach()

    torch.testing.assert_close(left, method.health()["teacher_start_left"] * start, rtol=1e-3, atol=1e-5)


def test_momentum_rises_towards_one():
    """Momentum starts at 1 - 1/(h·steps) and rises without a jump, never above 1."""
    method = objective(horizon=0.1)
    momenta = [method.momentum(Progress(step, 196)) for step in range(1, 197)]

    assert momenta[0] == pytest.approx(1 - 1 / 19.6)
    assert momenta == sorted(momenta)
    assert 0.999 < momenta[-1] <= 1


def test_targets_are_normalised_token_by_token():
    """Each target has zero mean and unit variance, and carries no gradient."""
    answer = answer_of(moved_apart(objective()), "predict")
    tokens = answer.actual

    torch.testing.assert_close(tokens.mean(dim=-1), torch.zeros(tokens.shape[:-1]), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        tokens.var(dim=-1, correction=0), torch.ones(tokens.shape[:-1]), rtol=0, atol=1e-3
    )
    assert answer.predicted.requires_grad
    assert not tokens.requires_grad


def test_targets_are_the_teachers_tokens_at_their_places():
    """Target k of a block is the teacher's token at the k-th position of that block."""
    method = objective()
    answer = answer_of(method, "predict")
    whole = torch.nn.functional.layer_norm(method.teacher(batch().images).values, (32,))

    for galaxy, block in ((0, 0), (3, 1), (7, 0)):
        torch.testing.assert_close(
            answer.actual[galaxy, block], whole[galaxy, answer.positions[galaxy, block]]
        )


def test_hidden_patches_do_not_reach_the_context_tokens():
    """Other pixels outside the context leave every context token as it was, bit by bit."""
    method = objective()
    images = batch().images
    masks = RandomPatches(method.grid).draw(images, method.sizes, torch.Generator().manual_seed(1))
    seen = torch.zeros(len(images), 16).scatter(1, masks.context, 1.0).reshape(-1, 1, 4, 4)
    seen = seen.repeat_interleave(8, dim=2).repeat_interleave(8, dim=3).bool()
    hidden_changed = torch.where(seen, images, 1 - images)
    seen_changed = torch.where(seen, 1 - images, images)
    found = [
        method.encoder(given, keep=masks.context).values for given in (images, hidden_changed, seen_changed)
    ]

    assert torch.equal(found[0], found[1])
    assert not torch.isclose(found[0], found[2]).all(dim=-1).any()


def test_blocks_are_predicted_apart():
    """Asking for other blocks beside it does not change the answer for a block."""
    method = objective()
    generator = torch.Generator().manual_seed(2)
    context, seen = torch.randn(2, 3, 32, generator=generator), torch.tensor([[0, 1, 2]] * 2)
    blocks = torch.tensor([[[4, 5], [8, 9], [12, 13]]] * 2)
    together = method.predictor(context, seen, blocks)

    for block in range(3):
        alone = method.predictor(context, seen, blocks[:, block : block + 1])
        torch.testing.assert_close(together[:, block : block + 1], alone)


def test_a_masker_without_masks_is_refused():
    """There is nothing to predict where nothing is hidden."""
    with pytest.raises(ConfigError, match="needs masks"):
        answer_of(objective(), "loss", NoMasks)


@pytest.mark.parametrize("horizon", [0.0, 0.2])
def test_a_horizon_that_keeps_the_teachers_start_is_refused(horizon):
    """Longer horizons would break the 1 % promise."""
    with pytest.raises(ConfigError, match="horizon"):
        objective(horizon=horizon)
