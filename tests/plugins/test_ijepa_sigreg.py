"""I-JEPA with SIGReg: the terms, the tensor they act on, and what becomes of the teacher."""

import pytest
import torch
from astrojepa_ijepa_sigreg import IJEPASigReg
from astrojepa_random import RandomPatches

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Progress

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)
SMALL = {
    "predictor_width": 32,
    "predictor_depth": 1,
    "targets": 2,
    "projector": 32,
    "embedding": 8,
    "slices": 16,
}


def objective(**options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=32, depth=2, heads=2)
        return IJEPASigReg(encoder, encoder.grid, 0, **{**SMALL, **options})


def batch(galaxies=16):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def loss_of(method, given=None):
    streams = Streams(0, 0, torch.device("cpu"))
    draw = MaskDraw(RandomPatches(method.grid), streams)
    return method.loss(batch() if given is None else given, draw, streams)


@pytest.mark.parametrize("tensor", ["projection", "pooled", "token"])
def test_total_weighs_its_terms(tensor):
    """The total is (1 - lam) prediction + lam SIGReg, whatever tensor SIGReg sees."""
    loss = loss_of(objective(lam=0.3, tensor=tensor))

    assert loss.first_non_finite() is None
    torch.testing.assert_close(loss.total, 0.7 * loss.terms["prediction"] + 0.3 * loss.terms["sigreg"])


@pytest.mark.parametrize("tensor", ["projection", "token"])
def test_one_galaxy_behind_a_projector_is_refused_with_a_reason(tensor):
    """A projector normalises over a batch, and a batch of one has no spread; the mean itself is fine."""
    with pytest.raises(ConfigError, match="batch of one galaxy"):
        loss_of(objective(tensor=tensor), batch(1))

    assert loss_of(objective(), batch(1)).first_non_finite() is None


def test_statistic_is_n_times_larger_when_scaled():
    """`scale_by_n` multiplies the statistic by the batch size and nothing else."""
    scaled, plain = loss_of(objective()), loss_of(objective(scale_by_n=False))

    torch.testing.assert_close(scaled.terms["sigreg"], 16 * plain.terms["sigreg"])
    torch.testing.assert_close(scaled.terms["prediction"], plain.terms["prediction"])


def test_sigreg_acts_on_the_online_branch_only():
    """Without the prediction term the encoder still learns; the teacher never does."""
    method = objective()
    loss_of(method).terms["sigreg"].backward()

    assert any(p.grad is not None and p.grad.any() for p in method.encoder.parameters())
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(p.grad is None for p in method.predictor.parameters())


def test_without_a_teacher_the_target_receives_gradient():
    """`teacher="none"` judges the online encoder, moves nothing after a step, and stops no gradient."""
    method = objective(teacher="none")
    before = [p.detach().clone() for p in method.parameters()]
    method.after_step(Progress(1, 10))

    assert method.scored_encoder is method.encoder
    assert all(torch.equal(p, q) for p, q in zip(method.parameters(), before, strict=True))
    assert method.latents(batch().images).requires_grad
    assert not objective().latents(batch().images).requires_grad


def test_online_encoder_is_judged_on_request():
    """`judge="online"` scores the encoder that the optimiser moves."""
    method = objective(judge="online")

    assert method.scored_encoder is method.encoder
    assert objective().scored_encoder is not objective().encoder


def test_impossible_weights_are_refused():
    """A weight outside (0, 1) is an error that names the option."""
    with pytest.raises(ConfigError, match=r"objective\.lam=1"):
        objective(lam=1.0)
