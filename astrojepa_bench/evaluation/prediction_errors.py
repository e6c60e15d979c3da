"""How badly an objective predicts each galaxy: averaged over several seeded draws of masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench import events
from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.errors import ContractError
from astrojepa_bench.roles import Masker, Objective
from astrojepa_bench.streams import Streams, stream_seed
from astrojepa_bench.training.asked import prediction_of
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, Prediction

version = 1  # raise it whenever a number changes
DRAWS = 16
BATCH = 256
Errors = Mapping[str, Float[Tensor, " galaxy"]]


@torch.no_grad()
def prediction_errors(
    objective: Objective,
    masker: Masker | None,
    images: DeviceImages,
    rows: Int[np.ndarray, " row"],
    *,
    draws: int = DRAWS,
) -> dict[str, Float[np.ndarray, " row"]] | None:
    """Predict every galaxy under several masks and average its errors over them.

    For each draw, each predicted token has a squared error (mean over its dimensions) and a cosine with the
    truth. A galaxy's draw is summarised by `mean_squared`, `max_squared`, `mean_cosine` and `min_cosine` over its
    tokens, and these are averaged over draws. A single draw is dominated by where its masks fell. The streams
    do not depend on the run's seed: all runs with one masker are shown the same masks.

    Args:
        objective: in evaluation mode, on the images' device.
        masker: the run's masker; None for an encoder without patches.
        images: of the galaxies.
        rows: which of them.
        draws: how many masks each galaxy is predicted under.

    Returns:
        one value a row for each summary; None for an objective that predicts nothing.

    Raises:
        ContractError: an error is not finite.
    """
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    if not batches or _errors_of(objective, masker, images, batches[0][:2], 0) is None:
        return None
    watched = events.track(batches, task="predicting galaxies", total=len(batches), unit="batches")
    with blamed_on(objective):
        parts = [_mean(_draws(objective, masker, images, batch, draws)) for batch in watched]
        return {name: _joined(name, [part[name] for part in parts]) for name in parts[0]}


def _draws(
    objective: Objective,
    masker: Masker | None,
    images: DeviceImages,
    rows: Int[np.ndarray, " row"],
    draws: int,
) -> Iterator[Errors]:
    for draw in range(draws):
        errors = _errors_of(objective, masker, images, rows, draw)
        if errors is None:
            raise ContractError("an objective predicted some galaxies and not others; it must do all or none")
        yield errors


def _errors_of(
    objective: Objective, masker: Masker | None, images: DeviceImages, rows: np.ndarray, draw: int
) -> Errors | None:
    streams = Streams(stream_seed(0, f"prediction errors/{rows[0]}"), draw, images.device)
    index = torch.from_numpy(rows).to(images.device)
    batch = GalaxyBatch(images.batch(rows), index, torch.full_like(index, -1))
    prediction = prediction_of(objective, batch, MaskDraw(masker, streams), streams)
    return None if prediction is None else token_errors(prediction)


def token_errors(prediction: Prediction) -> Errors:
    """Summarise squared errors and cosines over all predicted tokens of each galaxy.

    Source: the ingredients (mean and largest squared error, cosine) of AstroJEPA's anomaly score. Deviation:
    kept apart instead of added with fixed weights, since their spreads differ by an order of magnitude.
    """
    predicted, actual = prediction.predicted.float().flatten(1, 2), prediction.actual.float().flatten(1, 2)
    squared = (predicted - actual).square().mean(dim=-1)
    cosine = F.cosine_similarity(predicted, actual, dim=-1)
    return {
        "mean_squared": squared.mean(dim=1),
        "max_squared": squared.amax(dim=1),
        "mean_cosine": cosine.mean(dim=1),
        "min_cosine": cosine.amin(dim=1),
    }


def _mean(draws: Iterator[Errors]) -> Errors:
    every = list(draws)
    return {name: torch.stack([errors[name] for errors in every]).double().mean(dim=0) for name in every[0]}


def _joined(name: str, parts: list[Tensor]) -> Float[np.ndarray, " row"]:
    values: Float[np.ndarray, " row"] = torch.cat(parts).cpu().numpy()
    if not np.isfinite(values).all():
        raise ContractError(
            f"prediction error '{name}' is not finite for {(~np.isfinite(values)).sum()} galaxies"
        )
    return values
