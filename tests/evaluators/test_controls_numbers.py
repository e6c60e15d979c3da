"""The controls of evaluators that read numbers, twins, fluxes and errors; each control fails on a wrong one.

And a control for every evaluator: a test galaxy is judged alone, whatever other galaxies are tested beside it.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from astrojepa_bench.evaluators import few_shot
from astrojepa_bench.evaluators.anomaly import Anomaly
from astrojepa_bench.evaluators.anomaly_scorers import AnomalyScorers
from astrojepa_bench.evaluators.factors import Factors
from astrojepa_bench.evaluators.few_shot import FewShot
from astrojepa_bench.evaluators.kmeans import KMeans
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.redshift import Redshift
from astrojepa_bench.evaluators.robustness import Robustness
from astrojepa_bench.metric import Metric, description_of
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.testing.features import (
    CLASSES,
    features_of,
    hint,
    ignorance,
    in_another_order,
    rearranged,
    truth,
)

NUMBERS = {
    "redshift": Redshift(), "factors": Factors(), "robustness": Robustness(),
    "anomaly-scorers": AnomalyScorers(trees=30),
}  # fmt: skip
PREDICTING = {name: NUMBERS[name] for name in ("redshift", "factors", "anomaly-scorers")}
ALONE = {
    **PREDICTING, "linear": Linear(), "few-shot": FewShot(draws=2), "knn": KNN(), "kmeans": KMeans(),
    "anomaly": Anomaly(),
}  # fmt: skip
OF_TEST = {"truth"}  # predictions that are no predictions: what was to be predicted
NULLS = "class_only_"  # a null beside the score: it knows the class, and may be better than chance


@pytest.fixture(autouse=True)
def _short_curve(monkeypatch):
    """One point of the few-shot curve and two penalties are judged like all, and sooner."""
    monkeypatch.setattr(few_shot, "SHOTS", (5,))
    monkeypatch.setattr(few_shot, "C_GRID", (0.01, 0.1))


# --- features that are the truth --------------------------------------------------------------------------


def direction(facts, stream):
    """Redshift as a direction, for neighbours, and as a number, for a line."""
    angle = 1.5 * np.pi * facts.redshift / 0.2
    return np.column_stack([np.cos(angle), np.sin(angle), 0.01 * facts.redshift])


def far(facts, stream):
    """Ordinary galaxies in a ball, anomalies far from it along every axis."""
    return 5 * (facts.anomaly > 0)[:, None] + 0.1 * stream.normal(size=(len(facts.ids), 6))


def tell_tale(answers):
    """Fluxes that give anomalies away, as the features do."""
    return replace(
        answers,
        test=replace(
            answers.test, band_fluxes=answers.test.band_fluxes + 3.0 * (answers.test.anomaly > 0)[:, None]
        ),
    )


ORACLES = {
    "redshift": features_of(direction),
    "factors": features_of(truth),
    "robustness": features_of(truth),
    "anomaly-scorers": tell_tale(features_of(far)),
}


def check_oracle(name, evaluator):
    """At least .99 everywhere, at most .01 where lower is better; the null is no score of the features."""
    scores = [score for score in evaluator.evaluate(ORACLES[name]) if not score.metric.startswith(NULLS)]
    assert len(scores) >= 3
    for score in scores:
        assert score.value >= 0.99 if score.higher_is_better else score.value <= 0.01, score
    return scores


# --- features that know nothing -----------------------------------------------------------------------------


BELOW = {"redshift": 0.15, "factors": 0.05, "robustness": 0.06, "anomaly-scorers": 0.0}  # overfitted noise


BETTER_GUESSES = {"absolute_bias", "knn_absolute_bias"}  # the null is a median; noise falls back on a mean


def check_chance(name, evaluator, draws=12):
    """The mean over draws lies within three standard errors of chance, or below it by overfitted noise."""
    runs = [evaluator.evaluate(ignorance(1000 + draw)).scores for draw in range(draws)]
    for scores in zip(*runs, strict=True):
        if scores[0].metric.startswith(NULLS):
            continue
        better = 1 if scores[0].higher_is_better else -1
        excess = better * np.array([score.value - score.chance for score in scores])
        error = 3 * excess.std(ddof=1) / np.sqrt(draws)
        assert excess.mean() >= -error - BELOW[name], (scores[0], excess.mean(), error)
        if scores[0].metric not in BETTER_GUESSES:
            assert excess.mean() <= error, (scores[0], excess.mean(), error)


def check_chance_soon(name, evaluator):
    """The same in few draws: enough for errors as large as those planted below."""
    check_chance(name, evaluator, draws=5)


# --- what test may not tell -----------------------------------------------------------------------------------


def exchanged(answers, evaluator):
    """The same test galaxies, with the numbers, labels or kinds that are counted at the end exchanged."""
    test, stream = answers.test, np.random.default_rng(8)
    odd = "anomaly" in evaluator.requires
    groups = [np.arange(len(test.ids))] if odd else [np.flatnonzero(test.anomaly == 0)]
    order = np.arange(len(test.ids))
    for rows in groups:
        order[rows] = stream.permutation(rows)
    if odd:
        return replace(answers, test=replace(test, label=test.label[order], anomaly=test.anomaly[order]))
    factors = {name: values[order] for name, values in test.factors.items()}
    return replace(answers, test=replace(test, redshift=test.redshift[order], factors=factors))


def by_id(found, name):
    """Index one prediction by galaxy."""
    return dict(zip(found.ids.tolist(), found.predictions[name].tolist(), strict=True))


def check_test_unseen(name, evaluator):
    """What test galaxies are known to be changes no choice and no prediction."""
    answers = features_of(hint)
    before, after = evaluator.evaluate(answers), evaluator.evaluate(exchanged(answers, evaluator))
    assert before.selection == after.selection
    for prediction in set(before.predictions) - OF_TEST:
        assert by_id(before, prediction) == by_id(after, prediction), prediction


def check_alone(name, evaluator):
    """Without every other test galaxy, those that are left are answered as before: nothing is fitted on test."""
    answers = features_of(hint)
    half = replace(answers, test=rearranged(answers.test, np.arange(0, len(answers.test.ids), 2)))
    before, after = evaluator.evaluate(answers), evaluator.evaluate(half)
    assert before.selection == after.selection
    for prediction in set(before.predictions) - OF_TEST:
        whole, part = by_id(before, prediction), by_id(after, prediction)
        assert part == pytest.approx({key: whole[key] for key in part}, rel=1e-5, abs=1e-9), prediction


def check_order(name, evaluator):
    """The same galaxies in another order score the same."""
    answers = features_of(hint)
    mixed = in_another_order(answers, np.random.default_rng(5))
    before, after = evaluator.evaluate(answers).scores, evaluator.evaluate(mixed).scores
    assert [score.metric for score in before] == [score.metric for score in after]
    for one, other in zip(before, after, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-9), one
        assert one.chance == pytest.approx(other.chance, abs=1e-9), one


def check_probes_of_train(name, evaluator):
    """Robustness counts exactly what a probe of train answers, whatever classes test is known to have.

    It predicts nothing galaxy by galaxy, so its score on relabelled galaxies is compared with answers that were
    given before they were relabelled.
    """
    answers = features_of(hint)
    test = answers.test
    predicted = {"linear": Linear(), "knn": KNN()}
    predicted = {key: probe.evaluate(answers).predictions["class"] for key, probe in predicted.items()}
    label = np.where(test.label == CLASSES - 1, 0, test.label)
    label[label >= 0] = np.random.default_rng(3).permutation(label[label >= 0])
    found = evaluator.evaluate(
        replace(answers, test=replace(test, label=label), shifted_test=replace(test, label=label))
    )
    scores = {score.metric: score.value for score in found}
    for key, values in predicted.items():
        assert scores[f"{key}_accuracy"] == pytest.approx((values == label[label >= 0]).mean()), key


# --- the evaluators pass ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NUMBERS)
def test_features_that_are_the_truth_score_the_maximum(name):
    """An evaluator that cannot see a perfect representation ranks none; boards know the direction."""
    for score in check_oracle(name, NUMBERS[name]):
        told = description_of(score.metric, NUMBERS[name].metrics) or Metric(score.metric)
        assert told.higher_is_better == score.higher_is_better, score.metric


@pytest.mark.parametrize("name", NUMBERS)
def test_features_that_know_nothing_score_chance(name):
    """Anything above chance here would be credited to every encoder."""
    check_chance(name, NUMBERS[name])


@pytest.mark.parametrize("name", PREDICTING)
def test_what_test_galaxies_are_changes_nothing_that_is_fitted_or_chosen(name):
    """Test numbers enter at the last line, when the answers are compared with them."""
    check_test_unseen(name, PREDICTING[name])


@pytest.mark.parametrize("name", ALONE)
def test_a_test_galaxy_is_judged_alone(name):
    """A survey of a million galaxies and a single one get the same answer for that one."""
    check_alone(name, ALONE[name])


@pytest.mark.parametrize("name", NUMBERS)
def test_order_of_the_table_does_not_change_a_score(name):
    """Two readers of one file in different orders must get one number."""
    check_order(name, NUMBERS[name])


def test_robustness_counts_what_probes_of_train_answer():
    """Neither test labels nor the classes among them reach its probes."""
    check_probes_of_train("robustness", Robustness())


@pytest.mark.parametrize("name", NUMBERS)
def test_same_seed_gives_the_same_evaluation_and_no_global_draw(name):
    """A score can be reproduced to the last bit, and leaves the global generators alone."""
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (NUMBERS[name].evaluate(features_of(hint)) for _ in range(2))

    assert first.scores == second.scores
    assert first.selection == second.selection
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", NUMBERS)
def test_predictions_are_named_by_galaxy(name):
    """Paired comparisons join two runs by the ids of the galaxies predicted."""
    answers = features_of(hint)
    found = NUMBERS[name].evaluate(answers)

    assert set(found.ids) <= set(answers.test.ids)
    assert {score.evaluator for score in found} == {name}


# --- planted errors fail ----------------------------------------------------------------------------------------


class Wrong(Evaluator):
    """An evaluator that is right but for what it does to the answers first."""

    def __init__(self, inner):
        self.inner, self.requires = inner, inner.requires

    def evaluate(self, answers):
        parts = {name: self.spoil(answers.split(name)) for name in ("train", "val", "test")}
        return self.inner.evaluate(replace(answers, **parts, shifted_test=self.spoil(answers.shifted_test)))

    def spoil(self, facts):
        return facts


class LeaksTruth(Wrong):
    """Lets the truth into features, fluxes and errors."""

    def spoil(self, facts):
        odd = (facts.anomaly > 0)[:, None]
        known = [np.eye(CLASSES)[facts.label] * ~odd, odd, *(v[:, None] for v in facts.columns.values())]
        leaked = 3 * torch.from_numpy(np.concatenate(known, axis=1)).float()
        return replace(
            facts,
            features={tap: torch.cat([values, leaked], dim=1) for tap, values in facts.features.items()},
            band_fluxes=facts.band_fluxes + odd,
            prediction_errors={name: values + odd[:, 0] for name, values in facts.prediction_errors.items()},
        )


class MixesRows(Wrong):
    """Pairs each galaxy with the features of another."""

    def spoil(self, facts):
        features = {tap: values.roll(7, dims=0) for tap, values in facts.features.items()}
        return replace(facts, features=features)


class ReadsHalf(Wrong):
    """Reads every other row of the table, whatever stands there."""

    def spoil(self, facts):
        return rearranged(facts, np.arange(0, len(facts.ids), 2))


class FitsOnTest(Wrong):
    """Fits on the galaxies that it reports on."""

    def evaluate(self, answers):
        ordinary = replace(answers.test, anomaly=np.zeros_like(answers.test.anomaly))
        return self.inner.evaluate(replace(answers, train=ordinary))


class ChoosesOnTest(Wrong):
    """Chooses on the galaxies that it reports on."""

    def evaluate(self, answers):
        return self.inner.evaluate(replace(answers, val=answers.test))


class ScalesOnTest(Wrong):
    """Standardises test features by their own mean and spread."""

    def spoil(self, facts):
        def scaled(values):
            return (values - values.mean(dim=0)) / values.std(dim=0)

        return replace(facts, features={tap: scaled(values) for tap, values in facts.features.items()})


class TakesClassesFromTest(Wrong):
    """Learns only the classes that it will be asked about."""

    def evaluate(self, answers):
        asked = np.unique(answers.test.label)
        parts = {name: answers.split(name) for name in ("train", "val")}
        kept = {
            name: rearranged(part, np.flatnonzero(np.isin(part.label, asked))) for name, part in parts.items()
        }
        return self.inner.evaluate(replace(answers, **kept))


CHOOSING = ("redshift", "factors")
PLANTED = [
    (check_oracle, MixesRows, ("redshift", "factors", "robustness")),
    (check_oracle, FitsOnTest, ("anomaly-scorers",)),
    (check_chance_soon, LeaksTruth, NUMBERS),
    (check_chance_soon, FitsOnTest, ("robustness",)),  # elsewhere validation asks for the strongest penalty
    (check_test_unseen, LeaksTruth, PREDICTING),
    (check_test_unseen, FitsOnTest, CHOOSING),
    (check_test_unseen, ChoosesOnTest, CHOOSING),
    (check_alone, FitsOnTest, ALONE),
    (check_alone, ScalesOnTest, set(ALONE) - {"few-shot"}),
    (check_order, ReadsHalf, NUMBERS),
    (check_probes_of_train, FitsOnTest, ("robustness",)),
    (check_probes_of_train, TakesClassesFromTest, ("robustness",)),
]


@pytest.mark.parametrize(
    ("control", "wrong", "name"),
    [(control, wrong, name) for control, wrong, names in PLANTED for name in sorted(names)],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_control_fails_on_a_planted_error(control, wrong, name):
    """A control that passes a wrong evaluator is no control."""
    with pytest.raises(AssertionError):
        control(name, wrong({**NUMBERS, **ALONE}[name]))
