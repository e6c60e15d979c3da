"""Sound objectives of every make pass `check`: teachers, queues, critics and sketches break no rule."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from astrojepa_bench.plugin import ConfigError, Loss, Objective, Recipe, augment

pytestmark = pytest.mark.slow


class Views(Objective):
    """Two views of each galaxy."""

    masks = "ignored"

    def recipe(self):
        return Recipe(learning_rate=0.002, batch_size=16)

    def two(self, batch, streams):
        if len(batch.images) < 2:
            raise ConfigError("it needs two galaxies")
        return [augment(batch.images, streams.local("views")) for _ in range(2)]


class Queue(Views):
    """Contrast with a queue of negatives, by a momentum encoder."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.head = nn.Linear(encoder.dim, 16)
        self.key = copy.deepcopy(nn.ModuleList([encoder, self.head])).requires_grad_(False)
        self.register_buffer("queue", functional.normalize(torch.randn(64, 16), dim=1))
        self.register_buffer("at", torch.zeros((), dtype=torch.long))

    def loss(self, batch, draw, streams):
        first, second = self.two(batch, streams)
        asked = functional.normalize(self.head(self.encoder(first).values.mean(1)), dim=1)
        with torch.no_grad():
            self.new = functional.normalize(self.key[1](self.key[0](second).values.mean(1)), dim=1)
        logits = torch.cat([(asked * self.new).sum(1, keepdim=True), asked @ self.queue.clone().T], 1) / 0.2
        total = functional.cross_entropy(logits, torch.zeros(len(asked), dtype=torch.long))
        return Loss(total, {"nce": total})

    @torch.no_grad()
    def after_step(self, progress):
        online = [*self.encoder.parameters(), *self.head.parameters()]
        for slow, fast in zip(self.key.parameters(), online, strict=True):
            slow.lerp_(fast, 0.1)
        where = (self.at + torch.arange(len(self.new))) % len(self.queue)
        self.queue[where] = self.new.to(self.queue.dtype)
        self.at.add_(len(self.new)).remainder_(len(self.queue))


class Distilled(Views):
    """A teacher's centred and sharpened answers; the centre moves in the loss itself."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.head = nn.Linear(encoder.dim, 16)
        self.teacher = copy.deepcopy(nn.ModuleList([encoder, self.head])).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(16))

    @property
    def scored_encoder(self):
        return self.teacher[0]

    def loss(self, batch, draw, streams):
        first, second = self.two(batch, streams)
        said = self.head(self.encoder(first).values.mean(1)).float()
        with torch.no_grad():
            taught = self.teacher[1](self.teacher[0](second).values.mean(1)).float()
            answers = ((taught - self.centre) / 0.04).softmax(1)
            self.centre.lerp_(taught.mean(0), 0.1)
        total = -(answers * (said / 0.1).log_softmax(1)).sum(1).mean()
        return Loss(total, {"dino": total})

    @torch.no_grad()
    def after_step(self, progress):
        online = [*self.encoder.parameters(), *self.head.parameters()]
        for slow, fast in zip(self.teacher.parameters(), online, strict=True):
            slow.lerp_(fast, 0.05)


class Critic(Views):
    """A critic with an optimiser of its own tells embeddings from a Gaussian; the encoder fools it."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.head = nn.Linear(encoder.dim, 8)
        self.critic = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)).requires_grad_(False)
        self.inner = torch.optim.Adam(self.critic.parameters(), lr=1e-3)

    def loss(self, batch, draw, streams):
        first, second = (
            self.head(self.encoder(view).values.mean(1)).float() for view in self.two(batch, streams)
        )
        both = torch.cat([first, second])
        self.fake = both.detach()
        self.real = torch.randn(both.shape, generator=streams.local("prior"))
        alike, fooled = (first - second).square().mean(), functional.softplus(-self.critic(both)).mean()
        return Loss(alike + 0.1 * fooled, {"alike": alike, "fooled": fooled})

    def after_step(self, progress):
        self.critic.requires_grad_(True)
        told = (
            functional.softplus(-self.critic(self.real)).mean()
            + functional.softplus(self.critic(self.fake)).mean()
        )
        self.inner.zero_grad()
        told.backward()
        self.inner.step()
        self.critic.requires_grad_(False)


class Sketch(Views):
    """Sorted random projections against a Gaussian's; the directions are drawn anew in every step."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.head = nn.Linear(encoder.dim, 8)

    def loss(self, batch, draw, streams):
        first, second = (
            self.head(self.encoder(view).values.mean(1)).float() for view in self.two(batch, streams)
        )
        lines = torch.randn(8, 32, generator=streams.local("lines"))
        lines = functional.normalize(lines, dim=0)
        goal = torch.randn(len(first), 32, generator=streams.local("goal")).sort(dim=0).values
        spread = ((first @ lines).sort(dim=0).values - goal).square().mean()
        alike = (first - second).square().mean()
        return Loss(alike + spread, {"alike": alike, "spread": spread})


class Gathering(Views):
    """A moment of the features that the loss itself gathers in a buffer."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.head = nn.Linear(encoder.dim, 8)
        self.register_buffer("moment", torch.zeros(8, 8))

    def loss(self, batch, draw, streams):
        first, second = (
            functional.normalize(self.head(self.encoder(view).values.mean(1)).float(), dim=1)
            for view in self.two(batch, streams)
        )
        moment = 0.9 * self.moment + 0.1 * first.T @ first / len(first)
        self.moment.copy_(moment.detach())
        total = 1 - (first * second).sum(1).mean() + ((first @ moment) * first).sum(1).mean()
        return Loss(total, {"all": total})


class ComesAndGoes(Views):
    """A term that is there from the third step to the fifth."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.register_buffer("steps", torch.zeros(()))

    def loss(self, batch, draw, streams):
        first, second = (self.encoder(view).values.mean(1) for view in self.two(batch, streams))
        total = (first - second).square().mean() + (1 - (first.var(0) + 1e-4).sqrt()).relu().mean()
        return Loss(total, {"total of it": total, **({"late": total} if 3 <= self.steps < 5 else {})})

    def after_step(self, progress):
        self.steps += 1


SOUND = (Queue, Distilled, Critic, Sketch, Gathering, ComesAndGoes)


class Hidden(Gathering):
    """Counts in a plain attribute, where no checkpoint looks."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.seen = {"steps": 0}

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return Loss(loss.total * (1 + self.seen["steps"]), loss.terms)

    def after_step(self, progress):
        self.seen["steps"] += 1


class QueueInHalf(Queue):
    """Puts what the loss left behind into its queue as it is, which on a GPU is of another type."""

    @torch.no_grad()
    def after_step(self, progress):
        self.queue[torch.arange(len(self.new))] = self.new


class Noisy(Sketch):
    """Weighs its loss by a global generator's number."""

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return Loss(loss.total * np.random.rand(), loss.terms)  # noqa: NPY002 what ought not to be done


class Lists(Gathering):
    """Keeps a list in its state dict."""

    def get_extra_state(self):
        return {"a": [1, 2]}

    def set_extra_state(self, state):
        pass


class Meta(Gathering):
    """Has a weight that is nowhere."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.nowhere = nn.Parameter(torch.empty(3, device="meta"))


class Double(Gathering):
    """Turns the encoder to 64 bits."""

    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.encoder.double()


class Named(Gathering):
    """Has a term without a name."""

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return Loss(loss.total, {"": loss.total})


BROKEN = {
    "objective-state": Hidden, "objective-half-precision": QueueInHalf, "global-random": Noisy,
    "objective-weights": Lists, "acts": Named,
}  # fmt: skip


@pytest.mark.parametrize("factory", SOUND, ids=lambda factory: factory.__name__.lower())
def test_a_sound_objective_breaks_no_rule(outcomes, factory):
    """A false alarm teaches people to ignore the true ones."""
    assert [str(outcome) for outcome in outcomes("objective", factory).values() if outcome.fix] == []


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_objective_breaks_one_rule(outcomes, check):
    """Its own; the rules that could only repeat it are skipped."""
    found = outcomes("objective", BROKEN[check])

    assert [name for name, outcome in found.items() if outcome.verdict == "failed"] == [check]


@pytest.mark.parametrize("factory", [Meta, Double])
def test_weights_that_are_odd_are_found(outcomes, factory):
    """Wherever they are met first."""
    assert [outcome for outcome in outcomes("objective", factory).values() if outcome.fix]
