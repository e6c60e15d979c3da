"""What every other process of a launch does: it waits for the first one to call it to a training, and trains.

It writes nothing, prints nothing and scores nothing, and it ends when the first process does.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from dataclasses import dataclass, field

import torch

from astrojepa_bench.border import raised_from
from astrojepa_bench.errors import BenchError
from astrojepa_bench.ranks import RanksPartedError, training_as
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.results.identity import RunIdentity
from astrojepa_bench.runs.assemble import assemble
from astrojepa_bench.runs.component import Cell, RunContext
from astrojepa_bench.runs.executors.restoring import restored
from astrojepa_bench.runs.executors.settings import compute_with
from astrojepa_bench.runs.failures import Ending, Phase, classify
from astrojepa_bench.runs.grid import cell_of
from astrojepa_bench.runs.ranks.channel import Channel, Order
from astrojepa_bench.training.loop import Trainer

_LOOK_EVERY_S = 1.0


def follow() -> int:
    """Train whatever the first process of this launch trains, until it is done; return the exit code."""
    _in_silence()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and ends this one
    channel = Channel.of_environment()
    if torch.cuda.is_available():
        torch.cuda.set_device(channel.place.local_rank)
    following, number = _Following(channel), 0
    while (order := _next_order(channel, number)) is not None:
        following.train(order, number)
        number += 1
    return 0


def _next_order(channel: Channel, number: int) -> Order | None:
    """Wait for an order; None where the first process is done, or gone."""
    while True:
        try:
            told = channel.told_within([f"order/{number}", "end"], _LOOK_EVERY_S)
        except Exception:  # the store went with the first process
            return None
        if told is not None:
            return told if isinstance(told, Order) else None


@dataclass
class _Following:
    """What a follower keeps from one training to the next.

    Attributes:
        channel: to the first process.
        registry: what is on offer, once it is loaded.
        contexts: on what the cells of each plan run, by its number.
    """

    channel: Channel
    registry: Registry | None = None
    contexts: dict[int, RunContext] = field(default_factory=dict)

    def train(self, order: Order, number: int) -> None:
        """Train one cell together with the others; whatever happens, be ready for the next one."""
        phase: Phase = "building"
        cell: Cell | None = None
        rank, channel = self.channel.place.rank, self.channel
        key = f"ready/{number}/{rank}"
        try:
            cell, context = self._found(order)
            with restored([*cell.components.values()]):
                made = assemble(cell, context.galaxies, context.budget.galaxies)
                table, images = context.galaxies.table, context.galaxies.images
                trainer = Trainer(made.objective, made.masker, table, images, context.budget, cell.seed)
                channel.tell(key, None)
                phase, key = "training", f"fault/{number}/{rank}"
                if not channel.told(f"go/{number}"):
                    return
                ranks = channel.group(number, context.galaxies.device)
                try:
                    with training_as(ranks):
                        trainer.run()
                    channel.tell(f"done/{number}/{rank}", None)
                    channel.told(f"over/{number}")  # the others may still be reading what this rank sent last
                except BaseException as error:
                    if not any(isinstance(each, RanksPartedError) for each in raised_from(error)):
                        channel.tell(key, self._ending(error, phase, cell))  # before the others notice
                    raise
                finally:
                    ranks.part()
        except BaseException as error:
            if phase == "building":
                channel.tell(key, self._ending(error, phase, cell))

    def _found(self, order: Order) -> tuple[Cell, RunContext]:
        """Find the cell of an order.

        Raises:
            BenchError: it is another one here, or plugins or galaxies cannot be loaded.
        """
        sys.argv[:] = order.argv
        compute_with(order.settings)
        self.registry = self.registry or load_registry(order.request.plugins)
        known = self.contexts.get(order.plan)
        cell, context = cell_of(order.request, self.registry, order.plan, order.index, order.command, known)
        self.contexts[order.plan] = context
        found = RunIdentity.of(cell, context.galaxies, context.budget).run_id
        if found != order.run_id:
            raise BenchError(
                f"it would train run {found} and the first process trains {order.run_id}: code or data differ "
                "between processes; give all machines the same"
            )
        return cell, context

    def _ending(self, error: BaseException, phase: Phase, cell: Cell | None) -> Ending:
        """Find out what an error means, and name this rank in it."""
        offers = [] if cell is None else [part.offer for part in cell.components.values()]
        ending = classify(error, phase, offers)
        message = f"rank {self.channel.place.rank}: {ending.failure.message}"
        return Ending(ending.status, ending.failure.model_copy(update={"message": message}))


def _in_silence() -> None:
    """Print nothing, whatever plugins do; only a crash of the interpreter may say where it was."""
    faulthandler.enable(os.fdopen(os.dup(2), "w"))
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
