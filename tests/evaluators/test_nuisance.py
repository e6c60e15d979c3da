"""Measurements read from features, and what a probe still knows within bins of size and brightness."""

from dataclasses import replace

import numpy as np
import pytest

from astrojepa_bench.evaluators.nuisance import Nuisance

COUNTS = {"train": 800, "val": 200, "test": 800}


def answers_of(make_answers, draw):
    """Draw size, magnitude and class of galaxies by `draw(stream, count)`, which also returns their features."""
    parts, measured = [], []
    for seed, count in enumerate(COUNTS.values()):
        stream = np.random.default_rng(seed)
        features, label, size, magnitude = draw(stream, count)
        parts.append((features, label))
        noise = stream.uniform(0.01, 0.02, count)
        measured.append({"half_light_radius": size, "magnitude": magnitude, "sky_noise": noise})
    found = make_answers(*parts)
    splits = {
        name: replace(found.split(name), measurements=own) for name, own in zip(COUNTS, measured, strict=True)
    }
    return replace(found, **splits)


def scores_of(answers):
    """Index scores by metric."""
    return {score.metric: score for score in Nuisance().evaluate(answers)}


def test_features_that_are_a_measurement_have_r2_one_and_noise_none(make_answers):
    """Size is the feature, magnitude a mixture with known noise, sky noise is nowhere in it."""

    def draw(stream, count):
        size, other = stream.normal(size=(2, count))
        magnitude = np.sqrt(0.75) * size + np.sqrt(0.25) * other
        return np.column_stack([size, stream.normal(size=count)]), np.arange(count) % 2, size, magnitude

    scores = scores_of(answers_of(make_answers, draw))

    assert scores["r2_half_light_radius"].value > 0.999
    assert scores["r2_magnitude"].value == pytest.approx(0.75, abs=0.05)
    assert scores["r2_sky_noise"].value == pytest.approx(0, abs=0.03)
    assert not scores["r2_magnitude"].higher_is_better
    assert scores["r2_magnitude"].chance == 0


def by_quarter(stream, count):
    """Draw classes that size decides nearly always, and a size and magnitude that say the same."""
    size = stream.permutation(np.arange(count) % 4) + stream.uniform(0.1, 0.9, count)
    label = np.where(stream.random(count) < 0.8, size.astype(int) % 2, stream.integers(0, 2, count))
    return size, label


def test_features_that_hold_only_size_know_no_more_than_the_quarter_of_size_tells(make_answers):
    """Classes differ by size alone: accuracy is far above one half, and equals its null within bins."""

    def draw(stream, count):
        size, label = by_quarter(stream, count)
        return np.eye(4)[size.astype(int)] + 1e-3 * stream.normal(size=(count, 4)), label, size, -size

    scores = scores_of(answers_of(make_answers, draw))

    for name in ("size", "brightness"):
        over_all = scores[f"accuracy_given_{name}"]
        assert over_all.value > 0.85
        assert over_all.value == over_all.chance
        for number in (1, 2, 3, 4):
            score = scores[f"accuracy_{name}_{number}"]
            assert score.value == score.chance
    assert sum(scores[f"accuracy_size_{number}"].n for number in (1, 2, 3, 4)) == COUNTS["test"]


def test_features_of_shape_stand_above_the_null_in_every_bin(make_answers):
    """The same classes and sizes, read from what size does not tell."""

    def draw(stream, count):
        size, label = by_quarter(stream, count)
        return label[:, None] + 0.1 * stream.normal(size=(count, 3)), label, size, -size

    scores = scores_of(answers_of(make_answers, draw))

    assert scores["accuracy_given_size"].value > 0.99
    assert scores["accuracy_given_size"].chance < 0.93
    assert all(scores[f"accuracy_size_{n}"].value > scores[f"accuracy_size_{n}"].chance for n in range(1, 5))


def test_bins_run_from_the_smallest_and_from_the_faintest(make_answers):
    """The faint are wrong in the features: that shows in the first bin of brightness alone."""

    def draw(stream, count):
        label, magnitude = stream.integers(0, 2, count), stream.uniform(14, 18, count)
        faint = magnitude > 17
        shown = np.where(faint, stream.integers(0, 2, count), label)
        return (
            shown[:, None] + 0.01 * stream.normal(size=(count, 2)),
            label,
            stream.uniform(1, 9, count),
            magnitude,
        )

    scores = scores_of(answers_of(make_answers, draw))
    accuracies = [scores[f"accuracy_brightness_{number}"].value for number in (1, 2, 3, 4)]

    assert accuracies[0] < 0.65
    assert min(accuracies[1:]) > 0.9
