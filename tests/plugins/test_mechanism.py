"""Every objective learns what it says: its prediction improves, and is about this galaxy and no other.

A new objective is one line in `OBJECTIVES` (and one in `PAIRS` if it has no `predict`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from astrojepa_barlow_twins import BarlowTwins
from astrojepa_byol import BYOL
from astrojepa_dino import DINO
from astrojepa_ijepa import IJEPA, at, joined
from astrojepa_ijepa_sigreg import IJEPASigReg
from astrojepa_lejepa import LeJEPA
from astrojepa_lejepa_morphology import LeJEPAMorphology
from astrojepa_mae import MAE
from astrojepa_masked_lejepa import MaskedLeJEPA
from astrojepa_random import RandomPatches
from astrojepa_simclr import SimCLR
from astrojepa_supervised import Supervised
from astrojepa_vicreg import VICReg
from astrojepa_visreg import VISReg

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.geometry.grids import Masks
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.training.optimisers import make_optimiser
from astrojepa_bench.types import Card, GalaxyBatch, GalaxyTable, ImageSpec, Progress

SIZE, PATCH, CLASSES, BATCH = 32, 4, 3, 32
LEARNT, HELD_OUT = 256, 128
STEPS, FEW = 150, 75


@dataclass(frozen=True)
class Method:
    """How an objective is made small, and what is its prediction term."""

    make: Callable[..., object]
    term: str = "prediction"
    sees_itself_untrained: bool = False  # two views of a galaxy look alike to a random network already
    steps: int = STEPS


def small(factory, **options):
    return lambda encoder: factory(encoder, encoder.grid, CLASSES, batch_size=BATCH, **options)


FAST = {"learning_rate": 2e-3}  # for so few steps
PREDICTOR = {"predictor_width": 32, "predictor_depth": 1, "learning_rate": 1e-3}  # likewise
SIGREG = {"projector": 64, "embedding": 16, "slices": 64}
OBJECTIVES = {
    "ijepa": Method(small(IJEPA, **PREDICTOR)),
    "ijepa-sigreg": Method(small(IJEPASigReg, **PREDICTOR, **SIGREG)),
    "masked-lejepa": Method(small(MaskedLeJEPA, predictor_width=32, predictor_depth=1, **SIGREG)),
    "lejepa": Method(small(LeJEPA, **SIGREG), sees_itself_untrained=True),
    "lejepa-morphology": Method(small(LeJEPAMorphology, **SIGREG), "measurement"),
    "mae": Method(small(MAE, decoder_width=32, decoder_depth=1)),
    "vicreg": Method(small(VICReg, projector=64, embedding=16), "invariance", sees_itself_untrained=True),
    "visreg": Method(
        small(VISReg, projector=64, embedding=16, slices=64, local_views=2, **FAST),
        "prediction",
        True,
        steps=FEW,
    ),
    "simclr": Method(small(SimCLR, projector=64, embedding=16, **FAST), "contrast", True, steps=FEW),
    "barlow-twins": Method(small(BarlowTwins, projector=64), "invariance", True, steps=FEW),
    "byol": Method(small(BYOL, projector=64, embedding=16), steps=FEW),
    "dino": Method(small(DINO, outputs=64, local_views=2), "divergence", sees_itself_untrained=True),
    "supervised": Method(small(Supervised), "cross_entropy"),
}


# What takes long to halve.
LONG = ("lejepa", "visreg", "simclr", "byol", "dino", "lejepa-morphology", "ijepa-sigreg")


def predicted_and_actual(method, batch, draw, streams):
    """Return what `predict` answers, one row a galaxy."""
    answer = method.predict(batch, draw, streams)
    return answer.predicted.flatten(1), answer.actual.flatten(1)


def pooled_views(method, batch, streams):
    """Average the tokens of every view of the whole image."""
    views = method._augmented(batch.images, method.global_views, streams)
    return method.encoder(views).values.mean(dim=1)


def two_global_views(method, batch, draw, streams):
    """Return the projections of two views of the whole image."""
    return method.projector(pooled_views(method, batch, streams)).unflatten(0, (2, -1)).unbind()


def measured_and_true(method, batch, draw, streams):
    """Return the measurements read from one view of the whole image, and those made of the image."""
    read = method.head(pooled_views(method, batch, streams)).unflatten(0, (2, -1))
    return read[0], method.measurements(batch.images)


def classes_and_labels(method, batch, draw, streams):
    """Return the predicted chances of the classes, and certainty of the label."""
    return method.logits(batch.images).softmax(dim=1), torch.nn.functional.one_hot(batch.labels, CLASSES)


PAIRS = {
    "lejepa": two_global_views,
    "visreg": two_global_views,
    "lejepa-morphology": measured_and_true,
    "supervised": classes_and_labels,
}


@pytest.fixture(scope="module")
def table():
    """Draw galaxies of three kinds, each with its own size, tilt, place, colours and noise."""
    rng, count = np.random.default_rng(0), LEARNT + HELD_OUT
    kind = np.arange(count) % CLASSES
    each = (count, 1, 1)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    angle = rng.uniform(0, np.pi, each)
    x = axis[None, None, :] - rng.normal(0, 2, each)
    y = axis[None, :, None] - rng.normal(0, 2, each)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    flat = np.choose(kind, [1.0, 2.5, 1.2]).reshape(each)
    radius = np.hypot(along, across * flat) / rng.uniform(3, 6, each)
    ring = np.exp(-4 * (radius - 1) ** 2)
    light = np.where((kind == 2).reshape(each), ring, np.exp(-radius))
    colour = rng.uniform(0.4, 1, (count, 3, 1, 1))
    images = 0.1 + 0.8 * colour * light[:, None] + rng.normal(0, 0.02, (count, 3, SIZE, SIZE))
    return GalaxyTable(
        images=(255 * images.clip(0, 1)).astype(np.uint8),
        ids=np.array([f"galaxy-{row:03d}" for row in range(count)]),
        split=np.where(np.arange(count) < LEARNT, "train", "test"),
        spec=ImageSpec(("z", "r", "g"), SIZE, (0.2,) * 3, (0.15,) * 3),
        card=Card("invented", "CC0", "nobody"),
        fingerprint="invented",
        label=kind,
        anomaly=np.zeros(count, dtype=np.int64),
        anomaly_type=np.array([""] * count),
    )


def trainer_of(name, table, steps=STEPS):
    with scoped_global(0, "mechanism"):
        encoder = TokenViT(table.spec, patch=PATCH, width=48, depth=2, heads=4)
        objective = OBJECTIVES[name].make(encoder)
    budget = Budget("tiny", SIZE, PATCH, BATCH * steps, "vit-micro", "tests")
    images = DeviceImages(table.images, torch.device("cpu"))
    return Trainer(objective, RandomPatches(encoder.grid), table, images, budget, 0)


class SameForAll(RandomPatches):
    """Hides the same patches of every galaxy, so that its prediction can be held against any other's truth."""

    def draw(self, images, sizes, generator):
        masks = super().draw(images[:1], sizes, generator)
        sets = (masks.context, masks.targets)
        return Masks(*(each.expand(len(images), *each.shape[1:]) for each in sets))


@torch.no_grad()
def swap_costs(name, objective, table):
    """Measure, on galaxies that were not trained on, what exchanging truths costs, pair by pair."""
    objective.train()  # projectors normalise by the batch, trained or not
    rows = table.rows("test")
    images = torch.from_numpy(table.images[rows]).float() / 255
    batch = GalaxyBatch(images, torch.from_numpy(rows), torch.from_numpy(table.label[rows]))
    streams = Streams(1, 0, torch.device("cpu"))
    draw = MaskDraw(SameForAll(objective.grid), streams)
    predicted, actual = PAIRS.get(name, predicted_and_actual)(objective, batch, draw, streams)
    return swap_cost(predicted.double(), actual.double()).numpy()


def swap_cost(predicted, actual):
    """Compute what exchanging the truths of two galaxies costs, pair by pair: (after - before) / (after + before).

    The squared distances of both predictions are added. Perfect predictions cost 1; a prediction that is the
    same for every galaxy costs exactly 0, however odd some truths are; strangers' predictions cost 0 on average.
    """
    one, other = predicted.chunk(2), actual.chunk(2)
    apart = [(one[i] - other[j]).square().sum(dim=1) for i, j in ((0, 0), (1, 1), (0, 1), (1, 0))]
    before, after = apart[0] + apart[1], apart[2] + apart[3]
    return (after - before) / (after + before)


def student_t(values):
    """Return the mean in units of its standard error."""
    return values.mean() / (values.std(ddof=1) / math.sqrt(len(values)))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in OBJECTIVES]
)
def test_the_prediction_halves_on_one_repeated_batch(name, table):
    """Within 200 steps on the same galaxies, masks and views the prediction term falls below half of its start."""
    trainer, term = trainer_of(name, table, steps=200), OBJECTIVES[name].term
    objective = trainer.objective.train()
    optimiser = make_optimiser(objective, trainer.recipe)
    curve = []
    for step in range(200):
        loss = trainer.loss_of(objective, 0)
        curve.append(float(loss.terms[term].detach()))
        if curve[-1] < curve[0] / 2:
            return
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        objective.after_step(Progress(step + 1, 200))
    pytest.fail(f"{term} only fell from {curve[0]:.3f} to {min(curve):.3f}")


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_learnt_is_about_this_galaxy(name, table):
    """On galaxies never trained on, exchanging two truths costs, more than it costs the untrained objective.

    Paired over 64 pairs of galaxies. An untrained predictor, decoder or classifier pays next to nothing, since
    it knows nothing of the galaxy. Two views of a galaxy are alike for a random network already: there the
    control is that training must take away most of what it leaves.
    """
    trainer = trainer_of(name, table, OBJECTIVES[name].steps)
    before = swap_costs(name, trainer.objective, table)
    trainer.run()
    after = swap_costs(name, trainer.objective, table)

    assert student_t(after) > 4
    assert student_t(after - before) > 4
    if OBJECTIVES[name].sees_itself_untrained:
        assert (1 - after).mean() < (1 - before).mean() / 3
    else:
        assert abs(before.mean()) < after.mean() / 4


@pytest.mark.slow
def test_dense_prediction_is_about_what_the_context_shows_of_this_galaxy(table):
    """Only an I-JEPA that must predict its context too can tell one galaxy's context from another's."""
    costs = {}
    for dense in (0.0, 0.5):
        with scoped_global(0, "mechanism"):
            encoder = TokenViT(table.spec, patch=PATCH, width=48, depth=2, heads=4)
            objective = IJEPA(encoder, encoder.grid, 0, batch_size=BATCH, dense=dense, depths=2, **PREDICTOR)
        budget = Budget("tiny", SIZE, PATCH, BATCH * STEPS, "vit-micro", "tests")
        images = DeviceImages(table.images, torch.device("cpu"))
        Trainer(objective, RandomPatches(encoder.grid), table, images, budget, 0).run()
        costs[dense] = context_swap_costs(objective, table)

    assert student_t(costs[0.5]) > 4
    assert costs[0.5].mean() > 0.1
    assert abs(costs[0.0].mean()) < costs[0.5].mean() / 4


@torch.no_grad()
def context_swap_costs(objective, table):
    """Measure what exchanging the truths of two contexts costs, pair by pair, on galaxies never trained on."""
    images = torch.from_numpy(table.images[table.rows("test")]).float() / 255
    draw = MaskDraw(SameForAll(objective.grid), Streams(1, 0, torch.device("cpu")))
    masks = draw(images, objective.sizes)
    context = joined(objective.seen(images, masks))
    _, predicted = objective.predictor.dense(context, masks.context, masks.targets)
    actual = at(objective.latents(images), masks.context[:, None]).expand_as(predicted)
    return swap_cost(predicted.flatten(1).double(), actual.flatten(1).double()).numpy()


def test_exchanging_truths_costs_nothing_where_the_galaxy_is_ignored():
    """The statistic itself: constant predictions cost 0, perfect ones 1, strangers' ones nothing on average."""
    truth = torch.randn(400, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stranger = torch.randn(400, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    assert torch.equal(swap_cost(torch.ones_like(truth), truth), torch.zeros(200, dtype=torch.float64))
    assert torch.equal(swap_cost(truth, truth), torch.ones(200, dtype=torch.float64))
    assert abs(student_t(swap_cost(stranger, truth).numpy())) < 3
