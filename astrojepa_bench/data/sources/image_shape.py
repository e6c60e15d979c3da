"""Which axis of an array is height, width or band?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from astrojepa_bench.data.sources.container import RefusedError

MOST_BANDS = 5
MOST_PIXELS = 1 << 25  # of one band; more are no cut-out of one galaxy


class Sides(NamedTuple):
    """An image's extent."""

    height: int
    width: int
    bands: int


def sides_of(shape: tuple[int, ...], *, bands_first: bool = False) -> Sides:
    """Tell height, width and bands apart; the bands of an array are its only axis of at most 5.

    Args:
        shape: of an array.
        bands_first: what is known beforehand.

    Raises:
        RefusedError: the bands could be at either end or at neither, or the image is empty or huge.
    """
    first = len(shape) == 3 and shape[0] <= MOST_BANDS
    last = len(shape) == 3 and shape[-1] <= MOST_BANDS and not bands_first
    if len(shape) != 2 and first == last:
        raise RefusedError(f"shape {shape} is not that of one image of 1 to {MOST_BANDS} bands")
    bands = 1 if len(shape) == 2 else shape[0] if first else shape[-1]
    height, width = shape[1:] if first else shape[:2]
    if not 0 < height * width <= MOST_PIXELS or not bands:
        raise RefusedError(f"{width} x {height} pixels in {bands} bands; expected 1 to {MOST_PIXELS} pixels")
    return Sides(height, width, bands)


def bands_first(values: np.ndarray, *, already: bool = False) -> np.ndarray:
    """Turn an image so that its bands come first.

    Raises:
        RefusedError: its axes cannot be told apart.
    """
    height, width, bands = sides_of(values.shape, bands_first=already)
    if values.ndim == 3 and values.shape != (bands, height, width):
        return values.transpose(2, 0, 1)
    return values.reshape(bands, height, width)
