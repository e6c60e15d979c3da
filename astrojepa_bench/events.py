"""Events, their listeners, and progress of slow tasks.

Nothing here prints. The command line listens and draws; plugins listen through `astrojepa_observe`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        name: `task_started`, `task_advanced`, `task_ended` (any slow task), `step` (one optimiser
            step), `cells_expected` (before the cells of a plan run: their labels and seconds), `cell_started`,
            `cell_ended` (one run of the grid, with its id), `note` (a line for the reader).
        fields: the facts, by name; where several cells run at once, `cell` says of which (`[3/8]`).
    """

    name: str
    fields: Mapping[str, object] = field(default_factory=dict)


Listener = Callable[[Event], None]
Observer: TypeAlias = Callable[[Path], Listener]
"""Makes a listener that writes below an output folder."""
_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("listeners", default=())


@dataclass(frozen=True)
class ObserverOffer:
    """An observer with its provenance.

    Attributes:
        name: how it is asked for.
        make: makes it for an output folder.
        plugin: module that offers it.
        package: the installed package it came with, and its version; for a file, its base name.
    """

    name: str
    make: Observer
    plugin: str
    package: str

    @property
    def owner(self) -> str:
        """Plugin and package, for messages."""
        return f"{self.plugin} ({self.package})"

    @property
    def title(self) -> str:
        """Name and plugin, for messages: `observer 'name' (plugin astrojepa_name)`."""
        return f"observer '{self.name}' (plugin {self.plugin})"


def emit(name: str, **fields: object) -> None:
    """Send an event to every listener."""
    for listener in _listeners.get():
        listener(Event(name, fields))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send every event inside this scope to `listener`."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


@contextmanager
def muted() -> Iterator[None]:
    """Tell nobody what happens inside this scope: rehearsals are not worth a line."""
    token = _listeners.set(())
    try:
        yield
    finally:
        _listeners.reset(token)


def track(items: Iterable[Item], *, task: str, total: int, unit: str = "images") -> Iterator[Item]:
    """Yield the items and report progress: for any loop that can take more than two seconds.

    Args:
        items: the items.
        task: name of the task, for the reader ("drawing galaxies").
        total: number of items.
        unit: name of the items.
    """
    emit("task_started", task=task, total=total, unit=unit)
    try:
        for item in items:
            yield item
            emit("task_advanced", task=task, advance=1)
    finally:
        emit("task_ended", task=task)
