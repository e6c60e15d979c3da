"""A small network finds curved boundaries, agrees with the library it is made of, and hangs on no order."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.evaluators.mlp import LEAST_PROBABILITY, MLP, STEPS
from astrojepa_bench.features import Features, SplitFeatures


def value_of(evaluation, metric="accuracy"):
    return next(score.value for score in evaluation.scores if score.metric == metric)


@pytest.fixture
def rings():
    """Draw a disc within a ring: no straight line through two numbers parts them."""

    def draw(count, seed):
        stream = np.random.default_rng(seed)
        label = stream.integers(0, 2, count)
        radius, angle = 1 + label + 0.15 * stream.normal(size=count), stream.uniform(0, 2 * np.pi, count)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), label

    return draw


def test_a_curved_boundary_is_found_where_a_straight_one_is_blind(make_answers, rings):
    """Radii 1 and 2 with a spread of .15 overlap in .04 % of galaxies; a line does no better than guessing."""
    answers = make_answers(rings(400, 0), rings(200, 1), rings(400, 2))

    assert value_of(MLP().evaluate(answers)) > 0.97
    assert value_of(Linear().evaluate(answers)) < 0.65


def test_clouds_are_read_as_well_as_theory_allows(make_answers, clouds):
    """Of overlapping Gaussian clouds nobody reads more than the nearest centre: within three standard errors."""
    spread, test = 1.2, clouds(600, spread=1.2, seed=3)
    centres = np.random.default_rng(99).normal(size=(4, 12))
    best = (((test[0][:, None] - centres) ** 2).sum(axis=2).argmin(axis=1) == test[1]).mean()
    answers = make_answers(clouds(500, spread=spread, seed=1), clouds(200, spread=spread, seed=2), test)
    found = value_of(MLP().evaluate(answers))

    assert found <= best + 3 * np.sqrt(best * (1 - best) / 600)
    assert found > best - 0.06


def test_scores_are_those_of_scikit_learn(make_answers, clouds):
    """Three of its networks on z-scores, averaged in probability; penalty by validation, fitted by hand."""
    train, val, test = (clouds(n, spread=1.5, seed=seed) for n, seed in ((150, 1), (80, 2), (120, 3)))
    answers = make_answers(train, val, test)
    evaluation = MLP(penalties=(1.0, 30.0)).evaluate(answers)
    x = torch.as_tensor(train[0]).float()
    mean, std = x.mean(dim=0), x.std(dim=0, correction=0)

    def scaled(rows):
        return ((torch.as_tensor(rows).float() - mean) / std).double().numpy()

    def networks(penalty, starts):
        made = (
            MLPClassifier((64,), solver="lbfgs", alpha=penalty, max_iter=STEPS, random_state=start)
            for start in range(starts)
        )
        return [each.fit(scaled(train[0]), train[1]) for each in made]

    def losses(penalty):
        return log_loss(val[1], networks(penalty, 1)[0].predict_proba(scaled(val[0])))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks that have not converged
        best = min((30.0, 1.0), key=losses)
        stated = np.mean([net.predict_proba(scaled(test[0])) for net in networks(best, 3)], axis=0)

    assert evaluation.selection["penalty"] == best
    assert value_of(evaluation) == (stated.argmax(axis=1) == test[1]).mean()
    assert value_of(evaluation, "nll") == pytest.approx(log_loss(test[1], stated), abs=1e-9)


def test_order_of_the_table_changes_nothing(make_answers, clouds):
    """The same galaxies from the last to the first give the same answers."""
    parts = [clouds(n, spread=1.5, seed=seed) for n, seed in ((150, 1), (80, 2), (120, 3))]
    answers = make_answers(*parts)

    def turned(part):
        back = np.arange(len(part.ids))[::-1].copy()
        features = {tap: values[back] for tap, values in part.features.items()}
        return SplitFeatures(part.ids[back], features, part.label[back], part.anomaly[back])

    other = Features(turned(answers.train), turned(answers.val), turned(answers.test), answers.classes)
    one, two = MLP().evaluate(answers), MLP().evaluate(other)

    assert [score.value for score in one.scores] == pytest.approx(
        [score.value for score in two.scores], abs=1e-9
    )
    assert list(one.predictions["class"]) == list(two.predictions["class"][::-1])


@pytest.mark.parametrize("labels", [[0] * 60, [0, 1] * 30])
def test_few_classes_are_read_too(make_answers, clouds, labels):
    """One class is the answer for every galaxy; a test galaxy of a class that train lacks is an error."""
    train = clouds(60, spread=0.2, classes=3, label=labels)
    val = clouds(30, spread=0.2, classes=3, label=labels[:30])
    test = clouds(30, spread=0.2, classes=3, label=[*labels[:20], *[2] * 10])
    evaluation = MLP().evaluate(make_answers(train, val, test))

    assert value_of(evaluation) == pytest.approx(2 / 3)
    assert 0 <= value_of(evaluation, "nll") < -np.log(LEAST_PROBABILITY)


@pytest.mark.parametrize(
    "options", [{"hidden": 0}, {"starts": 0}, {"penalties": ()}, {"penalties": (0.0, 1.0)}]
)
def test_impossible_options_are_refused(options):
    """One line, with what is usual."""
    with pytest.raises(ConfigError, match="must be positive; 64, 3 and"):
        MLP(**options)
