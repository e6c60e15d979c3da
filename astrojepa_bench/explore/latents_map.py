"""Context, targets and prediction errors of one galaxy, patch by patch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.evaluation.prediction_errors import DRAWS, encoded_once
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.explore.tables import facts_table, rounded
from astrojepa_bench.geometry.grids import Masks, PatchGrid
from astrojepa_bench.streams import Streams, stream_seed
from astrojepa_bench.training.asked import prediction_of
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, Prediction


@dataclass(frozen=True)
class Seen:
    """One image as the encoder received it.

    Attributes:
        image: in [0, 1].
        keep: the visible patches; None for all.
    """

    image: Float[np.ndarray, "band height width"]
    keep: Int[np.ndarray, " patch"] | None


@dataclass
class LatentComparison:
    """An objective's prediction for one galaxy, under one draw of masks.

    Attributes:
        prediction: predicted and actual latents; None if it predicts nothing.
        masks: the masks drawn, in order.
        seen: the inputs of the trained encoder, in order.
    """

    prediction: Prediction | None = None
    masks: list[Masks] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)


@torch.no_grad()
def compare(sample: Sample, row: int, draw: int = 0) -> LatentComparison:
    """Let an objective predict one galaxy, and record its masks and the encoder's inputs.

    Args:
        sample: the run and its galaxies.
        row: row of the sample's table.
        draw: number of the draw of masks and views; equal numbers draw equal masks and views.
    """
    streams = Streams(stream_seed(0, f"latents/{sample.table.ids[row]}"), draw, sample.device)
    index = torch.tensor([row], device=sample.device)
    batch = GalaxyBatch(sample.images.batch(np.array([row])), index, torch.full_like(index, -1))
    found, objective = LatentComparison(), sample.run.objective

    def record_input(_: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor | None]) -> None:
        images = given[0] if given else named["images"]
        keep = given[1] if len(given) > 1 else named.get("keep")
        for number, image in enumerate(() if images is None else images.float().cpu().numpy()):
            found.seen.append(Seen(image, None if keep is None else keep[number].cpu().numpy()))

    draw_masks = MaskDraw(sample.run.masker, streams, watch=lambda _, masks: found.masks.append(masks))
    watching = objective.encoder.register_forward_pre_hook(record_input, with_kwargs=True)
    try:
        found.prediction = prediction_of(objective, batch, draw_masks, streams)
    finally:
        watching.remove()
    return found


@dataclass(frozen=True)
class PatchErrors:
    """Prediction errors of each patch of a galaxy, averaged over the draws of masks that hid it.

    Attributes:
        context: visible patches of the first draw.
        targets: predicted blocks of the first draw.
        cosine: between predicted and actual latents, NaN where a patch was never predicted.
        squared: squared error, mean over dimensions, likewise.
    """

    context: Int[np.ndarray, " context"]
    targets: Int[np.ndarray, "block target"]
    cosine: Float[np.ndarray, "row column"]
    squared: Float[np.ndarray, "row column"]


def patch_errors(sample: Sample, row: int, draws: int = DRAWS) -> PatchErrors | None:
    """Predict one galaxy under several draws of masks.

    Args:
        sample: the run and its galaxies.
        row: row of the sample's table.
        draws: number of draws.

    Returns:
        None for an objective that predicts no patches.
    """
    grid, first = sample.run.encoder.grid, compare(sample, row)
    if grid is None or not first.masks or first.prediction is None or first.prediction.positions is None:
        return None
    with encoded_once(
        sample.run.objective, sample.images.batch(np.array([row]))
    ):  # the same under every draw
        every = [first, *(compare(sample, row, draw) for draw in range(1, draws))]
    predicted = [found.prediction for found in every if found.prediction is not None]
    hidden = [found.positions for found in predicted if found.positions is not None]
    places = np.concatenate([positions.flatten().cpu().numpy() for positions in hidden])
    cosines, squares = zip(*map(agreement, predicted), strict=True)
    return PatchErrors(
        first.masks[0].context[0].cpu().numpy(),
        hidden[0][0].cpu().numpy(),
        _averaged(places, np.concatenate(cosines, axis=None), grid),
        _averaged(places, np.concatenate(squares, axis=None), grid),
    )


def patch_table(sample: Sample, index: int) -> pd.DataFrame:
    """Return how well a run predicts each patch of a galaxy, a row a patch, as `latents_figure` draws it.

    Columns: `id`, `ra` and `dec` where known, `patch`, `row`, `column`, `in_context` and `in_targets` of the first
    draw of masks, `cosine` and `squared_error`, NaN where no draw hid the patch.

    Args:
        sample: the galaxies.
        index: number of the galaxy in the sample.

    Raises:
        ConfigError: there is no such galaxy, or the objective predicts no patches.
    """
    found = patch_errors(sample, sample.row_of(index))
    if found is None:
        name = sample.run.record.objective
        raise ConfigError(
            f"objective '{name}' predicts no patches, so no table has a row a patch; ask for a picture"
        )
    patches = np.arange(found.cosine.size)
    row, column = np.unravel_index(patches, found.cosine.shape)
    galaxy = facts_table(sample).iloc[index]
    known = {name: galaxy[name] for name in ("id", "ra", "dec") if name in galaxy.index}
    return pd.DataFrame({
        "patch": patches, "row": row, "column": column, **known,
        "in_context": np.isin(patches, found.context).astype(int),
        "in_targets": np.isin(patches, found.targets).astype(int),
        "cosine": rounded(found.cosine.ravel()), "squared_error": rounded(found.squared.ravel()),
    })  # fmt: skip


def agreement(
    prediction: Prediction,
) -> tuple[Float[np.ndarray, "block token"], Float[np.ndarray, "block token"]]:
    """Compute the cosine and the squared error (mean over dimensions) of each latent of the first galaxy."""
    predicted, actual = prediction.predicted[0].double(), prediction.actual[0].double()
    squared = (predicted - actual).square().mean(dim=-1)
    return F.cosine_similarity(predicted, actual, dim=-1).cpu().numpy(), squared.cpu().numpy()


def _averaged(places: np.ndarray, values: np.ndarray, grid: PatchGrid) -> Float[np.ndarray, "row column"]:
    """Average the values of each patch; NaN where it has none."""
    counts = np.bincount(places, minlength=grid.patches)
    sums = np.bincount(places, weights=values, minlength=grid.patches)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means.reshape(grid.rows, grid.columns)
