"""Batched L-BFGS against problems whose minimum is known."""

import torch

from astrojepa_bench.evaluators.probes.lbfgs import minimise

CURVATURES = torch.tensor([[1.0, 10.0, 100.0], [1.0, 1.0, 1.0], [5.0, 0.1, 2.0]], dtype=torch.float64)
CENTRES = torch.tensor([[1.0, -2.0, 3.0], [0.0, 0.0, 7.0], [4.0, 4.0, 4.0]], dtype=torch.float64)


def bowls(point, problem):
    """Quadratics with a quartic, so that no step is exact."""
    off = point - CENTRES[problem]
    value = (CURVATURES[problem] * off**2 / 2 + off**4 / 4).sum(dim=1)
    return value, CURVATURES[problem] * off + off**3


def test_every_problem_reaches_its_own_minimum():
    """Problems of different curvature share the products and nothing else."""
    found = minimise(bowls, torch.zeros(3, 3, dtype=torch.float64), tolerance=1e-9, max_steps=200)

    assert found.converged.all()
    assert torch.allclose(found.point, CENTRES, atol=1e-7)


def test_problems_solved_together_equal_problems_solved_alone():
    """A grid must not depend on what else is in it."""
    start = torch.zeros(3, 3, dtype=torch.float64)
    together = minimise(bowls, start, tolerance=1e-9, max_steps=200)
    for number in range(3):
        alone = minimise(
            lambda point, _, number=number: bowls(point, torch.full((1,), number)),
            start[:1],
            tolerance=1e-9,
            max_steps=200,
        )
        assert torch.allclose(together.point[number], alone.point[0], atol=1e-12)


def test_too_few_steps_are_reported():
    """A fit that was cut short must say so."""
    found = minimise(bowls, torch.zeros(3, 3, dtype=torch.float64), tolerance=1e-9, max_steps=1)

    assert not found.converged[0]


def test_start_at_the_minimum_is_converged_and_stays():
    """No step is taken where the slope vanishes."""
    found = minimise(bowls, CENTRES, tolerance=1e-9, max_steps=0)

    assert found.converged.all()
    assert torch.equal(found.point, CENTRES)


def test_problem_that_cannot_descend_ends_unconverged():
    """A gradient that contradicts its value cannot be followed, and the caller is told."""

    def lying(point, problem):
        return point.square().sum(dim=1), -2 * point

    found = minimise(lying, torch.ones(1, 2), tolerance=1e-6, max_steps=5)

    assert not found.converged.any()
    assert found.point.isfinite().all()
