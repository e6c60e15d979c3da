"""Which of its bands does a picture show as red, green and blue?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped, UInt8

from astrojepa_bench.data.sources.filters import red_first
from astrojepa_bench.data.sources.flux import asinh_stretch


def as_rgb(
    image: Shaped[np.ndarray, "band height width"], bands: Sequence[str]
) -> UInt8[np.ndarray, "height width 3"]:
    """Show 1 to 5 bands in colour, flux stretched by its own sky and noise.

    One band is grey, two have their mean as green, of more than three some are left out. Where the wavelengths of
    all bands are known the reddest is red; else they keep their order.
    """
    if image.dtype != np.uint8:
        image = asinh_stretch(image.astype(np.float32))
    known = len({*bands}) == len(image)
    order = [bands.index(name) for name in red_first(bands)] if known else [*range(len(image))]
    if len(image) == 2:
        red, blue = image[order]
        return np.stack([red, image.mean(axis=0).astype(np.uint8), blue], axis=-1)
    chosen = [order[0], order[len(order) // 2], order[-1]]
    return np.ascontiguousarray(image[chosen].transpose(1, 2, 0))
