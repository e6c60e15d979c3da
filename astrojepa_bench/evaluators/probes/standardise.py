"""Features in units of their spread over train."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

version = 1  # raise it whenever a number changes


@dataclass(frozen=True)
class Standardisation:
    """Subtract the mean and divide by the standard deviation of the galaxies it was fitted on.

    A feature whose spread is below the rounding of its own size is constant: its standard deviation counts
    as 1, so that it stays at zero instead of becoming amplified noise.

    Attributes:
        mean, std: per feature.
    """

    mean: Float[Tensor, " dim"]
    std: Float[Tensor, " dim"]

    @classmethod
    def fit(cls, features: Float[Tensor, "galaxy dim"]) -> Standardisation:
        """Take mean and (population) standard deviation of `features`."""
        std = features.std(dim=0, correction=0)
        rounding = 2 * torch.finfo(features.dtype).eps * features.abs().amax(dim=0)
        return cls(features.mean(dim=0), torch.where(std > rounding, std, 1.0))

    def __call__(self, features: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "galaxy dim"]:
        """Standardise."""
        return (features - self.mean) / self.std
