"""Named random streams: every random number in a run comes from (seed, name, step, rank).

A stream is made anew at each step from those four, so no generator state is ever saved: a resumed step
draws what it would have drawn, whatever happened before it and however many workers there are.
"""

from __future__ import annotations

import hashlib
import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from astrojepa_bench.ranks import RankStream, Share


def stream_seed(seed: int, name: str, step: int = 0, rank: int = 0) -> int:
    """Hash (seed, name, step, rank) into 63 bits; unequal inputs give independent streams."""
    words = f"{seed}/{name}/{step}/{rank}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1


def numpy_stream(seed: int, name: str, step: int = 0) -> np.random.Generator:
    """Return a NumPy generator for the named stream (data order, splits, few-shot draws)."""
    return np.random.default_rng(stream_seed(seed, name, step))


@contextmanager
def scoped_global(
    seed: int, name: str, step: int = 0, device: torch.device | None = None, *, share: Share | None = None
) -> Iterator[None]:
    """Lend torch's global generator to code that knows no other, and put its state back.

    Layers draw their initial weights and their dropout from the global generator. Inside this scope it
    follows the named stream; outside, it is as if nothing had been drawn. Where several ranks train each follows a
    stream of its own, and `drawn_alike` the one of a single process.
    """
    with _lent(device):
        if share is not None:
            _seed_global(stream_seed(seed, name, step), device)
            token = _ALIKE.set(_Alike(device, _global_state(device)))
        _seed_global(stream_seed(seed, name, step, _own(share)), device)
        try:
            yield
        finally:
            if share is not None:
                _ALIKE.reset(token)


@contextmanager
def drawn_alike() -> Iterator[None]:
    """Let torch's global generator draw the same numbers on every rank: those of a single process.

    For code that draws from it for the whole batch, such as a loss of a library on gathered rows.
    """
    alike = _ALIKE.get()
    if alike is None:
        yield
        return
    with _lent(alike.device):
        torch.default_generator.set_state(alike.states[0])
        for state in alike.states[1:]:
            torch.cuda.set_rng_state(state)
        try:
            yield
        finally:
            alike.states = _global_state(alike.device)


@dataclass
class _Alike:
    """The state of the global generators where all ranks draw alike."""

    device: torch.device | None
    states: tuple[torch.Tensor, ...]


_ALIKE: ContextVar[_Alike | None] = ContextVar("alike", default=None)


def _own(share: Share | None) -> int:
    """Number the streams of a rank itself; 0 is the stream of a single process."""
    return 0 if share is None else share.rank + 1


def _on_gpu(device: torch.device | None) -> bool:
    return device is not None and device.type == "cuda"


def _lent(device: torch.device | None) -> Any:  # noqa: ANN401 a context manager of torch
    return torch.random.fork_rng(devices=[device] if _on_gpu(device) else [])


def _seed_global(number: int, device: torch.device | None) -> None:
    torch.default_generator.manual_seed(number)
    if _on_gpu(device):
        torch.cuda.manual_seed(number)  # the GPU's own default generator


def _global_state(device: torch.device | None) -> tuple[torch.Tensor, ...]:
    return torch.default_generator.get_state(), *([torch.cuda.get_rng_state()] if _on_gpu(device) else ())


def seed_python_and_numpy(seed: int, name: str, step: int = 0, share: Share | None = None) -> None:
    """Let Python's and NumPy's global generators follow the named stream, for code that draws from them."""
    number = stream_seed(seed, name, step, _own(share))
    random.seed(number)
    np.random.seed(number % 2**32)  # noqa: NPY002 the global generator itself is meant


@contextmanager
def python_and_numpy_kept() -> Iterator[None]:
    """Put the state of Python's and NumPy's global generators back after a run that seeds them at every step."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


@contextmanager
def moved_generators(device: torch.device) -> Iterator[list[str]]:
    """Find out which global generators a block draws from; the list is filled when it ends."""
    moved: list[str] = []
    before = random.getstate(), pickle.dumps(np.random.get_state()), _global_state(device)  # noqa: NPY002
    yield moved
    if random.getstate() != before[0] and "beartype" not in sys.modules:  # which draws from it itself
        moved.append("Python's random")
    if pickle.dumps(np.random.get_state()) != before[1]:  # noqa: NPY002
        moved.append("NumPy's global generator")
    if not all(map(torch.equal, _global_state(device), before[2])):
        moved.append("torch's global generator")


def of_part(name: str, part: int) -> str:
    """Name the stream of a part of a batch; that of the first, often the only one, is the batch's own."""
    return f"{name}/part {part}" if part else name


@dataclass
class Streams:
    """The streams of one optimiser step.

    Asking twice for one name in a step continues that stream, so two views never share their numbers.

    Attributes:
        seed: the run's seed.
        step: the optimiser step.
        device: where the numbers are drawn.
        rank: position among distributed processes; local streams differ by rank, shared ones do not.
        progress: share of the run that is done before this step, 0 to 1, for schedules; 1 once it is trained.
        part: of the batch, where a step accumulates several; each has streams of its own.
        share: which galaxies of the batch this process has, where several ranks train; then local streams are drawn
            for the whole batch by the bench's own helpers, and by whoever uses `plugin.drawn`.
    """

    seed: int
    step: int
    device: torch.device
    rank: int = 0
    progress: float = 1.0
    part: int = 0
    share: Share | None = None
    _made: dict[str, torch.Generator] = field(default_factory=dict)

    def local(self, name: str) -> torch.Generator:
        """Return the stream that differs between ranks: augmentations, masks, dropout."""
        return self._stream(f"local/{name}", self.rank)

    def shared(self, name: str) -> torch.Generator:
        """Return the stream that all ranks share: block sizes, random slices."""
        return self._stream(f"shared/{name}", 0)

    def _stream(self, name: str, rank: int) -> torch.Generator:
        name = of_part(name, self.part)
        if name not in self._made:
            number = stream_seed(self.seed, name, self.step, rank)
            if self.share is not None and name.startswith("local/"):
                own = stream_seed(self.seed, name, self.step, _own(self.share))
                self._made[name] = RankStream.seeded(self.device, self.share, number, own)
            else:
                self._made[name] = torch.Generator(device=self.device).manual_seed(number)
        return self._made[name]

    def drawn_alone(self) -> list[str]:
        """Name the local streams that somebody drew from for this rank alone."""
        return [
            name.removeprefix("local/")
            for name, stream in self._made.items()
            if isinstance(stream, RankStream) and stream.is_used_alone
        ]
