"""Numbers from features: against scikit-learn, known scatters and both nulls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge
from sklearn.metrics import r2_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.probes.neighbours import Directions
from astrojepa_bench.evaluators.probes.ridge import ALPHAS, Ridge, r_squared
from astrojepa_bench.evaluators.redshift import Redshift, sigma_nmad

COUNTS = {"train": 400, "val": 150, "test": 300}


def sky(make_answers, features, *, seed=0, classes=3, known=1.0):
    """Galaxies of three classes at typical redshifts of .1, .2, .3; `features(label, redshift, stream)`."""
    stream, parts, columns = np.random.default_rng(seed), {}, {}
    for name, count in COUNTS.items():
        label = stream.integers(0, classes, count)
        redshift = 0.1 * (label + 1) + stream.normal(0, 0.03, count)
        parts[name] = (features(label, redshift, stream), label)
        columns[name] = np.where(stream.random(count) < known, redshift, np.nan)
    answers = make_answers(*parts.values())
    return replace(answers, **{name: replace(answers.split(name), redshift=columns[name]) for name in COUNTS})


def oracle(label, redshift, stream):
    """The redshift itself beside noise."""
    return np.column_stack([redshift, stream.normal(size=(len(label), 5))])


def blind(label, redshift, stream):
    """Noise that knows nothing."""
    return stream.normal(size=(len(label), 6))


def morphology(label, redshift, stream):
    """The class and nothing else."""
    return np.eye(3)[label] + 1e-3 * stream.normal(size=(len(label), 3))


def by_metric(found):
    """Index values by metric."""
    return {score.metric: score.value for score in found}


def test_sigma_nmad_of_a_normal_scatter_is_its_sigma():
    """The golden number: N(0, .03²) gives .030, wherever it is centred."""
    drawn = np.random.default_rng(0).normal(0.2, 0.03, 100_000)

    assert sigma_nmad(drawn) == pytest.approx(0.030, abs=0.0004)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_ridge_equals_scikit_learns_at_every_penalty(alpha):
    """Same weights on standardised features, more features than galaxies or fewer."""
    stream = np.random.default_rng(0)
    for dim in (7, 80):
        x, y, new = stream.normal(3, 2, (60, dim)), stream.normal(size=60), stream.normal(3, 2, (20, dim))
        scaler = StandardScaler().fit(x)
        theirs = SklearnRidge(alpha=alpha).fit(scaler.transform(x), y).predict(scaler.transform(new))
        pair = (torch.as_tensor(x), torch.as_tensor(y)[:, None])
        ours = Ridge.fit(pair, pair, (alpha,)).predict(torch.as_tensor(new))

        assert ours[:, 0].numpy() == pytest.approx(theirs, abs=1e-7)


def test_penalty_is_the_one_that_validation_prefers():
    """Each target by itself: noise wants the strongest penalty, a clean line hardly any."""
    stream = np.random.default_rng(0)
    x = torch.as_tensor(stream.normal(size=(80, 30)))
    y = torch.stack([x @ torch.ones(30, dtype=torch.float64), torch.as_tensor(stream.normal(size=80))], dim=1)
    fitted = Ridge.fit((x[:50], y[:50]), (x[50:], y[50:]))

    assert fitted.alpha[0] <= 1
    assert fitted.alpha[1] >= 1e2
    scaler = StandardScaler().fit(x[:50])
    train, val = scaler.transform(x[:50]), scaler.transform(x[50:])
    for target in (0, 1):
        truth = y[:, target].numpy()
        theirs = [SklearnRidge(alpha=alpha).fit(train, truth[:50]).predict(val) for alpha in ALPHAS]
        losses = [np.mean((predicted - truth[50:]) ** 2) for predicted in theirs]
        assert float(fitted.alpha[target]) == ALPHAS[int(np.argmin(losses))]


def test_neighbour_mean_equals_the_mean_over_cosine_neighbours():
    """The k nearest directions from the train mean, found by another search."""
    stream = np.random.default_rng(0)
    train, test, y = stream.normal(1, 1, (200, 6)), stream.normal(1, 1, (50, 6)), stream.normal(size=200)
    mean = train.mean(axis=0)
    near = NearestNeighbors(n_neighbors=7, metric="cosine").fit(train - mean).kneighbors(test - mean)[1]
    found = Directions.of(torch.as_tensor(train)).average(torch.as_tensor(test), y, 7)

    assert found == pytest.approx(y[near].mean(axis=1))


def test_r_squared_equals_scikit_learns():
    """One column, and two that count together."""
    truth, predicted = np.random.default_rng(0).normal(size=(2, 100, 2))

    assert r_squared(truth[:, 0], predicted[:, 0]) == pytest.approx(r2_score(truth[:, 0], predicted[:, 0]))
    together = 1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum()
    assert r_squared(truth, predicted) == pytest.approx(together)


def test_features_that_hold_the_redshift_give_it(make_answers):
    """An oracle leaves hardly any scatter, bias or outlier."""
    found = by_metric(Redshift().evaluate(sky(make_answers, oracle)))

    assert found["r2"] > 0.99
    assert found["sigma_nmad"] < 0.003
    assert found["absolute_bias"] < 0.001
    assert found["outliers_05"] == 0


def test_features_that_know_nothing_score_the_median_null(make_answers):
    """Chance is what predicting the median of train scores, and noise scores no better."""
    scores = {score.metric: score for score in Redshift().evaluate(sky(make_answers, blind))}

    for metric in ("sigma_nmad", "outliers_05", "outliers_15"):
        assert scores[metric].value == pytest.approx(scores[metric].chance, abs=0.02), metric
    assert -0.1 < scores["r2"].value < 0.05
    assert -0.1 < scores["r2"].chance <= 0


def test_features_that_know_the_class_score_the_class_null(make_answers):
    """Morphology alone already gives most of R² here: the second null shows that nothing else was learnt."""
    found = by_metric(Redshift().evaluate(sky(make_answers, morphology)))

    assert found["class_only_r2"] > 0.8
    assert found["r2"] == pytest.approx(found["class_only_r2"], abs=0.01)
    assert found["sigma_nmad"] == pytest.approx(found["class_only_sigma_nmad"], rel=0.05)
    assert found["class_only_sigma_nmad"] == pytest.approx(0.03 / 1.2, rel=0.15)  # the scatter in a class


def test_galaxies_without_a_redshift_are_left_out(make_answers):
    """Unknown is NaN and counts nowhere."""
    found = Redshift().evaluate(sky(make_answers, oracle, known=0.5))

    assert found.scores[0].n == len(found.ids) < 0.6 * COUNTS["test"]
    assert found.scores[0].value < 0.003


def test_any_numeric_column_may_be_asked_for(make_answers):
    """A vote fraction is no redshift: deviations are not divided by 1 + truth, and nothing is an outlier."""
    answers = sky(make_answers, oracle)
    votes = {
        name: replace(answers.split(name), factors={"f_bar": answers.split(name).redshift}) for name in COUNTS
    }
    evaluator = Redshift(column="f_bar")
    found = by_metric(evaluator.evaluate(replace(answers, **votes)))

    assert evaluator.requires == ("f_bar",)
    assert found["r2"] > 0.99
    assert not [metric for metric in found if "outliers" in metric]
    assert found["class_only_sigma_nmad"] == pytest.approx(0.03, rel=0.15)


def test_test_redshifts_influence_no_prediction(make_answers):
    """Planted error: a scorer that saw them would predict otherwise once they are shuffled."""
    answers = sky(make_answers, oracle)
    shuffled = np.random.default_rng(1).permutation(answers.test.redshift)
    before = Redshift().evaluate(answers)
    after = Redshift().evaluate(replace(answers, test=replace(answers.test, redshift=shuffled)))

    assert np.array_equal(before.predictions["ridge"], after.predictions["ridge"])
    assert np.array_equal(before.predictions["knn"], after.predictions["knn"])
    assert before.selection == after.selection
    assert by_metric(after)["r2"] < 0.1


def test_order_of_the_table_is_irrelevant(make_answers):
    """Rows in another order give the same numbers."""
    answers = sky(make_answers, oracle, known=0.9)
    turned = {}
    for name in COUNTS:
        part, order = answers.split(name), np.random.default_rng(2).permutation(COUNTS[name])
        turned[name] = replace(
            part, ids=part.ids[order], features={"last": part.features["last"][order]},
            label=part.label[order], anomaly=part.anomaly[order], redshift=part.redshift[order],
        )  # fmt: skip
    before, after = Redshift().evaluate(answers), Redshift().evaluate(replace(answers, **turned))

    assert by_metric(before) == pytest.approx(by_metric(after), abs=1e-9)


def test_bias_of_a_shifted_test_set_is_found(make_answers):
    """Planted error: test redshifts that are all .05 higher than the features say."""
    answers = sky(make_answers, oracle)
    moved = replace(answers, test=replace(answers.test, redshift=answers.test.redshift + 0.05))

    assert by_metric(Redshift().evaluate(moved))["absolute_bias"] == pytest.approx(0.05 / 1.25, rel=0.05)


def test_too_few_numbers_and_bad_options_are_refused(make_answers):
    """The message names the column, the split and the option."""
    with pytest.raises(DataError, match=r"0 ordinary train galaxies have a number in 'redshift'"):
        Redshift().evaluate(sky(make_answers, oracle, known=0.0))
    with pytest.raises(ConfigError, match=r"redshift\.k=0"):
        Redshift(k=0)
