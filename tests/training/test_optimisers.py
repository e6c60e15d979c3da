"""What a recipe may choose: optimisers, rates, schedules, parts of a batch. Each against what it is by hand."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.events import listening
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.optimisers import gradient_norm, make_optimiser, step_unless
from astrojepa_bench.training.schedule import learning_rate, set_schedule
from astrojepa_bench.types import Loss

OPTIMISERS = [
    "adamw", "sgd", "lars",
    pytest.param("muon", marks=pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9")),
]  # fmt: skip


def slow(*optimisers):
    """Mark those that are for thorough runs; an older torch has no Muon."""
    lacks = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has no Muon before 2.9")
    return [pytest.param(each, marks=[pytest.mark.slow, *[lacks] * (each == "muon")]) for each in optimisers]


class Pair(nn.Module):
    """One hidden matrix, one matrix that is none, one vector."""

    def __init__(self):
        super().__init__()
        stream = np.random.default_rng(0)
        self.blocks = nn.ModuleList([nn.Linear(3, 4, bias=False), nn.Linear(4, 3)])
        for parameter in self.parameters():
            parameter.data = torch.from_numpy(stream.normal(size=parameter.shape)).float()
        self.head = nn.Linear(3, 2)


def gradients(module, seed):
    """Set and return gradients that a seed chooses."""
    stream = np.random.default_rng(seed)
    for parameter in module.parameters():
        parameter.grad = torch.from_numpy(stream.normal(size=parameter.shape)).float()
    return {name: each.grad.clone() for name, each in module.named_parameters()}


def values(module):
    return {name: each.detach().clone() for name, each in module.named_parameters()}


def test_lars_is_the_papers_step():
    """Equation 6: the rate of a matrix is that of its norm over its gradient's; vectors are plain momentum."""
    pair = Pair()
    recipe = Recipe(0.5, optimiser="lars", momentum=0.8, weight_decay=0.1)
    optimiser = make_optimiser(pair, recipe)
    expected, velocity = values(pair), {}
    for step in range(3):
        set_schedule(optimiser, recipe, 10 + step, 100)
        rate = learning_rate(recipe, 10 + step, 100)
        for name, gradient in gradients(pair, step).items():
            weight = expected[name]
            if weight.ndim > 1:
                trust = 1e-3 * weight.norm() / (gradient.norm() + 0.1 * weight.norm())
                gradient = trust * (gradient + 0.1 * weight)
            velocity[name] = 0.8 * velocity.get(name, 0) + gradient
            expected[name] = weight - rate * velocity[name]
        step_unless(optimiser, torch.zeros(()))

    for name, found in values(pair).items():
        torch.testing.assert_close(found, expected[name], msg=name)


def test_lars_adapts_matrices_that_do_not_decay():
    """Without weight decay the rate of a matrix still follows its norm."""
    pair = Pair()
    before = values(pair)
    optimiser = make_optimiser(pair, Recipe(1.0, optimiser="lars", momentum=0.0, weight_decay=0.0))
    set_schedule(optimiser, Recipe(1.0, weight_decay=0.0, warmup=0.0, schedule="constant"), 0, 10)
    gradients(pair, 1)
    optimiser.step()

    moved = {name: (before[name] - each).norm() for name, each in values(pair).items()}
    torch.testing.assert_close(moved["head.weight"], 1e-3 * before["head.weight"].norm())


def test_sgd_is_momentum_with_decay_on_matrices():
    """Velocity = m velocity + g + d w, w = w - rate velocity; vectors do not decay."""
    pair = Pair()
    recipe = Recipe(0.1, optimiser="sgd", momentum=0.5, weight_decay=0.2, schedule="constant", warmup=0.0)
    optimiser = make_optimiser(pair, recipe)
    expected, velocity = values(pair), {}
    for step in range(3):
        set_schedule(optimiser, recipe, step, 3)
        for name, gradient in gradients(pair, step).items():
            decay = 0.2 if expected[name].ndim > 1 else 0.0
            velocity[name] = 0.5 * velocity.get(name, 0) + gradient + decay * expected[name]
            expected[name] = expected[name] - 0.1 * velocity[name]
        step_unless(optimiser, torch.zeros(()))

    for name, found in values(pair).items():
        torch.testing.assert_close(found, expected[name], msg=name)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has no Muon before 2.9")
def test_muon_turns_hidden_matrices_alone_along_what_is_nearly_orthogonal():
    """Singular values of its step lie between .5 and 1.5 of its scale; everything else takes the steps of AdamW."""
    pair, adam = Pair(), Pair()
    adam.load_state_dict(pair.state_dict())
    recipe = Recipe(0.01, optimiser="muon", hidden="blocks.*", weight_decay=0.0, warmup=0.0)
    for module, chosen in ((pair, recipe), (adam, Recipe(0.01, weight_decay=0.0, warmup=0.0))):
        optimiser = make_optimiser(module, chosen)
        set_schedule(optimiser, chosen, 0, 10)
        before = values(module)
        gradients(module, 0)
        optimiser.step()

    same = [name for name, each in values(pair).items() if torch.equal(each, values(adam)[name])]
    assert same == ["blocks.1.bias", "head.weight", "head.bias"]
    step = torch.linalg.svdvals(before["blocks.0.weight"] - pair.blocks[0].weight.detach())
    scaled = step / (0.01 * 0.2 * 4**0.5)
    assert bool(((scaled > 0.5) & (scaled < 1.5)).all())


def test_muon_is_refused_in_one_line_where_torch_has_none(monkeypatch):
    """An older torch names what it takes."""
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(ConfigError, match=r"needs torch 2\.9 or later"):
        make_optimiser(Pair(), Recipe(0.1, optimiser="muon"))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_step_that_is_not_finite_moves_no_weight(optimiser):
    """Nor does any later one of a run that diverged; before it each weight moves."""
    pair = Pair()
    made = make_optimiser(pair, Recipe(0.1, optimiser=optimiser, hidden="blocks.*"))
    before = values(pair)
    gradients(pair, 0)
    step_unless(made, torch.zeros(()))
    between = values(pair)
    for _ in range(2):
        gradients(pair, 1)
        pair.head.weight.grad[0, 0] = float("nan")
        step_unless(made, torch.ones(()))

    assert not any(torch.equal(before[name], each) for name, each in between.items())
    assert all(torch.equal(between[name], each) for name, each in values(pair).items())


class Reads(TorchDispatchMode):
    """Counts the values that are read from the device, each of which holds a GPU up."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_step_waits_for_nothing(optimiser):
    """Norm, step and the look at what is not finite: a GPU goes on while they are computed."""
    pair = Pair()
    made = make_optimiser(pair, Recipe(0.1, optimiser=optimiser, hidden="blocks.*"))
    for step in range(2):
        gradients(pair, step)
        with Reads() as reads:
            norm = gradient_norm(pair, 1.0 if step else None)
            step_unless(made, (~norm.isfinite()).float())
        assert reads.count == 0


def test_rates_follow_names_and_zero_freezes():
    """Factors of all patterns that fit multiply; what is frozen has no gradient any more."""
    pair = Pair()
    rates = {"blocks.*": 0.5, "*.bias": 3.0, "head.bias": 0}
    recipe = Recipe(2.0, rates=rates, warmup=0.0)
    optimiser = make_optimiser(pair, recipe)
    set_schedule(optimiser, recipe, 0, 10)
    found = {id(each): group["lr"] for group in optimiser.param_groups for each in group["params"]}
    named = {name: found.get(id(each)) for name, each in pair.named_parameters()}

    assert named == {
        "blocks.0.weight": 1.0, "blocks.1.weight": 1.0, "blocks.1.bias": 3.0, "head.weight": 2.0,
        "head.bias": None,
    }  # fmt: skip
    assert not pair.head.bias.requires_grad


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ({"predictor.*": 2.0}, "'predictor.*', which fits none.*blocks.0.weight, head.bias"),
        ({"*": 0}, "freezes every parameter"),
    ],
)
def test_rates_that_mean_nothing_are_refused(rates, reason):
    """A pattern with a slip of the pen would train at another rate than its author believes."""
    with pytest.raises(ContractError, match=reason):
        make_optimiser(Pair(), Recipe(0.1, rates=rates))


@pytest.mark.parametrize(
    ("schedule", "final", "expected"),
    [
        ("cosine", 0.0, [0.5, 1.0, 1.0, 0.5]),
        ("cosine", 0.2, [0.5, 1.0, 1.0, 0.6]),
        ("linear", 0.2, [0.5, 1.0, 1.0, 0.6]),
        ("constant", 0.0, [0.5, 1.0, 1.0, 1.0]),
        ({0: 1.0, 0.25: 0.5, 1: 0.0}, 0.0, [0.5, 1.0, 1.0, 1 / 3]),
    ],
)
def test_schedule_after_the_warm_up(schedule, final, expected):
    """Two steps of warm-up, then four: its start and its middle."""
    recipe = Recipe(3.0, warmup=1 / 3, schedule=schedule, final=final)

    assert [learning_rate(recipe, step, 6) / 3.0 for step in (0, 1, 2, 4)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("scales_with", "expected"), [("none", 0.1), ("sqrt", 0.1 / 4), ("linear", 0.1 / 16)]
)
def test_the_rate_scales_with_the_batch_that_there_is(make_trainer, scales_with, expected):
    """Forty galaxies make a batch of forty, whatever the recipe asks for."""
    recipe = Recipe(0.1, batch_size=512, scales_with=scales_with, reference_batch=640)
    trainer = make_trainer(lambda encoder: Plain(encoder, recipe))

    assert trainer.batch_size == 40
    assert trainer.paced.learning_rate == pytest.approx(expected)


# --- in the loop --------------------------------------------------------------------------------------------


class Plain(Objective):
    """Learns what is near to every galaxy, with a recipe that it is given."""

    masks = "ignored"

    def __init__(self, encoder, recipe):
        super().__init__(encoder, encoder.grid, 0)
        self.head = nn.Linear(encoder.dim, 2)
        self.chosen = recipe
        self.parts = []

    def recipe(self):
        return self.chosen

    def loss(self, batch, draw, streams):
        self.parts.append((streams.step, batch.rows.tolist(), draw_of(streams)))
        angle = batch.rows.float()[:, None] / 10
        found = self.head(self.encoder(torch.zeros_like(batch.images)).values.mean(1))
        return Loss(((found - torch.cat([angle.cos(), angle.sin()], 1)) ** 2).mean(), {})


def draw_of(streams):
    return float(torch.rand((), generator=streams.local("noise")))


def trained(make_trainer, steps=2, **settings):
    recipe = Recipe(1e-2, batch_size=16, **settings)
    trainer = make_trainer(lambda encoder: Plain(encoder, recipe), steps=steps)
    return trainer.objective, trainer.run()


def test_a_step_in_parts_descends_the_mean_of_the_whole(make_trainer):
    """Of a loss that is a mean over galaxies: the weights, the curve and the cost of one batch."""
    whole, expected = trained(make_trainer)
    parts, found = trained(make_trainer, accumulation=4)

    for (step, terms), (other, wanted) in zip(found.state.curve, expected.state.curve, strict=True):
        assert step == other
        assert terms["total"] == pytest.approx(wanted["total"], rel=1e-5)
    torch.testing.assert_close(parts.state_dict(), whole.state_dict(), rtol=1e-3, atol=1e-5)
    assert (found.images_seen, found.cost) == (expected.images_seen, expected.cost)

    # each part has galaxies and random numbers of its own, the first one those of the batch
    last = [each for each in parts.parts if each[0] == 1]
    assert [len(rows) for _, rows, _ in last] == [4, 4, 4, 4]
    assert [row for _, rows, _ in last for row in rows] == whole.parts[-1][1]
    assert len({number for *_, number in last}) == 4
    assert last[0][2] == whole.parts[-1][2]


def test_fewer_galaxies_than_parts_are_parts_of_one(make_trainer):
    """A small set makes the batch smaller, and parts stay equal."""
    recipes = [Recipe(1e-2, batch_size=126, accumulation=each) for each in (9, 63)]
    trainers = [make_trainer(lambda encoder, recipe=recipe: Plain(encoder, recipe)) for recipe in recipes]

    assert [(each.batch_size, each.parts) for each in trainers] == [(36, 9), (40, 40)]


def test_without_a_clip_gradients_stay_and_their_norm_is_a_curve():
    """The norm that is measured is Euclid's; a clip scales to it."""
    pair = Pair()
    before = gradients(pair, 0)
    norm = float(torch.cat([each.flatten() for each in before.values()]).norm())

    assert float(gradient_norm(pair, None)) == pytest.approx(norm)
    assert all(torch.equal(each.grad, before[name]) for name, each in pair.named_parameters())
    assert float(gradient_norm(pair, norm / 2)) == pytest.approx(norm)
    assert float(gradient_norm(pair, None)) == pytest.approx(norm / 2, rel=1e-4)


def test_the_norm_is_recorded_where_nothing_is_clipped(make_trainer):
    """And nowhere else: who clips knows what it can be at most."""
    _, result = trained(make_trainer, steps=1, clip=None)
    _, clipped = trained(make_trainer, steps=1)

    assert all(terms["gradient norm"] > 0 for _, terms in result.state.curve)
    assert not any("gradient norm" in terms for _, terms in clipped.state.curve)


class Killed(Checkpointer):
    """Writes after every step and is killed as soon as step 2 is safe."""

    def write(self, state):
        super().write(state)
        if state["step"] == 2:
            raise KeyboardInterrupt


class Inner(Plain):
    """Also trains a critic by an optimiser of its own, once a step."""

    def __init__(self, encoder, recipe):
        super().__init__(encoder, recipe)
        self.critic = nn.Linear(2, 2)
        self.inner = torch.optim.SGD(self.critic.parameters(), lr=0.1, momentum=0.9)
        self.critic.requires_grad_(False)

    def after_step(self, progress):
        with torch.enable_grad():
            self.critic.requires_grad_(True)
            self.inner.zero_grad()
            self.critic(self.head.bias.detach()).square().sum().backward()
            self.inner.step()
            self.critic.requires_grad_(False)


@pytest.mark.parametrize("optimiser", ["lars", *slow("adamw", "sgd", "muon")])
def test_a_killed_run_resumes_to_the_very_same_weights(make_trainer, tmp_path, optimiser):
    """Every optimiser, with parts and an inner optimiser: the bits and the curve of a run that was not killed."""
    recipe = Recipe(1e-2, batch_size=16, optimiser=optimiser, accumulation=2, rates={"head.*": 2.0})
    path, heard = tmp_path / "state.pt", []

    def make():
        return make_trainer(lambda encoder: Inner(encoder, recipe), steps=4)

    whole, resumed = make(), make()
    expected = whole.run()
    with pytest.raises(KeyboardInterrupt):
        make().run(Killed(path, every_s=0))
    with listening(lambda event: heard.append(event.fields.get("text", ""))):
        found = resumed.run(Checkpointer(path))

    assert "resuming at step 2 of 4" in heard
    assert found.state.curve == expected.state.curve
    weights = whole.objective.state_dict()
    assert all(torch.equal(each, weights[name]) for name, each in resumed.objective.state_dict().items())


@pytest.mark.parametrize("optimiser", ["sgd", *slow("lars", "muon")])
def test_a_checkpoint_without_momentum_is_not_used(make_trainer, tmp_path, optimiser):
    """It would go on as another run; the run starts again instead."""
    recipe, path, heard = Recipe(1e-2, batch_size=16, optimiser=optimiser), tmp_path / "state.pt", []
    with pytest.raises(KeyboardInterrupt):
        make_trainer(lambda encoder: Plain(encoder, recipe), steps=4).run(Killed(path, every_s=0))
    saved = torch.load(path, weights_only=True)
    del saved["optimiser"]["state"][0]["momentum_buffer"]
    trainer = make_trainer(lambda encoder: Plain(encoder, recipe), steps=4)
    assert trainer._kept(Checkpointer(path)) is not None
    checkpoint = Checkpointer(path)
    checkpoint.write(saved)
    with listening(lambda event: heard.append(event.fields.get("text", ""))):
        trainer.run(checkpoint)

    assert any("lacks moments of parameter 0" in text for text in heard)
