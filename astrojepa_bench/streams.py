"""Named random streams: every random number in a run comes from (seed, name, step, rank).

A stream is made anew at each step from those four, so no generator state is ever saved: a resumed step
draws what it would have drawn, whatever happened before it and however many workers there are.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch


def stream_seed(seed: int, name: str, step: int = 0, rank: int = 0) -> int:
    """Hash (seed, name, step, rank) into 63 bits; unequal inputs give independent streams."""
    words = f"{seed}/{name}/{step}/{rank}".encode()
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "big") >> 1


def numpy_stream(seed: int, name: str, step: int = 0) -> np.random.Generator:
    """Return a NumPy generator for the named stream (data order, splits, few-shot draws)."""
    return np.random.default_rng(stream_seed(seed, name, step))


@contextmanager
def scoped_global(seed: int, name: str, step: int = 0, device: torch.device | None = None) -> Iterator[None]:
    """Lend torch's global generator to code that knows no other, and put its state back.

    Layers draw their initial weights and their dropout from the global generator. Inside this scope it
    follows the named stream; outside, it is as if nothing had been drawn.
    """
    on_gpu = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(stream_seed(seed, name, step))
        if on_gpu:
            torch.cuda.manual_seed(stream_seed(seed, name, step))  # the GPU's own default generator
        yield


def seed_python_and_numpy(seed: int, name: str, step: int = 0) -> None:
    """Let Python's and NumPy's global generators follow the named stream, for code that draws from them."""
    number = stream_seed(seed, name, step)
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
    """

    seed: int
    step: int
    device: torch.device
    rank: int = 0
    progress: float = 1.0
    part: int = 0
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
            generator = torch.Generator(device=self.device)
            generator.manual_seed(stream_seed(self.seed, name, self.step, rank))
            self._made[name] = generator
        return self._made[name]
