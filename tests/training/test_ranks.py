"""Several ranks compute what one process does: each piece of it, in two threads."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from astrojepa_lejepa import LeJEPA
from astrojepa_random import RandomPatches
from torch import nn

from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.geometry.grids import MaskSizes, PatchGrid
from astrojepa_bench.geometry.views import augment, base_augment
from astrojepa_bench.launched import Launched, launched
from astrojepa_bench.ranks import Ranks, Share, averaged, current, drawn, gathered, training_as
from astrojepa_bench.streams import Streams, drawn_alike, scoped_global
from astrojepa_bench.training.batch_norm import normalising_over_ranks
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.training.rehearsing import drawn_alone
from astrojepa_bench.training.together import check_alike, share_gradients, share_numbers, share_of_part
from astrojepa_bench.types import Loss

CPU = torch.device("cpu")


# --- two ranks in one process ---------------------------------------------------------------------------------


class Table:
    """Where the ranks of one process lay down what they exchange."""

    def __init__(self, size):
        self.barrier, self.laid = threading.Barrier(size, timeout=20), [None] * size


class Thread:
    """What a process group does, between threads."""

    def __init__(self, table, rank):
        self.table, self.rank = table, rank

    def _exchanged(self, value):
        self.table.laid[self.rank] = value.clone()
        self.table.barrier.wait()
        found = [each.clone() for each in self.table.laid]
        self.table.barrier.wait()
        return found

    def allreduce(self, tensors):
        tensors[0].copy_(torch.stack(self._exchanged(tensors[0])).sum(dim=0))
        return self

    def allgather(self, outputs, inputs):
        for place, value in zip(outputs[0], self._exchanged(inputs[0]), strict=True):
            place.copy_(value)
        return self

    def wait(self):
        return True


def on_ranks(action, size=2):
    """Let as many threads do something together; return what each of them found, or raised."""
    table, found = Table(size), [None] * size

    def act(rank):
        try:
            with training_as(Ranks(Thread(table, rank), rank, size)):
                found[rank] = action(rank)
        except Exception as error:
            found[rank] = error  # one that raises alone leaves the others to the barrier's patience

    threads = [threading.Thread(target=act, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def values(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_alone_nothing_is_exchanged():
    """The numbers of one process stay what they are, bit by bit."""
    rows = values(4, 3)
    assert gathered(rows) is rows
    assert averaged(rows) is rows


@pytest.mark.parametrize("dim", [0, 1])
def test_a_statistic_of_gathered_rows_descends_as_that_of_the_batch(dim):
    """Its gradient, averaged over ranks, is the gradient of one process: for a loss that is not linear in rows."""
    whole, weight = values(6, 6), values(6, 6).requires_grad_()

    def loss(rows):
        products = gathered(torch.tanh(rows @ weight if dim == 0 else weight @ rows), dim)
        covariance = products.T @ products if dim == 0 else products @ products.T
        return (covariance / products.shape[dim]).square().sum() + products.std(dim=dim).log().sum()

    expected = torch.autograd.grad(loss(whole), weight)[0]
    found = on_ranks(lambda rank: torch.autograd.grad(loss(whole.chunk(2, dim)[rank]), weight)[0])
    torch.testing.assert_close(torch.stack(found).mean(dim=0), expected)


def test_an_averaged_mean_descends_as_that_of_the_batch():
    """Also where each rank weighs it by what only that rank has."""
    whole, weight = values(6, 3), values(3).requires_grad_()

    def loss(rows, mean):
        return (rows * mean.exp()).sum(dim=1).mean()

    expected = torch.autograd.grad(loss(whole, (whole * weight).mean(dim=0)), weight)[0]

    def on_rank(rank):
        own = whole.chunk(2)[rank]
        return torch.autograd.grad(loss(own, averaged((own * weight).mean(dim=0))), weight)[0]

    torch.testing.assert_close(torch.stack(on_ranks(on_rank)).mean(dim=0), expected)


@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 3, 3)])
def test_batch_norm_over_ranks_is_torchs_of_the_whole_batch(shape):
    """Output, gradient and running statistics; and afterwards the module is what it was."""
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    whole, target = values(*shape), values(*shape).roll(1)

    def made():
        return nn.Sequential(nn.Identity(), kind(shape[1], dtype=torch.float64))

    alone = made()
    expected = alone(whole)
    (expected - target).pow(4).mean().backward()

    def on_rank(rank):
        module = made()
        with normalising_over_ranks(module):
            own = module(whole.chunk(2)[rank])
            (own - target.chunk(2)[rank]).pow(4).mean().backward()
        assert type(module[1]) is kind
        return own, [each.grad for each in module.parameters()], module.state_dict()

    (first, grads, state), (second, other_grads, _) = on_ranks(on_rank)
    torch.testing.assert_close(torch.cat([first, second]), expected)
    for mine, other, each in zip(grads, other_grads, alone.parameters(), strict=True):
        torch.testing.assert_close((mine + other) / 2, each.grad)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(state[name], value)


def test_gradients_are_averaged_where_one_rank_does_not_reach_a_parameter():
    """It counts 0 there; what no rank reaches has no gradient, as in one process, and is not moved."""

    def on_rank(rank):
        module = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(3)])
        (module[0].sum() * (rank + 1) + (module[1].sum() if rank else 0)).backward()
        share_gradients(current(), module.parameters())
        return [None if each.grad is None else each.grad.tolist() for each in module]

    assert on_ranks(on_rank) == [[[1.5, 1.5], [0.5, 0.5], None]] * 2


def test_terms_are_averaged_over_the_ranks_that_have_them():
    """Terms may come and go; what is not finite under another name is seen by all."""

    def on_rank(rank):
        names = ["total", "labels"] if rank else ["total", "views"]
        found = share_numbers(current(), names, torch.tensor([rank, 5.0 + rank], dtype=torch.float64))
        lost = share_numbers(
            current(), names, torch.tensor([0.0, float("nan") if rank else 0], dtype=torch.float64)
        )
        return found.tolist(), lost.isfinite().all().item()

    assert on_ranks(on_rank) == [([0.5, 5.0], False), ([0.5, 6.0], False)]


def test_ranks_that_learn_by_themselves_are_found():
    """A queue of one rank's galaxies would make two models of one."""

    def on_rank(rank):
        module = nn.BatchNorm1d(3)
        check_alike(current(), module)
        module.running_mean += rank
        check_alike(current(), module)

    first, second = on_ranks(on_rank)
    assert isinstance(first, ContractError)
    assert isinstance(second, ContractError)
    assert "'running_mean' differs between ranks" in str(first)


# --- random numbers -------------------------------------------------------------------------------------------

IMAGES = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
DRAWS = {
    "base": lambda rows, stream: base_augment(rows, stream, mirror=True),
    "views": lambda rows, stream: augment(rows.repeat(2, 1, 1, 1), stream, blur=1.0),
    "one view": lambda rows, stream: augment(rows, stream, mirror=False, size_px=16),
    "own": lambda rows, stream: drawn(torch.rand, (4, len(rows)), stream, dim=1).T,
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_each_rank_keeps_its_rows_of_what_one_process_draws(draw):
    """Whatever the number of ranks: views, their noise, and numbers that a plugin asks for."""
    alone = draw(IMAGES, Streams(1, 2, CPU).local("name"))
    for size in (2, 3):
        found = []
        for rank, own in enumerate(IMAGES.chunk(size)):
            streams = Streams(1, 2, CPU, share=Share(rank, size, len(own)))
            found.append(draw(own, streams.local("name")))
            assert streams.drawn_alone() == []
        views = len(alone) // len(IMAGES)
        parts = [each.unflatten(0, (views, -1)) for each in found]
        torch.testing.assert_close(torch.cat(parts, dim=1).flatten(0, 1), alone)


def test_masks_are_drawn_for_the_images_of_all_ranks():
    """A masker sees the whole batch, so that one that compares galaxies draws what it would draw alone."""
    masker, sizes = RandomPatches(PatchGrid(4, 4, 8)), MaskSizes(4, 2, 2)
    alone = MaskDraw(masker, Streams(0, 0, CPU))(IMAGES, sizes)

    def on_rank(rank):
        own = IMAGES.chunk(2)[rank]
        return MaskDraw(masker, Streams(0, 0, CPU, share=Share(rank, 2, 3)))(own, sizes)

    found = on_ranks(on_rank)
    assert torch.equal(torch.cat([each.context for each in found]), alone.context)
    assert torch.equal(torch.cat([each.targets for each in found]), alone.targets)


def test_what_a_rank_draws_itself_is_its_own_and_is_told():
    """Two ranks that drew the same numbers would turn all galaxies alike; alike is what is shared."""
    streams = [Streams(0, 0, CPU, share=Share(rank, 2, 3)) for rank in (0, 1)]
    alone = torch.rand(5, generator=Streams(0, 0, CPU).local("mine"))
    found = [alone, *(torch.rand(5, generator=each.local("mine")) for each in streams)]
    assert len({tuple(each.tolist()) for each in found}) == 3
    assert [each.drawn_alone() for each in streams] == [["mine"]] * 2
    shared = [torch.rand(5, generator=each.shared("slices")) for each in streams]
    assert torch.equal(*shared)


def test_global_numbers_differ_between_ranks_except_where_they_are_to_be_alike():
    """Dropout is of a rank's galaxies; what a library draws for the whole batch is that of one process."""
    with scoped_global(0, "layers", 3):
        alone = torch.rand(4)
    own, alike = [], []
    for rank in (0, 1):
        with scoped_global(0, "layers", 3, share=Share(rank, 2, 3)):
            own.append(torch.rand(4))
            with drawn_alike():
                alike.append(torch.rand(4))
    assert all(torch.equal(each, alone) for each in alike)
    assert not torch.equal(*own)


class Dropping(LeJEPA):
    """Drops some of what it learnt, and draws a number of its own."""

    def loss(self, batch, draw, streams):
        where = torch.rand(len(batch.images), generator=streams.local("place"))
        found = super().loss(batch, draw, streams)
        kept = nn.functional.dropout(found.total[None], 0.1).sum()
        return Loss(found.total + 0 * kept + 0 * where.sum(), found.terms)


@pytest.mark.parametrize(
    ("kind", "found"), [(LeJEPA, []), (Dropping, ["streams.local('place')", "torch's global generator"])]
)
def test_a_rehearsal_finds_what_depends_on_the_number_of_ranks(make_trainer, kind, found):
    """It becomes part of the identity of a run, and `check` tells."""
    made = partial(kind, projector=32, embedding=8, slices=16, batch_size=16)
    trainer = make_trainer(lambda encoder: made(encoder, encoder.grid, 0))
    before = torch.get_rng_state()
    assert drawn_alone(trainer, 2) == found
    assert torch.equal(torch.get_rng_state(), before)
    assert trainer.share is None


# --- which galaxies -------------------------------------------------------------------------------------------


def test_a_batch_that_cannot_be_dealt_is_refused():
    """Never trimmed in silence; the words say what to do."""
    assert share_of_part(1, 2, 128, 2) == Share(1, 2, 32)
    assert share_of_part(0, 1, 7, 1) is None
    with pytest.raises(
        ConfigError, match=r"128 galaxies cannot be dealt to 3 ranks equally; set objective\.batch"
    ):
        share_of_part(0, 3, 128, 1)
    with pytest.raises(
        ConfigError, match=r"6 galaxies \(12 in 2 parts\) cannot be dealt to 4 .* multiple of 8"
    ):
        share_of_part(0, 4, 12, 2)


def test_ranks_see_disjoint_galaxies_which_together_are_the_batch(make_trainer):
    """In the order of one process."""
    trainer, seen = make_trainer(), []
    alone = trainer.batch_of(3, Streams(0, 3, CPU))
    for rank in range(4):
        trainer.share = Share(rank, 4, 4)
        seen.append(trainer.batch_of(3, Streams(0, 3, CPU, share=trainer.share)))
    assert torch.equal(torch.cat([each.rows for each in seen]), alone.rows)
    assert torch.equal(torch.cat([each.images for each in seen]), alone.images)
    assert list(np.concatenate([each.ids for each in seen])) == list(alone.ids)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, Launched()),
        ({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, Launched()),
        ({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, Launched(3, 4, 1)),
        ({"RANK": "3", "WORLD_SIZE": "many", "LOCAL_RANK": "1"}, Launched()),
    ],
)
def test_which_process_this_is_follows_from_the_environment(monkeypatch, environment, found):
    """As torchrun leaves it; a job of a cluster that names ranks and no address is no launch of ours."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", **environment}.items():
        monkeypatch.setenv(name, value)
    assert launched() == found
