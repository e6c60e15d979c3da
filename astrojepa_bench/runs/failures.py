"""Turns whatever ended a cell into a typed status with an origin and, where a plugin did it, the plugin's name.

The mark that an exception got at the border says whose code was asked (`border`). The traceback is a second guess:
where nobody is named, and where an objective was asked and the encoder or masker of another plugin failed within.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Literal, TypeAlias

import torch

from astrojepa_bench.border import owner_of, raised_from
from astrojepa_bench.errors import (
    ContractError,
    DataError,
    DivergedError,
    PluginError,
    StorageError,
    reason_of,
    said_by,
)
from astrojepa_bench.interrupts import interrupted
from astrojepa_bench.options import Offer
from astrojepa_bench.results.record import Failure, Origin, Status
from astrojepa_bench.training.draw import MaskDraw

Phase: TypeAlias = Literal["building", "training", "scoring", "recording"]

_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What the operating system refuses whoever asks: no fault of the plugin that happened to."""


@dataclass(frozen=True)
class Ending:
    """How a cell that did not finish is recorded."""

    status: Status
    failure: Failure


class RankFailedError(Exception):
    """Another rank of a training that several share failed.

    Attributes:
        ending: how, as that rank found out.
    """

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.failure.message)
        self.ending = ending


def classify(error: BaseException, phase: Phase, offers: Sequence[Offer]) -> Ending:
    """Find out what an exception means for the board; never raises, whatever the exception does.

    Args:
        error: what was raised.
        phase: what was being done.
        offers: the components of the cell, its objective first, to find whose code raised.
    """
    if isinstance(error, RankFailedError):
        return error.ending
    owner = culprit(error, offers)
    if isinstance(error, DivergedError):
        return Ending("diverged", _failure("plugin", phase, said_by(error), offers[0]))
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        advice = f"{said_by(error) or 'out of memory'}; lower objective.batch_size or take a smaller encoder"
        return Ending("oom", _failure("infrastructure", phase, advice, owner))
    status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    return Ending(status, _failure(_origin(error, owner), phase, reason_of(error), owner))


def ends_the_command(error: BaseException, offers: Sequence[Offer]) -> bool:
    """Whether an exception is meant for the whole command: a person's interrupt, or an exit of no plugin's."""
    if interrupted():
        return True
    return isinstance(error, KeyboardInterrupt | SystemExit) and culprit(error, offers) is None


def culprit(error: BaseException, offers: Sequence[Offer]) -> Offer | None:
    """Find the offer of a plugin to blame; None for the bench itself and what is shipped with it.

    Args:
        error: what was raised.
        offers: the components of the cell, its objective first.
    """
    if isinstance(error, StorageError):  # what the bench writes while a plugin is asked is no plugin's fault
        return None
    asked, guess = owner_of(error), None
    with suppress(Exception):  # the objects on the stack are a plugin's, and may resist being looked at
        guess = _acting(error, offers)
    if asked is None:
        return _of_plugin(guess)
    if asked.kind == "objective" and guess is not None and guess.kind in ("encoder", "masker"):
        return _of_plugin(guess) or _of_plugin(asked)
    if isinstance(error, ContractError) and _of_plugin(asked) is None:
        return _of_plugin(offers[0])  # what is shipped keeps its contract until it was trained out of it
    return _of_plugin(asked)


def _of_plugin(offer: Offer | None) -> Offer | None:
    return None if offer is None or offer.is_shipped else offer


def _origin(error: BaseException, owner: Offer | None) -> Origin:
    if isinstance(error, DataError):
        return "data"
    if isinstance(error, OSError) and (owner is None or error.errno in _MACHINE):
        return "infrastructure"
    return "plugin" if owner is not None or isinstance(error, PluginError | ContractError) else "harness"


def _acting(error: BaseException, offers: Sequence[Offer]) -> Offer | None:
    """Find the component of the cell that acted innermost, by the traceback.

    A frame belongs to a component if its `self` or `cls` is of that component's class, wherever the code of the
    frame was written: a masker of one plugin that draws by the code of another is still the one that was asked.
    A frame without such an object belongs to the component whose module it runs in. Of several components that
    share a base class, the nearest counts. Masks that are none are the fault of the masker that the bench asked,
    and what a factory raised is that of the factory.
    """
    for frame in _frames(error):
        acting = frame.f_locals.get("self", frame.f_locals.get("cls"))
        if isinstance(acting, MaskDraw) and isinstance(error, ContractError):
            acting = acting.masker
        family = (acting if isinstance(acting, type) else type(acting)).__mro__
        module = frame.f_globals.get("__name__")
        owners = sorted(
            (each for each in offers if each.cls in family), key=lambda each: family.index(each.cls)
        )
        owners += [each for each in offers if getattr(each.cls or each.factory, "__module__", None) == module]
        if owners:
            return owners[0]
    return None


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames behind an error, innermost first; what it was raised from lies deeper than itself."""
    for each in reversed([*raised_from(error)]):
        yield from reversed([frame for frame, _ in traceback.walk_tb(each.__traceback__)])


def _failure(origin: Origin, phase: Phase, message: str, owner: Offer | None) -> Failure:
    with suppress(
        OSError
    ):  # files below the current folder are named from there: records name no machine's folders
        message = message.replace(f"{os.getcwd()}{os.sep}", "")
    return Failure(
        origin=origin, phase=phase, message=message, plugin=None if owner is None else owner.plugin
    )
