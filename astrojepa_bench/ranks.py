"""What a process knows of the others that train the same model, so that together they compute what one would.

`torchrun` starts several processes, called ranks. Each sees its own rows of every batch, as many as any other, and
computes a loss of them; gradients are averaged over ranks. So a loss that is a mean over galaxies needs nothing of
what is here. Three things do:

- a statistic that spans the batch is computed over the rows of all ranks: `gathered` brings them together,
  `averaged` averages what is a mean already. Gradients flow through both;
- random numbers that belong to a galaxy are drawn for the whole batch, and each rank keeps its rows: `drawn`;
- what draws from torch's global generator for the whole batch draws the same everywhere: `streams.drawn_alike`.

All of it works inside a training that several ranks share, and does nothing outside: whatever one rank does alone,
such as scoring, never waits for others.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from astrojepa_bench.errors import BenchError

Answer = TypeVar("Answer")
_REDUCED = frozenset({torch.float32, torch.float64, torch.int64})  # as they are; the rest travels as float32


class RanksPartedError(BenchError):
    """Another rank left the training: it failed, and says why elsewhere."""


class Group(Protocol):
    """What is used of a process group of torch."""

    def allreduce(self, tensors: list[Tensor]) -> Any:  # noqa: ANN401 torch's work
        """Add up in place."""

    def allgather(self, outputs: list[list[Tensor]], inputs: list[Tensor]) -> Any:  # noqa: ANN401
        """Collect."""

    def broadcast(self, tensor: Tensor, root: int) -> Any:  # noqa: ANN401
        """Copy from one rank."""


class Ranks:
    """The ranks of one training, among them this one.

    Args:
        group: of torch; the only reference to it, so that the others notice when it is let go.
        rank: of this process, from 0.
        size: how many there are.
    """

    def __init__(self, group: Group, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self._group: Group | None = group

    def part(self) -> None:
        """Leave for good: others that wait for this rank are told by an error."""
        self._group = None

    def add_up(self, values: Tensor) -> Tensor:
        """Add up over ranks; the result has the same bits everywhere."""
        if values.is_complex():
            return torch.view_as_complex(self.add_up(torch.view_as_real(values)))
        total = values.detach().to(values.dtype if values.dtype in _REDUCED else torch.float32)
        total = total.clone(memory_format=torch.contiguous_format)
        self._do(lambda group: group.allreduce([total]))
        return total.to(values.dtype)

    def collect(self, values: Tensor) -> list[Tensor]:
        """Collect the values of all ranks, equally many of each, in rank order."""
        sent = values.detach().contiguous().reshape(-1).view(torch.uint8)
        found = [torch.empty_like(sent) for _ in range(self.size)]
        self._do(lambda group: group.allgather([found], [sent]))
        return [each.view(values.dtype).reshape(values.shape) for each in found]

    def from_first(self, value: object, device: torch.device) -> Any:  # noqa: ANN401 whatever was sent
        """Hand a value of the first rank to all; those of the others are ignored."""
        sent = pickle.dumps(value) if self.rank == 0 else b""
        length = torch.tensor([len(sent)], dtype=torch.int64, device=device)
        self._do(lambda group: group.broadcast(length, 0))
        content = torch.frombuffer(bytearray(sent), dtype=torch.uint8) if sent else torch.empty(0)
        held = content.to(device) if self.rank == 0 else torch.empty(
            int(length), dtype=torch.uint8, device=device
        )  # fmt: skip
        self._do(lambda group: group.broadcast(held, 0))
        return value if self.rank == 0 else pickle.loads(held.cpu().numpy().tobytes())

    def _do(self, collective: Callable[[Group], Any]) -> None:
        if self._group is None:
            raise RanksPartedError("this rank has left the training")
        try:
            collective(self._group).wait()
        except RuntimeError as error:
            self.part()  # those that wait for this rank must hear of it as well
            raise RanksPartedError("another rank left the training") from error.with_traceback(None)


_TRAINING: ContextVar[Ranks | None] = ContextVar("ranks", default=None)


def current() -> Ranks | None:
    """Return the ranks that train together just now; None where this process is alone."""
    return _TRAINING.get()


def size() -> int:
    """Return how many processes train together just now; 1 outside of such a training.

    Authors know it as `ranks_together`: by it, a number of this rank's galaxies becomes that of the batch.
    """
    ranks = _TRAINING.get()
    return 1 if ranks is None else ranks.size


@contextmanager
def training_as(ranks: Ranks | None) -> Iterator[None]:
    """Train together with others while the block runs; alone where they are None."""
    token = _TRAINING.set(ranks)
    try:
        yield
    finally:
        _TRAINING.reset(token)


def from_first(answer: Callable[[], Answer], device: torch.device) -> Answer:
    """Let the first rank compute something alone, as one process would, and hand the answer to all."""
    ranks = _TRAINING.get()
    if ranks is None:
        return answer()
    with training_as(None):
        found = answer() if ranks.rank == 0 else None
    return cast(Answer, ranks.from_first(found, device))


ranks_together = size  # as authors know it


# --- statistics that span the batch -------------------------------------------------------------------------


def gathered(values: Shaped[Tensor, "*own"], dim: int = 0) -> Shaped[Tensor, "*whole"]:
    """Bring the rows of all ranks together, in rank order: what one process would hold; gradients flow through it.

    A loss that every rank computes of gathered rows, and a loss that is a mean over this rank's rows, both descend
    as that of the whole batch, because gradients are averaged over ranks.

    Args:
        values: equally many rows on every rank.
        dim: which dimension counts galaxies.

    Returns:
        The values themselves where one process trains.
    """
    ranks = _TRAINING.get()
    return values if ranks is None else cast(Tensor, _Gathered.apply(values, ranks, dim))


def averaged(values: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """Average over ranks what is a mean over this rank's rows; gradients flow through it.

    Returns:
        The values themselves where one process trains.
    """
    ranks = _TRAINING.get()
    return values if ranks is None else cast(Tensor, _Averaged.apply(values, ranks))


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks, dim: int) -> Tensor:  # noqa: ANN401
        ctx.ranks, ctx.dim, ctx.rows = ranks, dim, values.shape[dim]
        return torch.cat(ranks.collect(values), dim=dim)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        total = ctx.ranks.add_up(gradients[0])  # every rank's loss is of these rows
        return total.narrow(ctx.dim, ctx.ranks.rank * ctx.rows, ctx.rows), None, None


class _Averaged(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, ranks: Ranks) -> Tensor:  # noqa: ANN401
        ctx.ranks = ranks
        return ranks.add_up(values) / ranks.size

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return ctx.ranks.add_up(gradients[0]) / ctx.ranks.size, None


# --- random numbers of a galaxy -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """Which galaxies of a batch are those of a rank: the `rank`-th of `size` equal parts.

    Attributes:
        rank, size: from 0, of how many.
        galaxies: in a part.
    """

    rank: int
    size: int
    galaxies: int

    def own(self, values: Shaped[Tensor, "*whole"], dim: int = 0) -> Shaped[Tensor, "*own"]:
        """Keep this rank's rows of the whole batch, or of several views of it, one after the other."""
        dim %= values.ndim
        parts = values.unflatten(dim, (-1, self.size, self.galaxies))
        return parts.select(dim + 1, self.rank).flatten(dim, dim + 1)

    def whole(self, values: Shaped[Tensor, "*own"]) -> Shaped[Tensor, "*whole"]:
        """Bring the rows of all ranks together, view by view; own rows stand for those that are not there."""
        views = values.unflatten(0, (-1, self.galaxies))
        ranks = _TRAINING.get()
        found = [views] * self.size if ranks is None else ranks.collect(views)
        return torch.cat(found, dim=1).flatten(0, 1)


class RankStream(torch.Generator):
    """A local stream where several ranks train: this rank's own numbers, and beside them those of the whole batch.

    Attributes:
        share: which galaxies of the batch are this rank's.
        whole: the stream that one process would draw from; the same on every rank.
        start: state of this rank's own stream before anything was drawn.
    """

    share: Share
    whole: torch.Generator
    start: Tensor

    @classmethod
    def seeded(cls, device: torch.device, share: Share, whole: int, own: int) -> RankStream:
        """Make both from their seeds."""
        stream = cls(device=device)
        stream.manual_seed(own)
        stream.share, stream.whole, stream.start = share, torch.Generator(device=device), stream.get_state()
        stream.whole.manual_seed(whole)
        return stream

    @property
    def is_used_alone(self) -> bool:
        """Whether somebody drew from it directly, so that the numbers depend on how many ranks there are."""
        return not torch.equal(self.get_state(), self.start)


def share_of(generator: torch.Generator, rows: int) -> Share | None:
    """Return how rows are shared by ranks; None where one process draws, or rows are no views of its galaxies."""
    if not isinstance(generator, RankStream) or not rows or rows % generator.share.galaxies:
        return None
    return generator.share


def drawn(
    draw: Callable[..., Tensor], shape: tuple[int, ...], generator: torch.Generator, dim: int = 0
) -> Shaped[Tensor, "*any"]:
    """Draw random numbers for the galaxies of the whole batch, and keep those of this rank's.

    Args:
        draw: `torch.rand`, `torch.randn`, or a `functools.partial` of `torch.randint` with its limits.
        shape: what this rank needs.
        generator: a stream of this step; the numbers lie on its device.
        dim: which dimension counts galaxies; for several views of each, view after view.

    Example:
        >>> drawn(torch.rand, (3, 5), torch.Generator(), dim=1).shape
        torch.Size([3, 5])
    """
    share = share_of(generator, shape[dim])
    if share is None:
        return draw(shape, generator=generator, device=generator.device)
    assert isinstance(generator, RankStream)
    places = [*shape]
    places[dim] *= share.size
    return share.own(draw(tuple(places), generator=generator.whole, device=generator.device), dim)
