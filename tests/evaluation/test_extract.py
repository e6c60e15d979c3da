"""How features are computed: an image's features are its own."""

import pytest
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.encoders.vit import ViTMicro
from astrojepa_bench.evaluation import extract
from astrojepa_bench.types import ImageSpec


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
