"""How many directions features use, and how far they have shrunk onto one another."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import DataError
from astrojepa_bench.evaluators.answers import Answers
from astrojepa_bench.evaluators.reading import read_ordinary
from astrojepa_bench.roles import Evaluator
from astrojepa_bench.types import Evaluation, Score

Features = Float[Tensor, "galaxy dim"]
RANKME_EPSILON = 1e-7


class Collapse(Evaluator):
    """Geometry of the features of ordinary test galaxies (tap `last`); no labels, nothing fitted.

    Measures collapse, which four numbers see from four sides: `effective_rank` counts the directions around
    the mean, `rankme` those with the mean, `mean_cosine` and `normalised_std` see one common vector. All
    saturate at min(N, D), so N and D stand in the selection.

    Chance: none has one; compare with the untrained encoder. Golden numbers: covariance eigenvalues i^-1 in
    384 dimensions have effective rank 309.7; unit noise around a common offset of 3 per dimension has mean
    cosine .900, normalised std .316, effective rank 374 and RankMe 248. Do not rank encoders by these: noise
    counts as rank, and the relation with accuracy holds within one family of models at best.
    """

    version = 1

    def evaluate(self, answers: Answers) -> Evaluation:
        """Describe the features.

        Raises:
            ContractError: a feature is not finite.
            DataError: test holds fewer than two ordinary galaxies.
        """
        tap = answers.taps[0]
        features = read_ordinary(answers, "test", tap)
        n, dim = features.shape
        scores = (
            Score("collapse", "effective_rank", effective_rank(features), True, n),
            Score("collapse", "rankme", rankme(features), True, n),
            Score("collapse", "mean_cosine", mean_cosine(features), False, n),
            Score("collapse", "normalised_std", normalised_std(features), True, n),
        )
        return Evaluation(scores, selection={"tap": tap, "N": float(n), "D": float(dim)})


def effective_rank(features: Features) -> float:
    """Give the exponential of the entropy of the centred singular values, 1 to min(N, D).

    Singular values below the rounding of the features themselves count as zero, so a constant encoder has
    effective rank 1 however its rounding noise is spread.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Roy & Vetterli 2007 (EUSIPCO). Singular values, not eigenvalues of the covariance; centred by us.
    """
    wide = _checked(features)
    values = torch.linalg.svdvals(wide - wide.mean(dim=0))
    rounding = torch.finfo(torch.float32).eps * wide.norm()
    return _exp_entropy(torch.where(values > rounding, values, 0.0))


def rankme(features: Features) -> float:
    """Give the same of the uncentred singular values, each share raised by 1e-7.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Garrido et al. 2023 (arXiv 2210.02885), equations 1 and 2.
    """
    return _exp_entropy(torch.linalg.svdvals(_checked(features)), RANKME_EPSILON)


def mean_cosine(features: Features) -> float:
    """Give the mean cosine between different galaxies, -1/(N - 1) to 1; a zero vector has cosine 0.

    Exact without any pair: (|sum of unit vectors|^2 - N) / (N (N - 1)).

    Raises:
        DataError: fewer than two galaxies.
    """
    unit = F.normalize(_checked(features), dim=1, eps=1e-30)
    pairs = unit.sum(dim=0).square().sum() - unit.square().sum()
    return float(pairs / (len(unit) * (len(unit) - 1)))


def normalised_std(features: Features) -> float:
    """Give the mean over dimensions of the standard deviation of the unit vectors, times sqrt(D): 0 to 1.

    Raises:
        DataError: fewer than two galaxies.

    Source:
        Chen & He 2021 (SimSiam, arXiv 2011.10566), figure 2, scaled so that an isotropic cloud has 1.
        Population standard deviation, which makes 1 the exact maximum.
    """
    unit = F.normalize(_checked(features), dim=1, eps=1e-30)
    return float(unit.std(dim=0, correction=0).mean() * unit.shape[1] ** 0.5)


def is_collapsed(
    *, effective_rank: float, dim: int, normalised_std: float, untrained_normalised_std: float
) -> bool:
    """Say whether features have collapsed.

    Either the directions are gone (effective rank below 2, or below 2 % of the dimensions), or the galaxies
    have shrunk onto a common vector: normalised std below .15, and below half of what the same encoder had
    before training, since untrained transformers often start near a common vector.

    Args:
        effective_rank: of the trained features.
        dim: their width D.
        normalised_std: of the trained features.
        untrained_normalised_std: of the same encoder at step 0, on the same galaxies.
    """
    few_directions = effective_rank < max(2.0, 0.02 * dim)
    common_vector = normalised_std < 0.15 and normalised_std < 0.5 * untrained_normalised_std
    return few_directions or common_vector


def _checked(features: Features) -> Features:
    """Double precision: the differences that show a collapse are small beside the common vector."""
    if len(features) < 2:
        raise DataError(f"{len(features)} galaxies have no spread; give at least 2")
    return features.detach().double()


def _exp_entropy(values: Float[Tensor, " value"], epsilon: float = 0.0) -> float:
    """Give the effective number of non-zero values; 1 when all vanish (the limit of a shrinking line)."""
    total = values.sum()
    if total <= 0:
        return 1.0
    share = values / total + epsilon
    return float(torch.special.entr(share).sum().exp())
