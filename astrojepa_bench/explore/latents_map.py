"""What a run sees of one galaxy, what it has to predict, and how well it does, patch by patch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.evaluation.prediction_errors import DRAWS
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.geometry.grids import Masks, PatchGrid
from astrojepa_bench.streams import Streams, stream_seed
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.types import GalaxyBatch, Prediction


@dataclass(frozen=True)
class Seen:
    """One image that the encoder was given.

    Attributes:
        image: in [0, 1].
        keep: the patches it saw of it; None for all.
    """

    image: Float[np.ndarray, "band height width"]
    keep: Int[np.ndarray, " patch"] | None


@dataclass
class Comparison:
    """What an objective compares of one galaxy, under one draw of masks.

    Attributes:
        prediction: predicted and actual latents; None if it predicts nothing.
        masks: what the masker drew, in order.
        seen: what the trained encoder was given, in order.
    """

    prediction: Prediction | None = None
    masks: list[Masks] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    @property
    def by_patch(self) -> bool:
        """Whether predictions have places on the image."""
        return self.prediction is not None and self.prediction.positions is not None


@torch.no_grad()
def compare(sample: Sample, row: int, draw: int = 0) -> Comparison:
    """Let an objective predict one galaxy, and watch what it draws and encodes meanwhile.

    Args:
        sample: whose run predicts.
        row: of the sample's table.
        draw: number of the draw of masks and views; the same number gives the same ones.
    """
    streams = Streams(stream_seed(0, f"latents/{sample.table.ids[row]}"), draw, sample.device)
    index = torch.tensor([row], device=sample.device)
    batch = GalaxyBatch(sample.images.batch(np.array([row])), index, torch.full_like(index, -1))
    found, objective = Comparison(), sample.run.objective
    draw_masks = MaskDraw(sample.run.masker, streams, watch=lambda _, masks: found.masks.append(masks))
    watching = objective.encoder.register_forward_pre_hook(partial(_note_input, found), with_kwargs=True)
    try:
        found.prediction = objective.predict(batch, draw_masks, streams)
    finally:
        watching.remove()
    return found


def _note_input(
    found: Comparison, encoder: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor | None]
) -> None:
    images = given[0] if given else named["images"]
    keep = given[1] if len(given) > 1 else named.get("keep")
    if images is None:
        return
    for number, image in enumerate(images.float().cpu().numpy()):
        found.seen.append(Seen(image, None if keep is None else keep[number].cpu().numpy()))


@dataclass(frozen=True)
class PatchErrors:
    """How well each patch of a galaxy is predicted, averaged over the draws of masks that hid it.

    Attributes:
        context: patches seen in the first draw.
        targets: blocks predicted in the first draw.
        cosine: of predicted and actual latents, NaN where a patch was never predicted.
        squared: squared error, mean over dimensions, likewise.
    """

    context: Int[np.ndarray, " context"]
    targets: Int[np.ndarray, "block target"]
    cosine: Float[np.ndarray, "row column"]
    squared: Float[np.ndarray, "row column"]


def patch_errors(sample: Sample, row: int, draws: int = DRAWS) -> PatchErrors | None:
    """Predict one galaxy under several draws of masks.

    Args:
        sample: whose run predicts.
        row: of the sample's table.
        draws: how many.

    Returns:
        None for an objective that predicts no patches.
    """
    grid, first = sample.run.encoder.grid, compare(sample, row)
    if grid is None or not first.by_patch or not first.masks:
        return None
    found = [first, *(compare(sample, row, draw) for draw in range(1, draws))]
    places, cosines, squares = zip(*(_by_patch(each) for each in found), strict=True)
    hidden = first.prediction.positions if first.prediction else None
    return PatchErrors(
        first.masks[0].context[0].cpu().numpy(),
        np.empty((0, 0), dtype=int) if hidden is None else hidden[0].cpu().numpy(),
        _averaged(np.concatenate(places), np.concatenate(cosines), grid),
        _averaged(np.concatenate(places), np.concatenate(squares), grid),
    )


def _by_patch(found: Comparison) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give place, cosine and squared error of each predicted token."""
    prediction = found.prediction
    if prediction is None or prediction.positions is None:
        return np.empty(0, dtype=int), np.empty(0), np.empty(0)
    cosine, squared = agreement(prediction)
    return prediction.positions.flatten().cpu().numpy(), cosine.flatten(), squared.flatten()


def agreement(
    prediction: Prediction,
) -> tuple[Float[np.ndarray, "block token"], Float[np.ndarray, "block token"]]:
    """Give the cosine and the squared error (mean over dimensions) of each latent of the first galaxy."""
    predicted, actual = prediction.predicted[0].double(), prediction.actual[0].double()
    squared = (predicted - actual).square().mean(dim=-1)
    return F.cosine_similarity(predicted, actual, dim=-1).cpu().numpy(), squared.cpu().numpy()


def _averaged(places: np.ndarray, values: np.ndarray, grid: PatchGrid) -> Float[np.ndarray, "row column"]:
    """Average the values of each patch; NaN where it has none."""
    counts = np.bincount(places, minlength=grid.patches)
    sums = np.bincount(places, weights=values, minlength=grid.patches)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means.reshape(grid.rows, grid.columns)
