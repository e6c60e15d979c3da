"""Prediction errors: encoded once for all draws of masks, bit for bit the numbers of one draw after the other."""

import copy

import numpy as np
import pytest
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.evaluation import prediction_errors as module
from astrojepa_bench.evaluation.prediction_errors import encoded_once, prediction_errors, token_errors
from astrojepa_bench.events import listening
from astrojepa_bench.registry import load_registry
from astrojepa_bench.roles import Objective
from astrojepa_bench.streams import Streams, scoped_global, stream_seed
from astrojepa_bench.training.asked import prediction_of
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, ImageSpec, Loss, Prediction

SPEC = ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.29,) * 3)
DRAWS, CPU = 3, torch.device("cpu")
ROWS = np.arange(10)


@pytest.fixture(scope="module")
def registry():
    return load_registry()


@pytest.fixture(scope="module")
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 32, 32), dtype=np.uint8)
    return DeviceImages(pixels, CPU)


def built(factory, **options):
    with scoped_global(0, "tests"):
        encoder = TokenViT(SPEC, patch=4, width=16, depth=2, heads=2)
        return factory(encoder, encoder.grid, 4, **options).eval()


@torch.no_grad()
def one_by_one(objective, masker, images, rows, draws=DRAWS, batch=256):
    """Ask for every draw as if it were the only one: the definition."""
    parts = []
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        index, errors = torch.from_numpy(some), []
        for draw in range(draws):
            streams = Streams(stream_seed(0, f"prediction errors/{some[0]}"), draw, CPU)
            galaxies = GalaxyBatch(images.batch(some), index, torch.full_like(index, -1))
            errors.append(
                token_errors(prediction_of(objective, galaxies, MaskDraw(masker, streams), streams))
            )
        parts.append(errors)
    return {
        name: torch.cat([torch.stack([each[name] for each in errors]).double().mean(0) for errors in parts])
        for name in parts[0][0]
    }


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        assert np.array_equal(values, expected[name].numpy()), name


FAST = [("ijepa", {}), ("masked-lejepa", {}), ("mae", {})]
SLOW = [
    ("ijepa", {"depths": 2}), ("ijepa", {"teacher": "none", "joint": True}), ("ijepa-sigreg", {}), ("lejepa", {}),
    ("lejepa-morphology", {}), ("vicreg", {}), ("simclr", {}), ("barlow-twins", {}), ("byol", {}), ("dino", {}),
    ("visreg", {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options"),
    [*FAST, *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_the_same_numbers_as_draw_by_draw(registry, images, monkeypatch, name, options):
    """Of every objective that predicts, in two batches of which one is short."""
    monkeypatch.setattr(module, "BATCH", 6)
    objective = built(registry.get("objective", name).factory, **options)
    masker = registry.get("masker", "random").factory(objective.encoder.grid)
    expected = one_by_one(objective, masker, images, ROWS, batch=6)
    assert_same(prediction_errors(objective, masker, images, ROWS, draws=DRAWS), expected)


def test_every_objective_on_offer_stands_above(registry):
    """What is added is tested too; those that predict nothing say so."""
    listed = {name for name, _ in (*FAST, *SLOW)}
    for offer in registry.offers("objective"):
        if offer.is_family or not offer.factory.trains:
            continue
        assert (offer.factory.predict is not Objective.predict) == (offer.name in listed), offer.name


@pytest.fixture
def encodings(monkeypatch):
    """Count what encoders really encode: (encoder, whether it is the whole image)."""
    counted, patches = [], TokenViT.patches

    def counting(self, images, keep=None):
        counted.append((self, keep is None))
        return patches(self, images, keep)

    monkeypatch.setattr(TokenViT, "patches", counting)
    return counted


@pytest.mark.parametrize("options", [{"depths": 2}, {"teacher": "none"}])
def test_whole_images_are_encoded_once_a_batch(registry, images, encodings, options):
    """Besides two galaxies that tell whether it predicts at all; contexts are encoded at every draw."""
    objective = built(registry.get("objective", "ijepa").factory, **options)
    masker = registry.get("masker", "random").factory(objective.encoder.grid)
    prediction_errors(objective, masker, images, ROWS, draws=5)
    teacher = objective.teacher or objective.encoder
    assert encodings.count((teacher, True)) == 1 + 1
    assert encodings.count((objective.encoder, False)) == 1 + 5


class Scribbler(Objective):
    """Predicts each whole image from itself, and writes into what it was given or told."""

    masks = "ignored"
    version = 1
    writes = "nothing"

    def loss(self, batch, draw, streams):
        """Learn nothing."""
        return Loss(batch.images.new_zeros(()), {})

    def predict(self, batch, draw, streams):
        """Compare an image's tokens with those of the last call."""
        tokens = self.encoder(batch.images).values[:, None]
        shown = batch.images.mean(dim=(1, 2, 3))[:, None, None, None].expand_as(tokens)
        answer = Prediction(tokens.clone(), shown.clone())
        if self.writes == "images":
            batch.images.mul_(0.5)
        elif self.writes == "tokens":
            tokens.mul_(0.5)
        return answer


@pytest.mark.parametrize("writes", ["nothing", "images", "tokens"])
def test_what_an_objective_writes_into_is_not_shown_again(images, writes):
    """Every draw begins from the galaxies as they are."""
    objective = built(Scribbler)
    objective.writes = writes
    expected = one_by_one(objective, None, images, ROWS)
    assert_same(prediction_errors(objective, None, images, ROWS, draws=DRAWS), expected)


def test_only_frozen_encoders_remember_and_only_what_they_were_told_to(images, encodings):
    """Not in training, where dropout differs; not with a gradient; not of parts or of other images."""
    encoder = built(Scribbler).encoder
    objective = Scribbler(encoder, encoder.grid, 0)
    whole = images.batch(ROWS)
    with encoded_once(objective, whole), torch.no_grad():
        first = encoder(whole)
        assert encoder(whole.clone(), keep=None) is first
        assert len(encodings) == 1
        for asked in (whole * 0.5, whole[:4]):
            assert encoder(asked) is not first
        assert encoder(whole, keep=torch.arange(4).expand(10, -1)).values.shape[1] == 4
        encoder.train()
        assert encoder(whole) is not first
        encoder.eval()
        with torch.enable_grad():
            assert encoder(whole).values.requires_grad
        assert len(encodings) == 6
        assert len(encoder.layers(whole)) == len(encoder.layers(whole)) == 2
        assert len(encodings) == 7
    assert not {"forward", "layers"} & vars(encoder).keys()


class Averaged(Scribbler):
    """Compares what its encoder says of an image with what it says under other circumstances."""

    way = "functional"

    def predict(self, batch, draw, streams):
        """Ask one encoder twice of the same images."""
        ask = getattr(self, f"by_{self.way}")
        return Prediction(self.encoder(batch.images).values[:, None], ask(batch.images)[:, None])

    def slow(self):
        """Return other weights than those in use."""
        return {name: value * 0.5 for name, value in self.encoder.named_parameters()}

    def by_functional(self, images):
        """Leave the encoder as it is."""
        return torch.func.functional_call(self.encoder, self.slow(), (images,)).values

    def by_copy(self, images):
        """Change a copy."""
        other = copy.deepcopy(self.encoder)
        for name, value in self.slow().items():
            other.get_parameter(name).data.copy_(value)
        return other(images).values

    def by_data(self, images):
        """Write past what torch counts, and back."""
        kept = {name: value.clone() for name, value in self.encoder.named_parameters()}
        for name, value in self.slow().items():
            self.encoder.get_parameter(name).data.copy_(value)
        found = self.encoder(images).values
        for name, value in kept.items():
            self.encoder.get_parameter(name).data.copy_(value)
        return found

    def by_setting(self, images):
        """Let its first block be skipped, as a setting has it."""
        kept, self.encoder.blocks[0].norm1.eps = self.encoder.blocks[0].norm1.eps, 1e3
        found = self.encoder(images).values
        self.encoder.blocks[0].norm1.eps = kept
        return found

    def by_autocast(self, images):
        """Ask in another precision."""
        with torch.autocast("cpu", torch.bfloat16):
            return self.encoder(images).values.float()

    def by_hook(self, images):
        """Take what a block within says, of a part and then of the whole."""
        seen = []
        hook = self.encoder.blocks[0].register_forward_hook(lambda block, given, found: seen.append(found))
        self.encoder(images * 0.5)
        self.encoder(images)
        hook.remove()
        return seen[-1]

    def by_chance(self, images):
        """Drop parts of it though nobody trains."""
        self.encoder.blocks[0].train()
        found = self.encoder(images).values
        self.encoder.blocks[0].eval()
        return found


@pytest.mark.parametrize("way", ["functional", "copy", "data", "setting", "autocast", "hook", "chance"])
def test_an_encoder_that_is_not_what_it_was_is_asked_anew(images, way):
    """Whatever an objective does to it between two questions about the same images."""
    objective = built(Averaged)
    if way == "chance":
        objective.encoder.blocks[0].mlp.drop2.p = 0.5
    objective.way = way
    numbers = []
    for ask in (one_by_one, prediction_errors):
        with scoped_global(0, "dropped"):
            numbers.append(ask(objective, None, images, ROWS, draws=DRAWS))
    assert max(numbers[0]["mean_squared"]) > 0
    if way == "chance":  # two galaxies are looked at first, so the dice fall otherwise; but they are thrown
        assert min(numbers[1]["mean_squared"]) > 0
    else:
        assert_same(numbers[1], numbers[0])


class Remarking(TokenViT):
    """Leaves behind how bright what it saw last was."""

    def forward(self, images, keep=None):
        """Encode, and remark."""
        tokens = super().forward(images, keep)
        self.remark = tokens.values.mean(dim=(1, 2))
        return tokens


class Reading(Scribbler):
    """Predicts from what its encoder left behind."""

    def predict(self, batch, draw, streams):
        """Read it after the whole image was encoded, and after its half."""
        said = []
        for images in (batch.images, batch.images * 0.5):
            self.encoder(images)
            said.append(self.encoder.remark[:, None, None, None].expand(-1, 1, 1, 2))
        return Prediction(*said)


def test_what_an_encoder_leaves_behind_is_left_at_every_question(images):
    """An encoder with an attention map to be read, for one."""
    encoder = Remarking(SPEC, patch=4, width=16, depth=1, heads=2)
    objective = Reading(encoder, encoder.grid, 4).eval()
    expected = one_by_one(objective, None, images, ROWS)
    assert_same(prediction_errors(objective, None, images, ROWS, draws=DRAWS), expected)


def test_encoders_are_put_back_whatever_happens(images):
    """Those that had a forward of their own get it again."""
    objective = built(Scribbler)
    vars(objective.encoder)["forward"] = mine = lambda images, keep=None: 1 / 0
    with pytest.raises(ZeroDivisionError):
        prediction_errors(objective, None, images, ROWS)
    assert vars(objective.encoder)["forward"] is mine
    assert "layers" not in vars(objective.encoder)


@pytest.fixture
def slow_clock(monkeypatch):
    """Let a whole image take 3 s to encode and a prediction 1 s, by the clock of the ruler."""
    now = [0.0]
    patches, predict = TokenViT.patches, Scribbler.predict

    def encoding(self, images, keep=None):
        now[0] += 3.0
        return patches(self, images, keep)

    def predicting(self, *asked):
        now[0] += 1.0
        return predict(self, *asked)

    monkeypatch.setattr(TokenViT, "patches", encoding)
    monkeypatch.setattr(Scribbler, "predict", predicting)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "BATCH", 4)
    return now


@pytest.mark.parametrize(("draws", "said"), [(1, "one draw of masks takes about 10 s"), (8, "8 draws")])
def test_how_long_it_takes_is_known_after_two_draws(images, slow_clock, draws, said):
    """Ten galaxies in batches of four: 2.5 times what a batch takes, which is 3 s and 1 s a draw."""
    heard = []
    with listening(lambda event: heard.append((event.name, dict(event.fields), slow_clock[0]))):
        prediction_errors(built(Scribbler), None, images, ROWS, draws=draws)
    [(text, when)] = [(fields["text"], when) for name, fields, when in heard if name == "note"]
    assert said in text
    assert text.startswith("predicting 10 galaxies")
    assert text.endswith(f"about {2.5 * (3 + draws):.0f} s")
    assert when == 4.0 + 3.0 + min(draws, 2)  # after the two galaxies that tell whether it predicts
    [total] = [fields["total"] for name, fields, _ in heard if name == "task_started"]
    assert [name for name, _, _ in heard].count("task_advanced") == total == 3 * draws


def test_what_takes_no_time_is_not_announced(images):
    """A line that says `0 s` is none worth reading."""
    heard = []
    with listening(heard.append):
        prediction_errors(built(Scribbler), None, images, ROWS)
    assert "note" not in {event.name for event in heard}
