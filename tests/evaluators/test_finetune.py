"""Training the encoder on labels: what was lost comes back, and nothing of test is seen before the end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.evaluators.finetune import BATCH, LOOKS, Finetune
from astrojepa_bench.evaluators.linear import Linear
from astrojepa_bench.features import Trainable
from astrojepa_bench.testing.features import PlainEncoder

BANDS, CLASSES = 6, 3


def images_of(stream, count):
    """Show the class as the brightness of one of the first three bands; the other bands are noise."""
    label = np.arange(count) % CLASSES
    bright = np.concatenate([4.0 * np.eye(CLASSES)[label], np.zeros((count, BANDS - CLASSES))], axis=1)
    return bright + 0.3 * stream.normal(size=(count, BANDS)), label


class Forgetful(PlainEncoder):
    """Has lost the bands that show the class."""

    def __init__(self):
        super().__init__(BANDS)
        with torch.no_grad():
            self.matrix[:CLASSES] = 0


@pytest.fixture
def features(make_answers):
    """Galaxies whose frozen features hold noise alone, with images that show the class."""
    drawn = [images_of(np.random.default_rng(seed), count) for seed, count in enumerate((240, 120, 240))]
    with torch.no_grad():
        matrix = Forgetful().matrix.numpy()
    found = make_answers(*[(shown @ matrix, label) for shown, label in drawn])
    known = {
        name: torch.as_tensor(row).float()
        for part, (shown, _) in zip((found.train, found.val, found.test), drawn, strict=True)
        for name, row in zip(part.ids.tolist(), shown, strict=True)
    }
    asked = []

    def images(ids):
        asked.append(ids)
        return torch.stack([known[name] for name in ids.tolist()])[:, :, None, None].expand(-1, -1, 4, 4)

    trainable = Trainable(lambda: Forgetful().train(), images, lambda made, batch: made.taps(batch)["last"])
    return replace(found, trainable=trainable), asked


@pytest.mark.slow
def test_what_frozen_features_have_lost_comes_back_with_labels(features):
    """Chance for a linear probe; nearly all after fine-tuning, from all labels and from ten of each class."""
    answers, asked = features
    found = Finetune(images=12_800, draws=2).evaluate(answers)
    scores = {score.metric: score for score in found}

    assert Linear().evaluate(answers).scores[0].value < 0.42
    assert scores["accuracy"].value > 0.85
    assert scores["balanced_accuracy_10"].value > 0.8
    assert scores["balanced_accuracy_10"].chance == pytest.approx(1 / 3)
    assert found.selection["learning_rate"] in (1e-4, 1e-3)

    reading = [ids[0].split("-")[0] for ids in asked]
    first = reading.index("test")
    assert set(reading[first:]) == {"test"}  # once it is looked at, nothing is fitted or chosen any more
    learnt = [ids for ids, part in zip(asked, reading, strict=True) if part == "train" and len(ids) == BATCH]
    drawn = [{*np.concatenate(learnt[start : start + 200]).tolist()} for start in range(0, 1200, 200)]
    assert [len(each) for each in drawn] == [30, 30, 30, 30, 240, 240]  # 2 draws and all, each at 2 rates


@pytest.mark.slow
def test_the_same_seed_gives_the_same_answers_and_no_global_draw(features):
    """Order, augmentation and start come from streams of their own."""
    answers, _ = features
    before = torch.random.get_rng_state()
    first, second = (Finetune(images=640, draws=2).evaluate(answers) for _ in range(2))

    assert first.scores == second.scores
    assert np.array_equal(first.predictions["class"], second.predictions["class"])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_budget_that_is_none_and_features_without_images_are_refused(make_answers, clouds):
    """With the option and its usual value; with the request."""
    with pytest.raises(ConfigError, match=rf"finetune\.images=10 must be at least {BATCH * LOOKS}"):
        Finetune(images=10)
    part = clouds(12, spread=0.3)
    with pytest.raises(DataError, match="name `trainable` in `requests`"):
        Finetune().evaluate(make_answers(part, part, part))
