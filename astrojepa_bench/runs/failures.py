"""Turns whatever ended a cell into a typed status with an origin."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from astrojepa_bench.errors import BenchError, ContractError, DataError, DivergedError, PluginError
from astrojepa_bench.options import Offer
from astrojepa_bench.results.record import Failure, Origin, Status


@dataclass(frozen=True)
class Ending:
    """How a cell that did not finish is recorded."""

    status: Status
    failure: Failure


def classify(error: Exception, phase: str, offers: Iterable[Offer]) -> Ending:
    """Say what an exception means for the board.

    Args:
        error: what was raised.
        phase: what was being done.
        offers: the pieces of the cell, to find whose code raised.
    """
    offers = list(offers)
    plugin = _owner(error, offers)
    if isinstance(error, DivergedError):
        return Ending("diverged", _failure("plugin", phase, error, offers[0].plugin))
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        advice = f"{error}; lower objective.batch_size or take a smaller encoder"
        return Ending("oom", _failure("infrastructure", phase, advice, None))
    origin = _origin(error, plugin)
    return Ending("failed", _failure(origin, phase, error, plugin if origin == "plugin" else None))


def _origin(error: Exception, plugin: str | None) -> Origin:
    if isinstance(error, DataError):
        return "data"
    if isinstance(error, OSError):
        return "infrastructure"
    if plugin is not None or isinstance(error, PluginError | ContractError):
        return "plugin"
    return "harness"


def _owner(error: Exception, offers: list[Offer]) -> str | None:
    """Find the plugin whose module the traceback passed through last, if it is one of the cell's own."""
    modules = {getattr(offer.factory, "__module__", None): offer.plugin for offer in offers}
    names = [frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__)]
    owned = [modules[name] for name in names if name in modules]
    return owned[-1] if owned and not owned[-1].startswith("astrojepa_bench.") else None


def _failure(origin: Origin, phase: str, said: object, plugin: str | None) -> Failure:
    prefix = "" if isinstance(said, str | BenchError) else f"{type(said).__name__}: "
    message = " ".join(f"{prefix}{said}".split())[:2000]
    return Failure(origin=origin, phase=phase, message=message, plugin=plugin)
