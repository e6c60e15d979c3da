"""Masked LeJEPA: gradient on both sides, and two statistics of one sample a galaxy."""

import pytest
import torch
from astrojepa_masked_lejepa import MaskedLeJEPA
from astrojepa_random import NoMasks, RandomPatches

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec

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
        return MaskedLeJEPA(encoder, encoder.grid, 0, **{**SMALL, **options})


def batch(galaxies=16):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def answer_of(method, verb, masker=RandomPatches, given=None):
    streams = Streams(0, 0, torch.device("cpu"))
    draw = MaskDraw(masker(method.grid), streams)
    return getattr(method, verb)(batch() if given is None else given, draw, streams)


def test_total_weighs_its_terms():
    """The total is (1 - lam) prediction + lam SIGReg, and finite."""
    loss = answer_of(objective(lam=0.3), "loss")

    assert loss.first_non_finite() is None
    torch.testing.assert_close(loss.total, 0.7 * loss.terms["prediction"] + 0.3 * loss.terms["sigreg"])


def test_one_galaxy_is_refused_with_a_reason():
    """A projector that normalises over a batch has nothing to say of a batch of one; frozen, it has."""
    with pytest.raises(ConfigError, match="batch of one galaxy"):
        answer_of(objective(), "loss", given=batch(1))

    assert answer_of(objective().eval(), "loss", given=batch(1)).first_non_finite() is None


def test_targets_receive_gradient_unless_it_is_stopped():
    """The prediction term reaches the projector through the targets alone; the option stops it there."""
    flowing, stopped = objective(), objective(target_gradient=False)
    for method in (flowing, stopped):
        answer_of(method, "loss").terms["prediction"].backward()

    assert flowing.projector[0].weight.grad.any()
    assert stopped.projector[0].weight.grad is None
    assert stopped.encoder.embed.weight.grad.any()


def test_prediction_compares_what_the_loss_compares():
    """The mean squared difference of `predict` is the prediction term of `loss`."""
    method = objective()
    answer = answer_of(method, "predict")
    term = answer_of(method, "loss").terms["prediction"]

    torch.testing.assert_close((answer.predicted - answer.actual).square().mean(), term)
    assert answer.predicted.shape[1:] == (2, method.sizes.target, 8)


def test_hidden_patches_never_reach_the_predictor():
    """Repainting the hidden patches changes the targets and leaves the prediction as it is."""
    method = objective().eval()
    masks = RandomPatches(method.grid).draw(batch().images, method.sizes, torch.Generator().manual_seed(0))
    seen = torch.zeros(16, 16, dtype=torch.bool).scatter(1, masks.context, True)
    keep = seen.view(16, 1, 4, 4).repeat_interleave(8, dim=2).repeat_interleave(8, dim=3)
    answers = []
    for images in (batch().images, batch().images * keep):
        galaxies = GalaxyBatch(images, torch.arange(16), torch.full((16,), -1))
        answers.append(
            method.predict(galaxies, lambda _images, _sizes: masks, Streams(0, 0, torch.device("cpu")))
        )

    torch.testing.assert_close(answers[0].predicted, answers[1].predicted)
    assert not torch.allclose(answers[0].actual, answers[1].actual)


def test_impossible_requests_are_refused():
    """A weight outside (0, 1), no grid and no masks are errors that name what is wrong."""
    with pytest.raises(ConfigError, match=r"objective\.lam=0"):
        objective(lam=0.0)
    with pytest.raises(ConfigError, match="needs masks"):
        answer_of(objective(), "loss", NoMasks)
