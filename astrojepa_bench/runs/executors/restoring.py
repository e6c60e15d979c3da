"""Cells share a process, and a plugin reaches all of it: what it moved is put back after its cell, and named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from astrojepa_bench import events
from astrojepa_bench.encoders import timm_library
from astrojepa_bench.options import Offer
from astrojepa_bench.runs.component import Component
from astrojepa_bench.runs.executors.namespaces import Namespaces
from astrojepa_bench.runs.executors.settings import SETTINGS, Setting, is_same, read_settings

_STREAMS = {1: "file descriptor 1 (standard output)", 2: "file descriptor 2 (standard error)"}


@contextmanager
def restored(components: Sequence[Component]) -> Iterator[None]:
    """Put back, when the block ends, whatever it moved of the process, and tell what that was in one note.

    Settings of torch, NumPy, Python and the process; names of torch, NumPy, Python and the bench that were
    replaced; standard output and error where they were closed. Threads, memory and files stay as they are: only a
    process of its own keeps these apart.

    Args:
        components: whose code runs in the block, for the note.
    """
    timm_library.load()  # in a cell, it would be taken for something that the cell moved
    settings, names_put_back = read_settings(SETTINGS), Namespaces.read().put_back  # bound before plugins run
    with _open_streams() as lost:
        try:
            yield
        finally:
            # Names first: what puts settings back may be what was replaced.
            moved, stuck = [*names_put_back(), *lost()], list[str]()
            for setting, value in settings.items():
                _put_back(setting, value, moved, stuck)
            if moved:
                events.emit("note", text=_told(moved, stuck, [each.offer for each in components]))


def _put_back(setting: Setting, value: object, moved: list[str], stuck: list[str]) -> None:
    """Put a setting back where it is another by now; note its name, and whether it would not go back."""
    with suppress(Exception):
        if is_same(setting.read(), value):
            return
    if setting.worth_telling:
        moved.append(setting.name)
    try:
        setting.put(value)
        if is_same(setting.read(), value):
            return
    except Exception:  # refused by the system, or the thread is not the main one
        pass
    stuck.append(setting.name)


@contextmanager
def _open_streams() -> Iterator[Callable[[], list[str]]]:
    """Keep standard output and error open; yield what opens them again and returns which were closed or moved."""
    kept = dict[int, int]()
    for number in _STREAMS:
        with suppress(OSError):  # there was none to begin with
            kept[number] = os.dup(number)

    def reopened() -> list[str]:
        found = []
        for number, copy in kept.items():
            if not _is_same_file(number, copy):
                os.dup2(copy, number)
                found.append(_STREAMS[number])
        return found

    try:
        yield reopened
    finally:
        for copy in kept.values():
            with suppress(OSError):
                os.close(copy)


def _is_same_file(number: int, copy: int) -> bool:
    try:
        return os.path.samestat(os.fstat(number), os.fstat(copy))
    except OSError:
        return False


def _told(moved: Sequence[str], stuck: Sequence[str], offers: Sequence[Offer]) -> str:
    """Write the note: who may have moved what, and what became of it."""
    guests = [offer for offer in offers if not offer.is_shipped]
    who = ", ".join(offer.title for offer in guests or offers)
    names = ", ".join(moved[:8]) + f" and {len(moved) - 8} more" * (len(moved) > 8)
    ending = "put back for what runs next"
    if stuck:
        ending = f"{', '.join(stuck)} could not be put back: run with --isolate"
    return f"this cell moved settings of the whole process ({names}); {ending}. Its code is that of {who}"
