"""Who interrupted: a person at the keyboard, or a plugin that raises `KeyboardInterrupt`.

Both arrive as the same exception. Only the person's comes as a signal, so while plugins run the signal is noted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Events, not variables: what a cell changes of those is put back when it ends.
_LISTENING = threading.Event()
_CAME = threading.Event()


def interrupted() -> bool:
    """Whether a person interrupted within the outermost `noting_interrupts` so far, whatever became of that."""
    return _CAME.is_set()


@contextmanager
def noting_interrupts() -> Iterator[None]:
    """Note SIGINT while the block runs, and let whoever handled it before do so.

    Inner blocks leave that to the outermost one. Signals reach the main thread alone, so in other threads there is
    nothing to note.
    """
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if _LISTENING.is_set() or not is_main or not callable(handler):
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _CAME.set()
        handler(number, frame)

    _LISTENING.set()
    _CAME.clear()
    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)  # also where a plugin put its own in place
        _LISTENING.clear()
        _CAME.clear()
