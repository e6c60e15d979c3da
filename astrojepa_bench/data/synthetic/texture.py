"""Random clumpiness: a smooth random field that is the same whatever the pixels it is looked up on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.fft import irfft2

from astrojepa_bench.data.synthetic.profiles import Light

_SIDE = 48


@dataclass(frozen=True)
class Texture:
    """A periodic Gaussian random field of zero mean and unit variance.

    Attributes:
        field: its values on a square tile.
        tile: side of the tile [arcsec].
    """

    field: Float[np.ndarray, "height width"]
    tile: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, tile: float, slope: float = 1.6) -> Texture:
        """Draw a field whose amplitude falls with wave number as k^-slope."""
        k = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :]) * _SIDE
        k[0, 0] = np.inf
        waves = rng.standard_normal((2, *k.shape)) * k**-slope
        field = irfft2(waves[0] + 1j * waves[1], s=(_SIDE, _SIDE))
        return cls((field / field.std()).astype(np.float32), tile)

    def at(self, x: Light, y: Light) -> Light:
        """Look the field up at positions [arcsec]."""
        cells = np.float32(_SIDE / self.tile)  # cells are finer than the seeing: the nearest one will do
        row, column = (np.floor(axis * cells).astype(np.int32) % _SIDE for axis in (y, x))
        return self.field[row, column]
