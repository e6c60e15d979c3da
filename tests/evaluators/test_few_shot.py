"""The probe on few labels: its draws, its means over them, and scikit-learn's answers on the same galaxies."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score as sklearn_balanced
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators import few_shot
from astrojepa_bench.evaluators.few_shot import SHOTS, FewShot, balanced_mean, curve_point, draw_rows
from astrojepa_bench.evaluators.probes.reading import LabelledGalaxies, read_labelled


def by_metric(found):
    """Index scores by metric."""
    return {score.metric: score for score in found}


@pytest.fixture
def answers(make_answers, clouds):
    """Overlapping classes, enough train galaxies for a hundred of each."""
    return make_answers(*(clouds(count, spread=1.5, seed=seed) for seed, count in enumerate((600, 150, 400))))


def test_every_draw_equals_scikit_learns_classifier(answers):
    """The same galaxies at the chosen penalty, standardised on all of train, give the same answers."""
    found = FewShot().evaluate(answers)
    train, test = read_labelled(answers, "train", "last"), read_labelled(answers, "test", "last")
    scaler = StandardScaler().fit(train.features.numpy())
    x, x_test = scaler.transform(train.features.numpy()), scaler.transform(test.features.numpy())
    for shots in SHOTS:
        balanced = []
        for draw, rows in enumerate(draw_rows(train, shots, 5)):
            theirs = LogisticRegression(C=found.selection[f"C_{shots}"], tol=1e-6, max_iter=5000)
            predicted = theirs.fit(x[rows], train.label[rows]).predict(x_test)
            balanced.append(sklearn_balanced(test.label, predicted))

            runner_up, first = np.sort(theirs.predict_proba(x_test), axis=1)[:, -2:].T
            sure = (
                first - runner_up > 2e-3
            )  # a tie is settled by rounding, which is another on each processor
            assert sure.mean() > 0.95
            assert (found.predictions[f"class_{shots}_{draw}"] == predicted)[sure].all()
        scores = by_metric(found)
        assert scores[f"balanced_accuracy_{shots}"].value == pytest.approx(np.mean(balanced), abs=2e-3)
        assert scores[f"balanced_accuracy_{shots}_spread"].value == pytest.approx(
            np.std(balanced, ddof=1), abs=4e-3
        )


def test_more_labels_help_and_one_is_luck(answers):
    """The curve rises, and its spread falls."""
    found = by_metric(FewShot().evaluate(answers))
    curve = [found[f"balanced_accuracy_{shots}"].value for shots in SHOTS]

    assert curve == sorted(curve)
    assert found["balanced_accuracy_1_spread"].value > 2 * found["balanced_accuracy_100_spread"].value


def test_draws_hold_so_many_of_each_class_and_contain_the_smaller_ones(answers):
    """Nested draws: a curve compares numbers of labels, not lucky galaxies."""
    train = read_labelled(answers, "train", "last")
    small, large = draw_rows(train, 5, 3), draw_rows(train, 10, 3)

    assert (np.apply_along_axis(np.bincount, 1, train.label[small]) == 5).all()
    assert (np.apply_along_axis(np.bincount, 1, train.label[large]) == 10).all()
    assert all(set(few) < set(more) for few, more in zip(small, large, strict=True))
    assert len({frozenset(draw.tolist()) for draw in small}) == 3


def test_draws_follow_from_ids_alone(answers):
    """Every entry, seed and order of the table sees the same galaxies, even beside galaxies that others lack."""
    order = np.random.default_rng(0).permutation(len(answers.train.ids))[:500]
    part = answers.train
    mixed = replace(
        part, ids=part.ids[order], label=part.label[order], anomaly=part.anomaly[order],
        features={"last": 7 * part.features["last"][order]},
    )  # fmt: skip
    whole = read_labelled(answers, "train", "last")
    fewer = read_labelled(replace(answers, train=mixed, seed=9), "train", "last")
    queue, queue_fewer = draw_rows(whole, 1000, 1)[0], draw_rows(fewer, 1000, 1)[0]
    known = np.isin(whole.ids[queue], fewer.ids)

    assert whole.ids[queue][known].tolist() == fewer.ids[queue_fewer].tolist()


def test_a_galaxys_place_in_the_draw_is_even():
    """Hashes favour no galaxy: each of forty is drawn as often as chance would have it."""
    ids = np.array([f"galaxy-{row}" for row in range(40)])
    galaxies = LabelledGalaxies(torch.zeros(40, 1), np.zeros(40, dtype=int), ids)
    counts = np.bincount(draw_rows(galaxies, 10, 400).ravel(), minlength=40)

    assert abs((counts - 100) / np.sqrt(400 * 0.25 * 0.75)).max() < 4


def test_class_with_fewer_galaxies_gives_all_it_has_and_a_warning(make_answers, clouds):
    """Galaxy10 has 334 galaxies of its rarest class, and a subset may have three."""
    label = np.repeat([0, 1, 2], [150, 147, 3])
    train = clouds(300, spread=0.3, label=label)
    part = clouds(90, spread=0.3, label=np.arange(90) % 3, seed=1)
    answers = make_answers(train, part, part)
    found = FewShot().evaluate(answers)

    rows = draw_rows(read_labelled(answers, "train", "last"), 100, 2)
    assert np.bincount(read_labelled(answers, "train", "last").label[rows[0]]).tolist() == [100, 100, 3]
    assert len(found.warnings) == 3
    assert "1 of 3 classes have fewer than 100" in found.warnings[-1]
    assert "as few as 3" in found.warnings[-1]


def test_standard_errors_equal_the_scatter_over_test_sets():
    """Drawing the test galaxies again, for the same classifiers, scatters the mean over draws by as much."""
    stream, found = np.random.default_rng(0), []
    for _ in range(400):
        label = stream.choice(3, 300, p=[0.7, 0.2, 0.1])
        ease = stream.beta(1, 1, 300) * np.array([0.9, 0.5, 1.0])[label]  # draws agree on what is easy
        found.append(by_metric(curve_point(10, stream.random((4, 300)) < ease, label, np.arange(3))))
    for metric in ("accuracy_10", "balanced_accuracy_10"):
        scatter = np.std([scores[metric].value for scores in found], ddof=1)
        assert np.mean([scores[metric].item_se for scores in found]) == pytest.approx(scatter, rel=0.1)


def test_balanced_mean_weighs_classes_and_not_galaxies():
    """Three of four right in one class, none of one in the other."""
    hits = np.array([[True, True, True, False, False]])

    assert balanced_mean(hits, np.array([0, 0, 0, 0, 1]))[0] == pytest.approx(0.375)


def test_tap_that_knows_more_is_chosen(make_answers, clouds, monkeypatch):
    """By validation, for each number of labels."""
    monkeypatch.setattr(few_shot, "SHOTS", (1, 5))
    parts = []
    for seed in range(3):
        good, label = clouds(150, spread=0.3, seed=seed)
        parts.append(({"last": np.random.default_rng(seed).normal(size=good.shape), "last4": good}, label))
    selection = FewShot().evaluate(make_answers(*parts)).selection

    assert {selection[f"tap_{shots}"] for shots in (1, 5)} == {"last4"}


def test_one_draw_has_no_spread_and_is_refused():
    """The message names the option and the usual value."""
    with pytest.raises(ConfigError, match=r"few-shot\.draws=1 must be at least 2"):
        FewShot(draws=1)


def test_chance_counts_the_classes_that_are_drawn():
    """Five classes are learnt, four are in test: naming one of five at random is right in a fifth of all cases."""
    stream = np.random.default_rng(0)
    label, drawn = stream.integers(0, 4, 500), np.arange(5)
    found = by_metric(curve_point(1, stream.integers(0, 5, (400, 500)) == label, label, drawn))
    for metric in ("accuracy_1", "balanced_accuracy_1"):
        assert found[metric].chance == pytest.approx(0.2)
        assert found[metric].value == pytest.approx(0.2, abs=0.005)

    unknown = np.concatenate([label, np.full(500, 7)])  # a class that train lacks can never be named
    found = by_metric(curve_point(1, stream.integers(0, 5, (400, 1000)) == unknown, unknown, drawn))
    assert found["accuracy_1"].chance == pytest.approx(0.1)
    assert found["accuracy_1"].value == pytest.approx(found["accuracy_1"].chance, abs=0.005)
    assert found["balanced_accuracy_1"].chance == pytest.approx(0.2 * 4 / 5)


def test_standard_errors_say_what_they_are_of(answers, monkeypatch):
    """They hold for these draws, and a reader of a record finds it there."""
    monkeypatch.setattr(few_shot, "SHOTS", (1,))

    assert "for these draws" in FewShot(draws=2).evaluate(answers).selection["standard_errors"]
