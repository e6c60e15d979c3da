"""VISReg: each term against values known by hand, SciPy and lightly; scale and shape each prevent one collapse."""

import math

import numpy as np
import pytest
import torch
from astrojepa_lejepa import LeJEPA
from astrojepa_random import NoMasks, RandomPatches
from astrojepa_visreg import VISReg, visreg_terms, wasserstein_to_gaussian
from scipy.stats import norm

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.training.draw import MaskDraw

SMALL = {"projector": 64, "embedding": 8, "slices": 32}
REGULAR = ("scale", "shape", "centre")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def terms(values, slices=256):
    return {name: float(term) for name, term in visreg_terms(values, generator(), slices=slices).items()}


def quantiles(count):
    return norm.ppf(np.arange(1, count + 1) / (count + 1))


def test_a_sample_at_the_quantiles_has_the_shape_of_a_gaussian():
    """In any order: each slice is sorted before it is compared."""
    sample = torch.tensor(quantiles(50), dtype=torch.float32)[torch.randperm(50, generator=generator())]

    assert float(wasserstein_to_gaussian(sample[:, None])) == pytest.approx(0, abs=1e-6)
    assert float(wasserstein_to_gaussian(sample[:, None] + 2)) == pytest.approx(4, rel=1e-5)  # moved by 2


def test_one_point_has_the_values_of_collapse():
    """Scale 1, centre its mean square, shape the mean squared quantile: .94 of 128 galaxies."""
    point = torch.full((128, 6), 3.0)

    assert (quantiles(128) ** 2).mean() == pytest.approx(0.94, abs=0.005)
    expected = {"scale": 1, "shape": (quantiles(128) ** 2).mean(), "centre": 9}
    assert terms(point) == pytest.approx(expected, rel=1e-3)


def test_copies_of_one_gaussian_dimension_cost_shape_and_nothing_else():
    """A slice has spread |Σ a| instead of 1, so shape is 2 - 2 E|Σ a| → 2 - 2 √(2/π) for many dimensions."""
    column = torch.tensor(quantiles(500), dtype=torch.float32)[:, None]
    copies = ((column - column.mean()) / column.std(correction=0)).expand(-1, 64)
    found = terms(copies, slices=2000)

    assert found["shape"] == pytest.approx(2 - 2 * math.sqrt(2 / math.pi), abs=0.04)
    assert (found["scale"], found["centre"]) == pytest.approx((0, 0), abs=1e-6)


def test_a_gaussian_sample_costs_next_to_nothing():
    """All three terms are of the order of 1/N."""
    assert max(terms(torch.randn(4000, 6, generator=generator(1))).values()) < 0.003


def test_scale_and_place_do_not_enter_the_shape():
    """Shape sees standardised embeddings, and no gradient leads from it to their spread."""
    values = torch.randn(100, 5, generator=generator(1)).exp()
    assert terms(values * torch.tensor([1.0, 2, 3, 4, 5]) + 7)["shape"] == pytest.approx(
        terms(values)["shape"], rel=1e-3
    )

    width = torch.ones((), requires_grad=True)
    shape = visreg_terms(width * (values - values.mean(dim=0)), generator(), slices=64)["shape"]
    slope = torch.autograd.grad(shape, width)[0]
    deviation = width.detach() * (values - values.mean(dim=0)) / values.std(dim=0, correction=0)
    projected = (deviation @ _directions(5, 64)).sort(dim=0).values
    gaussian = torch.tensor(quantiles(100), dtype=torch.float32)[:, None]
    expected = 2 * ((projected - gaussian) * projected).mean()  # the spread itself held still
    torch.testing.assert_close(slope, expected, rtol=1e-3, atol=1e-4)


def _directions(dim, slices):
    drawn = torch.randn(dim, slices, generator=generator())
    return drawn / drawn.norm(dim=0)


@pytest.mark.parametrize("width", [1e-1, 1e-3, 1e-5])
def test_the_slope_of_scale_does_not_fade_near_collapse(width):
    """It stays at 2/D a dimension, where SIGReg's goes to 0 with the spread."""
    base = torch.randn(200, 4, generator=generator(2))
    base = (base - base.mean(dim=0)) / base.std(dim=0, correction=0)
    spread = torch.full((4,), width, requires_grad=True)
    slope = torch.autograd.grad(visreg_terms(base * spread, generator(), slices=8)["scale"], spread)[0]

    torch.testing.assert_close(slope, torch.full((4,), -2 * (1 - width) / 4), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_without_scale_embeddings_shrink_and_without_shape_they_repeat(descend):
    """Each of the two terms prevents a collapse that the other does not see."""

    def trained(**weights):
        def loss_of(first, second):
            found = visreg_terms(torch.stack([first, second]), generator(), slices=16)
            regular = sum(weights.get(name, 1.0) * found[name] for name in REGULAR)
            return 0.4 * (first - second).square().mean() + 0.6 * regular

        return descend(loss_of)[0]

    def copies(values):
        correlation = values.T.corrcoef()
        return float((correlation.square().sum() - 8) / 56)

    whole = trained()
    assert float(whole.std(dim=0).mean()) == pytest.approx(1, abs=0.2)
    assert float(trained(scale=0.0).std(dim=0).mean()) < float(whole.std(dim=0).mean()) / 2
    assert copies(trained(shape=0.0)) > 2 * copies(whole)


def test_lightly_agrees(lightly_losses):
    """Its VISRegLoss draws slices from the global generator; one seed gives the same, and the same terms."""
    views = 2 * torch.randn(5, 40, 6, generator=generator(1)) + 0.3
    theirs = lightly_losses.VISRegLoss(lambda_param=0.6, num_slices=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = theirs.forward_components(global_proj=views[:2], local_proj=views[2:])
    found = visreg_terms(views, generator(), slices=32)

    for name, term in zip(REGULAR, (expected.scale, expected.shape, expected.center), strict=True):
        torch.testing.assert_close(found[name], term, rtol=1e-5, atol=1e-5)
    prediction = (views[:2].mean(dim=0) - views).square().mean()
    torch.testing.assert_close(
        0.4 * prediction + 0.6 * sum(found.values()), expected.total, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("masker", [NoMasks, RandomPatches])
def test_it_is_lejepa_with_another_regularisation(bench, masker):
    """Same views and same prediction term, draw by draw; the total weighs four terms."""
    weights = {"scale_weight": 2.0, "shape_weight": 0.5, "centre_weight": 3.0}
    ours, theirs = bench.build(VISReg, lam=0.3, **weights, **SMALL), bench.build(LeJEPA, **SMALL)
    losses = []
    for method in (ours, theirs):
        streams = bench.streams()
        losses.append(method.loss(bench.batch(), MaskDraw(masker(method.grid), streams), streams))
    found = losses[0].terms

    torch.testing.assert_close(found["prediction"], losses[1].terms["prediction"])
    regular = 2.0 * found["scale"] + 0.5 * found["shape"] + 3.0 * found["centre"]
    torch.testing.assert_close(losses[0].total, 0.7 * found["prediction"] + 0.3 * regular)


def test_what_it_does_not_have_is_refused(bench, no_draw):
    """Negative weights, and one galaxy, which has no spread."""
    with pytest.raises(ConfigError, match="expected 0 or more"):
        bench.build(VISReg, shape_weight=-1.0, **SMALL)
    with pytest.raises(ConfigError, match="one galaxy"):
        bench.build(VISReg, **SMALL).agreement(torch.zeros(2, 1, 8), bench.streams())
