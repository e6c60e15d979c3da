"""k-means on the device, all restarts at once."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.streams import stream_seed

version = 1  # raise it whenever a number changes

Points = Float[Tensor, "galaxy dim"]
Centres = Float[Tensor, "restart cluster dim"]
CHUNK = 8192
TOLERANCE = 1e-4


class KMeansFit(NamedTuple):
    """The best of the restarts.

    Attributes:
        labels: cluster of each point.
        centres: cluster means.
        inertia: sum of squared distances to the own centre.
    """

    labels: Int[Tensor, " galaxy"]
    centres: Float[Tensor, "cluster dim"]
    inertia: float


def kmeans_torch(
    latents: Float[Tensor, "galaxy dim"] | Float[np.ndarray, "galaxy dim"],
    num_clusters: int = 10,
    *,
    n_init: int = 10,
    max_iterations: int = 300,
    seed: int = 0,
) -> KMeansFit:
    """Cluster points by k-means, in single precision, on the device where they lie.

    Args:
        latents: NumPy array or tensor, one row per point, finite.
        num_clusters: how many clusters. More than there are distinct points leaves the surplus empty.
        n_init: restarts, of which the one with the least inertia is returned.
        max_iterations: Lloyd iterations at most.
        seed: names the stream of the random starts; the same on every device.

    Returns:
        Labels (galaxy,), centres (num_clusters, dim), inertia; `np.asarray` reads them.

    Raises:
        ConfigError: a number below 1, or more clusters than points.
        DataError: the latents are not a finite matrix.

    Source:
        Lloyd 1982; greedy k-means++ starts (Arthur & Vassilvitskii 2007, section 5, with 2 + ln K trials),
        and a stop when the centres' squared shift falls below 1e-4 of the mean variance, both as in
        scikit-learn. An empty cluster restarts at the point farthest from its centre.

    Example:
        >>> labels, centres, inertia = kmeans_torch(np.eye(4, dtype="float32"), num_clusters=4)
        >>> float(inertia)
        0.0
    """
    points = _as_points(latents)
    if not 1 <= num_clusters <= len(points) or n_init < 1 or max_iterations < 1:
        raise ConfigError(
            f"asked for {num_clusters} clusters of {len(points)} points, {n_init} restarts, {max_iterations} "
            f"iterations; give 1 to {len(points)} clusters and at least 1 of the others"
        )
    mean = points.mean(dim=0)  # distances are sums of squares: a common offset would eat their digits
    generator = torch.Generator()
    generator.manual_seed(stream_seed(seed, "kmeans"))
    starts = _plus_plus(points - mean, num_clusters, n_init, generator)
    labels, centres, inertia = _lloyd(points - mean, starts, max_iterations)
    return KMeansFit(labels, centres + mean, inertia)


def nearest_centre(points: Points, centres: Float[Tensor, "cluster dim"]) -> Int[Tensor, " galaxy"]:
    """Assign each point to its nearest centre (the first of equals)."""
    mean = centres.mean(dim=0)
    return _assign(points - mean, (centres - mean)[None])[0][0]


def _as_points(latents: Float[Tensor, "galaxy dim"] | Float[np.ndarray, "galaxy dim"]) -> Points:
    points = torch.as_tensor(latents).detach().float()
    if points.ndim != 2 or not bool(points.isfinite().all()):
        raise DataError(f"latents of shape {tuple(points.shape)} must be one finite row per point")
    return points


def _plus_plus(points: Points, clusters: int, restarts: int, generator: torch.Generator) -> Centres:
    """Draw starting centres: each next one far from those there are, the best of a few trials."""
    trials = 2 + int(math.log(clusters))
    first = torch.rand(restarts, 1, generator=generator, dtype=torch.float64).to(points.device)
    chosen = [points[(first[:, 0] * len(points)).long()]]
    closest = _squared_distances(points, chosen[0])
    for _ in range(clusters - 1):
        draws = torch.rand(restarts, trials, generator=generator, dtype=torch.float64).to(points.device)
        summed = closest.double().cumsum(dim=1)
        index = torch.searchsorted(summed, draws * summed[:, -1:], right=True).clamp_max(len(points) - 1)
        distances = _squared_distances(points, points[index].flatten(0, 1)).unflatten(0, (restarts, trials))
        reached = torch.minimum(closest[:, None], distances)
        best = reached.sum(dim=2).argmin(dim=1)
        every = torch.arange(restarts, device=points.device)
        closest = reached[every, best]
        chosen.append(points[index[every, best]])
    return torch.stack(chosen, dim=1)


def _lloyd(points: Points, centres: Centres, max_iterations: int) -> KMeansFit:
    """Alternate assignment and means until every restart has settled; return the best of them."""
    enough = TOLERANCE * points.var(dim=0, correction=0).mean()
    for _ in range(max_iterations):
        labels, distances = _assign(points, centres)
        moved = _means(points, labels, distances, centres.shape[1])
        settled = bool(((moved - centres).square().sum(dim=(1, 2)) <= enough).all())
        centres = moved
        if settled:
            break
    labels, _ = _assign(points, centres)
    inertias = [float((points - own[at]).square().sum()) for own, at in zip(centres, labels, strict=True)]
    best = int(np.argmin(inertias))
    return KMeansFit(labels[best], centres[best], inertias[best])


def _assign(
    points: Points, centres: Centres
) -> tuple[Int[Tensor, "restart galaxy"], Float[Tensor, "restart galaxy"]]:
    """Return the nearest centre of each point and its squared distance, for each restart."""
    parts = []
    for part in points.split(CHUNK):
        squared = _squared_distances(part, centres.flatten(0, 1)).unflatten(0, centres.shape[:2])
        parts.append(squared.min(dim=1))
    return torch.cat([part.indices for part in parts], 1), torch.cat([part.values for part in parts], 1)


def _means(
    points: Points,
    labels: Int[Tensor, "restart galaxy"],
    distances: Float[Tensor, "restart galaxy"],
    clusters: int,
) -> Centres:
    """Average the members of each cluster; empty ones move to the points farthest from their centres."""
    sums = points.new_zeros((len(labels) * clusters, points.shape[1]))
    counts = points.new_zeros(len(labels) * clusters)
    for part, at in zip(points.split(CHUNK), labels.split(CHUNK, dim=1), strict=True):
        member = F.one_hot(at, clusters).transpose(1, 2).flatten(0, 1).to(points.dtype)
        sums += member @ part
        counts += member.sum(dim=1)
    means = (sums / counts.clamp_min(1)[:, None]).unflatten(0, (len(labels), clusters))
    empty = (counts == 0).unflatten(0, (len(labels), clusters))
    for restart in empty.any(dim=1).nonzero()[:, 0].tolist():
        farthest = distances[restart].topk(int(empty[restart].sum())).indices
        means[restart, empty[restart]] = points[farthest]
    return means


def _squared_distances(
    points: Points, centres: Float[Tensor, "centre dim"]
) -> Float[Tensor, "centre galaxy"]:
    squares = centres.square().sum(dim=1)[:, None] + points.square().sum(dim=1)
    return torch.addmm(squares, centres, points.T, alpha=-2).clamp_min_(0)
