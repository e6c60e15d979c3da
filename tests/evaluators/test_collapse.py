"""Collapse metrics against published golden numbers and analytic values."""

import numpy as np
import pytest
import torch

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.collapse import (
    Collapse,
    effective_rank,
    is_collapsed,
    mean_cosine,
    normalised_std,
    rankme,
)

D = 384
INDEX = np.arange(1, D + 1, dtype=float)


def with_spectrum(eigenvalues, seed=0):
    """Features whose centred covariance has exactly these eigenvalues."""
    stream = np.random.default_rng(seed)
    basis = stream.normal(size=(2 * D, D))
    left = np.linalg.qr(basis - basis.mean(axis=0))[0]  # stays centred: the columns are combinations
    right = np.linalg.qr(stream.normal(size=(D, D)))[0]
    return torch.as_tensor(left * np.sqrt(eigenvalues * 2 * D) @ right.T)


def gaussian(count, dim=D, offset=0.0, seed=0):
    """Unit noise around a common offset per dimension."""
    return torch.as_tensor(offset + np.random.default_rng(seed).normal(size=(count, dim))).float()


@pytest.mark.parametrize(
    ("eigenvalues", "golden"),
    [(INDEX**0, 384), (INDEX**-0.5, 369.1), (INDEX**-1, 309.7), (INDEX**-2, 97.3), (0.9**INDEX, 51.6)],
)
def test_effective_rank_of_known_spectra(eigenvalues, golden):
    """Singular values, not eigenvalues: those would give 97.3 where 309.7 is right."""
    assert effective_rank(with_spectrum(eigenvalues)) == pytest.approx(golden, abs=0.06)


def test_golden_spectra_tell_singular_values_from_eigenvalues():
    """The planted error, entropy over eigenvalues, misses the golden number by a factor of three."""
    eigenvalues = INDEX**-1 / (INDEX**-1).sum()
    wrong = np.exp(-(eigenvalues * np.log(eigenvalues)).sum())

    assert wrong == pytest.approx(97.3, abs=0.06)
    assert effective_rank(with_spectrum(INDEX**-1)) > 3 * wrong


@pytest.mark.parametrize(("count", "golden"), [(500, 334), (1774, 373)])
def test_rankme_of_isotropic_samples(count, golden):
    """A finite sample of an isotropic cloud falls short of D by a known amount."""
    assert rankme(gaussian(count)) == pytest.approx(golden, abs=1)


@pytest.mark.slow
def test_rankme_of_a_large_isotropic_sample():
    """Sixteen thousand galaxies bring an isotropic cloud within one of D."""
    assert rankme(gaussian(15_962)) == pytest.approx(383, abs=1)


@pytest.mark.parametrize(
    ("offset", "cosine", "uncentred", "centred", "spread"),
    [(1, 0.499, 338.6, 374.1, 0.707), (3, 0.900, 248.2, 374.2, 0.316), (10, 0.990, 92.6, 374.2, 0.099)],
)
def test_common_offset_is_seen_by_all_but_the_effective_rank(offset, cosine, uncentred, centred, spread):
    """One common vector raises the cosine and lowers RankMe and the normalised std; centring removes it."""
    features = gaussian(2000, offset=offset)

    assert mean_cosine(features) == pytest.approx(cosine, abs=0.002)
    assert rankme(features) == pytest.approx(uncentred, abs=0.7)
    assert effective_rank(features) == pytest.approx(centred, abs=0.5)
    assert normalised_std(features) == pytest.approx(spread, abs=0.002)


def test_mean_cosine_equals_the_sum_over_pairs():
    """The formula without pairs is exact, zero vectors included."""
    features = gaussian(40, dim=6, offset=0.4)
    features[3] = 0
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    cosines = unit @ unit.T
    pairs = (cosines.sum() - cosines.diagonal().sum()) / (40 * 39)

    assert mean_cosine(features) == pytest.approx(float(pairs), abs=1e-12)


def test_simplex_reaches_the_least_mean_cosine():
    """Corners of a simplex are as far apart as N vectors can be: -1/(N - 1)."""
    corners = torch.eye(9) - 1 / 9

    assert mean_cosine(corners) == pytest.approx(-1 / 8, abs=1e-7)


@pytest.mark.parametrize("metric", [effective_rank, rankme, mean_cosine, normalised_std])
def test_rotation_and_scale_change_no_rank_or_cosine(metric):
    """Units and axes of a latent space are arbitrary, except that the normalised std reads axes."""
    features = gaussian(300, dim=8, offset=1.0)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))[0]
    turned = features if metric is normalised_std else features @ turn

    assert metric(7 * turned) == pytest.approx(metric(features), rel=1e-4)


@pytest.mark.parametrize("metric", [effective_rank, rankme])
def test_rank_one_features_have_rank_one(metric):
    """A line has one direction."""
    line = torch.linspace(-1, 1, 200)[:, None] * torch.arange(1.0, 33.0)

    assert metric(line) == pytest.approx(1, abs=1e-3)


def test_constant_features_have_rank_one_whatever_their_rounding():
    """Float noise around a constant is isotropic, and would pass for full rank."""
    constant = torch.full((500, 64), 3.7) * (1 + 1e-7 * gaussian(500, dim=64))

    assert effective_rank(constant) == 1
    assert effective_rank(torch.zeros(10, 4)) == 1
    assert normalised_std(constant) < 1e-6
    assert mean_cosine(constant) == pytest.approx(1, abs=1e-6)


def test_one_galaxy_has_no_spread():
    """A single row is an error of the caller, not a rank."""
    with pytest.raises(DataError, match="at least 2"):
        effective_rank(torch.ones(1, 4))


HEALTHY = {"effective_rank": 20.0, "dim": 96, "normalised_std": 0.5, "untrained_normalised_std": 0.4}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, False),
        ({"effective_rank": 1.9}, True),
        ({"effective_rank": 2.0}, False),
        ({"effective_rank": 7.6, "dim": 384}, True),
        ({"effective_rank": 7.7, "dim": 384}, False),
        ({"normalised_std": 0.149}, True),
        ({"normalised_std": 0.151}, False),
        ({"normalised_std": 0.149, "untrained_normalised_std": 0.2}, False),
        ({"normalised_std": 0.05, "untrained_normalised_std": 0.08}, False),
        ({"normalised_std": 0.03, "untrained_normalised_std": 0.08}, True),
    ],
)
def test_collapse_verdict_at_its_thresholds(changes, verdict):
    """Few directions, or a common vector that training made: a shrunken start alone is no collapse."""
    assert is_collapsed(**{**HEALTHY, **changes}) is verdict


def test_evaluator_describes_ordinary_test_galaxies_only(make_answers):
    """Blank frames and lenses would widen the cloud that ordinary galaxies fill."""
    features = gaussian(100, dim=8)
    odd = torch.cat([features, 1e3 * gaussian(20, dim=8, seed=1)])
    kinds = np.repeat([0, 1], [100, 20])
    labels = np.where(kinds, -1, 0)
    found = Collapse().evaluate(
        make_answers((features, np.zeros(100)), (features, np.zeros(100)), (odd, labels, kinds))
    )

    values = {score.metric: score.value for score in found}
    assert values["effective_rank"] == pytest.approx(effective_rank(features))
    assert (found.selection["N"], found.selection["D"]) == (100, 8)
    assert {score.metric for score in found if not score.higher_is_better} == {"mean_cosine"}
