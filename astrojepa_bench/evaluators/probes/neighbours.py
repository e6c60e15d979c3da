"""Nearest neighbours: by direction around the mean of train, or by distance; searched in parts, on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor
from torch.nn import functional as F

version = 1  # raise it whenever a number changes
CHUNK = 1024


@dataclass(frozen=True)
class Directions:
    """The train galaxies as unit vectors around their mean, ready to be searched by cosine similarity.

    Mean-pooled tokens share a large common vector that leaves all cosines near 1; hence the mean is subtracted.

    Attributes:
        mean: of the train galaxies.
        unit: their directions from it; zero for a galaxy that lies at the mean.
    """

    mean: Float[Tensor, " dim"]
    unit: Float[Tensor, "voter dim"]

    @classmethod
    def of(cls, train: Float[Tensor, "voter dim"]) -> Directions:
        """Take mean and directions of the train galaxies."""
        mean = train.mean(dim=0)
        centred = train - mean
        return cls(mean, F.normalize(centred, dim=1, out=centred))  # as large as all features: in place

    def seen_from_mean(self, features: Float[Tensor, "galaxy dim"]) -> Float[Tensor, "galaxy dim"]:
        """Return the direction of each galaxy."""
        return F.normalize(features - self.mean, dim=1)

    def average(
        self, features: Float[Tensor, "galaxy dim"], values: Float[np.ndarray, " voter"], k: int
    ) -> Float[np.ndarray, " galaxy"]:
        """Return the mean value of the k nearest (all, if fewer)."""
        near = KNeighborsRegressor(min(k, len(self.unit))).fit(self.unit.cpu().numpy(), values)
        predicted: Float[np.ndarray, " galaxy"] = near.predict(self.seen_from_mean(features).cpu().numpy())
        return predicted


def nearest_distances(
    train: Float[Tensor, "voter dim"], features: Float[Tensor, "galaxy dim"], k: int
) -> Float[Tensor, "galaxy neighbour"]:
    """Return the Euclidean distances of each galaxy to its k nearest of `train` (all, if fewer), nearest first."""
    parts = [torch.cdist(part, train) for part in features.split(CHUNK)]
    return torch.cat([part.topk(min(k, len(train)), largest=False).values for part in parts])
