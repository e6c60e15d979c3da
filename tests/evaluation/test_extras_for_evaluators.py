"""Layers, measurements, copies to train and other surveys: right, kept, private, and refused with a reason."""

import math
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from astrojepa_bench.border import owned, owner_of
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.encoders.floors import Pixels
from astrojepa_bench.encoders.pooling import pool
from astrojepa_bench.encoders.profile import Profile
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.errors import ContractError, DataError
from astrojepa_bench.evaluation.block_layers import BlockLayers
from astrojepa_bench.evaluation.extract import compute_features
from astrojepa_bench.evaluation.extras_on_offer import with_extras
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.evaluation.measurements import measured
from astrojepa_bench.evaluation.score import unmet_requirement
from astrojepa_bench.evaluation.store import FeatureFile
from astrojepa_bench.options import Offer
from astrojepa_bench.roles import Encoder, Evaluator, Objective
from astrojepa_bench.testing.features import features_of, hint
from astrojepa_bench.types import Evaluation, ImageSpec, Loss, Tokens

OFFER = Offer("encoder", "odd", Encoder, "encoder_plugin", "p", "1.0", "", ())
SIDE = 32


class Holder(Objective):
    """Holds an encoder and learns nothing."""

    masks = "ignored"

    def loss(self, batch, draw, streams):
        """Return nought."""
        return Loss(batch.images.new_zeros(()), {})


class Blocky(ViTMicro):
    """Says what stands after each of its blocks, and a class token beside the patches."""

    def layers(self, images, keep=None):
        """Return the tokens after every block, the last one normed."""
        values, positions = self.patches(images, keep)
        found = []
        for block in self.blocks:
            values = block(values)
            found.append(Tokens(values, positions))
        return (*found[:-1], Tokens(self.norm(values), positions))

    def forward(self, images, keep=None):
        """Return the last layer, with the mean of its tokens as a class token."""
        found = super().forward(images, keep)
        return Tokens(found.values, found.positions, found.values.mean(dim=1, keepdim=True))


def disc(count, seed):
    """Draw round and flattened discs of two classes on a noisy sky."""
    stream, label = np.random.default_rng(seed), np.arange(count) % 2
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    images = []
    for kind in label:
        turn, width = stream.uniform(0, np.pi), stream.uniform(3, 5)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        knots = stream.normal(size=(5, 2)) * width
        light = np.exp(-np.hypot(u, v * (3 if kind else 1)) / width)
        light += sum(0.5 * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 3) for a, b in knots)
        images.append(120 * light[..., None] + 20 + stream.normal(0, 3, (SIDE, SIDE, 3)))
    return np.clip(np.stack(images), 0, 255).astype(np.uint8), label


def write(path, images, label, names):
    """Write a file of Galaxy10's layout."""
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images, label
        file.attrs["class_names"] = [name.encode() for name in names]
    return path


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """Load 60 discs."""
    folder = tmp_path_factory.mktemp("survey")
    images, label = disc(60, 0)
    dataset = Hdf5(path=write(folder / "here.h5", images, label, ("Round", "Flat")))
    table = dataset.load(SIDE, folder / "cache")
    device = DeviceImages(table.images, torch.device("cpu"))
    return Galaxies("here", {}, {}, dataset, table, device, folder / "cache")


def context_of(survey, encoder):
    """Put an untrained encoder before a survey."""
    return ExtrasContext(Holder(encoder, encoder.grid, 2).eval(), None, survey)


@pytest.fixture
def context(survey):
    """Put an untrained encoder of three blocks before it."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return context_of(survey, Blocky(survey.table.spec, width=16, depth=3, heads=2, pooling="rings"))


def features_from(context):
    """Encode them."""
    return compute_features(context.encoder, context.table, context.galaxies.images, 0)


# --- layers ------------------------------------------------------------------------------------------------------


def test_layers_are_the_pooled_tokens_of_every_block_and_kept(context, tmp_path, monkeypatch):
    """Pooled as the encoder pools; the last one is its tap; a second asker reads the file."""
    features, path = features_from(context), tmp_path / "a.h5"
    found = with_extras(features, ["layers"], context, path).features
    encoder, rows = context.encoder, context.table.rows("val")
    with torch.no_grad():
        layers = encoder.layers(context.galaxies.images.batch(rows))

    assert len(found.val.layers) == 3
    for ours, tokens in zip(found.val.layers, layers, strict=True):
        assert torch.allclose(ours, pool(tokens.values, "rings", encoder.grid), atol=1e-5)
    assert torch.allclose(found.test.layers[-1], features.test.features["last"], atol=1e-5)
    monkeypatch.setattr(FeatureFile, "write", lambda self, groups: pytest.fail("computed again"))
    again = with_extras(features, ["layers"], context, path).features
    assert all(map(torch.equal, again.train.layers, found.train.layers))


def test_an_encoder_that_says_nothing_of_its_blocks_has_one_layer(survey, tmp_path):
    """Its output, by the mean of its tokens where it names no pooling."""
    context = context_of(survey, Pixels(survey.table.spec, size=4))
    features = features_from(context)
    [layer] = with_extras(features, ["layers"], context, tmp_path / "a.h5").features.test.layers

    assert torch.equal(layer, features.test.features["last"])


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        (lambda images: None, "layers returned a NoneType"),
        (lambda images: (), "layers returned a tuple"),
        (lambda images: (images,), "layers holds a Tensor"),
        (
            lambda images: (Tokens(images[:1, :, 0], torch.zeros(1, 3).long()),),
            "expected Tokens of each image",
        ),
        (lambda images: (Tokens(images[:, 0] / 0, torch.zeros(len(images), SIDE).long()),), "not finite"),
    ],
)
def test_what_is_no_layer_is_blamed_on_the_encoder(context, layers, told):
    """A probe of it would fail with an error of linear algebra."""
    encoder = owned(context.encoder, OFFER)
    object.__setattr__(encoder, "layers", layers)

    with pytest.raises(ContractError, match=told) as refused:
        BlockLayers().compute(context)
    assert owner_of(refused.value) is OFFER


# --- tokens and taps ---------------------------------------------------------------------------------------------


def test_tokens_carry_the_class_tokens_of_the_encoder(context, tmp_path):
    """Beside the patches, as the encoder returns them; None where it has none."""
    found = with_extras(features_from(context), ["tokens"], context, tmp_path / "a.h5").features
    batch = next(found.tokens("test", batch_size=4))

    assert batch.extra.shape == (4, 1, 16)
    assert torch.allclose(batch.extra[:, 0], batch.values.mean(dim=1), atol=1e-6)
    assert next(features_of(hint).tokens("val")).extra is None


class NeedsTap(Evaluator):
    """Reads one tap."""

    def __init__(self, tap):
        self.requires = (f"tap:{tap}",)

    def evaluate(self, features):
        """Return nothing."""
        return Evaluation(())


def test_an_evaluator_may_require_a_tap():
    """What it lacks, and which there are."""
    features = features_of(hint)

    assert unmet_requirement(features, NeedsTap("last4"), {}) is None
    assert (
        unmet_requirement(features, NeedsTap("cls"), {}) == "the encoder has no tap 'cls' (taps: last, last4)"
    )


# --- measurements ------------------------------------------------------------------------------------------------


def exponential(scale, peak, sigma, count=6, side=64):
    """Draw exponential discs of known scale on a sky of known noise."""
    stream = np.random.default_rng(0)
    fine = (np.arange(4 * side) + 0.5) / 4 - side / 2  # means over subpixels
    light = np.exp(-np.hypot(*np.meshgrid(fine, fine)) / scale).reshape(side, 4, side, 4).mean(axis=(1, 3))
    noise = sigma * stream.normal(size=(count, 3, side, side))
    return torch.as_tensor(0.1 + peak * light + noise).float()


def test_measurements_are_those_of_an_exponential_disc():
    """Half the light of e^(-r / h) lies within 1.678 h, twice the light is .753 mag, the noise as added."""
    profile = Profile(ImageSpec(("g", "r", "z"), 64, (0.2,) * 3, (0.1,) * 3))
    one, two = (measured(profile, exponential(3.0, peak, 0.012)) for peak in (0.2, 0.4))
    wide = measured(profile, exponential(4.5, 0.4, 0.012))
    total = 3 * 0.4 * 2 * math.pi * 3.0**2

    assert two[:, 0].mean() == pytest.approx(1.678 * 3.0, rel=0.06)
    assert (wide[:, 0] / two[:, 0]).mean() == pytest.approx(1.5, rel=0.05)
    assert (one[:, 1] - two[:, 1]).mean() == pytest.approx(2.5 * math.log10(2), abs=0.05)
    assert two[:, 1].mean() == pytest.approx(-2.5 * math.log10(total), abs=0.1)
    assert two[:, 2].mean() == pytest.approx(0.012 / math.sqrt(3), rel=0.15)


def test_measurements_stand_in_the_rows_of_their_galaxies(survey, context, tmp_path):
    """And the pixel scale comes from the table, where that knows it."""
    scales = np.linspace(0.2, 0.4, len(survey.table))
    known = replace(context, galaxies=replace(survey, table=replace(survey.table, pixel_scale=scales)))
    found = with_extras(features_from(context), ["measurements"], known, tmp_path / "a.h5").features
    rows = survey.table.rows("test")
    alone = measured(Profile(survey.table.spec), survey.images.batch(rows))

    assert found.test.measurements["half_light_radius"] == pytest.approx(alone[:, 0].numpy(), rel=1e-4)
    assert found.test.measurements["sky_noise"] == pytest.approx(alone[:, 2].numpy(), rel=1e-4)
    assert np.array_equal(found.test.measurements["pixel_scale"], scales[rows])
    without = with_extras(features_from(context), ["measurements"], context, tmp_path / "b.h5").features
    assert set(without.val.measurements) == {"half_light_radius", "magnitude", "sky_noise"}


# --- copies to train ---------------------------------------------------------------------------------------------


def test_a_copy_learns_and_the_scored_encoder_stays_as_it_is(context, tmp_path):
    """Frozen weights are free in the copy; images are those of the galaxies asked for."""
    for parameter in context.encoder.parameters():
        parameter.requires_grad_(False)
    before = {name: value.clone() for name, value in context.encoder.state_dict().items()}
    found = with_extras(features_from(context), ["trainable"], context, tmp_path / "a.h5").features.trainable
    made, ids = found.encoder(), context.table.ids[[7, 3]]
    images = found.images(ids)
    found.read(made, images).square().sum().backward()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.sub_(parameter.grad)

    assert made.training
    assert not context.encoder.training
    assert torch.equal(images, context.galaxies.images.batch(np.array([7, 3])))
    assert all(torch.equal(value, before[name]) for name, value in context.encoder.state_dict().items())
    assert not torch.equal(made.embed.weight, context.encoder.embed.weight)
    assert not any(parameter.requires_grad for parameter in context.encoder.parameters())


def test_an_encoder_without_weights_cannot_be_trained(survey, tmp_path):
    """Pixels are what they are."""
    context = context_of(survey, Pixels(survey.table.spec, size=4))
    found = with_extras(features_from(context), ["trainable"], context, tmp_path / "a.h5")

    assert found.missing == {"trainable": "the encoder has no weights that could learn"}


# --- another survey ----------------------------------------------------------------------------------------------

GROUPING = ("Round=round", "Flat=flat", "Elliptical=round", "Disc=flat")


@pytest.fixture
def there(survey, tmp_path):
    """Write another survey of 60 discs: other names of classes, and ten galaxies of this one, turned."""
    images, label = disc(60, 1)
    own = np.asarray(survey.table.images).transpose(0, 2, 3, 1)
    learnt = survey.table.rows("train")[:10]
    images = np.concatenate([images, np.rot90(own[learnt], axes=(1, 2))])
    label = np.concatenate([label, survey.table.label[learnt]])
    path = write(tmp_path / "there.h5", images, np.array([2, 0])[label], ("Disc", "Star", "Elliptical"))
    with h5py.File(path, "a") as file:
        file["split"] = [b"train", b"train", b"test"] * 20 + [b"test"] * 10
    return path


@pytest.mark.slow
def test_another_survey_is_encoded_in_groups_without_the_galaxies_that_were_learnt_from(
    context, there, tmp_path
):
    """Ten test galaxies there are turned copies of train galaxies here: left out and counted."""
    features = with_extras(features_from(context), ["other_survey"], context, tmp_path / "a.h5").features
    other = features.other_survey(there, GROUPING)
    table = Hdf5(path=there).load(SIDE, tmp_path / "cache")
    first = np.flatnonzero(table.ids == other.test.ids[0])
    images = DeviceImages(table.images, torch.device("cpu"))
    with torch.no_grad():
        directly = context.encoder.taps(images.batch(first))["last"]

    assert (other.left_out, len(other.test.ids)) == (10, 20)
    assert other.groups == ("flat", "round")
    assert other.group_of_class.tolist() == [1, 0]
    assert other.test.label[0] == {0: 0, 2: 1}[int(table.label[first[0]])]
    assert torch.allclose(other.test.features["last"][:1], directly, atol=1e-5)


def test_another_survey_that_is_none_is_refused(context, tmp_path):
    """No path, other bands, no labels: each with what to do."""
    features = with_extras(features_from(context), ["other_survey"], context, tmp_path / "a.h5").features
    images, label = disc(12, 2)
    grey = write(tmp_path / "grey.h5", images[..., :1], label, ("Round", "Flat"))
    bare = tmp_path / "bare.h5"
    with h5py.File(bare, "w") as file:
        file["images"] = images

    with pytest.raises(DataError, match=r"--set evaluator\.data=PATH"):
        features.other_survey(None, ())
    with pytest.raises(DataError, match=r"grey\.h5 has 1 bands and the run's galaxies 3"):
        features.other_survey(grey, ())
    with pytest.raises(DataError, match=r"bare\.h5 carries no labels"):
        features.other_survey(bare, ())
