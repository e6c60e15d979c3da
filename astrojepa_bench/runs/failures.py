"""Turns whatever ended a cell into a typed status with an origin."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Literal, TypeAlias

import torch

from astrojepa_bench.errors import BenchError, ContractError, DataError, DivergedError, PluginError
from astrojepa_bench.options import Offer
from astrojepa_bench.results.record import Failure, Origin, Status
from astrojepa_bench.training.draw import MaskDraw

Phase: TypeAlias = Literal["building", "training", "scoring"]


@dataclass(frozen=True)
class Ending:
    """How a cell that did not finish is recorded."""

    status: Status
    failure: Failure


def classify(error: Exception, phase: Phase, offers: Sequence[Offer]) -> Ending:
    """Find out what an exception means for the board.

    Args:
        error: what was raised.
        phase: what was being done.
        offers: the components of the cell, its objective first, to find whose code raised.
    """
    if isinstance(error, DivergedError):
        return Ending("diverged", _failure("plugin", phase, error, offers[0].plugin))
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        advice = f"{error}; lower objective.batch_size or take a smaller encoder"
        return Ending("oom", _failure("infrastructure", phase, advice, None))
    owner = _owner(error, offers)
    origin: Origin = "harness"
    if isinstance(error, DataError):
        origin = "data"
    elif isinstance(error, OSError):
        origin = "infrastructure"
    elif owner is not None or isinstance(error, PluginError | ContractError):
        origin = "plugin"
    return Ending("failed", _failure(origin, phase, error, owner if origin == "plugin" else None))


def _owner(error: Exception, offers: Sequence[Offer]) -> str | None:
    """Find the plugin to blame: of the object that acted innermost, where it belongs to one of the cell's own.

    A frame belongs to a component if its `self` or `cls` is of that component's class, wherever the code of the
    frame was written: a masker of one plugin that draws by the code of another is still the one that was asked.
    A frame without such an object belongs to the component whose module it runs in. Of several components that
    share a base class, the nearest counts. Masks that are none are the fault of the masker that the bench asked,
    and what a factory raised is that of the factory. Shipped encoders and the bench itself are nobody's plugin.
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
            return None if owners[0].plugin.startswith("astrojepa_bench.") else owners[0].plugin
    return None


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames behind an error, innermost first; what it was raised from lies deeper than itself."""
    if error.__cause__ is not None:
        yield from _frames(error.__cause__)
    yield from reversed([frame for frame, _ in traceback.walk_tb(error.__traceback__)])


def _failure(origin: Origin, phase: Phase, cause: object, plugin: str | None) -> Failure:
    prefix = "" if isinstance(cause, str | BenchError) else f"{type(cause).__name__}: "
    message = " ".join(f"{prefix}{cause}".split())[:2000]
    return Failure(origin=origin, phase=phase, message=message, plugin=plugin)
