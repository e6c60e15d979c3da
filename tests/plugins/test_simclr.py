"""SimCLR: NT-Xent against values known by hand and against lightly; negatives are what prevents collapse."""

import math

import pytest
import torch
from astrojepa_simclr import SimCLR, nt_xent
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError

SMALL = {"projector": 64, "embedding": 16}


def unit(galaxies=20, dim=8, seed=0):
    return F.normalize(torch.randn(galaxies, dim, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_one_point_costs_as_much_as_guessing():
    """Among 2 N - 1 equal candidates the other view is found by chance: log(2 N - 1)."""
    point = unit(1).expand(20, -1)

    assert float(nt_xent(point, point, 0.5)) == pytest.approx(math.log(39), rel=1e-6)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_orthogonal_pairs_have_their_closed_form(temperature):
    """With N galaxies on N axes the positive is at cosine 1 and 2 N - 2 negatives at 0."""
    axes = torch.eye(12)
    expected = math.log(1 + 22 * math.exp(-1 / temperature))

    assert float(nt_xent(axes, axes, temperature)) == pytest.approx(expected, rel=1e-4)


def test_swapped_pairs_cost_more_than_right_ones():
    """The loss is about which view belongs to which: exchanging two galaxies' second views is a fault."""
    axes = torch.eye(6)

    assert float(nt_xent(axes, axes.roll(1, 0), 0.5)) > float(nt_xent(axes, axes, 0.5)) + 1.9


def test_views_may_be_exchanged_and_galaxies_reordered():
    """Neither order carries meaning."""
    first, second = unit(seed=1), unit(seed=2)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    found = nt_xent(first, second, 0.2)

    torch.testing.assert_close(found, nt_xent(second, first, 0.2))
    torch.testing.assert_close(found, nt_xent(first[order], second[order], 0.2))


@pytest.mark.slow
def test_without_negatives_a_linear_map_collapses(descend, bench):
    """Agreement alone draws all galaxies to one direction; the negatives keep them apart."""

    def contrast(first, second):
        return nt_xent(F.normalize(first, dim=-1), F.normalize(second, dim=-1), 0.5)

    def agreement(first, second):
        return -F.cosine_similarity(first, second).mean() / 0.5

    assert bench.spread(descend(contrast)[0]) > 0.9
    assert bench.spread(descend(agreement)[0]) < 0.1


def test_lightly_agrees(lightly_losses):
    """Its NTXentLoss scales to unit length itself; value and gradient are the same."""
    for temperature in (0.1, 0.5):
        first, second = (3 * unit(seed=seed).requires_grad_() for seed in (1, 2))
        ours = nt_xent(F.normalize(first, dim=-1), F.normalize(second, dim=-1), temperature)
        theirs = lightly_losses.NTXentLoss(temperature=temperature)(first, second)

        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        slopes = [torch.autograd.grad(each, first, retain_graph=True)[0] for each in (ours, theirs)]
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)


def test_every_parameter_learns_and_views_are_new_at_each_step(bench, no_draw):
    """A step has its own views, and the same step always the same."""
    method = bench.build(SimCLR, **SMALL)
    losses = [method.loss(bench.batch(), no_draw, bench.streams(step)) for step in (0, 0, 1)]
    losses[0].total.backward()
    silent = [name for name, each in method.named_parameters() if each.grad is None or not each.grad.any()]

    assert set(silent) <= {"projector.0.bias"}  # BatchNorm subtracts it again
    assert torch.equal(losses[0].total, losses[1].total)
    assert not torch.equal(losses[0].total, losses[2].total)


def test_what_is_predicted_is_the_other_views_direction(bench, no_draw):
    """Both are of unit length, so that their squared distance is 2 - 2 cos."""
    found = bench.build(SimCLR, **SMALL).eval().predict(bench.batch(), no_draw, bench.streams())

    assert found.predicted.shape == (24, 1, 1, 16)
    torch.testing.assert_close(found.actual.norm(dim=-1), torch.ones(24, 1, 1))


def test_the_judge_may_be_the_projector(bench):
    """Features come from the encoder unless the projector is asked for."""
    assert bench.build(SimCLR, **SMALL).scored_encoder.__class__.__name__ == "TokenViT"
    projected = bench.build(SimCLR, judge="projector", **SMALL).eval().scored_encoder
    assert projected.taps(bench.batch().images)["last"].shape == (24, 16)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"batch_size": 1}])
def test_impossible_options_are_refused(bench, wrong):
    """A temperature of 0 and batches without negatives are mistakes of the request."""
    with pytest.raises(ConfigError, match="expected"):
        bench.build(SimCLR, **wrong)


def test_one_galaxy_is_refused_with_a_reason(bench, no_draw):
    """It has no negatives."""
    with pytest.raises(ConfigError, match="train on two or more"):
        bench.build(SimCLR, **SMALL).loss(bench.batch(1), no_draw, bench.streams())
