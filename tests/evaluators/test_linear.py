"""The linear probe: what it chooses, what it refuses, how it counts."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score as sklearn_balanced
from sklearn.metrics import f1_score, log_loss, recall_score
from sklearn.preprocessing import StandardScaler

from astrojepa_bench.errors import ConfigError, ContractError, DataError
from astrojepa_bench.evaluators import linear
from astrojepa_bench.evaluators.knn import KNN
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.metrics.calibration import ece_score, expected_calibration_error, nll_score
from astrojepa_bench.evaluators.metrics.classification import (
    accuracy_score,
    balanced_accuracy_score,
    macro_f1_score,
    recall_scores,
)
from astrojepa_bench.evaluators.probes.standardise import Standardisation


def by_metric(found):
    """Index scores by metric."""
    return {score.metric: score for score in found}


def test_tap_and_penalty_of_the_best_validation_are_chosen(make_answers, clouds):
    """A second tap that separates the classes wins over a first that knows nothing."""
    parts = []
    for seed in range(3):
        good, label = clouds(150, spread=0.3, seed=seed)
        noise = np.random.default_rng(50 + seed).normal(size=good.shape)
        parts.append(({"last": noise, "last4": good}, label))
    for evaluator in (Linear(), KNN()):
        found = evaluator.evaluate(make_answers(*parts))

        assert found.selection["tap"] == "last4"
        assert by_metric(found)["accuracy"].value > 0.9


def test_penalty_of_the_least_validation_log_loss_is_chosen(make_answers, clouds):
    """Scikit-learn's own classifiers and log-loss point to the same C; of equal taps the first is taken."""
    (train, y), (val, z), test = (clouds(90, spread=2.0, seed=seed) for seed in range(3))
    parts = [({"last": x, "last4": x}, label) for x, label in ((train, y), (val, z), test)]
    grid = (0.001, 0.1, 10.0, 1000.0)
    scaler = StandardScaler().fit(train)
    losses = [
        log_loss(z, LogisticRegression(C=c, max_iter=5000).fit(scaler.transform(train), y)
                 .predict_proba(scaler.transform(val)))
        for c in grid
    ]  # fmt: skip
    found = Linear(c_grid=grid).evaluate(make_answers(*parts))

    assert found.selection["tap"] == "last"
    assert found.selection["C"] == grid[int(np.argmin(losses))]
    assert found.selection["val_log_loss"] == pytest.approx(min(losses), abs=1e-3)


@pytest.mark.parametrize("spread", [0.4, 1.5, 30.0], ids=["clear", "mixed", "hopeless"])
def test_climbing_finds_the_penalty_of_the_whole_grid(make_answers, clouds, spread):
    """The log-loss falls and then rises with C, so nothing is missed beyond the first rise."""
    parts = [clouds(count, spread=spread, seed=seed, dim=30) for seed, count in enumerate((150, 400, 50))]
    (x, y), (x_val, y_val), _ = parts
    scaler = StandardScaler().fit(x)
    losses = [
        log_loss(y_val, LogisticRegression(C=c, max_iter=5000).fit(scaler.transform(x), y)
                 .predict_proba(scaler.transform(x_val)))
        for c in linear.C_GRID
    ]  # fmt: skip

    assert Linear().evaluate(make_answers(*parts)).selection["C"] == linear.C_GRID[int(np.argmin(losses))]


def test_climb_ends_where_the_log_loss_rises(make_answers, clouds, monkeypatch):
    """Penalties far weaker than the chosen one are never fitted, which is most of the time saved."""
    fitted = []

    def watched(features, target, grid):
        for fits in climb_logistic(features, target, grid):
            fitted.append(len(fits.converged))
            yield fits

    climb_logistic = linear.climb_logistic
    monkeypatch.setattr(linear, "climb_logistic", watched)
    part = clouds(100, spread=30.0)
    other = clouds(100, spread=30.0, seed=1)
    found = Linear().evaluate(make_answers(part, other, other))

    assert found.selection["C"] <= 1e-2
    assert sum(fitted) <= 4


def test_units_of_a_feature_do_not_matter(make_answers, clouds):
    """Standardised on train: a feature in other units, or with an offset, gives the same answers."""
    plain = [clouds(120, spread=1.0, seed=seed) for seed in range(3)]
    units = 10.0 ** np.arange(-3, 3).repeat(2)
    scaled = [(5 + x * units, y) for x, y in plain]
    probe = Linear(c_grid=(0.01, 1.0, 100.0))
    before, after = (probe.evaluate(make_answers(*parts)) for parts in (plain, scaled))

    assert (before.predictions["class"] == after.predictions["class"]).mean() > 0.99
    assert before.selection["C"] == after.selection["C"]


def test_class_absent_from_train_counts_as_error(make_answers, clouds):
    """The class list is that of train; nothing else can be answered, and nothing fails."""
    train, val = (
        clouds(120, spread=0.05, label=np.arange(120) % 2),
        clouds(60, spread=0.05, label=np.arange(60) % 2),
    )
    test = clouds(80, spread=0.05, label=np.arange(80) % 4)
    for evaluator in (Linear(), KNN()):
        found = evaluator.evaluate(make_answers(train, val, test))

        assert set(found.predictions["class"]) <= {0, 1}
        assert by_metric(found)["accuracy"].value == 0.5
        assert by_metric(found)["balanced_accuracy"].value == 0.5
        assert by_metric(found)["balanced_accuracy"].chance == 0.25


def test_class_numbers_may_have_gaps(make_answers, clouds):
    """Classes 0, 3 and 7 are answered as such."""
    parts = []
    for seed in range(3):
        x, y = clouds(90, spread=0.05, classes=3, seed=seed)
        parts.append((x, np.array([0, 3, 7])[y]))
    for evaluator in (Linear(), KNN()):
        found = evaluator.evaluate(make_answers(*parts))

        assert by_metric(found)["accuracy"].value == 1
        assert set(found.predictions["class"]) == {0, 3, 7}


@pytest.mark.parametrize("evaluator", [Linear(), KNN()], ids=["linear", "knn"])
def test_single_class_scores_one_and_chance_one(make_answers, clouds, evaluator):
    """Always right, and so is a guess."""
    one = clouds(30, spread=1, label=np.zeros(30, dtype=int))
    found = evaluator.evaluate(make_answers(one, one, one))

    rated = {score.metric: (score.value, score.chance) for score in found if score.chance is not None}

    assert rated.pop("nll", (0.0, 0.0)) == (0.0, 0.0)
    assert set(rated.values()) == {(1.0, 1.0)}


def test_single_class_in_train_is_a_warning(make_answers, clouds):
    """A reader must see why every galaxy got one answer."""
    one, more = clouds(30, spread=1, label=np.zeros(30, dtype=int)), clouds(30, spread=1)
    found = Linear().evaluate(make_answers(one, more, more))

    assert any("only class 0" in warning for warning in found.warnings)


@pytest.mark.parametrize("evaluator", [Linear(), KNN()], ids=["linear", "knn"])
def test_class_with_one_train_member_is_scored(make_answers, clouds, evaluator):
    """Galaxy10's rarest class thinned to one galaxy is no special case."""
    label = np.array([2, *(np.arange(99) % 2)])
    part = clouds(100, spread=0.05, label=label)
    found = evaluator.evaluate(make_answers(part, part, part))

    assert all(np.isfinite(score.value) for score in found)


@pytest.mark.parametrize("evaluator", [Linear(), KNN()], ids=["linear", "knn"])
def test_constant_features_give_one_answer(make_answers, evaluator):
    """A dead encoder scores what one constant answer scores."""
    label = np.array([0, 1, 1, 2] * 10)
    part = (np.full((40, 6), 3.3), label)
    found = evaluator.evaluate(make_answers(part, part, part))

    assert len(set(found.predictions["class"])) == 1
    assert by_metric(found)["balanced_accuracy"].value == pytest.approx(1 / 3)


def test_linear_on_constant_features_scores_chance(make_answers):
    """The intercept knows the most frequent class."""
    part = (np.full((40, 6), 3.3), np.array([0, 1, 1, 2] * 10))
    found = Linear().evaluate(make_answers(part, part, part))

    assert by_metric(found)["accuracy"].value == by_metric(found)["accuracy"].chance == 0.5


def test_fit_that_did_not_converge_is_a_warning(make_answers, clouds, monkeypatch):
    """A number from an unfinished fit must not look like the others."""
    monkeypatch.setattr(linear, "climb_logistic", partial(linear.climb_logistic, max_steps=1))
    part = clouds(200, spread=2)

    assert any("did not converge" in w for w in Linear().evaluate(make_answers(part, part, part)).warnings)


def test_features_that_are_not_finite_are_refused(make_answers, clouds):
    """Divergence is told as such, not scored as a bad representation."""
    x, y = clouds(50, spread=1)
    broken = x.copy()
    broken[7, 2] = np.nan

    with pytest.raises(ContractError, match="not finite for 1 of 50 train"):
        Linear().evaluate(make_answers((broken, y), (x, y), (x, y)))


def test_split_without_labels_is_an_error_that_names_it(make_answers, clouds):
    """Nothing can be chosen without a labelled validation galaxy."""
    x, y = clouds(50, spread=1)

    with pytest.raises(DataError, match="'val' has no labelled"):
        Linear().evaluate(make_answers((x, y), (x, np.full(50, -1)), (x, y)))


def test_options_out_of_range_are_refused():
    """Each message names the option."""
    with pytest.raises(ConfigError, match=r"linear\.c_grid"):
        Linear(c_grid=(0.0, 1.0))
    with pytest.raises(ConfigError, match=r"knn\.k"):
        KNN(k=0)


# --- scores ---------------------------------------------------------------------------------------------


def labels_of(seed, count=500):
    """Unbalanced truth and answers that are right two times in three."""
    stream = np.random.default_rng(seed)
    truth = stream.choice(4, count, p=[0.6, 0.25, 0.1, 0.05])
    return truth, np.where(stream.random(count) < 2 / 3, truth, stream.integers(0, 4, count))


def test_scores_equal_scikit_learns():
    """Balanced accuracy and macro F1 by their textbook definitions."""
    truth, predicted = labels_of(0)

    assert balanced_accuracy_score("x", truth, predicted).value == pytest.approx(
        sklearn_balanced(truth, predicted)
    )
    assert macro_f1_score("x", truth, predicted).value == pytest.approx(
        f1_score(truth, predicted, average="macro")
    )


def test_recalls_equal_scikit_learns_and_average_to_the_balanced_accuracy():
    """One per class in test, each on the galaxies of that class."""
    truth, predicted = labels_of(1)
    found = recall_scores("x", truth, predicted)

    assert [score.metric for score in found] == ["recall_0", "recall_1", "recall_2", "recall_3"]
    assert np.allclose([score.value for score in found], recall_score(truth, predicted, average=None))
    assert sum(score.n for score in found) == len(truth)
    assert np.mean([score.value for score in found]) == pytest.approx(sklearn_balanced(truth, predicted))
    errors = [
        np.std(predicted[truth == index] == index) / np.sqrt((truth == index).sum()) for index in range(4)
    ]
    assert [score.item_se for score in found] == pytest.approx(errors)


def stated(count, sharpness, seed=0):
    """Classes drawn from known probabilities, and the probabilities stated: sharpened by some power."""
    stream = np.random.default_rng(seed)
    p = stream.dirichlet(np.ones(4), count)
    truth = (p.cumsum(axis=1) < stream.random((count, 1))).sum(axis=1)
    sharp = p**sharpness / (p**sharpness).sum(axis=1, keepdims=True)
    return truth, sharp


def test_nll_equals_scikit_learns_log_loss_and_its_chance_the_entropy_of_the_shares():
    """The guess that states the shares of train is what a representation without knowledge can say."""
    truth, p = stated(500, 1.0)
    found = nll_score("x", truth, np.log(p), np.array([0, 0, 1, 2, 3]))
    shares = np.array([0.4, 0.2, 0.2, 0.2])

    assert found.value == pytest.approx(log_loss(truth, p))
    assert found.chance == pytest.approx(log_loss(truth, np.tile(shares, (500, 1))))
    assert found.item_se == pytest.approx(np.std(np.log(p)[np.arange(500), truth]) / np.sqrt(500))
    assert not found.higher_is_better


def test_honest_probabilities_are_calibrated_and_have_the_least_nll():
    """Probabilities that the classes were drawn from beat the same ones sharpened or flattened."""
    errors, losses = [], []
    for sharpness in (0.5, 1.0, 3.0):
        truth, p = stated(20_000, sharpness)
        errors.append(expected_calibration_error(p.argmax(axis=1) == truth, p.max(axis=1)))
        losses.append(nll_score("x", truth, np.log(p), truth).value)

    assert errors[1] < 0.01
    assert min(errors[0], errors[2]) > 0.1
    assert losses[1] < min(losses[0], losses[2])


def test_calibration_error_by_hand():
    """Nine in ten claimed, six in ten right: .3; bins of opposite sign do not cancel."""
    right = np.array([True] * 6 + [False] * 4)
    both = np.concatenate([right, [True] * 10])
    confidence = np.repeat([0.9, 0.7], 10)

    assert expected_calibration_error(right, np.full(10, 0.9)) == pytest.approx(0.3)
    assert expected_calibration_error(both, confidence) == pytest.approx(0.3)
    assert ece_score("x", right, np.full(10, 1.0)).value == pytest.approx(0.4)


def test_bins_of_the_calibration_error_are_open_below_and_closed_above():
    """Against the definition, bin by bin: confidences on edges, at 0 and at 1, in the lowest and highest bins."""
    confidence = np.array([0.0, 0.1, 0.25, 0.3, 0.5, 0.6, 0.75, 0.75, 0.8, 0.95, 1.0, 1.0])
    right = np.array(
        [1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0], dtype=bool
    )  # neighbouring bins err in opposite ways
    gaps = [0.0] * 4
    for answer, stated_confidence in zip(right, confidence, strict=True):
        edges = [edge for edge in (0.25, 0.5, 0.75) if stated_confidence > edge]
        gaps[len(edges)] += answer - stated_confidence

    assert expected_calibration_error(right, confidence, bins=4) == pytest.approx(np.abs(gaps).sum() / 12)


def test_calibration_error_of_a_calibrated_classifier_is_the_scatter_of_its_bins():
    """It is never zero on a finite test set: two hundredths for two thousand galaxies."""
    draws = [stated(2000, 1.0, seed) for seed in range(20)]
    found = [expected_calibration_error(p.argmax(axis=1) == truth, p.max(axis=1)) for truth, p in draws]

    assert np.mean(found) == pytest.approx(0.02, abs=0.008)


def test_class_unknown_to_train_has_no_probability_and_no_nll(make_answers, clouds):
    """An infinite loss would hide all others; the galaxies still count as errors everywhere else."""
    train, val = (clouds(120, spread=0.05, label=np.arange(120) % 2) for _ in range(2))
    test = clouds(80, spread=0.05, label=np.arange(80) % 4)
    found = by_metric(Linear().evaluate(make_answers(train, val, test)))

    assert (found["nll"].n, found["ece"].n, found["recall_3"].value) == (40, 80, 0)
    strange = clouds(20, spread=0.05, label=2 + np.arange(20) % 2)
    assert "nll" not in by_metric(Linear().evaluate(make_answers(train, val, strange)))


def test_accuracy_chance_is_the_test_share_of_the_train_majority():
    """The majority of train, not of test, is what a guess can know."""
    score = accuracy_score("x", np.array([0, 0, 0, 1]), np.array([0, 1, 0, 1]), np.array([1, 1, 1, 0]))

    assert (score.value, score.chance) == (0.75, 0.25)
    assert score.item_se == pytest.approx(np.sqrt(0.75 * 0.25 / 4))


def test_standard_errors_equal_the_scatter_over_test_sets():
    """Drawing the test set again scatters the score by what its standard error says."""
    draws = [labels_of(seed) for seed in range(600)]
    balanced = [balanced_accuracy_score("x", *draw) for draw in draws]
    plain = [accuracy_score("x", *draw, draw[0]) for draw in draws]

    for scores in (balanced, plain):
        scatter = np.std([score.value for score in scores])
        assert np.mean([score.item_se for score in scores]) == pytest.approx(scatter, rel=0.1)


def test_no_guess_beats_the_chance_of_balanced_accuracy_or_macro_f1():
    """Guesses spread evenly, as the classes are, or all on one class: at most 1 / classes on average."""
    stream = np.random.default_rng(1)
    shares = np.array([0.6, 0.25, 0.1, 0.05])
    for spread in (shares, np.full(4, 0.25), np.array([1.0, 0, 0, 0])):
        truth, guess = stream.choice(4, 40_000, p=shares), stream.choice(4, 40_000, p=spread)

        assert balanced_accuracy_score("x", truth, guess).value == pytest.approx(0.25, abs=0.01)
        assert macro_f1_score("x", truth, guess).value <= 0.25 + 0.01


def test_constant_feature_with_rounding_noise_is_not_amplified():
    """A spread below the rounding of its own size is no spread."""
    noise = torch.tensor([[1.0], [-1.0]]).repeat(50, 1)
    features = torch.cat([torch.full((100, 1), 1e3) * (1 + 5e-8 * noise), noise], dim=1)
    scaling = Standardisation.fit(features)

    assert float(scaling.std[0]) == 1
    assert float(scaling.std[1]) == pytest.approx(1)
    assert float(scaling(features)[:, 0].abs().max()) < 1e-3
