"""What `check` tells of several ranks: which numbers of a loss belong to one rank alone."""

import torch
from astrojepa_simclr import SimCLR

from astrojepa_bench.testing import ObjectiveChecks
from astrojepa_bench.testing.objective_ranks import notes_of
from astrojepa_bench.types import Loss


class Weighing(SimCLR):
    """Weighs its loss by a number of its own for each galaxy."""

    def loss(self, batch, draw, streams):
        weight = torch.rand(len(batch.images), generator=streams.local("weights")).mean()
        found = super().loss(batch, draw, streams)
        return Loss(weight * found.total, found.terms)


class Shipped(ObjectiveChecks):
    factory = SimCLR


class Own(ObjectiveChecks):
    factory = Weighing


def test_what_is_drawn_for_one_rank_alone_is_told():
    """Views and masks are not; a number that the plugin draws itself is."""
    assert notes_of(Shipped.subject()) == ()
    (note,) = notes_of(Own.subject())
    assert "equal in distribution only: its loss draws from streams.local('weights') by itself" in note
