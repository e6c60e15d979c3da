"""LeJEPA that measures: its terms, what whitening does to measurements, and whose measurements they are."""

import numpy as np
import pytest
import torch
from astrojepa_lejepa import LeJEPA
from astrojepa_lejepa_morphology import LEAST_EIGENVALUE, LeJEPAMorphology, RunningWhitening
from astrojepa_random import NoMasks, RandomPatches

from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)
SMALL = {"projector": 64, "embedding": 8, "slices": 32, "learning_rate": 1e-3, "batch_size": 32}


def objective(kind=LeJEPAMorphology, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=8, width=32, depth=2, heads=2)
        return kind(encoder, encoder.grid, 0, **{**SMALL, **options})


def batch(galaxies=32):
    rows = torch.arange(galaxies)
    images = torch.rand(galaxies, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return GalaxyBatch(images, rows, torch.full_like(rows, -1))


def loss_of(method, masker=RandomPatches, given=None):
    streams = Streams(0, 0, torch.device("cpu"))
    draw = MaskDraw(masker(method.grid), streams)
    return method.loss(batch() if given is None else given, draw, streams)


def correlated(rows=600, dim=6):
    """Draw rows with means, spreads and correlations of their own, no direction narrower than what is noise."""
    rng = np.random.default_rng(0)
    mixing = np.eye(dim) + 0.5 * rng.normal(size=(dim, dim))
    return torch.from_numpy(
        3 + rng.normal(size=(rows, dim)) @ mixing * 10.0 ** np.arange(-2, dim - 2)
    ).float()


@pytest.mark.parametrize("masker", [RandomPatches, NoMasks])
def test_total_weighs_its_terms(masker):
    """The total is (1 - lam) prediction + lam SIGReg + weight · measurement, and finite."""
    loss = loss_of(objective(lam=0.3, weight=2.0), masker)
    terms = loss.terms

    assert loss.first_non_finite() is None
    expected = 0.7 * terms["prediction"] + 0.3 * terms["sigreg"] + 2 * terms["measurement"]
    torch.testing.assert_close(loss.total, expected)


def test_without_weight_it_is_lejepa():
    """The same views, embeddings and loss as `lejepa` at equal options, to the last digit."""
    ours, plain = loss_of(objective(weight=0.0, lam=0.1)), loss_of(objective(LeJEPA, lam=0.1))

    assert torch.equal(ours.total, plain.total)
    assert all(torch.equal(ours.terms[name], value) for name, value in plain.terms.items())


def test_negative_weight_is_refused():
    """Measurements unlearnt are a mistake in the command."""
    with pytest.raises(ConfigError, match=r"objective\.weight=-1\.0"):
        objective(weight=-1.0)


def test_labels_are_not_seen():
    """It is self-supervised: other labels, the same loss."""
    plain = batch()
    labelled = GalaxyBatch(plain.images, plain.rows, plain.rows % 3)

    assert torch.equal(loss_of(objective()).total, loss_of(objective(), given=labelled).total)


def test_measurements_teach_the_encoder_and_the_head_only():
    """The measurement term reaches every block of the encoder, and not the projector."""
    method = objective()
    loss_of(method).terms["measurement"].backward()

    assert all(p.grad is not None for p in method.encoder.parameters())
    assert all(p.grad is None for p in method.projector.parameters())


def test_whitening_is_that_of_all_rows_seen():
    """After any split into batches: numpy's z-scores times the inverse root of (correlation + .01)."""
    rows = correlated()
    whitening = RunningWhitening(rows.shape[1]).train()
    for part in rows.split([7, 200, 393]):
        whitening(part)
    found = whitening.eval()(rows).double().numpy()

    wide = rows.double().numpy()
    values, axes = np.linalg.eigh(np.corrcoef(wide.T))
    scores = (wide - wide.mean(axis=0)) / wide.std(axis=0)
    truth = (scores @ axes / np.sqrt(values + LEAST_EIGENVALUE) @ axes.T).clip(-4, 4)
    np.testing.assert_allclose(found, truth, atol=1e-4)


def test_whitened_measurements_are_equally_wide_and_unrelated():
    """What is wider than noise gets a variance near 1 and no correlation, whatever its units were."""
    rows = correlated(4000)
    whitening = RunningWhitening(rows.shape[1]).train()

    covariance = np.cov(whitening(rows).numpy().T)
    values = np.linalg.eigvalsh(np.corrcoef(rows.double().numpy().T))
    assert np.linalg.eigvalsh(covariance).min() > 0.9 * (values / (values + LEAST_EIGENVALUE)).min()
    assert abs(covariance - np.diag(np.diag(covariance))).max() < 0.25


def test_evaluation_learns_nothing_and_nothing_seen_is_finite():
    """Statistics move in training alone; a first batch of one galaxy, or of equal ones, is zeros."""
    whitening = RunningWhitening(6)
    before = {name: value.clone() for name, value in whitening.state_dict().items()}
    assert whitening.eval()(correlated()).isfinite().all()
    assert all(torch.equal(value, before[name]) for name, value in whitening.state_dict().items())

    assert not whitening.train()(correlated(1)).any()
    assert not RunningWhitening(6).train()(torch.ones(8, 6)).any()


def test_measurements_are_the_galaxys_whichever_way_it_lies():
    """Turned by a quarter and mirrored, a galaxy measures the same; blank sky measures finite."""
    method = objective().train()
    images = batch().images
    method.measurements(images)
    method.eval()

    turned = method.measurements(images.rot90(1, (2, 3)).flip(3))
    torch.testing.assert_close(turned, method.measurements(images), atol=0.05, rtol=0)
    assert method.measurements(torch.zeros_like(images)).isfinite().all()
