"""Our logistic regression against scikit-learn's, on problems that break solvers."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression

from astrojepa_bench.evaluators.probes.logistic import climb_logistic, fit_logistic, fit_logistic_draws

GRID = (1e-4, 1e-2, 1.0, 1e2)


def standardised(features, target, *, train=None):
    """Standardise on the first galaxies (half, unless told); give those and the rest."""
    cut = len(features) // 2 if train is None else train
    std = features[:cut].std(axis=0)
    scaled = (features - features[:cut].mean(axis=0)) / np.where(std > 0, std, 1)
    return scaled[:cut], target[:cut], scaled[cut:], target[cut:]


def cloud(count, classes, dim, *, shares=None, decay=1.0, seed=0):
    """Overlapping classes in features whose variance falls as a power of the axis, then mixed."""
    stream = np.random.default_rng(seed)
    target = np.concatenate([np.arange(classes), stream.choice(classes, count - classes, p=shares)])
    spread = np.arange(1, dim + 1) ** -decay
    centres = stream.normal(size=(classes, dim)) * spread * np.exp(-np.arange(dim) / 4)
    mixing = np.linalg.qr(stream.normal(size=(dim, dim)))[0]
    return (1.5 * centres[target] + stream.normal(size=(count, dim)) * spread) @ mixing, target


def digits():
    """Real images, some pixels constant."""
    return standardised(*load_digits(return_X_y=True))


def imbalanced():
    """One class holds nine galaxies in ten, another one in two hundred."""
    return standardised(*cloud(4000, 4, 20, shares=[0.9, 0.07, 0.025, 0.005]))


def collinear():
    """Every feature twice, and sums of features."""
    features, target = cloud(3000, 5, 16)
    sums = features @ np.ones((16, 4)) + 1e-6 * features[:, :4]
    return standardised(np.hstack([features, features, sums]), target)


def nearly_constant():
    """Most features hardly vary around a large offset; one galaxy is far out."""
    features, target = cloud(3000, 4, 24)
    features[:, 8:] = 100 + 1e-4 * features[:, 8:]
    features[0] *= 30
    return standardised(features, target)


def two_classes():
    """Where scikit-learn penalises one weight vector instead of two."""
    return standardised(
        *make_classification(3000, 30, n_informative=8, flip_y=0.2, class_sep=0.5, random_state=0)
    )


def more_dimensions_than_galaxies():
    """Separable for any labels: only the penalty decides."""
    return standardised(*cloud(1200, 4, 384), train=200)


PROBLEMS = [digits, imbalanced, collinear, nearly_constant, two_classes, more_dimensions_than_galaxies]


def objective(weights, bias, features, target, c):
    """Return scikit-learn's objective per galaxy, in double precision, computed here."""
    logits = features @ weights.T + bias
    top = logits.max(axis=1, keepdims=True)
    log_sum = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return (log_sum - logits[np.arange(len(target)), target]).mean() + (weights**2).sum() / (
        2 * c * len(target)
    )


def sklearn_fit(features, target, c):
    """Fit scikit-learn's own, to a tighter tolerance than its default."""
    return LogisticRegression(C=c, tol=1e-6, max_iter=20_000).fit(features, target)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.__name__)
def test_accuracy_and_objective_equal_scikit_learns_at_every_penalty(problem):
    """Held-out accuracy within .1 point (or one galaxy), and a minimum as deep to 1e-5 nat per galaxy."""
    features, target, held_out, truth = problem()
    fits = fit_logistic(torch.as_tensor(features).float(), torch.as_tensor(target), GRID)
    predicted = fits.predict(torch.as_tensor(held_out).float()).numpy()
    assert fits.converged.all()
    for row, c in enumerate(GRID):
        theirs = sklearn_fit(features, target, c)
        gap = (predicted[row] == truth).mean() - (theirs.predict(held_out) == truth).mean()
        ours = fits.weights[row].double().numpy(), fits.bias[row].double().numpy()

        assert abs(gap) <= max(1e-3, 1.01 / len(truth))
        if problem is not two_classes:  # which scikit-learn writes with one weight vector
            best = objective(theirs.coef_, theirs.intercept_, features, target, c)
            assert objective(*ours, features, target, c) <= best + 1e-5


def test_weights_equal_scikit_learns_in_double_precision():
    """Not only the accuracy: the coefficients themselves, intercepts up to their common shift."""
    features, target, *_ = imbalanced()
    fits = fit_logistic(torch.as_tensor(features), torch.as_tensor(target), (0.1,), tolerance=1e-9)
    theirs = LogisticRegression(C=0.1, tol=1e-10, max_iter=20_000).fit(features, target)
    ours = (fits.bias[0] - fits.bias[0].mean()).numpy()

    assert np.allclose(fits.weights[0].numpy(), theirs.coef_, atol=1e-5)
    assert np.allclose(ours, theirs.intercept_ - theirs.intercept_.mean(), atol=1e-5)


def test_wrong_penalty_would_be_noticed():
    """The planted error, a penalty off by a factor of ten, moves the weights far beyond the tolerance."""
    features, target, *_ = imbalanced()
    right, wrong = fit_logistic(torch.as_tensor(features), torch.as_tensor(target), (0.1, 1.0)).weights

    assert float((right - wrong).abs().max()) > 1e-2


def test_probabilities_are_calibrated_on_train():
    """At the minimum the mean probability of each class equals its share, since the intercept is free."""
    features, target, *_ = imbalanced()
    fits = fit_logistic(torch.as_tensor(features), torch.as_tensor(target), (0.1, 1.0), tolerance=1e-8)
    means = fits.logits(torch.as_tensor(features)).softmax(dim=-1).mean(dim=1)
    shares = torch.bincount(torch.as_tensor(target)) / len(target)

    assert torch.allclose(means, shares.double().expand_as(means), atol=1e-7)


def test_one_class_is_always_predicted():
    """Nothing to separate, nothing that fails."""
    fits = fit_logistic(torch.eye(5), torch.zeros(5, dtype=torch.long), (1.0,))

    assert fits.converged.all()
    assert not fits.predict(torch.eye(5)).any()


def test_constant_features_predict_the_most_frequent_class():
    """Only the intercept is left."""
    target = torch.tensor([0, 1, 1, 2, 1])
    fits = fit_logistic(torch.full((5, 3), 2.5), target, GRID)

    assert fits.converged.all()
    assert (fits.predict(torch.full((2, 3), 2.5)) == 1).all()


def test_cut_short_fit_is_not_converged():
    """The caller must be able to warn."""
    features, target, *_ = digits()
    fits = fit_logistic(torch.as_tensor(features), torch.as_tensor(target), (1.0,), max_steps=2)

    assert not fits.converged.any()


# --- draws and climbs -----------------------------------------------------------------------------------


def few(per_class, draws=3, dim=40, classes=5):
    """Draw a few galaxies of each class, several times, from one cloud; give the cloud too."""
    features, target = cloud(2000, classes, dim, seed=3)
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    stream = np.random.default_rng(4)
    rows = [
        np.concatenate([stream.permutation(np.flatnonzero(target == c))[:per_class] for c in range(classes)])
        for _ in range(draws)
    ]
    return scaled, target, np.stack(rows)


@pytest.mark.parametrize("per_class", [1, 5, 20], ids=lambda count: f"{count}-per-class")
def test_each_draw_equals_scikit_learns_fit_of_it(per_class):
    """Fewer galaxies than dimensions or more: every draw at every penalty agrees with a fit of its own."""
    features, target, rows = few(per_class)
    tensors = torch.as_tensor(features[rows]).float(), torch.as_tensor(target[rows])
    grid = (1e-3, 1e-1, 10.0)
    fits = fit_logistic_draws(*tensors, grid, tolerance=1e-5)
    predicted = fits.predict(torch.as_tensor(features).float()).numpy().reshape(len(rows), len(grid), -1)
    assert fits.converged.all()
    for draw, drawn in enumerate(rows):
        for row, c in enumerate(grid):
            theirs = sklearn_fit(features[drawn], target[drawn], c).predict(features)

            assert abs((predicted[draw, row] == target).mean() - (theirs == target).mean()) <= 1e-3
            assert (predicted[draw, row] == theirs).mean() > 0.998


def test_draws_solved_together_equal_draws_solved_alone():
    """A draw must not depend on what else was drawn."""
    features, target, rows = few(10, draws=2, dim=12)
    drawn, classes = torch.as_tensor(features[rows]), torch.as_tensor(target[rows])
    together = fit_logistic_draws(drawn, classes, (0.1, 1.0), tolerance=1e-8)
    for draw in range(len(rows)):
        alone = fit_logistic(drawn[draw], classes[draw], (0.1, 1.0), tolerance=1e-8)
        assert torch.allclose(together.only(slice(2 * draw, 2 * draw + 2)).weights, alone.weights, atol=1e-6)


def test_draw_of_another_would_be_noticed():
    """The planted error, weights given to the next draw, changes one answer in ten."""
    features, target, rows = few(5)
    fits = fit_logistic_draws(torch.as_tensor(features[rows]), torch.as_tensor(target[rows]), (1.0,))
    predicted = fits.predict(torch.as_tensor(features)).numpy()

    assert (predicted[0] != predicted[1]).mean() > 0.1


@pytest.mark.parametrize("problem", [digits, imbalanced], ids=lambda problem: problem.__name__)
def test_climbing_ends_in_the_same_minima(problem):
    """Where a fit starts is no information: each penalty has one minimum."""
    features, target, held_out, truth = problem()
    tensors = torch.as_tensor(features).float(), torch.as_tensor(target)
    rungs = list(climb_logistic(*tensors, (1.0, 1e-4, 1e-2)))
    together = fit_logistic(*tensors, (1e-4, 1e-2, 1.0)).predict(torch.as_tensor(held_out).float()).numpy()
    climbed = torch.cat([fits.predict(torch.as_tensor(held_out).float()) for fits in rungs]).numpy()

    assert [len(fits.converged) for fits in rungs] == [2, 1]
    assert all(fits.converged.all() for fits in rungs)
    gaps = (climbed == truth).mean(axis=1) - (together == truth).mean(axis=1)
    assert np.abs(gaps).max() <= max(1e-3, 1.01 / len(truth))
