"""Prediction errors: whole images encoded once for all draws of masks, against once a draw; the same numbers.

What is predicted is `vit-micro` at the size of the budget `small`, untrained: weights do not change what it takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from ours import Size, encoder_of, noise
from table import Row, paired

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.evaluation.prediction_errors import DRAWS, prediction_errors, token_errors
from astrojepa_bench.plugin import GalaxyBatch, Masker, Objective
from astrojepa_bench.registry import load_registry
from astrojepa_bench.streams import Streams, stream_seed
from astrojepa_bench.training.asked import prediction_of
from astrojepa_bench.training.draw import MaskDraw

CPU = torch.device("cpu")
SIZE = Size(64, 8, 96, 4, 4, 128)
SHARED = {
    "ijepa": "the teacher's view is shared by all draws; contexts and predictions are not",
    "masked-lejepa": "the whole image is shared by all draws; its hidden tokens are projected at each",
    "mae": "nothing is shared: its targets are pixels",
}


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Compare three objectives, which share most, some and none of their work between draws."""
    galaxies, draws, repeats = (8, 3, 1) if quick else (96, DRAWS, 3)
    registry = load_registry()
    images = DeviceImages(noise(SIZE, galaxies).images, CPU)
    for name, note in SHARED.items():
        encoder = encoder_of(SIZE)
        objective = registry.get("objective", name).factory(encoder, encoder.grid, 0).eval()
        masker = registry.get("masker", "multiblock").factory(encoder.grid)
        places = (objective, masker, images, np.arange(galaxies), draws)

        def once(places: tuple = places) -> dict[str, np.ndarray]:
            *given, draws = places
            return prediction_errors(*given, draws=draws)

        def each_time(places: tuple = places) -> dict[str, np.ndarray]:
            return draw_by_draw(*places)

        found, expected = once(), each_time()
        assert all(np.array_equal(found[key], expected[key]) for key in expected), f"{name}: other numbers"
        measured = paired(once, each_time, repeats)
        per_second = galaxies * draws
        yield Row(
            f"prediction errors of `{name}`, {draws} draws of masks, against encoding at every draw",
            per_second / measured.ours_s,
            per_second / measured.peer_s,
            measured.ratio,
            "galaxies and draws/s",
            ">= 2" if name == "ijepa" and not quick else "",
            f"equal bit for bit; {note}",
            measured.spread,
            "arithmetic",
        )


@torch.no_grad()
def draw_by_draw(
    objective: Objective, masker: Masker, images: DeviceImages, some: np.ndarray, draws: int
) -> dict[str, np.ndarray]:
    """Predict one batch under each draw as if it were the only one."""
    index, errors = torch.from_numpy(some), []
    for draw in range(draws):
        streams = Streams(stream_seed(0, f"prediction errors/{some[0]}"), draw, CPU)
        batch = GalaxyBatch(images.batch(some), index, torch.full_like(index, -1))
        errors.append(token_errors(prediction_of(objective, batch, MaskDraw(masker, streams), streams)))
    return {
        name: torch.stack([each[name] for each in errors]).double().mean(dim=0).numpy() for name in errors[0]
    }
