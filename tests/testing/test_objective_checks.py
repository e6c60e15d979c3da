"""Each rule for objectives is broken once, by an objective that breaks it."""

import copy

import pytest
import torch

from astrojepa_bench.recipe import Recipe
from astrojepa_bench.testing import checks_of
from astrojepa_bench.testing.rehearsal import Drawer
from astrojepa_bench.testing.templates.objective import TemplateObjective as Template
from astrojepa_bench.types import Loss, Prediction


def changed(loss, total):
    """Set another total on the loss."""
    return Loss(total, loss.terms)


class NotANumber(Template):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, loss.total / 0)


class OverContrast(Template):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, loss.total / batch.images.std())


class OverSpread(Template):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        seen = self.encoder(batch.images).values.mean(dim=1)
        return changed(loss, loss.total + (seen - seen.mean(dim=0)).square().sum(dim=0).sqrt().mean())


class OverPairs(Template):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, loss.total * len(batch.images) / (len(batch.images) - 1))


class Detached(Template):
    def loss(self, batch, draw, streams):
        seen = self.encoder(batch.images, keep=draw(batch.images, self.sizes).context).values.mean(dim=1)
        error = (self.head(seen.detach()) - batch.images.mean(dim=(2, 3))).square().mean()
        return Loss(error, {})


class Uphill(Template):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, 2 * loss.total.detach() - loss.total)


class ScoredAtTheStart(Template):
    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.start = copy.deepcopy(encoder)

    @property
    def scored_encoder(self):
        return self.start


class TaughtTeacher(ScoredAtTheStart):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, loss.total + self.start(batch.images).values.square().mean())


class Undeclared(Template):
    masks = "ignored"


class Mirrored(Template):
    def loss(self, batch, draw, streams):
        masks = draw(batch.images, self.sizes)
        seen = self.encoder(batch.images.flip(-1), keep=masks.context).values.mean(dim=1)
        return Loss(self.head(seen).square().mean(), {})


class Peeking(Template):
    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, loss.total + batch.labels[0])


class Unread(Template):
    columns = ("redshift",)


class StandingStill(Template):
    def recipe(self):
        return Recipe(learning_rate=0.0)


class Counting(Template):
    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.steps = 0  # no buffer: an interrupted run would begin at 0 again

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, loss.total * (1 + self.steps))

    def after_step(self, progress):
        self.steps += 1


class HalfAPrediction(Template):
    def predict(self, batch, draw, streams):
        tokens = self.encoder(batch.images).values[: len(batch.images) // 2, None]
        return Prediction(tokens, tokens)


class Optional(Template):
    masks = "optional"


class NeedsPatches(Optional):
    def loss(self, batch, draw, streams):
        return super().loss(batch, draw if draw.hides else Drawer(streams), streams)


class Refusing(NeedsPatches):
    @classmethod
    def skip(cls, encoder, masker):
        needs = None if getattr(encoder, "grid", "patches") else "it needs patches"
        return super().skip(encoder, masker) or needs


class Evasive(NeedsPatches):
    @classmethod
    def skip(cls, encoder, masker):
        return super().skip(encoder, masker) or ("" if masker.hides else None)


class NanHealth(Template):
    def health(self):
        return {"mean over nothing": float("nan")}


class SparseMemory(Template):
    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.register_buffer("memory", torch.eye(3).to_sparse())


class Bursting(Template):
    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.register_buffer("steps", torch.zeros(()))

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        return changed(loss, loss.total / (self.steps != 7))

    def after_step(self, progress):
        self.steps += 1


class HalfKept(Template):
    def __init__(self, encoder, grid, classes):
        super().__init__(encoder, grid, classes)
        self.register_buffer("bank", torch.zeros(64, self.head.out_features))

    def loss(self, batch, draw, streams):
        loss = super().loss(batch, draw, streams)
        self.new = self.head(torch.zeros(8, self.head.in_features)).detach()
        return loss

    def after_step(self, progress):
        self.bank[torch.arange(len(self.new))] = self.new


BROKEN = {
    "objective-health": (NanHealth, "health 'mean over nothing' is nan"),
    "objective-weights": (SparseMemory, "raised"),
    "objective-steps": (Bursting, "the loss is inf in step 7"),
    "objective-half-precision": (HalfKept, "raised RuntimeError"),
    "objective-finite": (NotANumber, "'total' is not finite"),
    "objective-edge-cases": (OverContrast, "all-zero image: loss term 'total'"),
    "objective-collapse": (OverSpread, "is not finite"),
    "objective-one-galaxy": (OverPairs, "'total' is not finite"),
    "objective-gradients": (Detached, "no gradient reaches the encoder"),
    "objective-learns": (Uphill, "the loss went from"),
    "objective-scored-encoder": (ScoredAtTheStart, "three steps left its features as they were"),
    "objective-teacher": (TaughtTeacher, "got a gradient"),
    "objective-masks": (Undeclared, "declares that it ignores masks, but draws some"),
    "objective-same-images": (Mirrored, "the encoder saw other images than the masker"),
    "objective-labels": (Peeking, "labels = 'none', but other labels give"),
    "objective-columns": (Unread, "declares the column 'redshift', but other values change nothing"),
    "objective-recipe": (StandingStill, "learning_rate"),
    "objective-state": (Counting, "with the same state the loss is"),
    "objective-prediction": (HalfAPrediction, "6 predictions for 12 galaxies"),
    "objective-skip": (Optional, "raised ConfigError: the objective asked for masks"),
}


def test_template_keeps_every_rule(outcomes):
    """What `new objective` writes passes before anything is changed."""
    assert [str(outcome) for outcome in outcomes("objective", Template).values() if outcome.fix] == []


@pytest.mark.parametrize("check", BROKEN)
def test_check_finds_the_objective_that_breaks_it(fault, check):
    """A rule that nothing can break is no rule."""
    factory, words = BROKEN[check]

    assert words in fault("objective", check, factory)


@pytest.mark.parametrize(
    ("factory", "found"),
    [(NeedsPatches, "raised TypeCheckError"), (Evasive, "skip returned '', expected a reason or None")],
    ids=["no patches", "no reason"],
)
def test_pairs_that_fail_are_to_be_refused_with_a_reason(fault, factory, found):
    """An encoder without patches is met as well as a masker that draws nothing."""
    assert found in fault("objective", "objective-skip", factory)


def test_refused_pairs_are_not_tried(outcomes):
    """A reason is an answer."""
    outcome = outcomes("objective", Refusing, "objective-skip")["objective-skip"]

    assert outcome.verdict == "passed", outcome


def test_every_objective_check_has_a_control():
    """A new check comes with an objective that it finds."""
    assert {check.id for check in checks_of("objective") if check.id.startswith("objective-")} == set(BROKEN)
