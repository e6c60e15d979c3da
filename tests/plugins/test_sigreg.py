"""SIGReg against numerical integration, published golden numbers and its symmetries."""

import numpy as np
import pytest
import torch
from astrojepa_sigreg import epps_pulley, random_slices, sigreg
from scipy.integrate import quad
from scipy.stats import norm

# sigma: T/N of N(0, sigma^2), infinite range, sqrt(2 pi) [1/sqrt(1+2s^2) - 2/sqrt(2+s^2) + 1/sqrt 3]
GOLDEN = {
    0.1: 0.393, 0.3: 0.287, 0.5: 0.152, 0.6: 0.095, 0.7: 0.052, 0.8: 0.022, 0.9: 0.005,
    1.0: 0.0, 1.2: 0.017, 1.5: 0.084, 2.0: 0.236, 3.0: 0.511, 5.0: 0.833,
}  # fmt: skip


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def quantiles(sigma, count=4000):
    return sigma * norm.ppf((np.arange(count) + 0.5) / count)


def statistic(samples, **options):
    return float(epps_pulley(torch.as_tensor(samples).reshape(-1, 1), **options))


def integrand(samples):
    """Return the integrand as the formula reads, in complex double precision."""

    def at(t):
        gap = np.exp(1j * t * samples).mean() - np.exp(-(t**2) / 2)
        return abs(gap) ** 2 * np.exp(-(t**2) / 2)

    return at


@pytest.mark.parametrize(("sigma", "golden"), GOLDEN.items())
def test_gaussians_of_every_width_score_their_integral(sigma, golden):
    """Quantiles of N(0, sigma^2) give the integral on [-3, 3], and the published value to its third digit."""
    samples = quantiles(sigma)
    found = statistic(samples, scale_by_n=False)

    assert found == pytest.approx(2 * quad(integrand(samples), 0, 3)[0], abs=5e-4)
    assert found == pytest.approx(golden, abs=9e-3)


@pytest.mark.parametrize(("place", "golden"), [(0, 0.402), (1, 1.19), (3, 3.58), (10, 3.95)])
def test_collapse_to_a_point_has_its_published_value(place, golden):
    """Collapse at 0 costs .402 N on [-3, 3]; collapse elsewhere costs up to 3.95 N."""
    assert statistic(torch.full((50,), float(place))) == pytest.approx(50 * golden, abs=50 * 0.01)


@pytest.mark.parametrize(("shift", "golden"), [(0.25, 0.030), (0.5, 0.118), (1.0, 0.444), (2.0, 1.41)])
def test_a_shifted_gaussian_has_its_published_value(shift, golden):
    """The statistic sees the mean, not only the width."""
    assert statistic(quantiles(1.0) + shift, scale_by_n=False) == pytest.approx(golden, abs=0.01)


@pytest.mark.parametrize("count", [64, 256])
def test_null_floor_is_the_same_for_every_batch_size(count):
    """Gaussian samples score sqrt(2 pi)(1 - 1/sqrt 3) = 1.06 with the N factor, whatever N."""
    samples = torch.randn(count, 4000, generator=stream(count))

    assert float(epps_pulley(samples).mean()) == pytest.approx(1.06, abs=0.04)


def test_doubled_half_range_equals_the_whole_trapezoid():
    """17 knots on [0, 3] doubled are 33 knots on [-3, 3], since the integrand is even."""
    samples = torch.randn(40, 1, generator=stream()).double().numpy() * 1.5 + 0.3
    knots = np.linspace(-3, 3, 33)
    whole = np.trapezoid([integrand(samples)(t) for t in knots], knots)

    assert statistic(samples, scale_by_n=False) == pytest.approx(whole, rel=1e-5)


def test_mirrored_embeddings_score_exactly_alike():
    """Mirrored embeddings cannot be told apart: the cosines are even, and the squares of the sines."""
    embeddings = 2 * torch.randn(2, 64, 16, generator=stream())

    assert float(sigreg(embeddings, stream(1))) == float(sigreg(-embeddings, stream(1)))


def test_order_of_galaxies_does_not_matter():
    """A batch is a set."""
    embeddings = 2 * torch.randn(64, 16, generator=stream())
    shuffled = embeddings[torch.randperm(64, generator=stream(2))]

    torch.testing.assert_close(sigreg(embeddings, stream(1)), sigreg(shuffled, stream(1)))


def test_views_are_judged_apart():
    """Two copies of one view score as one view does; pooled, they would score twice as much."""
    one = 0.5 * torch.randn(64, 16, generator=stream())

    torch.testing.assert_close(sigreg(torch.stack([one, one]), stream(1)), sigreg(one, stream(1)))
    assert float(sigreg(torch.cat([one, one]), stream(1))) == pytest.approx(2 * float(sigreg(one, stream(1))))


@pytest.mark.parametrize("count", [2, 64, 1024])
@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0, 100.0])
def test_no_sample_pulls_harder_than_eight(count, spread):
    """With the N factor the gradient of each sample is bounded by 8, at every batch size and spread."""
    samples = (1 + spread * torch.randn(count, 20, generator=stream())).requires_grad_()
    epps_pulley(samples).sum().backward()

    assert 0 < float(samples.grad.abs().max()) <= 8


def test_descent_widens_a_collapsed_sample_and_narrows_a_wide_one():
    """The gradient points towards unit width from both sides."""
    for sigma, sign in ((0.5, -1), (2.0, 1)):
        samples = torch.tensor(quantiles(sigma, 200)).float()[:, None].requires_grad_()
        epps_pulley(samples).sum().backward()

        assert sign * float((samples.grad * samples.detach()).sum()) > 0


def test_fresh_slices_are_unit_length_and_new_each_time():
    """Directions have length one, and a continued stream gives others."""
    generator = stream()
    first, second = random_slices(24, 50, generator), random_slices(24, 50, generator)

    torch.testing.assert_close(first.norm(dim=0), torch.ones(50))
    assert not torch.equal(first, second)
    assert not first.requires_grad
