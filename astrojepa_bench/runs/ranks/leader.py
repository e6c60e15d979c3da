"""What the first process of a launch does beside running the command: it calls the others to each training."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import TypeAlias

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.launched import launched
from astrojepa_bench.ranks import Ranks, RanksPartedError, training_as
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.results.record import Failure
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.settings import read_arithmetic
from astrojepa_bench.runs.failures import Ending, RankFailedError
from astrojepa_bench.runs.plan import Plan
from astrojepa_bench.runs.ranks.channel import Channel, Order
from astrojepa_bench.runs.ranks.exactness import drawn_by_one_rank
from astrojepa_bench.runs.request import RunRequest

Together: TypeAlias = Callable[[], AbstractContextManager[Ranks]]
LAST_WORDS_S = 10.0
"""How long to wait for a rank that left a training to say why [s]."""
_LEADING: ContextVar[Channel | None] = ContextVar("leading", default=None)


@contextmanager
def leading(request: RunRequest) -> Iterator[None]:
    """Let the cells of a request be trained by all processes of this launch; they end when the block does.

    Raises:
        ConfigError: the request runs cells in other processes too.
    """
    place = launched()
    if place.size == 1:
        yield
        return
    asked = {
        "--isolate": request.isolate,
        "--timeout": request.timeout is not None,
        "--jobs": request.jobs > 1,
    }
    wrong = [flag for flag, is_asked in asked.items() if is_asked]
    if wrong:
        raise ConfigError(
            f"{wrong[0]}: torchrun started {place.size} processes that train one cell together; leave {wrong[0]} "
            "out, or run the command without torchrun"
        )
    channel = Channel.of_environment()
    token = _LEADING.set(channel)
    try:
        yield
    finally:
        _LEADING.reset(token)
        with suppress(Exception):  # the store may be gone, and with it the others
            channel.tell("end", True)


def led(context: RunContext, request: RunRequest, number: int, plan: Plan, command: str) -> RunContext:
    """Return what the cells of a plan run on, with the ranks that train them where there are several."""
    channel = _LEADING.get()
    if channel is None:
        return context
    return dataclasses.replace(context, leader=Leader(channel, context, request, number, plan, command))


class Leader:
    """Calls the other processes to the cells of one plan.

    Args:
        channel: to them.
        context: on what the cells run.
        request: which the plan is of.
        number: which plan of the request, from 0.
        plan: the plan.
        command: the command line or call that asked for it.
    """

    _orders = iter(range(sys.maxsize))

    def __init__(
        self,
        channel: Channel,
        context: RunContext,
        request: RunRequest,
        number: int,
        plan: Plan,
        command: str,
    ) -> None:
        self.size = channel.place.size
        self._channel, self._context = channel, context
        self._request, self._number, self._plan, self._command = request, number, plan, command
        self._exact: dict[str, bool] = {}

    def identified(self, cell: Cell, identity: RunIdentity) -> RunIdentity:
        """Return the identity of a run; the number of ranks is part of it where its numbers depend on that."""
        entry = identity.entry_id
        if entry not in self._exact:
            self._exact[entry] = not drawn_by_one_rank(cell, self._context, self.size)
        return identity if self._exact[entry] else dataclasses.replace(identity, world_size=self.size)

    def call(self, cell: Cell) -> Together:
        """Return what starts a training of a cell on all ranks, and ends it with the block."""
        index = next(place for place, each in enumerate(self._plan.cells, start=1) if each is cell)
        return partial(self._training, cell, index)

    @contextmanager
    def _training(self, cell: Cell, index: int) -> Iterator[Ranks]:
        """Train with all ranks while the block runs.

        Raises:
            RankFailedError: another rank failed.
        """
        number, channel, context = next(self._orders), self._channel, self._context
        if channel.is_broken:
            raise RankFailedError(_silent())
        run_id = RunIdentity.of(cell, context.galaxies, context.budget).run_id
        settings = read_arithmetic()
        words = (self._request, self._command, self._number, index, run_id, settings, tuple(sys.argv))
        channel.tell(f"order/{number}", Order(*words))
        failed = [channel.told(f"ready/{number}/{rank}") for rank in range(1, self.size)]
        fault = next((each for each in failed if each is not None), None)
        channel.tell(f"go/{number}", fault is None)
        if fault is not None:
            raise RankFailedError(fault)
        ranks = channel.group(number, context.galaxies.device)
        try:
            with training_as(ranks):
                yield ranks
            for rank in range(1, self.size):
                fault = channel.told_within([f"done/{number}/{rank}", f"fault/{number}/{rank}"], math.inf)
                if fault is not None:
                    raise RankFailedError(fault)
        except RanksPartedError as error:
            faults = [f"fault/{number}/{rank}" for rank in range(1, self.size)]
            fault = channel.told_within(faults, LAST_WORDS_S)
            channel.is_broken = fault is None
            raise RankFailedError(fault or _silent()) from error
        finally:
            ranks.part()
            channel.tell(f"over/{number}", True)


def _silent() -> Ending:
    message = "another rank left the training without a word; look at what torchrun says of it"
    return Ending("failed", Failure(origin="infrastructure", phase="training", message=message, plugin=None))
