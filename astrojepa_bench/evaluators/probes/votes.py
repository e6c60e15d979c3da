"""The class that the nearest neighbours vote for, in expectation over the order of neighbours equally near."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.evaluators.probes.neighbours import CHUNK, Directions

version = 1  # raise it whenever a number changes
TIED = 64  # rows at a time, where ties are looked for and shared out


def vote(
    directions: Directions,
    features: Float[Tensor, "galaxy dim"],
    label: Int[Tensor, " voter"],
    k: int,
    temperature: float,
) -> Int[np.ndarray, " galaxy"]:
    """Let the k nearest (all, if fewer) vote for their class, with weight exp(cosine / temperature).

    Where more than one galaxy lies at the distance of the k-th neighbour, which of them is the k-th is an
    accident of order: all of them vote, and share the votes that are left. Features that are the same for all
    galaxies so name the most frequent class. Equal votes go to the lowest class.
    """
    votes, k = [], min(k, len(label))
    voters = F.one_hot(label).to(directions.unit.dtype)
    for part in features.split(CHUNK):
        similarity = directions.seen_from_mean(part) @ directions.unit.T
        nearest, voter = similarity.topk(k, dim=1)
        weight = ((nearest - nearest[:, :1]) / temperature).exp()  # relative to the nearest: no overflow
        empty = weight.new_zeros((len(part), voters.shape[1]))
        counted = empty.scatter_add_(1, label[voter], weight)
        # in parts: marks are counted in 64 bits, twice what the similarities take
        near = torch.cat([(similarity[some] >= nearest[some, -1:]).sum(dim=1) for some in _pieces(len(part))])
        tied = (near > k).nonzero()[:, 0]
        if len(tied):
            shares = similarity.new_empty(len(tied), len(label))
            for some in _pieces(len(tied)):
                shares[some] = _shared(similarity[tied[some]], nearest[tied[some]], temperature)
            counted[tied] = shares @ voters
        votes.append(counted)
        del similarity  # before the next one, which is as large
    predicted: Int[np.ndarray, " galaxy"] = torch.cat(votes).argmax(dim=1).cpu().numpy()
    return predicted


def _pieces(rows: int) -> list[slice]:
    return [slice(start, start + TIED) for start in range(0, rows, TIED)]


def _shared(
    similarity: Float[Tensor, "galaxy voter"], nearest: Float[Tensor, "galaxy k"], temperature: float
) -> Float[Tensor, "galaxy voter"]:
    """Weigh all neighbours up to the k-th; those as near as that share the places that nearer ones leave."""
    edge = nearest[:, -1:]
    above, level = similarity > edge, similarity == edge
    share = (nearest.shape[1] - above.sum(dim=1, keepdim=True)) / level.sum(dim=1, keepdim=True)
    weight = ((similarity - nearest[:, :1]) / temperature).exp()
    return weight * (above + level * share)
