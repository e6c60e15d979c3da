"""The weighted neighbour vote against scikit-learn's."""

from itertools import permutations

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.probes.neighbours import Directions
from astrojepa_bench.evaluators.probes.votes import _shared, vote


def parts_of(clouds, **options):
    """Three splits of one population."""
    return [clouds(count, seed=seed, **options) for seed, count in enumerate((400, 100, 1300))]


def test_predictions_equal_scikit_learns(make_answers, clouds):
    """Cosine on features without the train mean, weights exp(s / T); more test galaxies than one chunk."""
    (x, y), _, (x_test, _) = parts = parts_of(clouds, spread=0.8)
    theirs = KNeighborsClassifier(20, metric="cosine", weights=lambda d: np.exp((1 - d) / 0.07))
    theirs.fit(x - x.mean(axis=0), y)
    ours = KNN().evaluate(make_answers(*parts)).predictions["class"]

    assert (ours == theirs.predict(x_test - x.mean(axis=0))).mean() > 0.998


def test_common_offset_changes_nothing(make_answers, clouds):
    """A vector that all galaxies share is no information; without centring it would hide the rest."""
    parts = parts_of(clouds, spread=0.8)
    moved = [(x + 20, y) for x, y in parts]
    plain, offset = (KNN().evaluate(make_answers(*p)).predictions["class"] for p in (parts, moved))

    assert (plain == offset).mean() > 0.99


def test_rotation_and_common_scale_change_nothing(make_answers, clouds):
    """Cosine knows neither axes nor units."""
    parts = parts_of(clouds, spread=0.8)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))[0]
    turned = [(1e3 * x @ turn, y) for x, y in parts]
    plain, other = (KNN().evaluate(make_answers(*p)).predictions["class"] for p in (parts, turned))

    assert (plain == other).mean() > 0.998


def test_near_neighbours_outvote_many_far_ones(make_answers):
    """One neighbour at cosine 1 weighs more than nineteen at 0, and less once the temperature is high."""
    x = np.concatenate([[[4.0, 0.0]], np.tile([[0.0, 1.0]], (19, 1)), np.tile([[-0.2, -0.95]], (20, 1))])
    y = np.array([0] + [1] * 19 + [2] * 20)
    x = x - x.mean(axis=0)
    probe = (x[:1], y[:1])
    cold, hot = (
        KNN(temperature=t).evaluate(make_answers((x, y), probe, probe)).predictions["class"]
        for t in (0.07, 100.0)
    )

    assert (cold[0], hot[0]) == (0, 1)


def test_fewer_train_galaxies_than_neighbours_is_a_warning(make_answers, clouds):
    """All of them vote, and the reader is told."""
    few = clouds(8, spread=0.1)
    found = KNN().evaluate(make_answers(few, few, few))

    assert found.warnings == ("only 8 train galaxies for k = 20; all of them vote",)
    assert all(np.isfinite(score.value) for score in found)


def test_constant_features_are_a_warning(make_answers):
    """Arbitrary neighbours must not pass for real ones."""
    part = (np.full((40, 6), 3.5), np.arange(40) % 2)

    assert "constant" in KNN().evaluate(make_answers(part, part, part)).warnings[0]


@pytest.mark.parametrize("k", [1, 5, 20])
def test_one_galaxy_in_validation_and_test_is_enough(make_answers, clouds, k):
    """Splits smaller than k are scored like any other."""
    train, one = clouds(60, spread=0.1), clouds(1, spread=0.1, seed=3)

    assert len(KNN(k=k).evaluate(make_answers(train, one, one)).ids) == 1


@pytest.mark.parametrize("value", [0.0, 3.5, 0.1])
def test_constant_features_name_the_most_frequent_class_and_score_chance(make_answers, value):
    """Twenty of 300 equally near galaxies would be an accident of order, and their vote 23 % where chance is 41."""
    stream = np.random.default_rng(0)
    parts = [
        (np.full((count, 6), value), stream.choice(3, count, p=[0.3, 0.5, 0.2])) for count in (300, 60, 200)
    ]
    found = KNN().evaluate(make_answers(*parts))
    scores = {score.metric: score for score in found}

    assert set(found.predictions["class"].tolist()) == {1}
    assert scores["accuracy"].value == scores["accuracy"].chance
    assert scores["balanced_accuracy"].value == pytest.approx(scores["balanced_accuracy"].chance)


def test_neighbours_equally_near_share_the_votes_as_if_averaged_over_all_orders():
    """Votes of three copies of a galaxy for one place, against the mean over every order of the table."""
    unit = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [-1.0, 0.0]])
    label = torch.tensor([0, 1, 1, 2, 2])
    directions = Directions(torch.zeros(2), unit)
    weight = np.exp(-0.4 / 0.5)
    counted = np.zeros(3)
    for order in permutations(range(5)):
        first = sorted(order, key=lambda row: -float(unit[row, 0]))[
            :2
        ]  # a stable sort keeps the table's order
        for row in first:
            counted[label[row]] += (weight if row else 1.0) / 120
    tied = _shared(torch.tensor([[1.0, 0.6, 0.6, 0.6, -1.0]]), torch.tensor([[1.0, 0.6]]), 0.5)
    expected = np.bincount(label.numpy(), weights=tied[0].numpy(), minlength=3)

    assert expected == pytest.approx(counted, rel=1e-5)
    assert vote(directions, torch.tensor([[1.0, 0.0]]), label, 2, 0.5).tolist() == [0]
    assert vote(directions, torch.tensor([[0.6, 0.8]]), label, 1, 0.5).tolist() == [1]
