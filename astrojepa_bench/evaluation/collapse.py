"""Is the representation alive? Geometry of pooled features against the untrained start."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.evaluation.extract import check_finite, encode_rows
from astrojepa_bench.evaluators.metrics.geometry import (
    effective_rank,
    is_collapsed,
    mean_cosine,
    normalised_std,
)
from astrojepa_bench.roles import Objective
from astrojepa_bench.streams import numpy_stream
from astrojepa_bench.training.asked import scored_encoder
from astrojepa_bench.types import GalaxyTable

WATCHED = 512


def watched_rows(table: GalaxyTable) -> Int[np.ndarray, " row"]:
    """Choose a fixed sample of pretraining galaxies to watch; never test galaxies."""
    rows = table.pretraining_rows
    return np.sort(numpy_stream(0, "watched").permutation(rows)[:WATCHED])


class HealthWatch:
    """Measures the scored encoder of a run on the same few galaxies, before, during and after training.

    Args:
        objective: whose scored encoder is watched; as it is now, it is the untrained reference.
        table: the galaxies.
        images: their images on the device.
    """

    def __init__(self, objective: Objective, table: GalaxyTable, images: DeviceImages) -> None:
        self._images = images
        self._rows = watched_rows(table)
        objective.eval()
        self.untrained_std = float(normalised_std(self._features(objective)))

    def rank(self, objective: Objective) -> float:
        """Measure the centred effective rank now."""
        return float(effective_rank(self._features(objective)))

    def verdict(self, objective: Objective) -> tuple[bool, dict[str, float]]:
        """Return whether the encoder has collapsed, and the numbers behind it."""
        features = self._features(objective)
        numbers = {
            "effective_rank": float(effective_rank(features)),
            "normalised_std": float(normalised_std(features)),
            "mean_cosine": float(mean_cosine(features)),
            "untrained_normalised_std": self.untrained_std,
        }
        collapsed = is_collapsed(
            effective_rank=numbers["effective_rank"],
            dim=features.shape[1],
            normalised_std=numbers["normalised_std"],
            untrained_normalised_std=self.untrained_std,
        )
        return collapsed, numbers

    def _features(self, objective: Objective) -> Float[Tensor, "galaxy dim"]:
        encoder = scored_encoder(objective)
        taps = encode_rows(encoder, self._images, self._rows)
        with blamed_on(encoder):
            check_finite(taps, "watched")
        return taps["last"]
