"""Training on fewer galaxies: the same ones for every seed, as many images seen."""

import dataclasses

import numpy as np
import pytest
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Loss


class Reads(Objective):
    """Learns nothing much, from galaxies with or without labels."""

    masks = "ignored"

    def __init__(self, encoder):
        super().__init__(encoder, encoder.grid, 0)

    def recipe(self):
        return Recipe(learning_rate=1e-3, batch_size=4)

    def loss(self, batch, draw, streams):
        return Loss(self.encoder(batch.images).values.square().mean(), {})


class ReadsLabels(Reads):
    labels = "all"


@pytest.fixture
def trainer(table, make_objective):
    """Build a trainer on at most so many galaxies, 48 images seen."""

    def make(kind=Reads, galaxies=None, seed=0, table=table):
        budget = Budget("tiny", 32, 8, 48, "vit-micro", "tests", galaxies=galaxies)
        images = DeviceImages(table.images, torch.device("cpu"))
        return Trainer(make_objective(kind, seed), None, table, images, budget, seed)

    return make


def seen(trainer):
    return set(np.concatenate([trainer.order.at(step) for step in range(trainer.steps)]).tolist())


def test_every_seed_learns_from_the_same_few_galaxies(trainer):
    """Twelve of forty, nested in twenty, whatever the seed; every one of them is seen."""
    first, other, more = trainer(galaxies=12), trainer(galaxies=12, seed=1), trainer(galaxies=20)

    assert len(seen(first)) == 12
    assert seen(first) == seen(other) < seen(more)
    assert not np.array_equal(first.order.at(0), other.order.at(0))


def test_fewer_galaxies_see_as_many_images(trainer):
    """What is varied is the data, not the length of training."""
    results = [trainer(galaxies=most).run() for most in (12, None)]

    assert [result.images_seen for result in results] == [48, 48]


def test_few_galaxies_are_taken_from_train_and_pool_only(trainer, table):
    """A small set must not become an excuse to learn from test galaxies."""
    assert set(table.split[sorted(seen(trainer(galaxies=30)))]) == {"train", "pool"}


def test_labels_are_rationed_likewise(trainer, table):
    """An objective that reads labels gets at most so many labelled train galaxies, the same at every seed."""
    some = dataclasses.replace(table, label=np.where(np.arange(60) % 2, table.label, -1))
    rows = [seen(trainer(ReadsLabels, 6, seed, some)) for seed in (0, 1)]

    assert rows[0] == rows[1]
    assert len(rows[0]) == 6
    assert all(some.split[row] == "train" and some.label[row] >= 0 for row in rows[0])


def test_fewer_galaxies_than_a_batch_still_train(trainer):
    """A batch is then all there are, and no galaxy stands in it twice."""
    tiny = trainer(galaxies=3)

    assert tiny.batch_size == 3
    assert sorted(tiny.order.at(0)) == sorted(seen(tiny))
