"""Events on stderr: bars with rate and time left on a terminal, plain lines in a pipe.

Stdout is left to results, so that a script that reads `--json` never sees a bar.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

from astrojepa_bench.cli.live import LiveDisplay
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.cli.time_left import TimeLeft
from astrojepa_bench.escaping import plain, plain_value
from astrojepa_bench.events import Event, listening
from astrojepa_bench.registry import Registry

QUIET_S = 5.0  # in a pipe, a task speaks at most this often,
SHARE = 0.1  # and only when so much more of it is done,
LONG_S = 30.0  # or when it was silent for so long; a log of hours stays readable


class Display(Protocol):
    """Somewhere that progress can be shown."""

    def start(self) -> None:
        """Get ready."""

    def stop(self) -> None:
        """Leave the stream as a reader wants it."""

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def begin(self, task: str, total: float, unit: str, done: float = 0.0, left: str | None = None) -> None:
        """Show that a task begins, or goes on where an earlier process left it."""

    def move(self, task: str, done: float, remark: str, left: str | None = None) -> None:
        """Show how far a task is, and the time that it has left where that is known better than by its speed."""

    def end(self, task: str) -> None:
        """Show that a task ended."""


class ConsoleListener:
    """Hears events and tells a display; also a context manager around them.

    Args:
        display: where to show them.
    """

    def __init__(self, display: Display) -> None:
        self.display = display
        self._done: dict[str, float] = {}
        self._grid: tuple[str, TimeLeft] | None = None
        self._cells: dict[str, str] = {}  # what runs now, by its place where several do

    def __enter__(self) -> Self:
        self.display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.display.stop()

    def __call__(self, event: Event) -> None:
        """Hear one event; names that this version does not know pass in silence."""
        hear = getattr(self, f"_hear_{event.name}", None)
        if hear is not None:
            hear({name: plain_value(value) for name, value in event.fields.items()})

    def _hear_task_started(self, fields: Mapping[str, Any]) -> None:
        task = _of_cell(fields, fields["task"])
        self._done[task] = 0.0
        self.display.begin(task, fields["total"], fields["unit"])

    def _hear_task_advanced(self, fields: Mapping[str, Any]) -> None:
        task = _of_cell(fields, fields["task"])
        self._done[task] = self._done.get(task, 0.0) + fields["advance"]
        self.display.move(task, self._done[task], "")

    def _hear_task_ended(self, fields: Mapping[str, Any]) -> None:
        self._end(_of_cell(fields, fields["task"]))

    def _end(self, task: str) -> None:
        if self._done.pop(task, None) is not None:
            self.display.end(task)

    def _hear_step(self, fields: Mapping[str, Any]) -> None:
        task = _of_cell(fields, f"training {fields.get('run', '')}".strip())
        if task not in self._done:
            self.display.begin(task, fields["steps"], "steps", fields["step"])
        self._done[task] = fields["step"]
        remarks = [f"{plain(name)} {value:.4g}" for name, value in fields.get("terms", {}).items()]
        if fields.get("images_per_second"):
            remarks.insert(0, f"{fields['images_per_second']:,.0f} images/s")
        if fields.get("effective_rank") is not None:
            remarks.append(f"rank {fields['effective_rank']:.1f}")
        self.display.move(task, fields["step"], ", ".join(remarks))
        if fields["step"] >= fields["steps"]:
            self._end(task)

    def _hear_cells_expected(self, fields: Mapping[str, Any]) -> None:
        left = TimeLeft(fields["cells"], fields["at_once"])
        if left.done < left.total:
            self._grid = fields["task"], left
            self._done[fields["task"]] = left.done
            self.display.begin(fields["task"], left.total, "cells", left.done, _about(left.seconds))

    def _hear_cell_started(self, fields: Mapping[str, Any]) -> None:
        self._cells[fields.get("cell", "")] = fields["label"]
        self.display.say(f"[{fields['index']}/{fields['total']}] {fields['label']}")

    def _hear_cell_ended(self, fields: Mapping[str, Any]) -> None:
        mine = _of_cell(fields, "")
        grid = self._grid and self._grid[0]
        for task in [each for each in self._done if each.startswith(mine) and each != grid]:
            self._end(task)  # a cell that failed leaves them open
        self._cells.pop(fields.get("cell", ""), None)
        summary = f": {fields['summary']}" if fields.get("summary") else ""
        self.display.say(f"    {fields['label']}: {fields['status']} in {_clock(fields['seconds'])}{summary}")
        if self._grid is not None:
            task, left = self._grid
            left.ended(fields["label"], fields["seconds"])
            self.display.move(task, left.done, "", _about(left.seconds))

    def _hear_note(self, fields: Mapping[str, Any]) -> None:
        label = self._cells.get(fields.get("cell", ""))
        self.display.say(f"    {label}: {fields['text']}" if label else str(fields["text"]))


@dataclass
class _Pace:
    """What a plain display remembers of a task."""

    total: float
    unit: str
    began: float
    spoke: float
    start: float
    told: float


class PlainDisplay:
    """Lines, for each task one soon and then one now and then: at each tenth of it, or when it was silent for long.

    Args:
        write: prints a line.
        now: seconds on a clock that never runs backwards.
        quiet_s: least time between two lines of a task [s].
    """

    def __init__(
        self,
        write: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
        quiet_s: float = QUIET_S,
    ) -> None:
        self.write = write
        self.now = now
        self.quiet_s = quiet_s
        self._paces: dict[str, _Pace] = {}

    def start(self) -> None:
        """Nothing to get ready."""

    def stop(self) -> None:
        """Nothing to put back."""

    def say(self, text: str) -> None:
        """Print a line."""
        self.write(text)

    def begin(self, task: str, total: float, unit: str, done: float = 0.0, left: str | None = None) -> None:
        """Remember when a task began; short ones never speak."""
        now = self.now()
        self._paces[task] = _Pace(total, unit, now, now, done, done)

    def move(self, task: str, done: float, remark: str, left: str | None = None) -> None:
        """Print how far a task is, unless it spoke just now; whose time left is told speaks at each move."""
        pace = self._paces.get(task)
        if pace is None:
            return
        silent = self.now() - pace.spoke
        is_due = silent >= self.quiet_s and (
            pace.spoke == pace.began or done - pace.told >= SHARE * pace.total or silent >= LONG_S
        )
        if left is None and not is_due:
            return
        pace.spoke, pace.told = self.now(), done
        if left is not None:
            self.say(f"    {task}: {done:,.0f}/{pace.total:,.0f}, {left} left")
            return
        rate = (done - pace.start) / (pace.spoke - pace.began)
        left = _clock((pace.total - done) / rate) if rate > 0 else "unknown time"
        counted = f"{done:,.0f}/{pace.total:,.0f} {pace.unit}, {rate:,.3g}/s, {left} left"
        self.say(f"    {task}: {counted}{remark and ', '}{remark}")

    def end(self, task: str) -> None:
        """Print how long a task took, if it took long enough to have spoken."""
        pace = self._paces.pop(task, None)
        if pace is not None and pace.spoke > pace.began:
            self.say(f"    {task}: done in {_clock(self.now() - pace.began)}")


def console_listener() -> ConsoleListener:
    """Return the listener that suits stderr: bars on a terminal, lines elsewhere."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return ConsoleListener(PlainDisplay(_to_stderr))
    return ConsoleListener(LiveDisplay())


def _to_stderr(line: str) -> None:
    """Print a line; no run ends because nobody hears of its progress (a plugin may even close stderr)."""
    with suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(registry: Registry | None = None) -> Iterator[None]:
    """Show events on stderr while a command works, and pass them to the plugins that observe.

    What plugins print meanwhile goes to stderr too.
    """
    with plugins_at_work(), console_listener() as listener, ExitStack() as stack:
        stack.enter_context(listening(listener))
        if registry is not None:
            stack.enter_context(listening(registry.observe))
        yield


def _of_cell(fields: Mapping[str, Any], task: str) -> str:
    """Name a task after its cell, where several run at once."""
    return f"{fields['cell']} {task}" if "cell" in fields else task


def _about(seconds: float | None) -> str:
    """Write how long a grid still takes."""
    return "unknown time" if seconds is None else f"about {_clock(seconds)}"


def _clock(seconds: float) -> str:
    """Write a duration as a clock does.

    Example:
        >>> _clock(3725)
        '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
