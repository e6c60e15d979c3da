"""Which two images show the same galaxy, if one is turned, mirrored, magnified or from another survey?

Four sieves, each slower and stricter than the last. Of each image the nearest few are found by numbers that a
rotation leaves alone; these are turned against each other; the best are laid over each other as they are; and
what still agrees is registered pixel by pixel. Only the first looks at all pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from astrojepa_bench.data.resize import resampling_weights
from astrojepa_bench.data.splitting.registration import (
    SIDE_PX,
    PixelImages,
    agreement,
    blur,
    covered,
    pixel_points,
    register,
    resample,
)
from astrojepa_bench.data.splitting.ring_spectra import ORDERS, RINGS, Spectra, ring_spectra, turn
from astrojepa_bench.data.splitting.screening import nearest_pairs
from astrojepa_bench.errors import DataError
from astrojepa_bench.events import track
from astrojepa_bench.types import Images

Others = UInt8[np.ndarray, "_row _band _height _width"]  # images whose number, bands and side are their own
NEAR_DUPLICATES = 3  # raise it whenever the same images start to give other pairs
THRESHOLD = 0.7  # copies of one exposure lie above .9, across surveys above .71, strangers below .69
TURNED, CLEARLY = 0.5, 0.8  # what a pair must reach once turned, and what is worth registering in any case
BEST = 3  # of each image are registered though they are not clearly alike
LAID = 0.5  # what a pair must reach where it is laid over as turned

FARTHEST_PX = 7.0  # of the galaxy from the middle
SEEN_PX = 3.0  # of it at once, where its middle is looked for
LEAST_COVERED = 0.75  # of the disc
PAIRS = 256


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs that show one galaxy, in order of rows.

    Attributes:
        row_a: rows in the first images.
        row_b: rows in the second images, one for each of `row_a`.
        correlation: how well they agree once registered, above the threshold, at most 1.
        scale: how much larger the galaxy is in `a` than in `b`, in fractions of the image side.
        rotation_deg: by how much `b`, if need be mirrored up and down first, is to be turned from right
            towards down to lie on `a` [deg], 0 to 360.
        mirrored: whether it is.
    """

    row_a: Int[np.ndarray, " row"]
    row_b: Int[np.ndarray, " row"]
    correlation: Float[np.ndarray, " row"]
    scale: Float[np.ndarray, " row"]
    rotation_deg: Float[np.ndarray, " row"]
    mirrored: Bool[np.ndarray, " row"]

    def __len__(self) -> int:
        return len(self.row_a)


def near_duplicates(
    images_a: Images,
    images_b: Others | None = None,
    *,
    threshold: float = THRESHOLD,
    task: str = "near-duplicates",
) -> NearDuplicates:
    """Find the pairs of images that show the same galaxy.

    A galaxy is found in any rotation, mirrored or not, up to 1.9 times larger or smaller and up to six pixels
    (of 64) off centre. Only grey levels count, so bands and colour mapping may differ. Of each image the 16
    nearest are looked at, so that the time hardly grows faster than the number of images; memory is bounded by
    blocks; memory maps are read once or twice.

    Args:
        images_a: square images, galaxy in the middle.
        images_b: likewise; sides and bands may differ from those of `a`. None to compare those of `a` among
            themselves: each pair is found once, the smaller row as `row_a`.
        threshold: least correlation of a pair.
        task: what to call it where progress is shown.

    Raises:
        DataError: an image is not square.
    """
    name = f"{task}: describing"
    spectra_a = _spectra(_square(images_a), name)
    spectra_b = None if images_b is None else _spectra(_square(images_b), name)
    rows = nearest_pairs(spectra_a, spectra_b, f"{task}: screening")
    spectra = spectra_a, spectra_a if spectra_b is None else spectra_b
    images = images_a, images_a if images_b is None else images_b
    rows = rows[
        _worth_laying(rows, _by_blocks(rows, f"{task}: turning", lambda part: turn(*spectra, part)[0]))
    ]
    laid = _by_blocks(rows, f"{task}: laying over", lambda part: _laid(*images, spectra, part))
    rows = rows[laid > LAID]
    starts = range(0, len(rows), PAIRS)
    watched = track(starts, task=f"{task}: registering", total=len(starts), unit=f"blocks of {PAIRS} pairs")
    return _in_order([_registered(*images, spectra, rows[at : at + PAIRS], threshold) for at in watched])


def _by_blocks(
    rows: Int[Tensor, "row 2"], task: str, measure: Callable[[Int[Tensor, "part 2"]], Float[Tensor, " part"]]
) -> Float[Tensor, " row"]:
    starts = range(0, len(rows), PAIRS)
    watched = track(starts, task=task, total=len(starts), unit=f"blocks of {PAIRS} pairs")
    return torch.cat([torch.empty(0), *(measure(rows[at : at + PAIRS]) for at in watched)])


def _square(images: Images) -> Images:
    if images.shape[2] != images.shape[3]:
        raise DataError(
            f"images are {images.shape[2]} x {images.shape[3]} px; expected square ones: crop them"
        )
    return images


def _spectra(images: Images, task: str) -> Spectra:
    starts = range(0, len(images), PAIRS)
    watched = track(starts, task=task, total=len(starts), unit=f"blocks of {PAIRS} images")
    blocks = [_described(_centred(images[at : at + PAIRS])) for at in watched]
    return torch.cat([torch.empty(0, len(ORDERS), RINGS, dtype=torch.complex64), *blocks])


def _described(images: PixelImages) -> Spectra:
    # Without spectrum an image matches nothing. Sources on an empty sky, as radio maps show them, are too
    # alike: two points are one point.
    return ring_spectra(images) * (covered(images) > LEAST_COVERED)[:, None, None]


def _centred(images: Others) -> PixelImages:
    """Resample to grey images of `SIDE_PX` a side, with the peak of light in the middle."""
    weights, whole = resampling_weights(images.shape[-1], SIDE_PX)
    matrix = torch.as_tensor(weights.toarray() / whole, dtype=torch.float32)
    grey = torch.as_tensor(images.mean(axis=1, dtype=np.float32))
    small = matrix @ grey @ matrix.T
    points = pixel_points(SIDE_PX) + _centre(small)[:, None, None]
    return resample(small, points)


def _centre(images: PixelImages) -> Float[Tensor, "batch 2"]:
    """Find the middle of the light near the centre, in half sides: catalogues differ in where they point."""
    sky = images.flatten(1).median(dim=1).values
    light = (blur(images, 1.0) - sky[:, None, None]).clamp_min(0)
    line = pixel_points(SIDE_PX)[0, :, 0]
    limit, width = 2 * FARTHEST_PX / SIDE_PX, 2 * SEEN_PX / SIDE_PX
    centre = torch.zeros(len(images), 2)
    for _ in range(10):
        # The window is as wide as the light in it, so its mean moves half way: hence the factor of 2.
        near = torch.exp(-0.5 * ((line - centre[..., None]) / width) ** 2)
        seen = light * near[:, 1, :, None] * near[:, 0, None, :]
        flux = seen.sum((1, 2)).clamp_min(1e-6)
        mean = torch.stack([(seen.sum(1) * line).sum(1), (seen.sum(2) * line).sum(1)], 1) / flux[:, None]
        centre = (centre + 2 * (mean - centre)).clamp(-limit, limit)
    return centre


def _worth_laying(rows: Int[Tensor, "row 2"], score: Float[Tensor, " row"]) -> Bool[Tensor, " row"]:
    """Choose the pairs that are clearly alike, and the best few of each image."""
    chosen = score > CLEARLY
    order = torch.argsort(score, descending=True, stable=True)
    for side in rows[order].T:
        grouped = torch.argsort(side, stable=True)
        first = torch.searchsorted(side[grouped], side[grouped])
        chosen[order[grouped[torch.arange(len(side)) - first < BEST]]] = True
    return chosen & (score > TURNED)


def _laid(
    images_a: Images, images_b: Others, spectra: tuple[Spectra, Spectra], rows: Int[Tensor, "row 2"]
) -> Float[Tensor, " row"]:
    row_a, row_b = rows.numpy().T
    return agreement(_centred(images_a[row_a]), _centred(images_b[row_b]), turn(*spectra, rows)[1])


def _registered(
    images_a: Images,
    images_b: Others,
    spectra: tuple[Spectra, Spectra],
    rows: Int[Tensor, "row 2"],
    threshold: float,
) -> NearDuplicates:
    _, start = turn(*spectra, rows)
    row_a, row_b = rows.numpy().T
    side_px = min(images_a.shape[-1], images_b.shape[-1])
    correlation, found = register(_centred(images_a[row_a]), _centred(images_b[row_b]), start, side_px)
    keep = (correlation > threshold).numpy()
    mirrored = torch.linalg.det(found.matrix) < 0
    angle = torch.rad2deg(torch.atan2(found.matrix[:, 1, 0], found.matrix[:, 0, 0])) % 360
    columns = [column.numpy() for column in (correlation, found.scale, angle, mirrored)]
    return NearDuplicates(*(column[keep] for column in (row_a, row_b, *columns)))


def _in_order(parts: list[NearDuplicates]) -> NearDuplicates:
    if not parts:
        nothing, nowhere = np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
        return NearDuplicates(nowhere, nowhere, nothing, nothing, nothing, nothing.astype(bool))
    columns = [
        np.concatenate([getattr(part, name) for part in parts]) for name in NearDuplicates.__annotations__
    ]
    order = np.lexsort((columns[1], columns[0]))
    return NearDuplicates(*(column[order] for column in columns))
