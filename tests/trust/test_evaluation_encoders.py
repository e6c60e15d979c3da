"""What encoders hand over is believed only where it can be true, and blamed on who made the encoder."""

import numpy as np
import pytest
import torch

from astrojepa_bench.border import owned, owner_of
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.encoders.facts import check_facts
from astrojepa_bench.errors import ContractError
from astrojepa_bench.evaluation import extract as extraction
from astrojepa_bench.evaluation.collapse import HealthWatch
from astrojepa_bench.evaluation.extras_on_offer import with_extras
from astrojepa_bench.evaluation.kept_extra import ExtrasContext
from astrojepa_bench.geometry.grids import PatchGrid
from astrojepa_bench.options import Offer
from astrojepa_bench.roles import Dataset, Encoder, Objective
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec, Loss, Tokens
from tests.trust.conftest import bent

SPEC = ImageSpec(("g", "r", "z"), 8, (0.5,) * 3, (0.2,) * 3)
ENCODER = Offer("encoder", "odd", Encoder, "encoder_plugin", "p", "1.0", "", ())
OBJECTIVE = Offer("objective", "around", Objective, "objective_plugin", "p", "1.0", "", ())


class Odd(Encoder):
    """Answers with whatever its `answer` gives."""

    dim, grid = 4, None

    def __init__(self, answer):
        super().__init__(SPEC)
        self.answer = answer

    def forward(self, images, keep=None):
        """Return one token."""
        return Tokens(torch.zeros(len(images), 1, 4), torch.zeros(len(images), 1, dtype=torch.long))

    def taps(self, images):
        """Answer."""
        return self.answer(images)


class Around(Objective):
    """Holds an encoder."""

    masks = "ignored"

    def loss(self, batch, draw, streams):
        """Return nought."""
        return Loss(torch.zeros(()), {})

    def predict(self, batch, draw, streams):
        """Fail."""
        raise KeyError("latents")


def galaxies(number=12):
    """Make a table of noise."""
    stream = np.random.default_rng(0)
    split = np.array(["train", "val", "test", "train"])[np.arange(number) % 4]
    return GalaxyTable(
        images=stream.integers(0, 255, (number, 3, 8, 8), dtype=np.uint8), split=split, spec=SPEC,
        ids=np.array([f"g{row}" for row in range(number)]), card=Card("noise", "none", "none"),
        fingerprint="noise", label=np.full(number, -1), anomaly=np.zeros(number, dtype=np.int64),
        anomaly_type=np.full(number, ""),
    )  # fmt: skip


class NoTwin(Dataset):
    """Was loaded before."""

    def load(self, size_px, cache_dir):
        """Return the galaxies."""
        return galaxies()


def pooled(images):
    """Average over pixels."""
    return images.mean(dim=(2, 3))


ODD_TAPS = [
    (lambda images: pooled(images), "taps returned float32 (2, 3); expected a mapping"),
    (lambda images: {"first": pooled(images)}, "taps returned a mapping of ['first']"),
    (lambda images: None, "taps returned a NoneType"),
    (lambda images: {"last": pooled(images), 3: pooled(images)}, "a tap is called 3"),
    (lambda images: {"last": pooled(images), "a/b": pooled(images)}, "a tap is called 'a/b'"),
    (lambda images: {"last": pooled(images), "ids": pooled(images)}, "a tap is called 'ids'"),
    (lambda images: {"last": pooled(images).numpy()}, "tap 'last' is a ndarray"),
    (lambda images: {"last": pooled(images).long()}, "tap 'last' is int64 (2, 3)"),
    (lambda images: {"last": pooled(images)[:, 0]}, "tap 'last' is float32 (2,)"),
    (lambda images: {"last": images}, "tap 'last' is float32 (2, 3, 8, 8)"),
    (lambda images: {"last": pooled(images)[:1]}, "tap 'last' is float32 (1, 3) for 2 images"),
    (lambda images: {"last": images.new_zeros(2, 1 + int(images[0, 0, 0, 0] > 0.5))}, "in one batch and"),
    (lambda images: {"last": pooled(images) / (images[:, :, 0, 0] > 0.2)}, "is not finite for"),
]


@pytest.mark.parametrize(("taps", "told"), ODD_TAPS)
@pytest.mark.parametrize("owner", [ENCODER, OBJECTIVE])
def test_taps_are_judged_before_training_and_blamed_on_who_made_the_encoder(monkeypatch, taps, told, owner):
    """Hours of training would be lost on a tap; a scored encoder that an objective made is the objective's."""
    monkeypatch.setattr(extraction, "BATCH_ON_CPU", 2)
    table, encoder = galaxies(), Odd(taps)
    objective = owned(Around(encoder, None, 0), OBJECTIVE)
    if owner is ENCODER:
        owned(encoder, ENCODER)

    with pytest.raises(ContractError) as refused:
        HealthWatch(objective, table, DeviceImages(table.images, torch.device("cpu")))

    assert told in str(refused.value)
    assert owner_of(refused.value) == owner


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_features_must_be_finite_on_every_split(tmp_path, split):
    """A NaN in train would end a probe with an error of linear algebra that names nobody."""
    table = galaxies()
    spoilt = torch.from_numpy(table.images[table.rows(split)[:1]]).float() / 255

    def taps(images):
        is_spoilt = (images == spoilt).flatten(1).all(dim=1)
        return {"last": pooled(images).masked_fill(is_spoilt[:, None], torch.nan)}

    encoder = owned(Odd(taps), ENCODER)
    with pytest.raises(ContractError, match=f"not finite for 1 of .* galaxies of {split}") as refused:
        extraction.extract(
            encoder, table, DeviceImages(table.images, torch.device("cpu")), 0, tmp_path / "features.h5"
        )
    assert owner_of(refused.value) is ENCODER
    assert not (tmp_path / "features.h5").exists()


def test_an_extra_that_a_plugin_fails_to_give_is_missing_with_its_name(tmp_path):
    """Whoever can do without it is scored; the reason names the objective that raised."""
    table, encoder = galaxies(), Odd(lambda images: {"last": pooled(images)})
    images = DeviceImages(table.images, torch.device("cpu"))
    objective = owned(Around(encoder, None, 0), OBJECTIVE)
    context = ExtrasContext(objective, None, Galaxies("n", {}, {}, NoTwin(), table, images, tmp_path))
    features = extraction.compute_features(encoder, table, images, 0)

    found = with_extras(features, ("prediction_errors",), context, tmp_path / "f.h5")

    assert (
        "objective 'around' (plugin objective_plugin) raised KeyError" in found.missing["prediction_errors"]
    )


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"dim": 4.0}, "dim is 4.0"),
        ({"dim": True}, "dim is True"),
        ({"dim": "4"}, "dim is '4'"),
        ({"grid": [8, 8]}, "grid is [8, 8]; expected a PatchGrid"),
        ({"grid": PatchGrid(2, 2, 2)}, "does not tile images of 8 px"),
        ({"grid": PatchGrid(1, 2, 8)}, "does not tile images of 8 px"),
    ],
)
def test_width_and_grid_are_judged_before_anything_is_built_around_them(facts, told):
    """A grid that is a list would fail within the objective, which then is blamed."""
    encoder = bent(Odd(None), **facts)

    with pytest.raises(ContractError) as refused:
        check_facts(encoder, SPEC)
    assert told in str(refused.value)
    check_facts(bent(Odd(None), grid=PatchGrid(2, 2, 4)), SPEC)


def test_a_module_that_a_method_hides_is_named():
    """Python finds the method first, so `self.layers(images)` would call itself for ever."""
    encoder = bent(Odd(None), grid=PatchGrid(2, 2, 4))
    encoder.layers = torch.nn.Sequential()

    with pytest.raises(ContractError, match="module 'layers' has the name of a method"):
        check_facts(encoder, SPEC)
