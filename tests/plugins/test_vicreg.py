"""VICReg: each term against NumPy and against values known by hand; both views learn."""

import numpy as np
import pytest
import torch
from astrojepa_vicreg import VICReg, narrowness, redundancy, vicreg_terms

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.types import GalaxyBatch, ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)


def objective(**options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=32, depth=2, heads=2)
        return VICReg(encoder, encoder.grid, 0, **{"projector": 64, "embedding": 16, **options})


def batch(galaxies=24):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def no_masks(images, sizes):
    raise AssertionError("an objective that ignores masks must not ask for any")


def streams(step=0):
    return Streams(0, step, torch.device("cpu"))


def embeddings(galaxies=50, dim=12, seed=0, scale=0.7):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator) / dim**0.5
    return scale * torch.randn(galaxies, dim, generator=generator) @ mixing + 0.4


def terms_by_numpy(first, second):
    """Write the published formula with NumPy's own variance and covariance."""
    pair = [view.numpy().astype(np.float64) for view in (first, second)]
    hinge = [np.maximum(0, 1 - np.sqrt(np.var(view, axis=0, ddof=1) + 1e-4)).mean() for view in pair]
    covariances = [np.cov(view, rowvar=False) for view in pair]
    crossed = [sum(c[i, j] ** 2 for i in range(len(c)) for j in range(len(c)) if i != j) for c in covariances]
    return {
        "invariance": np.mean((pair[0] - pair[1]) ** 2),
        "variance": 0.5 * sum(hinge),
        "covariance": sum(crossed) / pair[0].shape[1],
    }


def test_one_galaxy_is_refused_with_a_reason():
    """One galaxy has no variance: the loss would not be a number."""
    with pytest.raises(ConfigError, match="a single galaxy; train on two or more"):
        objective().loss(batch(1), no_masks, streams())


def test_every_term_is_what_numpy_says():
    """Invariance, variance and covariance agree with an independent implementation to six digits."""
    first, second = embeddings(seed=1), embeddings(seed=2)
    found = vicreg_terms(first, second)

    for name, expected in terms_by_numpy(first, second).items():
        assert float(found[name]) == pytest.approx(expected, rel=1e-5), name


def test_total_weighs_the_terms_as_published():
    """25 invariance + 25 variance + 1 covariance, and options change the weights."""
    for weights in ((25.0, 25.0, 1.0), (2.0, 0.0, 3.0)):
        names = ("invariance", "variance", "covariance")
        loss = objective(**dict(zip(names, weights, strict=True))).loss(batch(), no_masks, streams())
        expected = sum(weight * loss.terms[name] for name, weight in zip(names, weights, strict=True))

        assert loss.first_non_finite() is None
        torch.testing.assert_close(loss.total, expected)


def test_one_point_has_the_value_of_collapse():
    """Equal embeddings agree perfectly and pay 1 - sqrt(1e-4) = .99 of variance, nothing of covariance."""
    point = torch.full((20, 8), 3.0)
    terms = {name: float(value) for name, value in vicreg_terms(point, point).items()}

    assert terms == pytest.approx({"invariance": 0.0, "variance": 0.99, "covariance": 0.0}, abs=1e-6)


def test_copies_of_one_dimension_cost_its_number_less_one():
    """D copies of a unit-variance dimension have covariances of 1: Σ_{i≠j} 1 / D = D - 1 a view."""
    column = torch.randn(40, 1, generator=torch.Generator().manual_seed(0))
    copies = ((column - column.mean()) / column.std()).expand(-1, 7)

    assert float(redundancy(copies)) == pytest.approx(6, rel=1e-5)
    assert float(narrowness(copies)) == pytest.approx(0, abs=1e-6)


def test_white_embeddings_of_unit_spread_are_free():
    """Independent dimensions of standard deviation 2 pay no variance and, decorrelated, no covariance."""
    values, _ = torch.linalg.qr(embeddings(60, 10) - embeddings(60, 10).mean(dim=0))
    white = 2 * values * 59**0.5  # orthonormal columns of zero mean: covariance 4 on the diagonal only

    assert float(narrowness(white)) == 0
    assert float(redundancy(white)) == pytest.approx(0, abs=1e-5)


def test_covariance_divides_by_n_minus_one():
    """Two galaxies at ±1 in two dimensions have covariance 2, not 1: 2 · 2² / 2 = 4."""
    assert float(redundancy(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))) == pytest.approx(4)


def test_a_common_shift_changes_nothing():
    """Adding one vector to both views leaves every term: the loss sees no absolute place."""
    first, second = embeddings(seed=1), embeddings(seed=2)
    before, after = vicreg_terms(first, second), vicreg_terms(first + 5, second + 5)

    for name in before:
        torch.testing.assert_close(before[name], after[name], rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_parameter_through_both_views():
    """Nothing is stopped: the slope of the invariance is equal and opposite in the two views."""
    method = objective()
    method.loss(batch(), no_masks, streams()).total.backward()
    silent = [name for name, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    first, second = embeddings(seed=1).requires_grad_(), embeddings(seed=2).requires_grad_()
    vicreg_terms(first, second)["invariance"].backward()

    # a bias before BatchNorm is subtracted again: its true gradient is zero
    assert set(silent) <= {"projector.0.bias", "projector.3.bias"}
    torch.testing.assert_close(first.grad, -second.grad)


def test_the_two_views_differ_and_are_drawn_anew_each_step():
    """Views of one step are not the same picture, and the next step has others; one step repeats itself."""
    method = objective().eval()
    now, again, later = (method.predict(batch(), no_masks, streams(step)) for step in (0, 0, 1))

    assert now.positions is None
    assert now.predicted.shape == (24, 1, 1, 16)
    assert torch.equal(now.predicted, again.predicted)
    assert not torch.allclose(now.predicted, now.actual)
    assert not torch.allclose(now.predicted, later.predicted)


def test_labels_and_masks_do_not_matter():
    """Other labels give the same loss, and the masker is never asked."""
    given = batch()
    labelled = GalaxyBatch(given.images, given.rows, given.rows % 3)
    losses = [objective().loss(each, no_masks, streams()).total for each in (given, labelled)]

    assert torch.equal(*losses)


def test_the_judge_may_be_the_projector():
    """By default the encoder's tokens are scored; with `judge=projector`, the projection of their mean."""
    plain, projected = objective().eval(), objective(judge="projector").eval()
    images = batch().images
    expected = plain.projector(plain.encoder(images).values.mean(dim=1))

    assert plain.scored_encoder is plain.encoder
    torch.testing.assert_close(projected.scored_encoder.taps(images)["last"], expected)
    assert projected.scored_encoder.dim == 32


@pytest.mark.parametrize("wrong", [{"invariance": -1.0}, {"covariance": -0.1}, {"batch_size": 1}])
def test_impossible_options_are_refused(wrong):
    """Negative weights and batches without a variance are mistakes of the request."""
    with pytest.raises(ConfigError, match=r"expected none to be negative|expected at least two galaxies"):
        objective(**wrong)
