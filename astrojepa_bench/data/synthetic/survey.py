"""What do seeing and noise do to the sky, in the survey and in another instrument?

Distributions follow the DECam Legacy Survey's catalogues.
Source: noise from Stein et al. 2021 (arXiv 2110.00023), fits to the sweep catalogues; sizes of the
point-spread function are theirs times 0.9, because a catalogue's sizes include the wings.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy.fft import irfft2, rfft2

from astrojepa_bench.data.synthetic.profiles import Light

NATIVE_ARCSEC = 0.262  # the survey's pixel; images hold nmgy per native pixel
MOFFAT_BETA = 3.5
ELECTRONS_PER_NMGY = 1e4
SHIFTED_ARCSEC = 1.8

# Rows: z, r, g.
_NOISE = ((0.1335, -0.01434, 0.02608), (0.2431, -0.00237, 0.00674), (0.2265, -0.00067, 0.00376))
_SEEING = (
    (1.24 * 0.9, 0.144),
    (1.33 * 0.9, 0.128),
    (1.48 * 0.9, 0.115),
)  # median ["], scatter of the logarithm


@dataclass(frozen=True)
class Instrument:
    """The instrument that looks at the sky, relative to the survey's own.

    Attributes:
        number: tells its random streams from those of other instruments.
        seeing: factor on the width of the point-spread function.
        noise: factor on the standard deviation of the sky.
        exposure: factor on the electrons per nanomaggy.
    """

    number: int
    seeing: float = 1.0
    noise: float = 1.0
    exposure: float = 1.0


# The shifted instrument has a median seeing of 1.8 arcsec in r and a quarter of the exposure: twice the
# noise, 0.75 mag less depth for what is extended and 1.2 mag less for points.
INSTRUMENTS = {
    "survey": Instrument(0),
    "shifted": Instrument(1, seeing=SHIFTED_ARCSEC / _SEEING[1][0], noise=2.0, exposure=0.25),
}


@dataclass(frozen=True)
class Conditions:
    """How one image was taken, in the bands z, r, g.

    Attributes:
        seeing: full width at half maximum of the point-spread function [arcsec].
        noise: standard deviation of the sky [nmgy per native pixel].
        electrons: counted per nanomaggy.
    """

    seeing: tuple[float, ...]
    noise: tuple[float, ...]
    electrons: float = ELECTRONS_PER_NMGY


def draw_conditions(rng: np.random.Generator, instrument: Instrument = INSTRUMENTS["survey"]) -> Conditions:
    """Draw seeing and noise; half of the variance of the seeing is common to the three bands."""
    common, own = rng.standard_normal(), rng.standard_normal(3)
    seeing = [m * np.exp(s * (common + w) / np.sqrt(2)) for (m, s), w in zip(_SEEING, own, strict=True)]
    deviates = np.clip(rng.standard_normal(3), -2.3, 2.3)
    noise = [loc + scale * np.exp(s * w) for (s, loc, scale), w in zip(_NOISE, deviates, strict=True)]
    return Conditions(
        tuple(float(v) * instrument.seeing for v in seeing),
        tuple(float(v) * instrument.noise for v in noise),
        ELECTRONS_PER_NMGY * instrument.exposure,
    )


def moffat_transfer(side: int, step: float, fwhm: float) -> Float[np.ndarray, "height frequency"]:
    """Fourier transform of a Moffat profile (β = 3.5) on a grid of `side` pixels of `step` arcsec.

    With β = 3.5 the transform x^{5/2} K_{5/2}(x) is elementary: e^-x (1 + x + x²/3), x = 2π f a.

    Source: Moffat 1969, A&A 3, 455; its transform, Trujillo et al. 2001, MNRAS 328, 977.
    """
    core = fwhm / (2 * (2 ** (1 / MOFFAT_BETA) - 1) ** 0.5)
    x = _frequencies(side, step) * np.float32(2 * np.pi * core)
    return np.exp(-x) * (1 + x + x * x / 3)


@lru_cache(maxsize=4)
def _frequencies(side: int, step: float) -> Float[np.ndarray, "height frequency"]:
    along, across = np.fft.fftfreq(side, step), np.fft.rfftfreq(side, step)
    return np.hypot(along[:, None], across[None, :]).astype(np.float32)


def blurred(light: Light, transfer: Float[np.ndarray, "height frequency"]) -> Light:
    """Convolve light with a point-spread function (periodic: keep a margin)."""
    waves: Complex[np.ndarray, "height frequency"] = rfft2(light)
    return np.asarray(irfft2(waves * transfer, s=light.shape), dtype=np.float32)
