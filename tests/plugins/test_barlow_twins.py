"""Barlow Twins: both terms against values known by hand, NumPy and lightly; redundancy is what fills dimensions."""

import numpy as np
import pytest
import torch
from astrojepa_barlow_twins import BarlowTwins, barlow_terms

from astrojepa_bench.errors import ConfigError


def values(galaxies=50, dim=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        0.7 * torch.randn(galaxies, dim, generator=generator) @ torch.randn(dim, dim, generator=generator)
        + 0.4
    )


def uncorrelated(galaxies=64, dim=6):
    """Orthonormal columns of zero mean, so their correlation is the identity."""
    centred = values(galaxies, dim) - values(galaxies, dim).mean(dim=0)
    return torch.linalg.qr(centred)[0] * galaxies**0.5


def numbers(first, second):
    return {name: float(value) for name, value in barlow_terms(first, second).items()}


def test_uncorrelated_dimensions_that_agree_are_free():
    """The cross-correlation is the identity: both terms are 0."""
    white = uncorrelated()

    assert numbers(white, white) == pytest.approx({"invariance": 0, "redundancy": 0}, abs=1e-6)


def test_opposite_views_cost_four_a_dimension():
    """A correlation of -1 with itself costs (1 + 1)²."""
    assert numbers(uncorrelated(), -uncorrelated())["invariance"] == pytest.approx(24, rel=1e-4)


def test_copies_of_one_dimension_cost_every_pair():
    """D copies correlate by 1: D (D - 1) ordered pairs."""
    copies = uncorrelated()[:, :1].expand(-1, 7)

    assert numbers(copies, copies) == pytest.approx({"invariance": 0, "redundancy": 42}, rel=1e-4, abs=1e-6)


def test_one_point_correlates_with_nothing():
    """A constant dimension has no variance: its correlation with itself is 0, which costs 1."""
    point = torch.full((20, 8), 3.0)

    assert numbers(point, point) == pytest.approx({"invariance": 8, "redundancy": 0}, abs=1e-5)


def test_strangers_cost_what_chance_correlates():
    """Independent samples correlate by 1/√N: about D (1 + 1/N) and D (D - 1) / N."""
    dim, galaxies = 40, 400
    found = numbers(*(torch.randn(galaxies, dim, generator=torch.Generator().manual_seed(s)) for s in (1, 2)))

    assert found["invariance"] == pytest.approx(dim * (1 + 1 / galaxies), rel=0.1)
    assert found["redundancy"] == pytest.approx(dim * (dim - 1) / galaxies, rel=0.1)


def test_numpy_agrees():
    """Correlations are those of numpy.corrcoef."""
    first, second = values(seed=1), values(seed=2)
    correlation = np.corrcoef(first.numpy(), second.numpy(), rowvar=False)[:6, 6:]
    diagonal = np.diagonal(correlation)
    expected = {
        "invariance": ((1 - diagonal) ** 2).sum(),
        "redundancy": (correlation**2).sum() - (diagonal**2).sum(),
    }

    assert numbers(first, second) == pytest.approx(expected, rel=1e-3)


def test_scale_and_place_do_not_matter():
    """Each dimension of each view is standardised by itself."""
    first, second = values(seed=1), values(seed=2)
    moved = numbers(3 * first + 5, second * torch.linspace(1, 2, 6) - 1)

    assert moved == pytest.approx(numbers(first, second), rel=1e-3)


@pytest.mark.slow
def test_without_redundancy_dimensions_repeat_one_another(descend):
    """The invariance alone is content with six copies; the second term makes them different."""

    def copies(weight):
        first, _ = descend(
            lambda *views: (terms := barlow_terms(*views))["invariance"] + weight * terms["redundancy"]
        )
        return numbers(first, first)["redundancy"] / 56  # mean squared correlation of 8 · 7 pairs

    assert copies(0.1) < copies(0.0) / 3


def test_lightly_agrees(lightly_losses):
    """Its BarlowTwinsLoss weighs the same two terms; value and gradient are the same."""
    first, second = values(seed=1).requires_grad_(), values(seed=2)
    terms = barlow_terms(first, second)
    ours = terms["invariance"] + 0.005 * terms["redundancy"]
    theirs = lightly_losses.BarlowTwinsLoss(lambda_param=0.005)(first, second)

    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    slopes = [torch.autograd.grad(each, first, retain_graph=True)[0] for each in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)


def test_total_weighs_the_terms_and_every_parameter_learns(bench, no_draw):
    """Invariance + λ redundancy; nothing is stopped."""
    method = bench.build(BarlowTwins, lam=0.3, projector=24)
    loss = method.loss(bench.batch(), no_draw, bench.streams())
    loss.total.backward()
    silent = [name for name, each in method.named_parameters() if each.grad is None or not each.grad.any()]

    torch.testing.assert_close(loss.total, loss.terms["invariance"] + 0.3 * loss.terms["redundancy"])
    assert set(silent) <= {"projector.0.bias", "projector.3.bias", "projector.6.bias"}  # subtracted again
    assert method.eval().predict(bench.batch(), no_draw, bench.streams()).predicted.shape == (24, 1, 1, 24)


def test_a_negative_weight_is_refused(bench):
    """It would reward redundancy."""
    with pytest.raises(ConfigError, match="lam=-1"):
        bench.build(BarlowTwins, lam=-1.0)
