"""Anomaly ranking: distances, ties, chances and standard errors against independent truths."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.anomaly import Anomaly
from astrojepa_bench.evaluators.anomaly_scorers import AnomalyScorers
from astrojepa_bench.evaluators.metrics.ranking import (
    auroc_standard_error,
    average_precision_chance,
    precision_at_k,
    ranking_scores,
    recall_at_k,
)
from astrojepa_bench.evaluators.probes.anomaly_scores import (
    forest_scores,
    mahalanobis_scores,
    neighbour_scores,
)


def sky(make_answers, shift, *, physical=30, artefact=20, ordinary=300, dim=6, seed=0, far=9.0):
    """Ordinary galaxies in a unit cloud, physical anomalies shifted by `shift`, artefacts by `far`."""
    stream = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], [ordinary, physical, artefact])
    test = stream.normal(size=(len(kind), dim)) + np.array([0, shift, far])[kind][:, None] * np.eye(dim)[0]
    train = stream.normal(size=(500, dim))
    label = np.where(kind > 0, -1, 0)
    return make_answers((train, np.zeros(500)), (train, np.zeros(500)), (test, label, kind))


def by_metric(found):
    """Index scores by metric."""
    return {score.metric: score for score in found}


def test_oddness_equals_scikit_learns_neighbour_distance():
    """Mean Euclidean distance to the k nearest train galaxies, standardised on train."""
    stream = np.random.default_rng(0)
    train, test = 5 + 3 * stream.normal(size=(300, 4)), 5 + 3 * stream.normal(size=(1100, 4))
    mean, std = train.mean(axis=0), train.std(axis=0)
    theirs = NearestNeighbors(n_neighbors=10).fit((train - mean) / std).kneighbors((test - mean) / std)[0]

    assert np.allclose(
        neighbour_scores(torch.as_tensor(train), torch.as_tensor(test), 10), theirs.mean(axis=1)
    )


def test_each_kind_is_ranked_without_the_other(make_answers):
    """Artefacts that outrank everything must not push physical anomalies down the list."""
    found = by_metric(Anomaly().evaluate(sky(make_answers, shift=4)))
    alone = by_metric(Anomaly().evaluate(sky(make_answers, shift=4, artefact=0)))

    assert found["auroc_artefact"].value > 0.999
    assert found["recall_at_k_artefact"].value == 1
    assert (found["auroc_physical"].n, found["auroc_artefact"].n, found["auroc"].n) == (330, 320, 350)
    assert found["average_precision_physical"].value == pytest.approx(
        alone["average_precision"].value, abs=0.05
    )


def test_missing_kind_has_no_score(make_answers):
    """A benchmark without artefacts says nothing about artefacts."""
    found = by_metric(Anomaly().evaluate(sky(make_answers, shift=2, artefact=0)))

    assert set(found) == {
        f"{metric}{suffix}"
        for metric in ("auroc", "average_precision", "recall_at_k", "precision_at_50")
        for suffix in ("", "_physical")
    }
    assert found["auroc"].value == found["auroc_physical"].value


def test_auroc_equals_the_overlap_of_two_gaussians(make_answers):
    """In one dimension far from the cloud the distance is monotone: AUROC = Phi(shift / sqrt 2)."""
    stream = np.random.default_rng(0)
    odd, ordinary = stream.normal(1, 1, 400), stream.normal(0, 1, 4000)
    train = np.full((60, 1), -50.0) + 1e-3 * stream.normal(size=(60, 1))
    oddness = neighbour_scores(
        torch.as_tensor(train), torch.as_tensor(np.concatenate([odd, ordinary])[:, None]), 10
    )
    found = roc_auc_score(np.repeat([1, 0], [400, 4000]), oddness)

    assert found == pytest.approx(0.760, abs=3 * 0.012)


def test_constant_features_tie_at_chance(make_answers):
    """Equal scores rank nothing: mid-ranks give one half, recall its expectation."""
    kind = np.repeat([0, 1], [90, 10])
    same = np.full((100, 4), 2.0)
    plain = (same, np.zeros(100))
    found = by_metric(Anomaly().evaluate(make_answers(plain, plain, (same, np.where(kind, -1, 0), kind))))

    assert found["auroc"].value == 0.5
    assert found["average_precision"].value == pytest.approx(0.1)
    assert found["recall_at_k"].value == pytest.approx(found["recall_at_k"].chance)


def test_recall_at_k_is_the_mean_over_orders_of_equal_scores():
    """Against every way of breaking the ties, counted one by one."""
    score = np.array([3.0, 2, 2, 2, 2, 1, 1])
    odd = np.array([True, True, False, False, True, False, True])
    tied, above = np.flatnonzero(score == 2), np.flatnonzero(score > 2)
    counts = [odd[above].sum() + odd[list(pick)].sum() for pick in combinations(tied, 3)]

    assert recall_at_k(odd, score, 4) == pytest.approx(np.mean(counts) / odd.sum())


def test_recall_at_k_without_ties_counts_the_top():
    """Three of the four highest are anomalies."""
    odd = np.array([True, True, False, True, False, True, False])

    assert recall_at_k(odd, np.arange(7, 0, -1.0), 4) == 0.75


def test_standard_errors_are_those_of_shares_of_anomalies():
    """Of 80 anomalies among 200, 40 stand in the first 50 and 60 in the first 80: Wald's errors by hand."""
    odd = np.zeros(200, dtype=bool)
    odd[:40] = odd[50:70] = odd[180:] = True
    found = {score.metric: score for score in ranking_scores("x", np.arange(200, 0, -1.0), odd)}
    precision = average_precision_score(odd, np.arange(200, 0, -1.0))

    assert (found["recall_at_k"].value, found["precision_at_50"].value) == (0.75, 0.8)
    assert found["recall_at_k"].item_se == pytest.approx(np.sqrt(0.75 * 0.25 / 80))
    assert found["precision_at_50"].item_se == pytest.approx(np.sqrt(0.8 * 0.2 / 50))
    assert found["average_precision"].item_se == pytest.approx(np.sqrt(precision * (1 - precision) / 80))
    assert found["recall_at_k"].chance == found["precision_at_50"].chance == 0.4


@pytest.mark.parametrize(("odd", "n"), [(1, 5), (3, 20), (30, 230)])
def test_average_precision_chance_is_the_mean_over_random_orders(odd, n):
    """For few anomalies it lies well above their share, which is the textbook chance."""
    stream, truth = np.random.default_rng(0), np.arange(n) < odd
    found = [average_precision_score(truth, stream.permutation(n)) for _ in range(400)]
    error = np.std(found) / np.sqrt(400)

    assert average_precision_chance(odd, n) == pytest.approx(np.mean(found), abs=3 * error)
    assert average_precision_chance(odd, n) > odd / n


def test_average_precision_chance_tends_to_the_share_of_anomalies():
    """In a large test set the textbook value is right."""
    assert average_precision_chance(5000, 100_000) == pytest.approx(0.05, abs=2e-4)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_auroc_standard_error_equals_the_scatter_over_test_sets(shift):
    """DeLong's formula against drawing the test set anew."""
    stream, odd = np.random.default_rng(0), np.arange(240) < 40
    draws = [stream.normal(size=240) + shift * odd for _ in range(300)]
    scatter = np.std([roc_auc_score(odd, draw) for draw in draws])

    assert np.mean([auroc_standard_error(odd, draw) for draw in draws]) == pytest.approx(scatter, rel=0.12)


def test_single_anomaly_has_no_standard_error(make_answers):
    """One galaxy has no scatter, and NaN is no number."""
    found = by_metric(Anomaly().evaluate(sky(make_answers, shift=2, physical=1, artefact=0)))

    assert found["auroc"].item_se is None


def test_unlabelled_ordinary_galaxies_are_background(make_answers):
    """A galaxy without a class is as ordinary as one with."""
    stream = np.random.default_rng(0)
    x, kind = stream.normal(size=(100, 3)), np.repeat([0, 1], [95, 5])
    plain = (x, np.zeros(100))
    found = by_metric(Anomaly().evaluate(make_answers(plain, plain, (x, np.full(100, -1), kind))))

    assert found["auroc"].n == 100


def test_ranking_hardly_depends_on_the_number_of_neighbours(make_answers):
    """Five to twenty neighbours rank alike, which is why ten is no delicate choice."""
    answers = sky(make_answers, shift=2.5)
    found = [by_metric(Anomaly(k=k).evaluate(answers))["auroc_physical"] for k in (5, 10, 20)]

    assert np.ptp([score.value for score in found]) < found[0].item_se


def test_fewer_train_galaxies_than_neighbours_is_a_warning(make_answers):
    """All of them are averaged, and the reader is told."""
    few, kind = (np.random.default_rng(0).normal(size=(4, 3)), np.zeros(4)), np.array([0, 0, 1, 1])
    found = Anomaly().evaluate(make_answers(few, few, (few[0], np.where(kind, -1, 0), kind)))

    assert found.warnings == ("only 4 train galaxies for k = 10",)
    assert found.selection["k"] == 4


@pytest.mark.parametrize("kind", [0, 1])
def test_test_set_of_one_sort_is_an_error(make_answers, kind):
    """A ranking needs both anomalies and ordinary galaxies."""
    part = (np.eye(4), np.zeros(4))
    test = (np.eye(4), np.full(4, -kind), np.full(4, kind))

    with pytest.raises(DataError, match="needs both"):
        Anomaly().evaluate(make_answers(part, part, test))


def test_option_out_of_range_is_refused():
    """The message names the option."""
    with pytest.raises(ConfigError, match=r"anomaly\.k"):
        Anomaly(k=0)


def test_held_out_class_is_odd_to_the_scorer_alone(make_answers):
    """A class whose train galaxies are left out is found; the same class left in is not; the record says so."""
    stream = np.random.default_rng(3)
    label = np.arange(600) % 3
    features = 6 * np.eye(3)[label] + stream.normal(size=(600, 3))
    parts = [(features[at : at + 200], label[at : at + 200]) for at in (0, 200, 400)]
    found = Anomaly(held_out=2).evaluate(make_answers(*parts))
    scores = by_metric(found)
    assert scores["auroc_held_out"].value > 0.98
    assert scores["auroc_held_out"].n == 200
    assert set(scores) == {
        f"{metric}_held_out" for metric in ("auroc", "average_precision", "recall_at_k", "precision_at_50")
    }
    odd = neighbour_scores(torch.as_tensor(parts[0][0]).float(), torch.as_tensor(parts[2][0]).float(), 10)
    assert abs(roc_auc_score(parts[2][1] == 2, odd) - 0.5) < 0.1
    assert "class 2 was held out of the scorer only: it was seen in pretraining" in found.warnings


def test_held_out_class_stands_beside_known_anomalies(make_answers):
    """Known anomalies keep their scores, and are neither odd nor background for the class held out."""
    answers = sky(make_answers, 0.0)
    label = np.where(answers.test.anomaly > 0, -1, np.arange(len(answers.test.ids)) % 2)
    train = np.arange(len(answers.train.ids)) % 2
    both = replace(
        answers, train=replace(answers.train, label=train), test=replace(answers.test, label=label), classes=2
    )
    plain, held = by_metric(Anomaly().evaluate(both)), by_metric(Anomaly(held_out=1).evaluate(both))
    assert {name: held[name].value for name in plain} == {name: plain[name].value for name in plain}
    assert held["auroc_held_out"].n == (answers.test.anomaly == 0).sum()
    assert abs(held["auroc_held_out"].value - 0.5) < 0.1  # the labels mean nothing here


def test_held_out_class_must_be_there(make_answers):
    """A class that no test galaxy has cannot be found, and the message says which there are."""
    parts = (np.zeros((9, 2)), np.arange(9) % 3)
    with pytest.raises(DataError, match=r"held_out=7: 0 of 9 .* choose one of \[0, 1, 2\]"):
        Anomaly(held_out=7).evaluate(make_answers(parts, parts, parts))


def test_precision_counts_the_top_whatever_the_number_of_anomalies():
    """Three of the four highest are anomalies, of five in all; ties count in expectation."""
    odd = np.array([True, True, False, True, False, True, True])

    assert precision_at_k(odd, np.arange(7, 0, -1.0), 4) == 0.75
    assert precision_at_k(odd, np.zeros(7), 4) == pytest.approx(5 / 7)


# --- other scorers ----------------------------------------------------------------------------------------


def test_mahalanobis_distance_of_a_gaussian_is_chi_distributed():
    """Among many correlated galaxies the squared distance averages the number of features, at any scale."""
    stream = np.random.default_rng(0)
    mixing = stream.normal(size=(6, 6)) * [1, 10, 100, 1, 1, 1]
    train, test = (torch.as_tensor(stream.normal(size=(n, 6)) @ mixing + 5) for n in (20_000, 4000))
    squared = mahalanobis_scores(train, test) ** 2

    assert squared.mean() == pytest.approx(6, abs=4 * np.sqrt(12 / 4000))
    assert squared.var() == pytest.approx(12, rel=0.15)


def test_mahalanobis_sees_what_breaks_a_correlation():
    """A galaxy that is ordinary in each feature and odd in their combination; nearness to the mean is no help."""
    stream = np.random.default_rng(0)
    x = stream.normal(size=(2000, 1))
    train = torch.as_tensor(np.hstack([x, x + 0.1 * stream.normal(size=(2000, 1))]))
    against, along = mahalanobis_scores(train, torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64))

    assert against > 5 * along


def test_mahalanobis_needs_no_more_galaxies_than_features():
    """The shrunk covariance has an inverse where the plain one has none."""
    stream = np.random.default_rng(0)
    train = torch.as_tensor(stream.normal(size=(20, 50)))

    assert np.isfinite(mahalanobis_scores(train, train + 1)).all()


def test_forest_is_seeded_and_finds_the_far_one():
    """The same seed gives the same trees, another seed nearly the same ranking."""
    stream = np.random.default_rng(0)
    train, test = torch.as_tensor(stream.normal(size=(500, 4))), torch.as_tensor(stream.normal(size=(300, 4)))
    test[0] = 8.0
    first, again, other = (forest_scores(train, test, 200, seed) for seed in (0, 0, 1))

    assert np.array_equal(first, again)
    assert first.argmax() == 0
    assert not np.array_equal(first, other)
    assert np.corrcoef(first, other)[0, 1] > 0.98


def curious_sky(make_answers, shift, *, flux_shift=0.0, error_shift=None):
    """Add fluxes, and prediction errors that are larger for anomalies by `error_shift` (none if None)."""
    answers, stream = sky(make_answers, shift), np.random.default_rng(5)
    odd = answers.test.anomaly > 0
    fluxes = {
        name: replace(part, band_fluxes=0.5 + 0.1 * stream.normal(size=(len(part.ids), 3)))
        for name, part in {"train": answers.train, "val": answers.val, "test": answers.test}.items()
    }
    test = fluxes["test"]
    test = replace(test, band_fluxes=test.band_fluxes + flux_shift * odd[:, None])
    if error_shift is not None:
        noise = stream.normal(size=(2, len(odd)))
        test = replace(
            test,
            prediction_errors=dict(
                zip(("mean_squared", "max_squared"), noise + error_shift * odd, strict=True)
            ),
        )
    return replace(answers, train=fluxes["train"], val=fluxes["val"], test=test)


def test_each_scorer_reads_its_own_evidence(make_answers):
    """Features that see, errors that see and colours that do not: each prefix says what its own source knows."""
    found = by_metric(AnomalyScorers(trees=50).evaluate(curious_sky(make_answers, 5.0, error_shift=3.0)))

    assert found["mahalanobis_auroc"].value > 0.95
    assert found["forest_auroc"].value > 0.85  # single cuts see a shift along one of six axes later
    assert found["error_auroc"].value == pytest.approx(0.983, abs=0.03)  # Phi(3 / sqrt 2)
    assert abs(found["colour_auroc"].value - 0.5) < 4 * found["colour_auroc"].item_se


def test_colour_that_gives_anomalies_away_is_a_warning(make_answers):
    """Another survey's pictures are told apart by their colour: then the features prove nothing."""
    given_away = AnomalyScorers(trees=20).evaluate(curious_sky(make_answers, 0.0, flux_shift=2.0))
    plain = AnomalyScorers(trees=20).evaluate(curious_sky(make_answers, 6.0))

    assert by_metric(given_away)["colour_auroc"].value > 0.99
    assert "physical anomalies: colour alone ranks them as well as the features do" in given_away.warnings
    assert plain.warnings == ()


def test_objective_that_predicts_nothing_has_no_error_scores(make_answers):
    """What was not measured is left out, and nothing stands in its place."""
    found = by_metric(AnomalyScorers(trees=20).evaluate(curious_sky(make_answers, 3.0)))

    assert not [metric for metric in found if metric.startswith("error")]


def test_scorers_are_fitted_on_train_alone(make_answers):
    """Taking half of the test galaxies away changes no score of the others."""
    answers = curious_sky(make_answers, 3.0, error_shift=1.0)
    half = np.arange(0, len(answers.test.ids), 2)
    test = replace(
        answers.test, ids=answers.test.ids[half], features={"last": answers.test.features["last"][half]},
        label=answers.test.label[half], anomaly=answers.test.anomaly[half],
        band_fluxes=answers.test.band_fluxes[half],
        prediction_errors={name: values[half] for name, values in answers.test.prediction_errors.items()},
    )  # fmt: skip
    whole = AnomalyScorers(trees=20).evaluate(answers).predictions
    part = AnomalyScorers(trees=20).evaluate(replace(answers, test=test)).predictions

    assert all(part[name] == pytest.approx(whole[name][half], rel=1e-6) for name in whole)


def test_scorer_options_out_of_range_are_refused():
    """The message names both options."""
    with pytest.raises(ConfigError, match=r"anomaly-scorers\.trees=0"):
        AnomalyScorers(trees=0)
