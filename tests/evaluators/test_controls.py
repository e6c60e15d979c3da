"""Every evaluator against features whose score is known; every control against a wrong evaluator.

A control that no planted error can fail proves nothing, so each is also run on evaluators that leak labels,
mix up rows, fit on test or read only half of the table.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from astrojepa_bench.evaluators import few_shot
from astrojepa_bench.evaluators.anomaly import Anomaly
from astrojepa_bench.evaluators.collapse import Collapse
from astrojepa_bench.evaluators.few_shot import FewShot
from astrojepa_bench.evaluators.kmeans import KMeans
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.features import Features, SplitFeatures
from astrojepa_bench.metric import Metric, description_of
from astrojepa_bench.roles import Evaluator

JUDGES = {
    "linear": Linear(), "few-shot": FewShot(draws=2), "knn": KNN(), "kmeans": KMeans(), "anomaly": Anomaly(),
}  # fmt: skip
ALL = {**JUDGES, "collapse": Collapse()}
CLASSES, DIM = 5, 16
GUESSES_BELOW_CHANCE = {"macro_f1", "nll"}  # their chance is the best that a guess can do, not the mean


@pytest.fixture(autouse=True)
def _short_curve(monkeypatch):
    """One point of the few-shot curve and two penalties are judged like all, and sooner."""
    monkeypatch.setattr(few_shot, "SHOTS", (5,))
    monkeypatch.setattr(few_shot, "C_GRID", (0.01, 0.1))


# --- invented galaxies ----------------------------------------------------------------------------------


def split_of(name, count, stream, anomalies=0):
    """Balanced classes, then anomalies of both kinds without a label; features still to come."""
    label = np.concatenate([stream.permutation(np.arange(count) % CLASSES), np.full(anomalies, -1)])
    anomaly = np.concatenate([np.zeros(count, dtype=int), 1 + np.arange(anomalies) % 2])
    ids = np.array([f"{name}-{row:04d}" for row in stream.permutation(len(label))])
    return SplitFeatures(ids, {}, label, anomaly)


def answers_of(seed, features):
    """Return answers whose two taps are drawn by `features(split, stream)`."""
    stream = np.random.default_rng(seed)
    parts = {"train": (200, 0), "val": (100, 0), "test": (200, 60)}
    splits = {name: split_of(name, count, stream, odd) for name, (count, odd) in parts.items()}
    drawn = {
        name: replace(split, features={tap: features(split, stream) for tap in ("last", "last4")})
        for name, split in splits.items()
    }
    views = torch.as_tensor(stream.normal(size=(30, 4, DIM))).float()
    return Features(**drawn, classes=CLASSES, seed=seed, augmented_views=views)


def truth_of(split):
    """One column per class and one for the anomaly flag."""
    rows = np.zeros((len(split.ids), CLASSES + 1), dtype=np.float32)
    rows[np.arange(len(rows)), np.where(split.label < 0, CLASSES, split.label)] = 1
    return rows


def oracle(split, stream):
    """The truth itself, with hardly any noise."""
    return torch.as_tensor(truth_of(split) + 1e-3 * stream.normal(size=(len(split.ids), CLASSES + 1))).float()


def blind(split, stream):
    """Noise that knows nothing of any galaxy."""
    return torch.as_tensor(stream.normal(size=(len(split.ids), DIM))).float()


def hint(split, stream):
    """The truth under noise, so that a score is neither chance nor perfect."""
    return (
        oracle(split, stream)
        + 0.7 * torch.as_tensor(stream.normal(size=(len(split.ids), CLASSES + 1))).float()
    )


# --- controls -------------------------------------------------------------------------------------------


def check_oracle(evaluator):
    """Features that are the truth score at least .99 everywhere, and at most .01 where lower is better."""
    scores = evaluator.evaluate(answers_of(0, oracle)).scores
    for score in scores:
        assert score.value >= 0.99 if score.higher_is_better else score.value <= 0.01, score
    return scores


def check_chance(evaluator, draws=40):
    """Features that know nothing score chance within three standard errors of the mean over draws."""
    runs = [evaluator.evaluate(answers_of(1000 + draw, blind)).scores for draw in range(draws)]
    for scores in zip(*runs, strict=True):
        if scores[0].chance is None:
            continue
        better = 1 if scores[0].higher_is_better else -1
        excess = better * np.array([score.value - score.chance for score in scores])
        error = 3 * excess.std(ddof=1) / np.sqrt(draws)
        assert excess.mean() <= error, (scores[0], excess.mean(), error)
        if scores[0].metric not in GUESSES_BELOW_CHANCE:
            assert excess.mean() >= -error, (scores[0], excess.mean(), error)


def check_chance_soon(evaluator):
    """The same in few draws: enough for errors as large as those planted below."""
    check_chance(evaluator, draws=5)


def check_test_labels_unseen(evaluator):
    """Test labels in another order change no choice and no prediction."""
    answers = answers_of(3, hint)
    test, stream = answers.test, np.random.default_rng(8)
    label, anomaly = test.label.copy(), test.anomaly
    known = label >= 0
    label[known] = stream.permutation(label[known])
    if "anomaly" in evaluator.requires:
        order = stream.permutation(len(label))
        label, anomaly = label[order], anomaly[order]
    before = evaluator.evaluate(answers)
    after = evaluator.evaluate(replace(answers, test=replace(test, label=label, anomaly=anomaly)))

    assert before.selection == after.selection
    for name, values in before.predictions.items():
        after_of = dict(zip(after.ids, after.predictions[name], strict=True))
        assert all(after_of[key] == value for key, value in zip(before.ids, values, strict=True)), name
    if not evaluator.requires:
        assert before.scores == after.scores


def check_classes_of_train(evaluator):
    """A class that no test galaxy is known to have is predicted all the same, where train knows it."""
    answers = answers_of(3, hint)
    label = np.where(answers.test.label == CLASSES - 1, 0, answers.test.label)
    before = evaluator.evaluate(answers)
    after = evaluator.evaluate(replace(answers, test=replace(answers.test, label=label)))

    assert before.selection == after.selection
    for name, values in before.predictions.items():
        assert np.array_equal(values, after.predictions[name]), name


def shuffled(split, stream):
    """The same galaxies in another order."""
    order = stream.permutation(len(split.ids))
    features = {tap: values[order] for tap, values in split.features.items()}
    return SplitFeatures(split.ids[order], features, split.label[order], split.anomaly[order])


def check_order(evaluator):
    """The same galaxies in another order score the same."""
    answers, stream = answers_of(4, hint), np.random.default_rng(5)
    mixed = {name: shuffled(answers.split(name), stream) for name in ("train", "val", "test")}
    before, after = evaluator.evaluate(answers), evaluator.evaluate(replace(answers, **mixed))

    for one, other in zip(before, after, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-9), one
        assert one.chance == pytest.approx(other.chance, abs=1e-9), one


# --- the evaluators pass --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JUDGES)
def test_features_that_are_the_truth_score_the_maximum(name):
    """An evaluator that cannot see a perfect representation ranks none; boards know the direction."""
    for score in check_oracle(JUDGES[name]):
        told = description_of(score.metric, JUDGES[name].metrics) or Metric(score.metric)
        assert told.higher_is_better == score.higher_is_better, score.metric


@pytest.mark.parametrize("name", JUDGES)
def test_features_that_know_nothing_score_chance(name):
    """Anything above chance here would be credited to every encoder."""
    check_chance(JUDGES[name])


@pytest.mark.parametrize("name", ALL)
def test_test_labels_change_nothing_that_is_fitted_or_chosen(name):
    """Test labels enter at the last line, when the answers are counted."""
    check_test_labels_unseen(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_classes_are_those_of_train(name):
    """A class list read from test would tell the classifier which answers are wrong."""
    check_classes_of_train(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_order_of_the_table_does_not_change_a_score(name):
    """Two readers of one file in different orders must get one number."""
    check_order(ALL[name])


@pytest.mark.parametrize("name", ALL)
def test_same_seed_gives_the_same_evaluation(name):
    """A score can be reproduced to the last bit."""
    first, second = (ALL[name].evaluate(answers_of(6, hint)) for _ in range(2))

    assert first.scores == second.scores
    assert first.selection == second.selection


@pytest.mark.parametrize("name", ALL)
def test_global_random_state_is_untouched(name):
    """An evaluator that draws from the global generator changes what runs after it."""
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    ALL[name].evaluate(answers_of(6, hint))

    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", ALL)
def test_predictions_are_named_by_galaxy(name):
    """Paired comparisons join two runs by the ids of the galaxies predicted."""
    answers = answers_of(6, hint)
    found = ALL[name].evaluate(answers)

    assert set(found.ids) <= set(answers.test.ids)
    assert {score.evaluator for score in found} == {name}


# --- planted errors fail --------------------------------------------------------------------------------


class Wrong(Evaluator):
    """An evaluator that is right but for what it does to the answers first."""

    def __init__(self, inner):
        self.inner, self.requires = inner, inner.requires

    def spoil(self, split):
        return split

    def evaluate(self, answers):
        spoilt = {name: self.spoil(answers.split(name)) for name in ("train", "val", "test")}
        return self.inner.evaluate(replace(answers, **spoilt))


class LeaksLabels(Wrong):
    """Lets the truth into the features."""

    def spoil(self, split):
        truth = 3 * torch.as_tensor(truth_of(split))
        features = {tap: torch.cat([values, truth], dim=1) for tap, values in split.features.items()}
        return replace(split, features=features)


class MixesRows(Wrong):
    """Pairs each galaxy with the label of another."""

    def spoil(self, split):
        return replace(split, label=np.roll(split.label, 7), anomaly=np.roll(split.anomaly, 7))


class ReadsHalf(Wrong):
    """Reads the first half of the table, whatever stands there."""

    def spoil(self, split):
        half = slice(None, None, 2)
        features = {tap: values[half] for tap, values in split.features.items()}
        return SplitFeatures(split.ids[half], features, split.label[half], split.anomaly[half])


class FitsOnTest(Wrong):
    """Fits on the galaxies that it reports on."""

    def evaluate(self, answers):
        everything_ordinary = replace(answers.test, anomaly=np.zeros_like(answers.test.anomaly))
        return self.inner.evaluate(replace(answers, train=everything_ordinary))


class ChoosesOnTest(Wrong):
    """Chooses on the galaxies that it reports on."""

    def evaluate(self, answers):
        return self.inner.evaluate(replace(answers, val=answers.test))


class TakesClassesFromTest(Wrong):
    """Learns only the classes that it will be asked about."""

    def evaluate(self, answers):
        asked = np.unique(answers.test.label)
        parts = {name: without(answers.split(name), asked) for name in ("train", "val")}
        return self.inner.evaluate(replace(answers, **parts))


def without(split, wanted):
    """Leave galaxies of other classes out."""
    rows = np.flatnonzero(np.isin(split.label, wanted))
    features = {tap: values[rows] for tap, values in split.features.items()}
    return SplitFeatures(split.ids[rows], features, split.label[rows], split.anomaly[rows])


PROBES = ("linear", "few-shot", "knn")
PLANTED = [
    (check_oracle, MixesRows, JUDGES),
    (check_oracle, FitsOnTest, ("anomaly",)),
    (check_chance_soon, LeaksLabels, JUDGES),
    (check_chance_soon, FitsOnTest, PROBES),
    (check_test_labels_unseen, LeaksLabels, ALL),
    (check_test_labels_unseen, FitsOnTest, PROBES),
    (check_test_labels_unseen, ChoosesOnTest, PROBES),
    (check_classes_of_train, TakesClassesFromTest, (*PROBES, "kmeans")),
    (check_order, ReadsHalf, ALL),
]


@pytest.mark.parametrize(
    ("control", "wrong", "name"),
    [(control, wrong, name) for control, wrong, names in PLANTED for name in names],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_control_fails_on_a_planted_error(control, wrong, name):
    """A control that passes a wrong evaluator is no control."""
    with pytest.raises(AssertionError):
        control(wrong(ALL[name]))
