"""What leaves a plugin while it trains bears its owner's name, and what it lacks costs no finished work."""

import threading

import pytest
import torch
from astrojepa_random import RandomPatches

from astrojepa_bench.border import owned, owner_of
from astrojepa_bench.errors import ContractError, DivergedError
from astrojepa_bench.events import listening
from astrojepa_bench.geometry.grids import MaskSizes
from astrojepa_bench.options import Offer
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Objective
from astrojepa_bench.runs.train import _curves
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.draw import UnreadMasks
from astrojepa_bench.types import Loss


class Learns(Objective):
    """Learns from the patches that it is shown, until somebody stands in its way."""

    masks = "required"

    def __init__(self, encoder):
        super().__init__(encoder, encoder.grid, 0)

    def recipe(self):
        return Recipe(learning_rate=1e-3, batch_size=16)

    def loss(self, batch, draw, streams):
        masks = draw(batch.images, MaskSizes(4, 1, 4))
        fit = self.encoder(batch.images, keep=masks.context).values.square().mean()
        return Loss(fit, {"fit": fit})


OBJECTIVE = Offer("objective", "learns", Learns, "hostile_objectives", "hostile", "", "", ())
MASKER = Offer("masker", "late", RandomPatches, "hostile_maskers", "hostile", "", "", ())


class Raises(Learns):
    def loss(self, batch, draw, streams):
        raise ValueError("out of paint")


class Slips(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("out of paint")


class RaisesBackwards(Learns):
    def loss(self, batch, draw, streams):
        return Loss(Slips.apply(super().loss(batch, draw, streams).total), {})


class RaisesAfterwards(Learns):
    def after_step(self, progress):
        raise ValueError("out of paint")


class RaisesWhenKept(Learns):
    def extra_state(self):
        raise ValueError("out of paint")


class RaisesInMode(Learns):
    def train(self, mode=True):
        raise ValueError("out of paint")


@pytest.mark.parametrize("kind", [Raises, RaisesBackwards, RaisesAfterwards, RaisesWhenKept, RaisesInMode])
def test_whatever_an_objective_raises_bears_its_name(make_trainer, kind):
    """In its loss, its gradient, after a step, where its state is asked for."""
    trainer = make_trainer(kind, steps=2)
    owned(trainer.objective, OBJECTIVE)
    with pytest.raises(ValueError, match="out of paint") as caught:
        trainer.run()
    assert owner_of(caught.value) is OBJECTIVE


class Late(RandomPatches):
    """Shows the first target from step 3 on (its fifth draw: the first is of a rehearsal)."""

    draws = 0

    def draw(self, images, sizes, generator):
        masks = super().draw(images, sizes, generator)
        self.draws += 1
        if self.draws > 4:
            masks.targets[:, 0, 0] = masks.context[:, 0]
        return masks


class Stumbles(Learns):
    """Cannot bear what the late masker shows it."""

    def loss(self, batch, draw, streams):
        if streams.step == 3:
            draw(batch.images, MaskSizes(4, 1, 4))
            raise ValueError("no convergence")
        return super().loss(batch, draw, streams)


@pytest.mark.parametrize("kind", [Learns, Stumbles])
@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "late"])
def test_masks_that_go_wrong_later_end_the_run(make_trainer, tmp_path, kind, is_late):
    """Read at once or every few steps, the masker is blamed, with the step, and no checkpoint is written."""
    unread = UnreadMasks() if is_late else None
    trainer = make_trainer(kind, steps=12)
    owned(trainer.objective, OBJECTIVE)
    trainer.masker, trainer.unread_masks = owned(Late(trainer.objective.grid), MASKER), unread
    with pytest.raises(ContractError, match=r"masker 'late' .* step 3: .* both context and target") as caught:
        trainer.run(Checkpointer(tmp_path / "state.pt", every_s=1e9))

    assert owner_of(caught.value) is MASKER
    assert not (tmp_path / "state.pt").exists()


def test_a_checkpoint_is_never_written_of_unread_masks(make_trainer, tmp_path):
    """What was trained on masks that are none must not be resumed."""
    trainer, steps = make_trainer(Learns, steps=12), []

    class Notes(Checkpointer):
        def write(self, state):
            steps.append(state["step"])

    trainer.masker, trainer.unread_masks = Late(trainer.objective.grid), UnreadMasks()
    with pytest.raises(ContractError):
        trainer.run(Notes(tmp_path / "state.pt", every_s=0))

    assert steps == [1, 2, 3]


class ComesAndGoes(Learns):
    """Has a term that appears at step 3, and one that goes then."""

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return Loss(loss.total, {"late" if streams.step >= 3 else "early": loss.total})


def test_terms_may_come_and_go(make_trainer):
    """Their curves hold the steps at which they were there."""
    trainer = make_trainer(ComesAndGoes, steps=5)
    curves = _curves(trainer, trainer.run())

    assert [step for step, _ in curves.loss_curve] == [1, 2, 3, 4, 5]
    steps = {name: [step for step, _ in curve] for name, curve in curves.term_curves.items()}
    assert steps == {"early": [1, 2, 3], "late": [4, 5]}


class LateAndInfinite(Learns):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return Loss(loss.total, {"late": loss.total / 0} if streams.step == 3 else {})


def test_a_late_term_that_is_infinite_is_named(make_trainer):
    """With its step, as any other."""
    with pytest.raises(DivergedError, match=r"'late'.*step 3"):
        make_trainer(LateAndInfinite, steps=5).run()


class Locks(Learns):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.lock = threading.Lock()


class KeepsAGraph(Learns):
    def __init__(self, encoder):
        super().__init__(encoder)
        self.kept = encoder(torch.rand(2, 3, 32, 32)).values * 2


@pytest.mark.parametrize("kind", [Locks, KeepsAGraph])
def test_an_objective_that_cannot_be_copied_trains_uncounted(make_trainer, kind):
    """Nothing is measured that would change it; a note says so, and it learns what its sound sister learns."""
    trainer, sister, heard = make_trainer(kind, steps=2), make_trainer(Learns, steps=2), []
    with listening(lambda event: heard.append(event.fields.get("text", ""))):
        result = trainer.run()

    assert (result.cost, dict(result.masks)) == (None, {})
    assert any(f"{kind.__name__} cannot be copied (" in text for text in heard)
    assert result.state.curve == sister.run().state.curve
