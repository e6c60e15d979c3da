"""How many directions features use, and how far they have shrunk onto one another."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ContractError, DataError

version = 1  # raise it whenever a number changes
FeatureMatrix = Float[Tensor, "galaxy dim"]
CHUNK = 1024
DELTA = 1e-4
FEWEST_DIRECTIONS, FEWEST_OF_DIM = 2.0, 0.02
LEAST_POINTS = 3
LEAST_STD, LEAST_OF_UNTRAINED = 0.15, 0.5
LIDAR_EPSILON = 1e-8
RANKME_EPSILON = 1e-7


def effective_rank(features: FeatureMatrix) -> float:
    """Return the exponential of the entropy of the centred singular values, 1 to min(N, D).

    Singular values below the rounding of the features themselves count as zero, so a constant encoder has
    effective rank 1 however its rounding noise is spread.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Roy & Vetterli 2007 (EUSIPCO). Singular values, not eigenvalues of the covariance; centred by us.
    """
    return _exp_entropy(_centred_spectrum(features))


def rankme(features: FeatureMatrix) -> float:
    """Return the same of the uncentred singular values, each share raised by 1e-7.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Garrido et al. 2023 (arXiv 2210.02885), equations 1 and 2.
    """
    return _exp_entropy(torch.linalg.svdvals(_checked(features)), RANKME_EPSILON)


def mean_cosine(features: FeatureMatrix) -> float:
    """Return the mean cosine between different galaxies, -1/(N - 1) to 1; a zero vector has cosine 0.

    Exact without any pair: (|sum of unit vectors|^2 - N) / (N (N - 1)).

    Raises:
        DataError: fewer than two galaxies.
    """
    unit = F.normalize(_checked(features), dim=1, eps=1e-30)
    pairs = unit.sum(dim=0).square().sum() - unit.square().sum()
    return float(pairs / (len(unit) * (len(unit) - 1)))


def normalised_std(features: FeatureMatrix) -> float:
    """Return the mean over dimensions of the standard deviation of the unit vectors, times sqrt(D): 0 to 1.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Chen & He 2021 (SimSiam, arXiv 2011.10566), figure 2, scaled so that an isotropic cloud has 1.
        Population standard deviation, which makes 1 the exact maximum.
    """
    unit = F.normalize(_checked(features), dim=1, eps=1e-30)
    return float(unit.std(dim=0, correction=0).mean() * unit.shape[1] ** 0.5)


def stable_rank(features: FeatureMatrix) -> float:
    """Return the total variance in units of the largest variance along one direction, 1 to D.

    Reacts to one direction alone: an isotropic sample falls far short of D (180 of 384 for 1,774 galaxies).

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Rudelson & Vershynin 2007 (J. ACM 54, 21); NESum of He & Ozay 2022 (ICML).
    """
    variances = _centred_spectrum(features).square()
    return float(variances.sum() / variances[0]) if variances[0] > 0 else 1.0


def participation_ratio(features: FeatureMatrix) -> float:
    """Return the squared sum of the covariance eigenvalues over their sum of squares, 1 to D.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Gao et al. 2017 (bioRxiv 214262).
    """
    variances = _centred_spectrum(features).square()
    total = variances.square().sum()
    return float(variances.sum().square() / total) if total > 0 else 1.0


def alpha_req(features: FeatureMatrix) -> float | None:
    """Return the power a with which covariance eigenvalues fall, i^-a; None where too few of them are left.

    Least squares on the logarithms, for i from 10 to below 100; from D / 20 to below D / 4 where D is at most
    192. A finite sample of an isotropic cloud has .07 to .32, not 0.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Agrawal et al. 2022 (NeurIPS, alpha-ReQ). Deviations: no weights; the window for narrow features.
    """
    dim = features.shape[1]
    start, stop = (10, 100) if dim > 192 else (max(1, dim // 20), dim // 4)
    variances = _centred_spectrum(features).square()[start - 1 : stop - 1].cpu().numpy()
    if len(variances) < LEAST_POINTS or variances.min() <= 0:
        return None
    index = np.arange(start, start + len(variances))
    return -float(np.polyfit(np.log(index), np.log(variances), 1)[0])


def uniformity(features: FeatureMatrix) -> float:
    """Return the logarithm of the mean of exp(-2 d^2) over pairs of unit vectors, -4 + 8 / D (spread out) to 0.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Wang & Isola 2020 (arXiv 2005.10242), t = 2.
    """
    unit = F.normalize(_checked(features), dim=1, eps=1e-30)
    kernels = [torch.cdist(part, unit).square().mul(-2).exp().sum() for part in unit.split(CHUNK)]
    pairs = torch.stack(kernels).sum() - len(unit)  # without each galaxy and itself
    return math.log(float(pairs) / (len(unit) * (len(unit) - 1)))


def lidar(views: Float[Tensor, "galaxy view dim"]) -> float:
    """Return the effective number of directions in which galaxies differ more than views of one galaxy.

    The exponential of the entropy of the eigenvalues of S_w^-1/2 S_b S_w^-1/2, with S_b the covariance of the
    galaxies' mean views and S_w that of views around it: 1 to min(D, N - 1). Noise between views counts for
    nothing, unlike in the other ranks.

    Raises:
        ContractError: a feature is not finite.
        DataError: fewer than two galaxies or two views.

    Source:
        Thilak et al. 2024 (arXiv 2312.04000), equations 1 to 4, delta = 1e-4 and epsilon = 1e-8. Deviations:
        features in units of their root mean variance, or delta would depend on their scale; base views of the
        scored encoder instead of the objective's own.
    """
    galaxies, count, dim = views.shape
    _check_views(views)
    wide = views.detach().double()
    wide = wide - wide.mean(dim=(0, 1))
    variance = wide.square().mean()
    if variance.sqrt() <= torch.finfo(torch.float32).eps * views.abs().max():
        return 1.0  # a constant and its rounding
    scaled = wide / variance.sqrt()
    mean = scaled.mean(dim=1)
    around = (scaled - mean[:, None]).flatten(0, 1)
    within = around.T @ around / (galaxies * (count - 1))
    root = torch.linalg.cholesky(within + DELTA * torch.eye(dim, dtype=within.dtype, device=within.device))
    whitened = torch.linalg.solve_triangular(root, mean.T, upper=False)  # S_b in it has the same eigenvalues
    return _exp_entropy(torch.linalg.svdvals(whitened).square(), LIDAR_EPSILON)


def is_collapsed(
    *, effective_rank: float, dim: int, normalised_std: float, untrained_normalised_std: float
) -> bool:
    """Whether features have collapsed.

    Either the directions are gone (effective rank below 2, or below 2 % of the dimensions), or the galaxies
    have shrunk onto a common vector: normalised std below .15, and below half of what the same encoder had
    before training, since untrained transformers often start near a common vector.

    Args:
        effective_rank: of the trained features.
        dim: their width D.
        normalised_std: of the trained features.
        untrained_normalised_std: of the same encoder at step 0, on the same galaxies.
    """
    few_directions = effective_rank < max(FEWEST_DIRECTIONS, FEWEST_OF_DIM * dim)
    common_vector = (
        normalised_std < LEAST_STD and normalised_std < LEAST_OF_UNTRAINED * untrained_normalised_std
    )
    return few_directions or common_vector


def _checked(features: FeatureMatrix) -> FeatureMatrix:
    """Double precision: the differences that show a collapse are small beside the common vector."""
    if len(features) < 2:
        raise DataError(f"{len(features)} galaxies have no spread; give at least 2")
    return features.detach().double()


def _centred_spectrum(features: FeatureMatrix) -> Float[Tensor, " value"]:
    """Return the centred singular values, largest first; those below the features' own rounding are zero."""
    wide = _checked(features)
    values = torch.linalg.svdvals(wide - wide.mean(dim=0))
    rounding = torch.finfo(torch.float32).eps * wide.norm()
    return torch.where(values > rounding, values, 0.0)


def _check_views(views: Float[Tensor, "galaxy view dim"]) -> None:
    if min(views.shape[:2]) < 2:
        raise DataError(f"{views.shape[1]} views of {views.shape[0]} galaxies; LiDAR needs 2 of 2 at least")
    if not bool(views.isfinite().all()):
        raise ContractError(
            "features of augmented views are not finite; an encoder must give finite features"
        )


def _exp_entropy(values: Float[Tensor, " value"], epsilon: float = 0.0) -> float:
    """Return the effective number of non-zero values; 1 when all vanish (the limit of a shrinking line)."""
    total = values.sum()
    if total <= 0:
        return 1.0
    share = values / total + epsilon
    return float(torch.special.entr(share).sum().exp())
