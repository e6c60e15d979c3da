"""The ceiling that label noise sets: known answers from imagined votes."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta, betabinom

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "label_noise" / "votes.py"


@pytest.fixture(scope="module")
def noise():
    spec = importlib.util.spec_from_file_location("label_noise_votes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:  # its dataclasses look their module up
        patch.setitem(sys.modules, "label_noise_votes", module)
        spec.loader.exec_module(module)
        yield module


def smooth(noise, *shapes):
    """Return the votes of galaxies that everybody calls smooth."""
    shapes = np.array(shapes, dtype=float)
    nobody = np.zeros((len(shapes), 2))
    first = np.stack([shapes.sum(axis=1), *np.zeros((2, len(shapes)))], axis=1)
    return noise.Votes(first, shapes, nobody, nobody)


@pytest.mark.parametrize("round_votes", [21, 25, 33])
def test_two_answers_come_again_as_the_beta_binomial_has_it(noise, round_votes):
    """41 volunteers who all say smooth, round or in between: one of both always has the majority."""
    others = 41 - round_votes
    votes = smooth(noise, [round_votes, others, 0])
    same, any_class, right = noise.repeated(votes, "of_all", prior=0.0, truths=4_000, polls=20)[0]

    assert any_class == 1
    assert same == pytest.approx(betabinom.sf(20, 41, round_votes, others), abs=0.015)
    assert right == pytest.approx(beta.sf(0.5, round_votes, others), abs=0.04)  # of 20 polls, near the middle


def test_a_galaxy_that_all_agree_on_is_no_noise_and_a_torn_one_is(noise):
    """More volunteers make a label surer; nobody is right of a coin more often than of every second one."""
    sure, torn, few = noise.repeated(smooth(noise, [40, 0, 0], [20, 20, 0], [6, 4, 0]), "of_all")[:, 2]
    many = noise.repeated(smooth(noise, [600, 400, 0]), "of_all")[0, 2]

    assert sure > 0.999
    assert torn == pytest.approx(0.5, abs=0.1)
    assert 0.6 < few < 0.85 < 0.999 < many


def test_the_two_readings_of_a_threshold(noise):
    """Half of those who said smooth, or half of all."""
    votes = smooth(noise, [26, 14, 0])
    votes = noise.Votes(np.array([[28.0, 10.0, 2.0]]), 0.7 * votes.shape, votes.edge, votes.arms)

    assert noise.classes_of(votes, "of_asked").tolist() == [0]
    assert noise.classes_of(votes, "of_all").tolist() == [-1]


def test_volunteers_are_counted_by_the_questions_they_answered(noise):
    """Three answers of who sees a smooth galaxy, eight of who sees arms, four of who sees a disk from its edge."""
    names = ("f_smooth", "f_featured", "f_edge_on", "f_spiral", "f_odd", "f_round", "f_cigar")
    kinds = {"f_smooth": [1, 0, 0], "f_featured": [0, 1, 1], "f_spiral": [0, 1, 0], "f_edge_on": [0, 0, 1]}
    fractions = {name: np.array(kinds.get(name, [0, 0, 0]), dtype=float) for name in names}
    votes = noise.votes_of(np.array([120.0, 320.0, 160.0]), fractions)

    assert votes.volunteers.tolist() == [40, 40, 40]
    assert noise.classes_of(votes, "of_all").tolist() == [1, 4, 3]  # neither round nor cigar is in between


def test_classes_are_weighted_by_the_shares_of_the_labelled_file(noise):
    """And galaxies are resampled within them."""
    before = np.repeat(np.arange(5), 4)
    found = np.stack([np.full(20, 0.5), np.ones(20), np.where(before == 4, 0.8, 1.0)], axis=1)
    found[before == 0, 2] = [1.0, 0.8, 1.0, 0.8]
    weights = np.array([0.2, 0.1, 0.1, 0.2, 0.4])
    values = noise.measured(found, before, weights)
    low, high = noise.intervals(found, before, weights, resamples=200)["ceiling"]

    assert values == pytest.approx({"again": 0.5, "again_of_labelled": 0.5, "ceiling": 0.9})
    assert 0.879 < low < 0.9 < high < 0.921
