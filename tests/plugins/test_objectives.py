"""SIGReg against integrals, the teacher moved once a step, and gradient only where a method says."""

import numpy as np
import pytest
import torch
from astrojepa_ijepa import IJEPA
from astrojepa_lejepa import LeJEPA
from astrojepa_random import RandomPatches
from astrojepa_sigreg import epps_pulley, random_slices
from scipy.integrate import quad
from scipy.stats import norm

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.streams import Streams
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Progress

CPU = torch.device("cpu")


def batch_of(galaxies=16):
    images = torch.rand(galaxies, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(galaxies)
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def encoder_of():
    spec = ImageSpec(("z", "r", "g"), 64, (0.5,) * 3, (0.3,) * 3)
    return TokenViT(spec, patch=8, width=32, depth=1, heads=2)


def draw_with(masker, streams):
    return lambda images, sizes: masker.draw(images, sizes, streams.local("masks"))


@pytest.mark.parametrize("sigma", [0.3, 0.6, 1.0, 1.5])
def test_statistic_equals_direct_integration(sigma):
    """Samples at the quantiles of N(0, sigma^2) give the integral over their own characteristic function."""
    samples = sigma * norm.ppf((np.arange(400) + 0.5) / 400)

    def integrand(t):
        gap = np.exp(1j * t * samples).mean() - np.exp(-(t**2) / 2)
        return abs(gap) ** 2 * np.exp(-(t**2) / 2)

    expected = 2 * quad(integrand, 0, 3)[0]
    found = epps_pulley(torch.tensor(samples)[:, None], scale_by_n=False)

    assert float(found) == pytest.approx(expected, abs=2e-3)


def test_collapse_and_null_have_their_published_values():
    """Collapsed samples give .402 N; Gaussian samples fluctuate around 1.06 whatever N."""
    collapsed = epps_pulley(torch.zeros(100, 1))
    noise = torch.randn(64, 4000, generator=torch.Generator().manual_seed(0))

    assert float(collapsed) == pytest.approx(40.2, abs=0.1)
    assert float(epps_pulley(noise).mean()) == pytest.approx(1.06, abs=0.05)


def test_slices_are_unit_directions():
    """Every random direction has length one."""
    lengths = random_slices(24, 50, torch.Generator().manual_seed(0)).norm(dim=0)

    torch.testing.assert_close(lengths, torch.ones(50))


def test_gradient_of_the_statistic_is_bounded_by_eight():
    """No sample, however far, pulls harder than 8."""
    samples = 3 * torch.randn(64, 20, generator=torch.Generator().manual_seed(1))
    samples.requires_grad_()
    epps_pulley(samples).sum().backward()

    assert float(samples.grad.abs().max()) <= 8


def test_lejepa_trains_every_parameter():
    """Encoder and projector all receive gradient, masked or cropped."""
    for masker in (RandomPatches, None):
        encoder = encoder_of()
        objective = LeJEPA(encoder, encoder.grid, 0, projector=32, embedding=8)
        streams = Streams(0, 0, CPU)
        draw = draw_with(masker(encoder.grid), streams) if masker else lambda images, sizes: None
        objective.loss(batch_of(), draw, streams).total.backward()

        assert all(parameter.grad is not None for parameter in objective.parameters())


def test_agreement_sends_gradient_through_both_global_views():
    """Nothing is stopped: each global view of each galaxy is pulled."""
    encoder = encoder_of()
    objective = LeJEPA(encoder, encoder.grid, 0)
    views = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    objective.disagreement(views).backward()

    assert (views.grad.abs().sum(dim=(1, 2)) > 0).all()


def test_teacher_gets_no_gradient_and_moves_by_one_average():
    """Only the online branch learns; after a step the teacher is m·teacher + (1 - m)·online."""
    encoder = encoder_of()
    objective = IJEPA(encoder, encoder.grid, 0, predictor_width=32)
    streams = Streams(0, 0, CPU)
    objective.loss(batch_of(), draw_with(RandomPatches(encoder.grid), streams), streams).total.backward()
    before, online = objective.teacher.embed.weight.clone(), encoder.embed.weight.data.add_(1.0)
    progress = Progress(1, 50)
    objective.after_step(progress)
    momentum = objective.momentum(progress)

    assert all(parameter.grad is None for parameter in objective.teacher.parameters())
    assert all(parameter.grad is not None for parameter in objective.predictor.parameters())
    torch.testing.assert_close(objective.teacher.embed.weight, momentum * before + (1 - momentum) * online)


@pytest.mark.parametrize("steps", [10, 196, 5000])
def test_less_than_one_percent_of_the_teachers_start_is_left(steps):
    """The horizon is a share of the run, so the promise holds at every length."""
    encoder = encoder_of()
    objective = IJEPA(encoder, encoder.grid, 0, predictor_width=32)
    left = np.prod([objective.momentum(Progress(step + 1, steps)) for step in range(steps)])

    assert left < 0.01
