"""What evaluators request: computed once, right, kept, and refused with a reason."""

import numpy as np
import pytest
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.synthetic.dataset import Synthetic
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluation.extract import compute_features, encode_rows
from astrojepa_bench.evaluation.extras import (
    VIEWS,
    AugmentedViews,
    BandFluxes,
    PredictionErrors,
)
from astrojepa_bench.evaluation.extras_on_offer import with_extras
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.evaluation.prediction_errors import prediction_errors, token_errors
from astrojepa_bench.evaluation.store import FeatureFile
from astrojepa_bench.geometry import views
from astrojepa_bench.geometry.grids import Masks
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import Masker, Objective
from astrojepa_bench.runs.assemble import load_galaxies
from astrojepa_bench.runs.component import Component, component_chain
from astrojepa_bench.types import Loss, Prediction


class Guess(Objective):
    """Predicts zero where the truth is the first hidden patch's number."""

    masks = "required"
    version = 1

    def loss(self, batch, draw, streams):
        """Learn nothing."""
        return Loss(batch.images.new_zeros(()), {})

    def predict(self, batch, draw, streams):
        """Compare zeros with the masks' own place numbers."""
        from astrojepa_bench.geometry.grids import MaskSizes

        masks = draw(batch.images, MaskSizes(context=8, targets=2, target=3))
        actual = masks.targets[..., None].float().repeat(1, 1, 1, 4)
        return Prediction(torch.zeros_like(actual), actual, masks.targets)


class Anywhere(Masker):
    """Draws places at random."""

    version = 1

    def draw(self, images, sizes, generator):
        """Shuffle the patches."""
        order = torch.rand(len(images), self.grid.patches, generator=generator).argsort(dim=1)
        targets = order[:, 8:14].unflatten(1, (2, 3))
        return Masks(order[:, :8], targets)


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Draw 48 galaxies and some anomalies, 32 px."""
    offer = next(o for o in load_registry().offers("dataset") if o.name == "synthetic")
    options = {"galaxies": 48, "anomaly_fraction": 0.1}
    cache = tmp_path_factory.mktemp("cache")
    return load_galaxies(Component.of(offer, {"dataset": options}), 32, cache, torch.device("cpu"))


@pytest.fixture
def subject(sky):
    """Put an untrained objective that predicts before them."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        encoder = ViTMicro(sky.table.spec, width=16, depth=1)
    objective = Guess(encoder, encoder.grid, sky.table.classes).eval()
    return ExtrasContext(objective, Anywhere(encoder.grid), sky)


@pytest.fixture
def features(subject):
    """Encode them."""
    return compute_features(subject.objective.scored_encoder, subject.table, subject.galaxies.images, 0)


def test_twin_shows_the_same_galaxies_through_other_eyes(subject, features, tmp_path):
    """Same ids, same labels, other pixels: the features are those of the twin's images."""
    twin = with_extras(features, ["shifted_test"], subject, tmp_path / "a.h5").features.shifted_test
    table = Synthetic(galaxies=48, anomaly_fraction=0.1, instrument="shifted").load(
        32, subject.galaxies.cache
    )
    images = DeviceImages(table.images, torch.device("cpu"))
    directly = encode_rows(subject.objective.scored_encoder, images, subject.test)["last"]

    assert np.array_equal(twin.ids, features.test.ids)
    assert np.array_equal(twin.label, features.test.label)
    assert not np.allclose(twin.features["last"], features.test.features["last"], atol=1e-3)
    assert torch.equal(twin.features["last"], directly)


def test_views_are_of_one_galaxy_each(subject, features, tmp_path):
    """Views of a galaxy lie nearer to it than to the others, and every run sees the same galaxies."""
    views = with_extras(features, ["augmented_views"], subject, tmp_path / "a.h5").features.augmented_views
    rows = AugmentedViews().rows(subject)

    assert views.shape == (len(rows), VIEWS, 16)
    assert (subject.table.anomaly[rows] == 0).all()
    within = views.std(dim=1).mean()
    assert within < views[:, 0].std(dim=0).mean()
    assert within > 0


def test_fluxes_are_the_means_of_the_bands(subject, features, tmp_path):
    """Every split carries the mean of each band of each of its images."""
    found = with_extras(features, ["band_fluxes"], subject, tmp_path / "a.h5").features
    images = np.asarray(subject.table.images, dtype=float) / 255

    for split in ("train", "val", "test"):
        expected = images[subject.table.rows(split)].mean(axis=(2, 3))
        assert found.split(split).band_fluxes == pytest.approx(expected, abs=1e-5)


def test_prediction_error_is_the_mean_over_draws_of_known_errors(subject):
    """Zero against place number p has squared error p²; over many draws its mean is that of all places."""
    rows = subject.test[:4]
    errors = prediction_errors(subject.objective, subject.masker, subject.galaxies.images, rows, draws=400)
    places = np.arange(subject.objective.grid.patches)
    spread = (places**2).std() / np.sqrt(400 * 6)

    assert errors["mean_squared"] == pytest.approx(np.full(4, (places**2).mean()), abs=4 * spread)
    assert (errors["max_squared"] > errors["mean_squared"]).all()
    assert np.allclose(errors["mean_cosine"], 0, atol=1e-6)  # zeros point nowhere


def test_errors_do_not_depend_on_when_they_are_asked_for(subject):
    """The masks come from streams of their own: asking twice gives the same numbers."""
    ask = (subject.objective, subject.masker, subject.galaxies.images, subject.test)
    first, second = prediction_errors(*ask), prediction_errors(*ask)

    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_token_errors_equal_numpy():
    """Mean and extreme of squared error and cosine over all tokens of all blocks."""
    stream = np.random.default_rng(0)
    predicted, actual = stream.normal(size=(2, 5, 3, 4, 7))
    found = token_errors(Prediction(torch.tensor(predicted), torch.tensor(actual)))
    squared = ((predicted - actual) ** 2).mean(axis=-1).reshape(5, 12)
    norms = np.linalg.norm(predicted, axis=-1) * np.linalg.norm(actual, axis=-1)
    cosine = ((predicted * actual).sum(axis=-1) / norms).reshape(5, 12)

    assert found["mean_squared"].numpy() == pytest.approx(squared.mean(axis=1), rel=1e-5)
    assert found["max_squared"].numpy() == pytest.approx(squared.max(axis=1), rel=1e-5)
    assert found["mean_cosine"].numpy() == pytest.approx(cosine.mean(axis=1), abs=1e-5)
    assert found["min_cosine"].numpy() == pytest.approx(cosine.min(axis=1), abs=1e-5)


def test_an_error_that_is_not_finite_is_refused(subject):
    """NaN would rank a galaxy nowhere."""
    subject.objective.predict = lambda batch, draw, streams: Prediction(
        torch.full((len(batch.images), 1, 1, 2), torch.nan), torch.zeros(len(batch.images), 1, 1, 2)
    )
    with pytest.raises(ContractError, match="not finite for 3 galaxies"):
        prediction_errors(subject.objective, None, subject.galaxies.images, subject.test[:3])


def test_what_is_kept_is_not_computed_again(subject, features, tmp_path, monkeypatch):
    """A second asker reads the file; another version of the ruler, or other galaxies, make it anew."""
    path, wanted = tmp_path / "a.h5", ["augmented_views", "shifted_test", "prediction_errors", "band_fluxes"]
    first = with_extras(features, wanted, subject, path).features
    writes = []
    monkeypatch.setattr(FeatureFile, "write", lambda self, groups: writes.extend(groups))
    second = with_extras(features, wanted, subject, path).features

    assert writes == []
    assert torch.equal(first.augmented_views, second.augmented_views)
    assert torch.equal(first.shifted_test.features["last"], second.shifted_test.features["last"])
    for name, values in first.test.prediction_errors.items():
        assert np.array_equal(values, second.test.prediction_errors[name])
    monkeypatch.setattr(AugmentedViews, "version", 99)
    with_extras(features, ["augmented_views"], subject, path)
    assert writes == ["extras/augmented_views"]


@pytest.mark.parametrize("changed", [BandFluxes, PredictionErrors, views])
def test_the_version_of_an_extra_is_part_of_the_versions_of_evaluators_that_request_it(changed, monkeypatch):
    """Scores of other arrays are other scores, so they are never averaged with the old ones."""
    registry = load_registry()
    asking, other = registry.get("evaluator", "anomaly-scorers"), registry.get("evaluator", "linear")
    before = component_chain(asking), component_chain(other)
    monkeypatch.setattr(changed, "version", 99)

    assert component_chain(asking) != before[0]
    assert component_chain(other) == before[1]
