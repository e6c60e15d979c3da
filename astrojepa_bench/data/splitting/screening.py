"""Which rows deserve a closer look? The nearest few of each image, by numbers that no rotation changes.

Every image is compared with every other by one matrix product a magnification, a block at a time; of each, only
the nearest few are kept. What is slow comes after and grows with the number of images, not of pairs.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from astrojepa_bench.data.splitting.ring_spectra import SCALE_STEPS, Spectra, invariants, window
from astrojepa_bench.events import track

NEAREST = 16  # of each image; among 17,736 galaxies a copy is the nearest itself in 97 of 100 cases
SCREENED = 0.48  # least likeness of a pair
STEPS = SCALE_STEPS[::2]  # windows take every second ring, so that steps between add nothing
BLOCK_A, BLOCK_B = 4096, 2048


class Nearest:
    """The nearest few of each row seen so far.

    Args:
        rows: how many there are.
    """

    def __init__(self, rows: int) -> None:
        self.likeness = torch.full((rows, NEAREST), -1.0)
        self.partner = torch.zeros(rows, NEAREST, dtype=torch.int64)

    def meet(self, first: int, others: int, likeness: Float[Tensor, "row other"]) -> None:
        """Take in how like some rows, from `first` on, are to some others, from `others` on."""
        near, place = likeness.topk(min(NEAREST, likeness.shape[1]), dim=1)
        here = slice(first, first + len(likeness))
        every = torch.cat([self.likeness[here], near], 1)
        partners = torch.cat([self.partner[here], place + others], 1)
        self.likeness[here], kept = every.topk(NEAREST, dim=1)
        self.partner[here] = partners.gather(1, kept)

    def pairs(self) -> Int[Tensor, "pair 2"]:
        """Return each row with each of its nearest that is like enough."""
        row, place = (self.likeness > SCREENED).nonzero().T
        return torch.stack([row, self.partner[row, place]], 1)


def nearest_pairs(spectra_a: Spectra, spectra_b: Spectra | None, task: str) -> Int[Tensor, "pair 2"]:
    """Find the pairs of which one image is among the nearest few of the other.

    Args:
        spectra_a: of some images.
        spectra_b: of others; None to compare those of `a` among themselves, each pair once, smaller row first.
        task: what to call it where progress is shown.
    """
    among = spectra_b is None
    theirs = spectra_a if spectra_b is None else spectra_b
    of_a = Nearest(len(spectra_a))
    of_b = of_a if among else Nearest(len(theirs))
    places = [
        (at, start)
        for at in range(0, len(spectra_a), BLOCK_A)
        for start in range(at if among else 0, len(theirs), BLOCK_B)
    ]
    block, known = -1, list[Tensor]()
    for at, start in track(places, task=task, total=len(places), unit="blocks of pairs"):
        if at != block:
            block, known = at, [invariants(window(spectra_a[at : at + BLOCK_A], s)) for s in STEPS]
        likeness = _likeness(known, theirs[start : start + BLOCK_B])
        if among:
            likeness[_seen(at, start, likeness)] = -1.0
        of_a.meet(at, start, likeness)
        of_b.meet(start, at, likeness.T.contiguous())
    pairs = torch.cat([of_a.pairs(), of_b.pairs().flip(1)])
    if among:
        pairs = pairs.sort(dim=1).values
    keys = torch.unique(pairs[:, 0] * len(theirs) + pairs[:, 1])
    return torch.stack([keys // max(1, len(theirs)), keys % max(1, len(theirs))], 1)


def _likeness(known: list[Float[Tensor, "row _dim"]], spectra: Spectra) -> Float[Tensor, "row other"]:
    """Compare at the magnification at which they are most alike."""
    best = torch.full((len(known[0]), len(spectra)), -1.0)
    for steps, ours in zip(STEPS, known, strict=True):
        torch.maximum(best, ours @ invariants(window(spectra, -steps)).T, out=best)
    return best


def _seen(at: int, start: int, likeness: Float[Tensor, "row other"]) -> Bool[Tensor, "row other"]:
    """Mark the pairs of a block on or below the diagonal: a row with itself, and pairs the other way round."""
    rows, others = (torch.arange(n) for n in likeness.shape)
    return (rows + at)[:, None] >= (others + start)[None, :]
