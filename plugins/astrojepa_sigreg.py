"""SIGReg: how far projected embeddings are from an isotropic Gaussian.

For random unit directions a, the sample x_n = z_n·a is compared with N(0, 1) through characteristic functions:

    T = N ∫ |φ̂(t) - exp(-t²/2)|² exp(-t²/2) dt,    φ̂(t) = mean_n exp(i t x_n)

and SIGReg is the mean of T over directions. For perfectly Gaussian samples its expectation is
√(2π)(1 - 1/√3) = 1.06 whatever N: that is the floor, not zero. For collapsed samples it is 0.40 N.

Source: Balestriero & LeCun 2025 (LeJEPA, arXiv 2511.08544), algorithm 1, with the Epps-Pulley statistic.
Deviation: 17 knots on [0, 3], doubled, instead of on [-5, 5]; the integrand is even, and both agree to 1 %
near the null (the authors' own package does the same).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from astrojepa_bench.plugin import averaged, ranks_together

version = 1  # raise it whenever a number changes


def random_slices(dim: int, slices: int, generator: torch.Generator) -> Float[Tensor, "dim slice"]:
    """Draw unit directions, uniform on the sphere."""
    directions = torch.randn(dim, slices, generator=generator, device=generator.device)
    return directions / directions.norm(dim=0)


def epps_pulley(
    samples: Float[Tensor, "*view batch slice"],
    *,
    knots: int = 17,
    reach: float = 3.0,
    scale_by_n: bool = True,
) -> Float[Tensor, "*view slice"]:
    """Compute the Epps-Pulley statistic of each column against N(0, 1), in float32, over the samples of all ranks.

    Args:
        samples: projected embeddings; the batch axis holds independent galaxies.
        knots: quadrature points on [0, reach], trapezoid, doubled for the negative half.
        reach: largest frequency.
        scale_by_n: multiply by the batch size, as published. Without it the statistic shrinks as 1/N under
            the null and a weight means something else at every batch size.
    """
    samples = samples.float()
    frequencies = torch.linspace(0, reach, knots, device=samples.device)
    gaussian = torch.exp(-frequencies.square() / 2)
    step = reach / (knots - 1)
    weights = torch.full_like(frequencies, 2 * step)
    weights[0] = weights[-1] = step
    phases = samples.unsqueeze(-1) * frequencies
    real = averaged(phases.cos().mean(dim=-3)) - gaussian
    imaginary = averaged(phases.sin().mean(dim=-3))
    integral = (real.square() + imaginary.square()) @ (weights * gaussian)
    return integral * (samples.shape[-2] * ranks_together()) if scale_by_n else integral


def sigreg(
    embeddings: Float[Tensor, "*view batch dim"],
    generator: torch.Generator,
    *,
    slices: int = 256,
    knots: int = 17,
    reach: float = 3.0,
    scale_by_n: bool = True,
) -> Float[Tensor, ""]:
    """Average the statistic over fresh random slices, and over views where there are several.

    Slices are drawn without gradient. Embeddings of different views are never pooled: samples of one
    statistic must be independent galaxies.
    """
    directions = random_slices(embeddings.shape[-1], slices, generator)
    with torch.autocast(embeddings.device.type, enabled=False):  # cosines of bf16 products are noise
        projected = embeddings.float() @ directions
        return epps_pulley(projected, knots=knots, reach=reach, scale_by_n=scale_by_n).mean()


def projector_to(dim: int, hidden: int, embedding: int) -> nn.Sequential:
    """Make the three-layer projector, BatchNorm and ReLU inside, whose output begins near unit scale.

    SIGReg's gradient vanishes for samples far outside (|x| >> 3), so they must begin inside.
    """
    return nn.Sequential(
        nn.Linear(dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, hidden), nn.BatchNorm1d(hidden), nn.ReLU(),
        nn.Linear(hidden, embedding),
    )  # fmt: skip
