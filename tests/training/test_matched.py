"""Budgets of arithmetic: the yardstick by hand, and steps that spend what it says."""

import dataclasses
import threading

import pytest
import torch

from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import Objective
from astrojepa_bench.runs.plan import flop_matched
from astrojepa_bench.training.budgets import BUDGETS, Budget, is_flop_matched
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.cost import UncountedError, count_image, count_step
from astrojepa_bench.types import ImageSpec, Loss

SPEC = ImageSpec(("z", "r", "g"), 64, (0.5,) * 3, (0.29,) * 3)


def by_hand(tokens, pixels, width, depth):
    """Two operations a weight and token in matrices of 12 D², and two products of all pairs of tokens, thrice."""
    block = 2 * tokens * 12 * width**2 + 2 * 2 * tokens**2 * width
    embedding = 2 * tokens * pixels * width
    return 3 * depth * block + 2 * embedding  # the images themselves need no gradient


def test_the_yardstick_is_what_the_formula_of_a_transformer_gives():
    """64 patches of 192 numbers, 96 wide, four blocks."""
    assert count_image(ViTMicro(SPEC)) == by_hand(64, 192, 96, 4) == 193_462_272


def test_the_yardstick_counts_what_a_plain_classifier_spends():
    """The same count as of a step that really computes, without its head."""

    class Classifies(Objective):
        masks = "ignored"

        def loss(self, batch, draw, streams):
            return Loss(self.encoder(batch).values.mean(), {})

    encoder = ViTMicro(SPEC, depth=2)
    step = count_step(
        Classifies(encoder, encoder.grid, 0), lambda own: own.loss(torch.rand(3, 3, 64, 64), 0, 0)
    )
    assert step.flops == 3 * count_image(encoder)


def test_a_matched_budget_is_the_yardstick_on_all_of_its_images():
    """It stands in the identity in place of the images, which leaves identities of other runs as they were."""
    name, plain = "small", BUDGETS["small"]
    matched = flop_matched(plain, load_registry())
    assert matched.flops == 25_000 * 193_462_272
    assert not is_flop_matched(plain.effort)
    assert plain.effort == f"{name} {plain.size_px}px {plain.seen} seen"
    assert is_flop_matched(matched.effort)
    assert matched.effort == f"{name} {plain.size_px}px {matched.flops} FLOP"


@pytest.fixture
def matched(make_trainer):
    """Make a trainer that is given so many times the arithmetic of one of its steps."""

    def make(steps, kind="lejepa"):
        trainer = make_trainer(kind)
        cost = trainer.count()
        trainer.budget = dataclasses.replace(trainer.budget, flops=round(steps * cost.flops))
        return trainer, cost

    return make


@pytest.mark.parametrize(("asked", "steps"), [(7.0, 7), (4.4, 4), (4.6, 5), (0.1, 1)])
def test_steps_spend_the_arithmetic_that_comes_nearest(matched, asked, steps):
    """Half a step is the most by which entries differ; one step is the least."""
    trainer, cost = matched(asked)
    trainer.count()
    assert trainer.steps == steps
    if asked > 1:
        assert abs(steps * cost.flops - trainer.budget.flops) <= cost.flops / 2


def test_a_dear_entry_sees_fewer_images_and_spends_as_much(make_trainer):
    """LeJEPA's six views against I-JEPA's context and teacher: other images, the same operations."""
    flops = 40 * make_trainer("lejepa").count().flops
    spent, seen = [], []
    for kind in ("lejepa", "ijepa"):
        trainer = make_trainer(kind)
        trainer.budget = dataclasses.replace(trainer.budget, flops=flops)
        cost = trainer.count()
        spent.append(trainer.steps * cost.flops)
        seen.append(trainer.steps)
        assert abs(spent[-1] - flops) <= cost.flops / 2
    assert seen[0] == 40 != seen[1]


def test_a_killed_matched_run_goes_on_where_it_was(matched, tmp_path):
    """The number of steps is counted again, to the same number, before the checkpoint is looked at."""

    class Killed(Checkpointer):
        def write(self, state):
            super().write(state)
            raise KeyboardInterrupt

    whole, _ = matched(5)
    expected = whole.run()
    with pytest.raises(KeyboardInterrupt):
        matched(5)[0].run(Killed(tmp_path / "state.pt", every_s=0))
    found = matched(5)[0].run(Checkpointer(tmp_path / "state.pt"))
    assert found.steps == expected.steps == 5
    assert found.state.curve == expected.state.curve


def test_what_cannot_be_counted_cannot_be_matched(make_trainer):
    """Without a count nobody knows how long to train; one line says what to do."""

    class Locks(Objective):
        masks = "ignored"

        def __init__(self, encoder):
            super().__init__(encoder, encoder.grid, 0)
            self.lock = threading.Lock()

        def loss(self, batch, draw, streams):
            return Loss(self.encoder(batch.images).values.square().mean(), {})

    trainer = make_trainer(Locks)
    trainer.run()
    again = make_trainer(Locks)
    again.budget = Budget("tiny", 32, 8, 16, "vit-micro", "tests", flops=10**9)
    with pytest.raises(
        UncountedError, match="of Locks cannot be counted, so it cannot be matched; run it without"
    ):
        again.run()
