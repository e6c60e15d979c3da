"""LeJEPA: nothing is stopped, every parameter learns, and one batch can be learnt."""

import pytest
import torch
from astrojepa_lejepa import LeJEPA
from astrojepa_random import NoMasks, RandomPatches

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Progress

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)
SMALL = {"projector": 64, "embedding": 8, "slices": 32}


def streams(step=0):
    return Streams(0, step, torch.device("cpu"))


def objective(**options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=32, depth=2, heads=2)
        return LeJEPA(encoder, encoder.grid, 0, **{**SMALL, **options})


def batch(galaxies=32):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def loss_of(method, masker, step=0):
    numbers = streams(step)
    return method.loss(batch(), MaskDraw(masker(method.grid), numbers), numbers)


def shapes_encoded(method, masker):
    """List the image sides and token counts that the encoder is given."""
    seen = []
    handle = method.encoder.register_forward_hook(
        lambda _module, given, tokens: seen.append((given[0].shape[-1], tokens.positions.shape[1]))
    )
    loss_of(method, masker)
    handle.remove()
    return seen


@pytest.mark.parametrize("masker", [RandomPatches, NoMasks])
def test_loss_is_finite_and_weighs_its_terms(masker):
    """The total is (1 - lam) prediction + lam SIGReg, and finite."""
    loss = loss_of(objective(lam=0.2), masker)

    assert loss.first_non_finite() is None
    torch.testing.assert_close(loss.total, 0.8 * loss.terms["prediction"] + 0.2 * loss.terms["sigreg"])


@pytest.mark.parametrize("masker", [RandomPatches, NoMasks])
def test_gradient_reaches_every_parameter(masker):
    """Encoder and projector learn, masked or cropped."""
    method = objective()
    loss_of(method, masker).total.backward()

    silent = [name for name, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    # a bias before BatchNorm is subtracted again: its true gradient is zero
    assert set(silent) <= {"projector.0.bias", "projector.3.bias"}


def test_gradient_flows_through_both_global_views():
    """The centre is not stopped: its slope is that of the whole formula, by hand, for every view."""
    method = objective()
    views = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    method.disagreement(views).backward()
    gaps = (views[:2].mean(dim=0) - views).detach()
    expected = -2 * gaps / views.numel()
    expected[:2] += gaps.sum(dim=0) / views.numel()  # each global view holds half of the centre

    torch.testing.assert_close(views.grad, expected)
    assert (views.grad.abs().sum(dim=2) > 0).all()


@pytest.mark.parametrize("options", [{"global_views": 1}, {"local_views": 0}])
def test_one_global_view_or_no_local_one_will_do(options):
    """One global view is its own centre, and two agree without local ones: as many views as were asked for."""
    asked = {"global_views": 2, "local_views": 4, **options}
    method, numbers = objective(**asked), streams()
    views = method.views(batch(), MaskDraw(RandomPatches(method.grid), numbers), numbers)
    gaps = views[: asked["global_views"]].mean(dim=0) - views

    assert len(views) == asked["global_views"] + asked["local_views"]
    torch.testing.assert_close(
        loss_of(objective(**asked), RandomPatches).terms["prediction"], (gaps**2).mean()
    )


def test_local_views_see_only_what_the_masker_shows():
    """Two global views of 16 patches, then contexts of a quarter of the patches at full image size."""
    assert shapes_encoded(objective(local_scale=0.25), RandomPatches) == [(32, 16), (32, 4)]


def test_without_masks_local_views_are_crops():
    """With masker `none` local views are half the side, all of whose patches are seen."""
    assert shapes_encoded(objective(), NoMasks) == [(32, 16), (16, 4)]


@pytest.mark.slow
def test_one_repeated_batch_is_learnt_without_collapse():
    """Within 200 steps disagreement halves, while embeddings stay nearer to a Gaussian than to a point."""
    method = objective()
    optimiser = torch.optim.AdamW(method.parameters(), lr=2e-3)
    curve = []
    for _ in range(200):
        loss = loss_of(method, RandomPatches)
        optimiser.zero_grad()
        loss.total.backward()
        optimiser.step()
        curve.append({name: float(value.detach()) for name, value in loss.terms.items()})

    assert curve[-1]["prediction"] < curve[0]["prediction"] / 2
    assert curve[-1]["sigreg"] < 0.4 * 32 / 2


@pytest.mark.parametrize("wrong", [{"lam": 0.0}, {"lam": 1.0}, {"lam": -0.1}, {"global_views": 0}])
def test_impossible_options_are_refused(wrong):
    """A weight outside (0, 1) or a loss without a centre is a mistake of the request."""
    with pytest.raises(ConfigError, match="expected 0 < lam < 1"):
        objective(**wrong)


def test_prediction_compares_what_the_loss_compares():
    """The mean squared difference of `predict` is the prediction term of the loss."""
    method, numbers = objective(), streams()
    answer = method.predict(batch(), MaskDraw(RandomPatches(method.grid), numbers), numbers)
    term = loss_of(objective(), RandomPatches).terms["prediction"]

    torch.testing.assert_close((answer.predicted - answer.actual).square().mean(), term)
    assert answer.predicted.shape == (32, 6, 1, 8)
    assert answer.positions is None


def test_averaged_encoder_is_the_mean_of_the_first_weights():
    """With a long memory the judged encoder after k steps is the plain mean of start and k later weights."""
    method = objective(average=0.1)
    history = [method.encoder.embed.weight.detach().clone()]
    for step in range(1, 5):
        with torch.no_grad():
            method.encoder.embed.weight += step
        history.append(method.encoder.embed.weight.detach().clone())
        method.after_step(Progress(step, 1000))

    torch.testing.assert_close(method.scored_encoder.embed.weight, torch.stack(history).mean(dim=0))
    assert objective().scored_encoder is not None


def test_averaging_leaves_training_as_it_is():
    """The averaged copy takes no part in the loss and receives no gradient."""
    plain, averaged = loss_of(objective(), RandomPatches), loss_of(objective(average=0.05), RandomPatches)

    assert torch.equal(plain.total, averaged.total)
    with pytest.raises(ConfigError, match=r"objective\.average=0\.5"):
        objective(average=0.5)


def test_projector_is_judged_on_request():
    """`judge="projector"` reads the embedding that the loss acts on, `encoder` the pooled tokens."""
    behind, before = objective(judge="projector").eval(), objective().eval()
    images = batch().images
    pooled = before.scored_encoder.taps(images)["last"]

    torch.testing.assert_close(behind.scored_encoder.taps(images)["last"], before.projector(pooled))
