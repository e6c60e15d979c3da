"""State beside parameters and buffers: kept in checkpoints, so that a killed run ends as one that was not."""

import random
from collections import deque

import numpy as np
import pytest
import torch
from torch import nn

from astrojepa_bench.border import owned, owner_of
from astrojepa_bench.errors import ContractError
from astrojepa_bench.events import listening
from astrojepa_bench.options import Offer
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.types import Loss


class Weighs(Objective):
    """Fits tokens to a number that comes from elsewhere, so that any other number is seen in the weights."""

    masks = "ignored"

    def __init__(self, encoder):
        super().__init__(encoder, encoder.grid, 0)
        self.begin()

    def begin(self): ...

    def number(self, batch):
        return 0.0

    def recipe(self):
        return Recipe(learning_rate=1e-3, batch_size=16)

    def loss(self, batch, draw, streams):
        fit = (self.encoder(batch.images).values.mean(1) - self.number(batch)).square().mean()
        return Loss(fit, {"fit": fit})


class TorchGenerator(Weighs):
    def begin(self):
        self.generator = torch.Generator().manual_seed(3)

    def number(self, batch):
        return torch.rand((), generator=self.generator)


class OtherGenerators(Weighs):
    def begin(self):
        self.numpy, self.twister = np.random.default_rng(3), np.random.Generator(np.random.MT19937(3))
        self.python = random.Random(3)

    def number(self, batch):
        return float(self.numpy.random() + self.twister.random() + self.python.random())


def drawn():
    return float(np.random.rand()) + random.random() + float(torch.rand(()))  # noqa: NPY002 a plugin's slip


def global_state():
    numpy = np.random.get_state()  # noqa: NPY002
    return random.getstate(), numpy[1].tolist(), torch.get_rng_state().tolist()


class GlobalGenerators(Weighs):
    def number(self, batch):
        return drawn()


class GlobalGeneratorsAfterwards(Weighs):
    def begin(self):
        self.register_buffer("drawn", torch.zeros(()))

    def number(self, batch):
        return self.drawn

    def after_step(self, progress):
        self.drawn.fill_(drawn())


class InnerOptimiser(Weighs):
    """A critic with an optimiser and a schedule of its own, which nobody declares."""

    def begin(self):
        self.critic = nn.Linear(32, 1).requires_grad_(False)
        self.inner = torch.optim.Adam(self.critic.parameters(), lr=0.05)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.inner, 2, gamma=0.5)

    def loss(self, batch, draw, streams):
        tokens = self.encoder(batch.images).values.mean(1)
        self.seen = tokens.detach()
        fit = self.critic(tokens).square().mean()
        return Loss(fit, {"fit": fit})

    def after_step(self, progress):
        self.critic.requires_grad_(True)
        self.inner.zero_grad()
        (self.critic(self.seen) - 1).square().mean().backward()
        self.inner.step()
        self.schedule.step()
        self.critic.requires_grad_(False)


class Declared(Weighs):
    """Numbers, containers, arrays and a module that is not registered."""

    def begin(self):
        self.count, self.queue, self.table = 0, [], {"mean": (np.zeros(2), np.float64(0))}
        self.hidden = [nn.Linear(1, 1)]

    def extra_state(self):
        return {"count": self.count, "queue": self.queue, "table": self.table, "layer": self.hidden[0]}

    def number(self, batch):
        mean, share = self.table["mean"]
        queued = sum(float(each) for each in self.queue[-2:])
        return self.count + queued + float(mean.sum() + share) + float(self.hidden[0].bias.detach())

    @torch.no_grad()
    def after_step(self, progress):
        self.count += 1
        self.queue.append(torch.tensor(float(progress.step)))
        self.table = {"mean": (np.full(2, progress.step / 7), np.float64(progress.share))}
        self.hidden[0].bias.fill_(progress.step)


class GrowingBuffers(Weighs):
    """A memory of one row a galaxy met, and a centre that is unknown until it is measured."""

    def begin(self):
        self.register_buffer("bank", torch.zeros(1))
        self.register_buffer("centre", None)

    def number(self, batch):
        missing = int(batch.rows.max()) + 1 - len(self.bank)
        self.bank = torch.cat([self.bank, self.bank.new_zeros(max(0, missing))])
        self.bank[batch.rows] += 1
        return self.bank.mean() + (0 if self.centre is None else self.centre)

    def after_step(self, progress):
        self.centre = torch.full((), progress.share)


class Everything(Declared, OtherGenerators, TorchGenerator):
    """Several of these at once."""

    def begin(self):
        for kind in (Declared, OtherGenerators, TorchGenerator):
            kind.begin(self)

    def number(self, batch):
        return sum(kind.number(self, batch) for kind in (Declared, OtherGenerators, TorchGenerator))


KINDS = [
    Everything,
    *(
        pytest.param(kind, marks=pytest.mark.slow)
        for kind in (
            InnerOptimiser,
            GrowingBuffers,
            TorchGenerator,
            OtherGenerators,
            GlobalGenerators,
            GlobalGeneratorsAfterwards,
            Declared,
        )
    ),
]


class Killed(Checkpointer):
    """Writes after every step and is killed as soon as step 3 is safe."""

    def write(self, state):
        super().write(state)
        if state["step"] == 3:
            raise KeyboardInterrupt


def weights(trainer):
    return {name: value.clone() for name, value in trainer.objective.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_run_goes_on_with_what_it_kept_elsewhere(make_trainer, tmp_path, kind):
    """Killed at step 3 of 6 and resumed, it ends with the bits and the curve of a run that was not."""
    whole, path, heard = make_trainer(kind, steps=6), tmp_path / "state.pt", []
    expected = whole.run()
    with pytest.raises(KeyboardInterrupt):
        make_trainer(kind, steps=6).run(Killed(path, every_s=0))
    drawn()  # the next process finds other states
    resumed = make_trainer(kind, steps=6)
    with listening(lambda event: heard.append(event.fields.get("text", ""))):
        found = resumed.run(Checkpointer(path))

    assert "resuming at step 3 of 6" in heard
    assert found.state.curve == expected.state.curve
    assert weights(resumed).keys() == weights(whole).keys()
    assert all(torch.equal(value, weights(whole)[name]) for name, value in weights(resumed).items())


def test_global_generators_are_lent_and_put_back(make_trainer):
    """A run draws from its own seed, and whoever comes after it finds them as they were."""
    before = global_state()
    curve = make_trainer(GlobalGenerators, steps=2).run().state.curve
    after = global_state()
    other = make_trainer(GlobalGenerators, seed=1, steps=2).run().state.curve

    assert before == after
    assert curve != other


class Undeclarable(Weighs):
    """Cannot be kept: a queue of another type, a name that is nobody's, no mapping."""

    state: object = None
    steps = 0

    def begin(self):
        self.recent = deque([1.0])

    def loss(self, batch, draw, streams):
        self.steps += 1
        return super().loss(batch, draw, streams)

    def extra_state(self):
        return {"recent": {"recent": self.recent}, "nobody": {"nobody": 1.0}, "list": [1.0]}[self.state]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("recent", "state 'recent' is a deque, which a checkpoint cannot hold"),
        ("nobody", "'nobody' is no attribute"),
        ("list", "returned a list"),
    ],
)
def test_state_that_cannot_be_kept_is_refused_before_training(make_trainer, state, found):
    """In its owner's name, and before a step is taken."""
    offer = Offer("objective", "weighs", Weighs, "hostile", "hostile", "", "", ())
    trainer = make_trainer(Undeclarable, steps=2)
    owned(trainer.objective, offer).state = state
    with pytest.raises(ContractError, match=found) as caught:
        trainer.run()

    assert owner_of(caught.value) is offer
    assert trainer.objective.steps == 0


SLOW = pytest.mark.slow
LOST = ["a moment", "of the inner one", "a moment's shape", "a group", "what was declared"]


@pytest.mark.parametrize("lost", [*LOST[:2], *(pytest.param(each, marks=SLOW) for each in LOST[2:])])
def test_state_that_does_not_fit_is_refused_before_any_is_loaded(make_trainer, tmp_path, lost):
    """Entry by entry: the optimiser's, an inner optimiser's, what was declared. The run starts anew and says so."""
    path, heard = tmp_path / "state.pt", []
    with pytest.raises(KeyboardInterrupt):
        make_trainer(InnerOptimiser, steps=6).run(Killed(path, every_s=0))
    saved = torch.load(path, weights_only=True)
    moments = saved["optimiser"]["state"][0]
    match lost:
        case "a moment":
            del moments["exp_avg"]
        case "a moment's shape":
            moments["exp_avg"] = moments["exp_avg"][:1]
        case "a group":
            saved["optimiser"]["param_groups"].pop()
        case "of the inner one":
            saved["hidden"]["inner"]["param_groups"][0]["params"].append(2)
        case "what was declared":
            saved["hidden"]["count"] = 3
    Checkpointer(path).write(saved)
    fresh, again = make_trainer(InnerOptimiser, steps=6), make_trainer(InnerOptimiser, steps=6)
    with listening(lambda event: heard.append(event.fields.get("text", ""))):
        state = again._resume(Checkpointer(path))

    assert "its code has changed since; it trains from the start" in heard[0]
    assert state.step == 0
    assert all(torch.equal(value, weights(fresh)[name]) for name, value in weights(again).items())
    assert not again.optimiser.state
    assert not again.objective.inner.state
