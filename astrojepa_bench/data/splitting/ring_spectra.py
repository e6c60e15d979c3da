"""Galaxies as circular harmonics on rings: numbers that a rotation hardly changes, to compare all pairs by.

Rotation multiplies a harmonic by a phase, mirroring conjugates it, magnification moves it along the rings.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TypeAlias

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from astrojepa_bench.data.splitting.registration import (
    NOISE_LEVELS,
    SIDE_PX,
    PixelImages,
    Similarity,
    blur,
    gaussian_matrix,
    resample,
)

RINGS, ANGLES = 40, 128
INNERMOST_PX, OUTERMOST_PX = 2.5, 31.0
RING_STEP = math.log(OUTERMOST_PX / INNERMOST_PX) / (RINGS - 1)
SCALE_STEPS = range(-10, 11)  # of RING_STEP: magnifications from 0.52 to 1.91
ORDERS = range(1, 16, 2)  # even ones are what smooth galaxies have in common
ROTATIONS = 96
DETAIL, WINDOW = 0.15, 0.3  # Gaussian widths in ln(radius) and angle [radian]: what is detail, and its rms

Spectra: TypeAlias = Complex[Tensor, "_galaxy order _ring"]  # each image set and each window has its own


def ring_spectra(images: PixelImages) -> Spectra:
    """Expand whitened images in odd circular harmonics on rings that are equally spaced in ln(radius)."""
    rings = resample(blur(images, 0.7), _ring_points().expand(len(images), -1, -1, -1))
    rings = rings - _smooth(rings, DETAIL)
    rings = rings / (_smooth(rings.square(), WINDOW) + NOISE_LEVELS**2).sqrt()
    # Rings count by the square root of radius in amplitude: between equal weights of rings and of pixels.
    weight = torch.exp(torch.arange(RINGS) * RING_STEP / 2)[:, None]
    return (torch.fft.rfft(rings, dim=-1)[..., list(ORDERS)] * weight).mT.contiguous()


@lru_cache(maxsize=1)
def _ring_points() -> Float[Tensor, "height width 2"]:
    """Return the points of all rings, in half sides from the centre."""
    radius = 2 / SIDE_PX * INNERMOST_PX * torch.exp(torch.arange(RINGS) * RING_STEP)
    angle = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    return radius[:, None, None] * torch.stack([angle.cos(), angle.sin()], -1)


def _smooth(rings: PixelImages, width: float) -> PixelImages:
    along = gaussian_matrix(ANGLES, width * ANGLES / (2 * math.pi), circular=True)
    return gaussian_matrix(RINGS, width / RING_STEP) @ rings @ along


def window(spectra: Spectra, steps: int) -> Spectra:
    """Select every second ring of those that have a partner when the other image is `steps` larger."""
    return spectra[..., max(0, steps) : RINGS + min(0, steps) : 2]


def invariants(spectra: Spectra) -> Float[Tensor, "galaxy dim"]:
    """Compute unit vectors that no rotation or mirror changes: amplitudes, and phases between near rings."""
    amplitude = spectra.abs()
    near = [_between(spectra, apart) for apart in (1, 2)]
    parts = [amplitude - amplitude.mean(dim=-1, keepdim=True), *near]
    return torch.nn.functional.normalize(torch.cat([part.flatten(1) for part in parts], 1))


def _between(spectra: Spectra, apart: int) -> Float[Tensor, "_galaxy order _ring"]:
    product = spectra[..., apart:] * spectra[..., :-apart].conj()
    return product.real / product.abs().clamp_min(1e-12).sqrt()


def turn(
    spectra_a: Spectra, spectra_b: Spectra, rows: Int[Tensor, "row 2"]
) -> tuple[Float[Tensor, " row"], Similarity]:
    """Find the scale, rotation and mirroring at which the rings of each pair agree best, and how well."""
    a, b = spectra_a[rows[:, 0]], spectra_b[rows[:, 1]]
    power = _powers(a, 1) * _powers(b, -1)
    products = torch.stack([_products(a, b), _products(a, b.conj())], 1) / power.sqrt().clamp_min(1e-6)
    scores = torch.view_as_real(products.permute(0, 3, 1, 2)).flatten(3) @ _rotations()
    score, best = scores.flatten(1).max(dim=1)
    scale_step, mirrored, rotation = torch.unravel_index(best, scores.shape[1:])
    scale = torch.exp((scale_step + SCALE_STEPS[0]) * RING_STEP)
    return score, Similarity.turned(scale, rotation * (2 * math.pi / ROTATIONS), mirrored.bool())


def _products(a: Spectra, b: Spectra) -> Complex[Tensor, "galaxy order step"]:
    """Sum `a` times the conjugate of `b` over rings, for each of `SCALE_STEPS`."""
    padded = RINGS + SCALE_STEPS[-1]  # so that no ring meets one of the other end
    every = torch.fft.ifft(torch.fft.fft(a, padded) * torch.fft.fft(b, padded).conj())
    return every[..., list(SCALE_STEPS)]


def _powers(spectra: Spectra, sign: int) -> Float[Tensor, "galaxy 1 1 step"]:
    """Sum squares over orders and over the rings that have a partner, for each of `SCALE_STEPS`."""
    power = torch.view_as_real(spectra).square().sum((1, 3))
    windows = [power[:, max(0, sign * s) : RINGS + min(0, sign * s)].sum(1) for s in SCALE_STEPS]
    return torch.stack(windows, 1)[:, None, None]


@lru_cache(maxsize=1)
def _rotations() -> Float[Tensor, "dim rotation"]:
    order = torch.tensor(list(ORDERS))[:, None]
    angle = torch.arange(ROTATIONS) * (2 * math.pi / ROTATIONS) * order
    return torch.stack([angle.cos(), -angle.sin()], 1).flatten(0, 1)
