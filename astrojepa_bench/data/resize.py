"""Images of any shape to square images of one size, with the same bytes on every machine."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int, Shaped, UInt8
from scipy.sparse import csr_array


def resize(
    pixels: UInt8[np.ndarray, "height width band"] | Float[np.ndarray, "height width band"], size_px: int
) -> UInt8[np.ndarray, "band size size"] | Float[np.ndarray, "band size size"]:
    """Cut the central square out of an image and bring it to `size_px` pixels a side.

    Larger images are area-averaged (every output pixel is the mean of the sky it covers, so surface
    brightness is conserved); smaller ones are interpolated bilinearly between pixel centres. The weights
    are integers and the arithmetic of levels is exact, so that a rounding tie falls the same way everywhere;
    flux is neither rounded nor clipped.

    Args:
        pixels: one image, channels last: display levels, or linear flux.
        size_px: side of the result [pixel].

    Returns:
        The image with channels first; levels are rounded to the nearest (ties upwards).
    """
    square = central_square(pixels)
    side, _, bands = square.shape
    if side == size_px:
        return np.ascontiguousarray(square.transpose(2, 0, 1))
    weights, whole = resampling_weights(side, size_px)
    wide = weights.dtype if square.dtype == np.uint8 else np.dtype(np.float64)
    rows = weights @ square.reshape(side, side * bands).astype(wide)
    turned = np.ascontiguousarray(rows.reshape(size_px, side, bands).transpose(1, 2, 0))
    both = (weights @ turned.reshape(side, bands * size_px)).reshape(size_px, bands, size_px)
    mean = (both + whole**2 // 2) // whole**2 if square.dtype == np.uint8 else both / whole**2
    return np.ascontiguousarray(mean.astype(square.dtype).transpose(1, 2, 0))


def central_square(
    pixels: Shaped[np.ndarray, "height width band"],
) -> Shaped[np.ndarray, "side side band"]:
    """Cut out the largest central square: the galaxy is in the middle."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


@lru_cache(maxsize=64)
def resampling_weights(side: int, size_px: int) -> tuple[csr_array, int]:
    """Return integer weights from `side` to `size_px` pixels along one axis, and what each row sums to."""
    dense, whole = _area(side, size_px) if size_px < side else _bilinear(side, size_px)
    widest = np.int32 if 255 * whole**2 + whole**2 // 2 < 2**31 else np.int64
    return csr_array(dense.astype(widest)), whole


def _area(side: int, size_px: int) -> tuple[Int[np.ndarray, "size side"], int]:
    # In units of 1 / lcm of the axis, old and new pixels both have integer edges.
    common = math.lcm(side, size_px)
    fine, coarse = common // side, common // size_px
    old, new = np.arange(side)[None, :] * fine, np.arange(size_px)[:, None] * coarse
    overlap = np.minimum(old + fine, new + coarse) - np.maximum(old, new)
    return np.clip(overlap, 0, None), coarse


def _bilinear(side: int, size_px: int) -> tuple[Int[np.ndarray, "size side"], int]:
    # New pixel i is centred at (i + 1/2) side / size - 1/2 on the old axis; beyond its ends the edge repeats.
    whole = 2 * size_px
    centre = np.clip((2 * np.arange(size_px) + 1) * side - size_px, 0, (side - 1) * whole)
    below, part = np.divmod(centre, whole)
    weights = np.zeros((size_px, side), dtype=np.int64)
    np.add.at(weights, (np.arange(size_px), below), whole - part)
    np.add.at(weights, (np.arange(size_px), np.minimum(below + 1, side - 1)), part)
    return weights, whole
