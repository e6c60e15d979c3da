"""I-JEPA: the teacher follows and never learns, and what is hidden stays hidden."""

import math

import numpy as np
import pytest
import torch
from astrojepa_crop import cropped
from astrojepa_ijepa import IJEPA, nearest_target, warmed
from astrojepa_random import NoMasks, RandomPatches

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.cost import count_step
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Progress

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)


def objective(depth=2, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=32, depth=depth, heads=2)
        small = {"targets": 2, "predictor_width": 32, "predictor_depth": 1, "crop": None}
        return IJEPA(encoder, encoder.grid, 0, **{**small, **options})


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


@pytest.mark.parametrize("steps", [10, 196, pytest.param(5000, marks=pytest.mark.slow)])
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


# --- the rate of a batch ----------------------------------------------------------------------------------


def test_the_learning_rate_follows_the_batch():
    """Where none is given: 1e-3 at the published 2,048, a quarter of it at a sixteenth. A number stays."""
    recipe, own = objective(learning_rate=None).recipe(), objective(learning_rate=3e-4).recipe()
    rates = [recipe.at_batch(size).learning_rate for size in (2048, 512, 128, 32)]
    assert rates == pytest.approx([1e-3, 5e-4, 2.5e-4, 1.25e-4])
    assert own.at_batch(512).learning_rate == 3e-4


# --- dense: the context is predicted too ------------------------------------------------------------------


def test_distances_to_the_nearest_target_are_those_on_paper():
    """Targets in the upper left and lower right of a 4x4 grid; counted by hand."""
    seen = torch.tensor([[2, 3, 8, 5, 12, 15]])
    targets = torch.tensor([[[0, 1], [11, 10]]])
    by_hand = [1, 2, math.sqrt(4), 1, math.sqrt(5), 1]

    assert nearest_target(seen, targets, PatchGrid(4, 4, 8))[0].tolist() == pytest.approx(by_hand)


def test_the_dense_loss_is_the_sum_on_paper():
    """Each context patch by itself, in every block's pass, over the root of its distance, as loops in NumPy."""
    method = moved_apart(objective(dense=0.5)).requires_grad_(False)
    streams = Streams(0, 0, torch.device("cpu"))
    draw = MaskDraw(RandomPatches(method.grid), streams)
    loss, masks = method.loss(batch(), draw, streams), drawn(method)
    context = method.encoder(batch().images, keep=masks.context)
    at_targets, at_context = method.predictor.dense(context.values, masks.context, masks.targets)
    latents = method.latents(batch().images)
    terms = []
    for galaxy, block, place in np.ndindex(*at_context.shape[:3]):
        patch = int(masks.context[galaxy, place])
        hidden = masks.targets[galaxy].flatten().tolist()
        nearest = min(math.hypot(patch // 4 - each // 4, patch % 4 - each % 4) for each in hidden)
        apart = (at_context[galaxy, block, place] - latents[galaxy, patch]).abs()
        smooth = torch.where(apart < 1, apart.square() / 2, apart - 0.5)
        terms.append(float(smooth.mean()) / math.sqrt(nearest))

    assert float(loss.terms["context"]) == pytest.approx(np.mean(terms), rel=1e-4)
    torch.testing.assert_close(loss.total, loss.terms["prediction"] + 0.5 * loss.terms["context"])
    torch.testing.assert_close(at_targets, method.predictor(context.values, masks.context, masks.targets))


def drawn(method):
    """Draw the masks that the first call of step 0 gives."""
    streams = Streams(0, 0, torch.device("cpu"))
    return MaskDraw(RandomPatches(method.grid), streams)(batch().images, method.sizes)


@pytest.mark.parametrize(("progress", "weight"), [(0, 0), (1 / 9, 0), (1 / 6, 0.5), (2 / 9, 1), (1, 1)])
def test_the_context_joins_over_the_second_ninth_of_a_run(progress, weight):
    """15,000 to 30,000 of 135,000 steps as published; while it weighs nothing the loss is the plain one."""
    assert warmed(progress) == pytest.approx(weight)
    streams = Streams(0, 0, torch.device("cpu"), progress=progress)
    dense, plain = (
        moved_apart(method).loss(batch(), MaskDraw(RandomPatches(method.grid), streams), streams)
        for streams, method in (
            (streams, objective(dense=0.5)),
            (Streams(0, 0, torch.device("cpu")), objective()),
        )
    )

    torch.testing.assert_close(dense.terms["prediction"], plain.total)
    torch.testing.assert_close(dense.total, plain.total + weight * 0.5 * dense.terms["context"])


def test_the_context_term_alone_teaches_the_encoder():
    """Through the context alone: the encoder learns from what it can see, and the teacher does not."""
    method = objective(dense=0.5)
    answer_of(method, "loss").terms["context"].backward()

    assert all(p.grad is not None for p in method.encoder.parameters())
    assert not any(p.grad is not None for p in method.teacher.parameters())


# --- depths -----------------------------------------------------------------------------------------------


def test_targets_at_several_depths_are_the_teachers_layers():
    """Evenly spaced, each normalised by itself, the last one as without depths."""
    method = moved_apart(objective(depth=4, depths=2))
    layers = method.teacher.layers(batch().images)
    expected = [torch.nn.functional.layer_norm(layers[each].values, (32,)) for each in (1, 3)]
    found = method.latents(batch().images)

    torch.testing.assert_close(found, torch.cat(expected, dim=-1))
    torch.testing.assert_close(found[..., 32:], moved_apart(objective(depth=4)).latents(batch().images))
    assert answer_of(method, "predict").predicted.shape[-1] == 64
    answer_of(method, "loss").total.backward()
    assert all(p.grad is not None for p in method.encoder.parameters())


def test_tokens_of_layers_are_counted_as_those_of_the_output():
    """Several depths are read off one pass: context tokens of the encoder, all tokens of the teacher."""
    for depths in (1, 2):
        cost = count_step(objective(depths=depths), lambda method: answer_of(method, "loss"))
        assert cost.tokens == 8 * (objective().sizes.context + 16)


def test_more_depths_than_layers_are_refused():
    """The message says how many there are."""
    with pytest.raises(ConfigError, match="depths=3: the encoder has 2 layers"):
        answer_of(objective(depth=2, depths=3), "loss")


# --- crop -------------------------------------------------------------------------------------------------


class Seeing(MaskDraw):
    """Keeps the images that it is called on."""

    def __call__(self, images, sizes, hint=None):
        self.images = images
        return super().__call__(images, sizes, hint)


def test_masks_and_both_encoders_see_the_crop_and_predictions_the_whole_image():
    """The loss of a crop is the plain loss of the cropped images, drawn from the stream of its name."""
    streams = Streams(0, 0, torch.device("cpu"))
    method = moved_apart(objective(crop=0.3))
    draw = Seeing(RandomPatches(method.grid), streams)
    loss = method.loss(batch(), draw, streams)
    expected = cropped(batch().images, 0.3, Streams(0, 0, torch.device("cpu")).local("crop"))
    again = Streams(0, 0, torch.device("cpu"))
    whole = GalaxyBatch(expected, batch().rows, batch().labels)
    plain = moved_apart(objective()).loss(whole, MaskDraw(RandomPatches(method.grid), again), again)

    assert torch.equal(draw.images, expected)
    torch.testing.assert_close(loss.total, plain.total)
    method.predict(batch(), draw, streams)
    assert torch.equal(draw.images, batch().images)


@pytest.mark.parametrize("options", [{"dense": -1.0}, {"depths": 0}, {"crop": 0.0}, {"crop": 1.5}])
def test_choices_out_of_range_are_refused(options):
    """The message names the option and what is published."""
    with pytest.raises(ConfigError, match=rf"objective\.{next(iter(options))}="):
        objective(**options)
