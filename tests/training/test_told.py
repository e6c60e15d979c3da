"""What an objective is told beside images: labels and columns that it declares, of train and pool alone."""

import dataclasses

import numpy as np
import pytest
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.splitting.subset import label_count, labelled_subset
from astrojepa_bench.errors import ContractError, Unsuitable
from astrojepa_bench.recipe import Recipe
from astrojepa_bench.roles import Objective
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import GalaxyBatch, Loss


class Listens(Objective):
    """Keeps what it is told; its gradient is that of the mean token."""

    masks = "ignored"

    def __init__(self, encoder):
        super().__init__(encoder, encoder.grid, 3)
        self.heard = []

    def recipe(self):
        return Recipe(learning_rate=1e-3, batch_size=8)

    def loss(self, batch, draw, streams):
        self.heard.append(batch)
        return Loss(self.encoder(batch.images).values.square().mean(), {})


class HearsSome(Listens):
    labels = "some"


class HearsAll(Listens):
    labels = "all"


class HearsNumbers(Listens):
    columns = ("redshift", "spectrum")


@pytest.fixture
def told(table, make_objective):
    """Train two passes of an objective; gives the batches that it saw, joined."""
    known = dataclasses.replace(
        table,
        label=np.where(
            np.arange(60) % 5 == 0, -1, np.arange(60) % 3
        ),  # the pool's too, which nobody may read
        redshift=np.where(np.arange(60) == 1, np.nan, np.arange(60) / 10.0),
        columns={"spectrum": np.arange(180, dtype=np.float32).reshape(60, 3)},
    )

    def run(kind, **limits):
        budget = Budget("tiny", 32, 8, 80, "vit-micro", "tests", **limits)
        images = DeviceImages(known.images, torch.device("cpu"))
        trainer = Trainer(make_objective(kind), None, known, images, budget, 0)
        for step in range(trainer.steps):
            trainer.loss_of(trainer.objective, step)
        heard = trainer.objective.heard
        rows = torch.cat([each.rows for each in heard]).numpy()
        return known, rows, torch.cat([each.labels for each in heard]).numpy(), heard

    return run


def test_some_labels_are_told_beside_all_galaxies(told):
    """The pool is kept; what is told is the labels of train, and those of no other split."""
    table, rows, labels, _ = told(HearsSome)
    learnt = np.isin(table.split, ["train", "pool"])

    assert set(rows) == set(np.flatnonzero(learnt))
    np.testing.assert_array_equal(labels, np.where(table.split == "train", table.label, -1)[rows])
    assert (labels >= 0).any()
    assert (table.label[table.split == "pool"] >= 0).any()


def test_all_labels_are_told_and_nothing_else_is_seen(told):
    """As the ceiling has it: labelled galaxies of train alone."""
    table, rows, labels, _ = told(HearsAll)

    assert set(rows) == set(np.flatnonzero((table.split == "train") & (table.label >= 0)))
    np.testing.assert_array_equal(labels, table.label[rows])


def test_who_declares_nothing_is_told_nothing(told):
    """No label and no column; places and ids are nobody's secret."""
    table, rows, labels, heard = told(Listens)

    assert set(labels) == {-1}
    assert all(each.columns == {} for each in heard)
    assert {each.galaxies for each in heard} == {40}
    for each in heard:
        np.testing.assert_array_equal(each.ids, table.ids[each.rows.numpy()])
    places = torch.cat([each.places for each in heard]).numpy()
    assert set(places) == set(range(40))
    np.testing.assert_array_equal(np.flatnonzero(table.split != "test")[places], rows)


@pytest.mark.parametrize("kind", [HearsSome, HearsAll])
def test_few_labels_are_told_of_the_same_galaxies(told, kind):
    """Six labels, two of each class; who sees all galaxies is told them among the others."""
    table, rows, labels, _ = told(kind, labels=6)
    known = rows[labels >= 0]

    assert len(set(known)) == 6
    np.testing.assert_array_equal(np.bincount(table.label[sorted(set(known))]), [2, 2, 2])
    assert len(set(rows)) == (40 if kind is HearsSome else 6)


@pytest.mark.parametrize("kind", [HearsSome, HearsAll])
def test_labels_are_rationed_among_the_galaxies_that_are_left(told, kind):
    """As many labels as are allowed, of all classes, where they were lost with the galaxies that had them."""
    _, rows, labels, _ = told(kind, galaxies=20, labels=6)

    assert len(set(rows[labels >= 0].tolist())) == 6
    assert set(labels[labels >= 0].tolist()) == {0, 1, 2}


def test_labels_of_one_class_teach_nothing(told):
    """Three galaxies, of which two classes are not among: skipped with what to allow more of."""
    with pytest.raises(Unsuitable, match="of fewer than two classes; allow more with --pretraining"):
        told(HearsSome, galaxies=2)


def test_columns_are_told_as_they_are_and_as_nan_where_unknown(told):
    """One number a galaxy or several, float32, and never those of galaxies that nobody learns from."""
    table, rows, _, heard = told(HearsNumbers)
    redshift = torch.cat([each.columns["redshift"] for each in heard])
    spectrum = torch.cat([each.columns["spectrum"] for each in heard])

    assert (redshift.dtype, spectrum.shape) == (torch.float32, (len(rows), 3))
    np.testing.assert_array_equal(redshift.numpy(), table.redshift[rows].astype(np.float32))
    np.testing.assert_array_equal(spectrum.numpy(), table.columns["spectrum"][rows])
    assert bool(redshift.isnan().any())


def test_nothing_of_test_galaxies_reaches_the_device(table, make_objective):
    """Not even where nobody would look."""

    class HearsEverything(HearsSome):
        columns = ("redshift",)

    known = dataclasses.replace(table, redshift=np.ones(60))
    budget = Budget("tiny", 32, 8, 80, "vit-micro", "tests")
    images = DeviceImages(table.images, torch.device("cpu"))
    told = Trainer(make_objective(HearsEverything), None, known, images, budget, 0).told
    test = table.split == "test"

    assert set(told.labels[test].tolist()) == {-1}
    assert bool(told.columns["redshift"][test].isnan().all())
    assert set(told.places[test].tolist()) == {-1}


def test_label_subsets_are_stratified_and_nested():
    """Every size holds the classes by their shares, and lies in every larger one, wherever the rows stand."""
    stream = np.random.default_rng(0)
    label = stream.choice(4, size=400, p=[0.6, 0.25, 0.1, 0.05])
    ids = np.array([f"galaxy-{number}" for number in range(400)])
    rows = np.arange(400)
    share = np.bincount(label) / 400
    before = set()
    for most in (4, 10, 40, 133, 399):
        chosen = labelled_subset(ids, label, rows, most)
        assert len(chosen) == most
        assert np.abs(np.bincount(label[chosen], minlength=4) - most * share).max() < 2.5
        assert before <= set(chosen)
        assert len(set(label[chosen])) == 4
        before = set(chosen)
    order = stream.permutation(400)
    moved = labelled_subset(ids[order], label[order], rows, 40)
    assert set(ids[order][moved]) == set(ids[labelled_subset(ids, label, rows, 40)])
    assert label_count(0.001, 400) == 2


def test_a_batch_with_columns_of_another_length_is_refused():
    """The border of the ruler's own."""
    rows = torch.arange(4)
    with pytest.raises(ContractError, match="batch of 4 images, 3 rows of 'redshift'"):
        GalaxyBatch(torch.zeros(4, 3, 8, 8), rows, rows, {"redshift": torch.zeros(3)})
