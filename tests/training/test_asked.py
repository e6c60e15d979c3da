"""What objectives hand over: examined where their owner is known, refused in a line that says what was found."""

import dataclasses

import numpy as np
import pytest
import torch

from astrojepa_bench.border import owned, owner_of
from astrojepa_bench.errors import ContractError
from astrojepa_bench.events import listening
from astrojepa_bench.options import Offer
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Objective
from astrojepa_bench.streams import Streams
from astrojepa_bench.training.asked import (
    health_of,
    loss_of,
    prediction_of,
    recipe_of,
    scored_encoder,
)
from astrojepa_bench.types import GalaxyBatch, Loss, Prediction

ONE = torch.ones((), requires_grad=True)
CPU = torch.device("cpu")


class Says(Objective):
    """Hands out whatever it is told to."""

    masks = "ignored"
    answer: object = None

    def loss(self, batch, draw, streams):
        return self.answer

    def recipe(self):
        return self.answer

    def health(self):
        return self.answer

    def predict(self, batch, draw, streams):
        return self.answer


OFFER = Offer("objective", "says", Says, "hostile", "hostile", "", "", ())


@pytest.fixture
def says(make_objective):
    """Build an objective of an offer that gives this answer to every question."""

    def make(answer):
        objective = owned(make_objective(lambda encoder: Says(encoder, encoder.grid, 0)), OFFER)
        objective.answer = answer
        return objective

    return make


def made(kind, **fields):
    """Make one as plugins do, whose calls nothing checks against the annotations."""
    one = object.__new__(kind)
    defaults = {
        each.name: each.default
        for each in dataclasses.fields(kind)
        if each.default is not dataclasses.MISSING
    }
    for name, value in {**defaults, **fields}.items():
        object.__setattr__(one, name, value)
    one.__post_init__()
    return one


def batch(count=4):
    return GalaxyBatch(torch.rand(count, 3, 32, 32), torch.arange(count), torch.full((count,), -1))


# --- Loss ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "terms", "found"),
    [
        (1.0, {}, "total of a loss is 1.0"),
        (None, {}, "total of a loss is None"),
        (torch.ones(3), {}, r"shape \(3,\)"),
        (torch.ones((), dtype=torch.long), {}, "int64"),
        (torch.ones((), dtype=torch.complex64), {}, "complex64"),
        (ONE, {"many": torch.ones(3)}, r"'many' is a tensor of shape \(3,\)"),
        (ONE, {"word": "fine"}, "'word' is 'fine'"),
        (ONE, {"nothing": None}, "'nothing' is None"),
        (ONE, {"total": ONE}, "name of the total itself"),
        (ONE, {"": ONE}, "'' is no name"),
        (ONE, {"a\nb": ONE}, "no name"),
        (ONE, {"a" * 101: ONE}, "no name"),
        (ONE, {1: ONE}, "1 is no name"),
        (ONE, [ONE], "terms of a loss are a list"),
    ],
)
def test_a_loss_is_one_number_and_named_ones(total, terms, found):
    """Everything else is refused where it is made, which is in its owner's code."""
    with pytest.raises(ContractError, match=found):
        made(Loss, total=total, terms=terms)


def test_what_is_a_number_counts_as_one():
    """A tensor of one element whatever its shape, and plain numbers as terms; names may be as odd as they print."""
    terms = {"plain": 1.5, "numpy": np.float32(2), "count": torch.tensor([3]), "<b>é|🙂": ONE}
    loss = made(Loss, total=ONE[None], terms=terms)

    assert loss.total.shape == ()
    assert {name: float(value.detach()) for name, value in loss.terms.items()} == {
        "plain": 1.5,
        "numpy": 2.0,
        "count": 3.0,
        "<b>é|🙂": 1.0,
    }
    loss.total.backward()
    assert float(ONE.grad) == 1


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (None, "returned None; expected Loss"),
        (ONE, r"returned a tensor of shape \(\)"),
        (Loss(ONE.detach(), {}), "no gradient"),
        (Loss(torch.ones((), device="meta", requires_grad=True), {}), "on meta; expected it on cpu"),
    ],
)
def test_a_loss_can_be_descended(says, answer, found):
    """What cannot is refused before anything is done with it, in its owner's name."""
    with pytest.raises(ContractError, match=found) as caught:
        loss_of(says(answer), batch(), None, Streams(0, 0, CPU), CPU)
    assert owner_of(caught.value) is OFFER


# --- Recipe -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setting",
    [
        {"learning_rate": float("nan")},
        {"learning_rate": 0},
        {"learning_rate": "fast"},
        {"learning_rate": torch.tensor(0.1)},
        {"batch_size": 0},
        {"batch_size": -3},
        {"batch_size": 1.5},
        {"batch_size": True},
        {"betas": (0.9, 1.0)},
        {"betas": (0.9,)},
        {"betas": 0.9},
        {"weight_decay": -0.1},
        {"weight_decay_end": float("inf")},
        {"warmup": 2.0},
        {"clip": 0.0},
        {"clip": float("inf")},
        {"optimiser": "adam"},
        {"scales_with": "batch"},
        {"batch_size": 128, "accumulation": 3},
        {"momentum": 1},
        {"hidden": ("*",)},
        {"rates": {"a": -1}},
        {"rates": {1: 1}},
        {"rates": [1]},
        {"schedule": {0: 1.0, 0.5: 1.0}},
        {"schedule": {0: 1.0, 1: -1.0}},
        {"schedule": {1: 1.0, 0: 1.0}},
        {"schedule": [1.0, 0.0]},
        {"schedule": "stepwise"},
        {"schedule": "constant", "final": 0.5},
        {"final": 2},
        {"reference_batch": 0},
    ],
    ids=str,
)
def test_a_recipe_that_no_optimiser_can_follow_is_refused(setting):
    """Naming the setting and what it may be."""
    name = next(iter(setting))
    with pytest.raises(ContractError, match=f"recipe: {name}=.*; expected "):
        made(Recipe, **{"learning_rate": 0.001, **setting})


def test_a_recipe_holds_plain_numbers():
    """NumPy's would be refused when a checkpoint is read back."""
    half, betas = np.float64(0.5), [np.float32(0.5), 0.75]
    recipe = made(Recipe, learning_rate=half, batch_size=np.int64(8), betas=betas, warmup=np.float32(1))

    assert recipe == Recipe(0.5, batch_size=8, betas=(0.5, 0.75), warmup=1.0)
    assert {type(value) for value in (recipe.learning_rate, recipe.warmup, *recipe.betas)} == {float}
    assert type(recipe.batch_size) is int


def test_an_objective_has_a_recipe_and_something_to_train(says):
    """A dict is none, and where everything is frozen no run begins."""
    frozen = says(Recipe(0.001))
    frozen.requires_grad_(False)

    assert recipe_of(says(Recipe(0.5))) == Recipe(0.5)
    for objective, found in (
        (says({"learning_rate": 1}), "returned a dict; expected a Recipe"),
        (frozen, "no parameter that learns"),
    ):
        with pytest.raises(ContractError, match=found) as caught:
            recipe_of(objective)
        assert owner_of(caught.value) is OFFER


# --- the other questions --------------------------------------------------------------------------------------


class Hides(Says):
    """Scores something that is no encoder."""

    @property
    def scored_encoder(self):
        return torch.nn.Linear(2, 2)


def test_what_is_scored_is_an_encoder(says, make_objective):
    """Known before anything is trained."""
    objective = owned(make_objective(lambda encoder: Hides(encoder, encoder.grid, 0)), OFFER)

    assert scored_encoder(says(None)) is not None
    with pytest.raises(ContractError, match="is a Linear; expected an Encoder") as caught:
        scored_encoder(objective)
    assert owner_of(caught.value) is OFFER


@pytest.mark.parametrize(
    ("health", "found"),
    [
        (None, "returned None"),
        ({"mood": "fine"}, "'mood' is 'fine'"),
        ({"x": torch.ones(2)}, r"shape \(2,\)"),
        ({"x": None}, "'x' is None"),
        ({1: 2.0}, "1 is no name"),
        ({"x" * 300: 2.0}, "no name"),
    ],
    ids=str,
)
def test_health_is_named_numbers(says, health, found):
    """Whatever is none is refused in its owner's name, in a line of sensible length."""
    with pytest.raises(ContractError, match=found) as caught:
        health_of(says(health), ())
    assert owner_of(caught.value) is OFFER
    assert len(str(caught.value)) < 300


def test_health_that_cannot_be_recorded_is_left_out_with_a_note(says):
    """NaN describes nothing, and the ruler's own numbers are not an objective's to give."""
    health = {
        "mean": float("nan"),
        "effective_rank": 999.0,
        "n": 3,
        "left": 0.5 * ONE,
        "s": np.float32(2),
    }
    heard = []
    with listening(lambda event: heard.append(event.fields["text"])):
        numbers = health_of(says(health), ("effective_rank",))

    assert numbers == {"n": 3, "left": 0.5, "s": 2.0}
    assert ["'mean' is nan" in heard[0], "'effective_rank' has the name" in heard[1]] == [True, True]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (torch.ones(4), "expected a Prediction or None"),
        (Prediction(torch.ones(2, 1, 3, 8), torch.ones(2, 1, 3, 8)), "2 predictions for 4 galaxies"),
    ],
)
def test_a_prediction_is_one_for_each_galaxy(says, answer, found):
    """And none at all is an answer too."""
    assert prediction_of(says(None), batch(), None, Streams(0, 0, CPU)) is None
    with pytest.raises(ContractError, match=found) as caught:
        prediction_of(says(answer), batch(), None, Streams(0, 0, CPU))
    assert owner_of(caught.value) is OFFER


@pytest.mark.parametrize(("predicted", "actual"), [((2, 3), (2, 3)), ((2, 1, 3, 4), (2, 1, 3, 5))])
def test_a_prediction_has_latents_block_by_block(predicted, actual):
    """Of equal shapes."""
    with pytest.raises(ContractError, match="expected"):
        made(Prediction, predicted=torch.ones(predicted), actual=torch.ones(actual))
