"""How features are computed: an image's features are its own."""

import numpy as np
import pytest
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.evaluation import extract
from astrojepa_bench.registry import load_registry
from astrojepa_bench.training.linear_layers import LinearByOneDNN
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

CPU = torch.device("cpu")


@pytest.mark.parametrize("at_once", [7, 512])
def test_features_do_not_depend_on_how_many_images_are_encoded_at_once(monkeypatch, at_once):
    """Bit for bit, or scores would move with the size of a cache."""
    torch.manual_seed(0)
    encoder = ViTMicro(ImageSpec(("z", "r", "g"), 32, (0.2,) * 3, (0.1,) * 3)).eval()
    bytes_of = torch.randint(0, 256, (150, 3, 32, 32), dtype=torch.uint8).numpy()
    images, rows = DeviceImages(bytes_of, torch.device("cpu")), torch.randperm(150).numpy()
    found = extract.encode_rows(encoder, images, rows)
    monkeypatch.setattr(extract, "BATCH_ON_CPU", at_once)
    again = extract.encode_rows(encoder, images, rows)

    assert found.keys() == again.keys()
    assert all(torch.equal(found[tap], again[tap]) for tap in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit-micro", "astrojepa-vit", "pca", "profile"])
@pytest.mark.parametrize("count", [129, 513])
def test_features_are_those_of_a_batch_of_the_published_size(name, count):
    """As they were before smaller pieces were encoded; a rest of one image would be summed in another order."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    images, spec = DeviceImages(pixels, CPU), ImageSpec(("z", "r", "g"), 32, (0.5,) * 3, (0.3,) * 3)
    torch.manual_seed(0)
    encoder = load_registry().get("encoder", name).factory(spec).eval()
    encoder.fit_inputs(images.batch(np.arange(64)))
    rows = np.arange(count)
    found = extract.encode_rows(encoder, images, rows)

    for start in range(0, count, extract.BATCH):
        batch = rows[start : start + extract.BATCH]
        with torch.no_grad(), LinearByOneDNN():
            expected = encoder.taps(images.batch(batch))
        assert all(torch.equal(found[tap][batch], values) for tap, values in expected.items())


def test_classes_of_features_are_those_that_have_a_galaxy():
    """k-means makes as many clusters: three of the numbers 0, 1 and 9, whatever names there are."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    spec = ImageSpec(("z", "r", "g"), 16, (0.5,) * 3, (0.3,) * 3)
    names = tuple(map(str, range(12)))
    table = GalaxyTable(
        pixels, np.array(names), np.repeat(["train", "val", "test"], 4), spec, Card("x", "", "", names), "f00d",
        np.array([0, 1, 9, -1] * 3), np.zeros(12, dtype=int), np.full(12, ""),
    )  # fmt: skip
    found = extract.compute_features(ViTMicro(spec).eval(), table, DeviceImages(pixels, CPU), 0)

    assert (found.classes, table.classes) == (3, 12)


def test_no_piece_is_a_small_rest():
    """Whatever the count: all rows in order, at most so many at once, and half as many at least."""
    for count in (0, 1, 2, 63, 64, 65, 127, 128, 129, 511, 512, 577, 1000):
        found = [range(count)[piece] for piece in extract.pieces(count, CPU)]
        assert [row for piece in found for row in piece] == [*range(count)]
        assert all(len(piece) <= extract.BATCH_ON_CPU for piece in found)
        least = min(extract.BATCH_ON_CPU // 2, count % extract.BATCH or extract.BATCH)
        assert all(len(piece) >= least for piece in found)
