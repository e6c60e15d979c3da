"""Collapse metrics against published golden numbers and analytic values."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import eigh

from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.evaluators.collapse import Collapse
from astrojepa_bench.evaluators.metrics.geometry import (
    alpha_req,
    effective_rank,
    is_collapsed,
    lidar,
    mean_cosine,
    normalised_std,
    participation_ratio,
    rankme,
    stable_rank,
    uniformity,
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


@pytest.mark.parametrize(
    ("eigenvalues", "participation", "stable"),
    [
        (INDEX**0, 384, 384),
        (INDEX**-0.5, 218.3, 37.8),
        (INDEX**-1, 26.0, 6.53),
        (INDEX**-2, 2.49, 1.64),
        (0.9**INDEX, 19.0, 10.0),
    ],
)
def test_participation_ratio_and_stable_rank_of_known_spectra(eigenvalues, participation, stable):
    """Both read eigenvalues of the covariance, and both count an isotropic cloud in full."""
    features = with_spectrum(eigenvalues)

    assert participation_ratio(features) == pytest.approx(participation, rel=3e-3)
    assert stable_rank(features) == pytest.approx(stable, rel=3e-3)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("dim", [384, 96, 24])
def test_alpha_req_is_the_power_of_a_power_law(power, dim):
    """Eigenvalues i^-a give a exactly, whatever the window."""
    basis = np.random.default_rng(0).normal(size=(2 * dim, dim))
    left = np.linalg.qr(basis - basis.mean(axis=0))[0]
    features = torch.as_tensor(left * np.arange(1.0, dim + 1) ** (-power / 2))

    assert alpha_req(features) == pytest.approx(power, abs=1e-8)


@pytest.mark.parametrize(
    ("count", "alpha", "participation", "stable"), [(500, 0.32, 217, 115), (1774, 0.19, 315, 180)]
)
def test_isotropic_samples_fall_short_by_known_amounts(count, alpha, participation, stable):
    """Why N and D stand beside every number: a finite sample of a round cloud looks stretched."""
    features = gaussian(count)

    assert alpha_req(features) == pytest.approx(alpha, abs=0.01)
    assert participation_ratio(features) == pytest.approx(participation, abs=1)
    assert stable_rank(features) == pytest.approx(stable, rel=0.04)  # the largest eigenvalue scatters


@pytest.mark.parametrize(("dim", "golden"), [(64, -3.875), (192, -3.958), (384, -3.979)])
def test_uniformity_of_uniform_directions(dim, golden):
    """Spread-out directions reach -4 + 8 / D."""
    assert uniformity(gaussian(1500, dim=dim)) == pytest.approx(golden, abs=0.001)


def test_uniformity_equals_the_sum_over_pairs():
    """Chunks and the diagonal are book-keeping: more galaxies than one chunk, one of them zero."""
    features = gaussian(1100, dim=5, offset=0.5)
    features[3] = 0
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    pairs = torch.pdist(unit).square().mul(-2).exp().mean().log()

    assert uniformity(features) == pytest.approx(float(pairs), abs=1e-12)


def test_features_on_one_vector_have_uniformity_zero():
    """The worst case of the scale."""
    assert uniformity(torch.ones(30, 4) * torch.arange(1.0, 31.0)[:, None]) == pytest.approx(0, abs=1e-6)


def viewed(signals, *, count=1000, views=10, dim=64, strength=10.0, seed=0):
    """Galaxies that differ along a few dimensions, under isotropic unit noise between views."""
    stream = np.random.default_rng(seed)
    galaxy = np.zeros((count, 1, dim))
    galaxy[..., :signals] = strength * stream.normal(size=(count, 1, signals))
    return torch.as_tensor(galaxy + stream.normal(size=(count, views, dim)))


@pytest.mark.parametrize(
    ("signals", "golden", "with_noise"), [(1, 1.6, 52.8), (4, 4.5, 39.3), (16, 16.2, 35.1), (64, 61.6, 63.4)]
)
def test_lidar_counts_signal_where_rankme_counts_noise(signals, golden, with_noise):
    """The published toy: one direction in which galaxies differ is one, not fifty."""
    views = viewed(signals)

    assert lidar(views) == pytest.approx(golden, abs=0.05)
    assert rankme(views[:, 0]) == pytest.approx(with_noise, abs=0.3)


def test_lidar_equals_scipys_generalised_eigenvalues():
    """Against S_b v = lambda S_w v solved by LAPACK, with covariances written out galaxy by galaxy."""
    views = viewed(3, count=60, views=4, dim=7, strength=2.0)
    x = views.numpy() / np.sqrt(((views.numpy() - views.numpy().mean(axis=(0, 1))) ** 2).mean())
    means = x.mean(axis=1)
    within = sum(np.outer(v - m, v - m) for own, m in zip(x, means, strict=True) for v in own) / (60 * 3)
    values = eigh(np.cov(means.T), within + 1e-4 * np.eye(7), eigvals_only=True)
    share = values / values.sum() + 1e-8

    assert lidar(views) == pytest.approx(float(np.exp(-(share * np.log(share)).sum())), rel=1e-9)


def test_views_of_mixed_galaxies_would_be_noticed():
    """The planted error, views not contiguous, turns every direction into noise between views."""
    views = viewed(16)
    mixed = views.transpose(0, 1).reshape(views.shape)

    assert lidar(mixed) > 2 * lidar(views)


def test_lidar_knows_no_units_and_no_axes():
    """A scale, an offset and a rotation of the latent space change nothing."""
    views = viewed(4, count=200, dim=12)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0)))[0].double()

    assert lidar(1e-3 * (views @ turn) + 5) == pytest.approx(lidar(views), rel=1e-6)


def test_views_that_cannot_be_compared_are_refused():
    """One view has no noise between views, and NaN no rank; constant features have rank one."""
    with pytest.raises(DataError, match="1 views of 9"):
        lidar(torch.ones(9, 1, 4))
    with pytest.raises(ContractError, match="not finite"):
        lidar(torch.full((9, 3, 4), torch.nan))
    assert lidar(torch.full((9, 3, 4), 3.7) * (1 + 1e-8 * viewed(1, count=9, views=3, dim=4)).float()) == 1


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


@pytest.mark.parametrize(
    "metric",
    [effective_rank, rankme, mean_cosine, normalised_std, stable_rank, participation_ratio, uniformity],
)
def test_rotation_and_scale_change_no_rank_or_cosine(metric):
    """Units and axes of a latent space are arbitrary, except that the normalised std reads axes."""
    features = gaussian(300, dim=8, offset=1.0)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))[0]
    turned = features if metric is normalised_std else features @ turn

    assert metric(7 * turned) == pytest.approx(metric(features), rel=1e-4)


@pytest.mark.parametrize("metric", [effective_rank, rankme, stable_rank, participation_ratio])
def test_rank_one_features_have_rank_one(metric):
    """A line has one direction."""
    line = torch.linspace(-1, 1, 200)[:, None] * torch.arange(1.0, 33.0)

    assert metric(line) == pytest.approx(1, abs=1e-3)


def test_constant_features_have_rank_one_whatever_their_rounding():
    """Float noise around a constant is isotropic, and would pass for full rank."""
    constant = torch.full((500, 64), 3.7) * (1 + 1e-7 * gaussian(500, dim=64))

    assert effective_rank(constant) == stable_rank(constant) == participation_ratio(constant) == 1
    assert alpha_req(constant) is None
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
    lower = {score.metric for score in found if not score.higher_is_better}
    assert lower == {"mean_cosine", "uniformity"}  # eight dimensions have no slope


def test_lidar_is_scored_where_views_were_made(make_answers):
    """Its own N and number of views stand beside it; without views there is no number."""
    part = (gaussian(100, dim=64), np.zeros(100))
    answers, views = make_answers(part, part, part), viewed(4, count=50).float()
    found = Collapse().evaluate(replace(answers, augmented_views=views))

    assert {score.metric: score for score in found}["lidar"].value == pytest.approx(lidar(views))
    assert (found.selection["lidar_N"], found.selection["lidar_views"]) == (50, 10)
    assert "lidar" not in {score.metric for score in Collapse().evaluate(answers)}
    assert Collapse.requests == ("augmented_views",)
