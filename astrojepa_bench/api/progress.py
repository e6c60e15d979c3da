"""Progress of a call: one line that moves, in a notebook or on a terminal, and silence where nobody looks.

A notebook keeps one output that is replaced, so a call of an hour leaves as many lines as one of a second. No
widget is needed.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, Protocol, TypeAlias

from astrojepa_bench.api.wording import in_python
from astrojepa_bench.escaping import plain
from astrojepa_bench.events import Event, listening

WIDTH = 24  # of the bar [characters]
OFTEN_S = 0.3  # at most this often a line is drawn again [s]
MOST_LINES = 12  # that stay of one call in a notebook
Told: TypeAlias = Collection[str] | Literal["all"]


class Screen(Protocol):
    """Where a call shows how far it is."""

    def draw(self, kept: list[str], moving: str) -> None:
        """Show the lines that stay and, below them, the one that moves."""

    def close(self, kept: list[str]) -> None:
        """Leave the lines that stay."""


class NotebookScreen:
    """One output of a notebook, replaced in place."""

    def __init__(self) -> None:
        self._display: Callable[..., Any] = import_module("IPython.display").display
        self._handle: Any = None

    def draw(self, kept: list[str], moving: str) -> None:
        """Replace the output: the last of the lines that stay, how many there were before, and the moving one."""
        more = len(kept) - MOST_LINES
        lines = kept if more <= 0 else [f"… {more} lines before", *kept[-MOST_LINES:]]
        content = {"text/plain": "\n".join([*lines, moving] if moving else lines)}
        if self._handle is None:
            self._handle = self._display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)

    def close(self, kept: list[str]) -> None:
        """Replace it for the last time."""
        if kept or self._handle is not None:
            self.draw(kept, "")


class TerminalScreen:
    """The last line of a terminal, on stderr; lines that stay go above it."""

    def __init__(self) -> None:
        self._written = 0

    def draw(self, kept: list[str], moving: str) -> None:
        """Write what is new, then the moving line without an end."""
        lines = [f"\r\x1b[K{line}\n" for line in kept[self._written :]]
        self._written = len(kept)
        with suppress(OSError, ValueError):  # nobody is harmed by progress that is not seen
            sys.stderr.write("".join(lines) + f"\r\x1b[K{moving}")
            sys.stderr.flush()

    def close(self, kept: list[str]) -> None:
        """Free the line."""
        self.draw(kept, "")


@dataclass
class _Bar:
    total: float
    unit: str
    done: float = 0.0
    first: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def line(self, name: str) -> str:
        """Write how far it is, how fast it goes and how long it will still take."""
        share = min(1.0, self.done / self.total) if self.total else 0.0
        full = round(share * WIDTH)
        rate = (self.done - self.first) / max(time.monotonic() - self.began, 1e-6)
        left = f", {_clock((self.total - self.done) / rate)} left" if rate > 0 else ""
        bar = f"{'█' * full}{'░' * (WIDTH - full)}"
        return f"{name} {bar} {self.done:,.0f}/{self.total:,.0f} {self.unit}{left}"


class ProgressLine:
    """Hears the events of a call and draws them.

    Args:
        screen: where.
        often_s: least time between two drawings [s].
        told: notes that are known already, or `all`.
    """

    def __init__(self, screen: Screen, often_s: float = OFTEN_S, told: Told = ()) -> None:
        self.screen = screen
        self.told = told
        self.often_s = often_s
        self.kept: dict[str, None] = {}
        self._tasks: dict[str, _Bar] = {}
        self._drawn = float("-inf")

    def __call__(self, event: Event) -> None:
        """Hear one event; names that this version does not know pass in silence."""
        fields = event.fields
        task = " ".join(str(each) for each in (fields.get("cell"), fields.get("task")) if each)
        match event.name:
            case "task_started":
                self._tasks[task] = _Bar(_number(fields["total"]), str(fields["unit"]))
            case "task_advanced" if task in self._tasks:
                self._tasks[task].done += _number(fields["advance"])
            case "task_ended":
                self._tasks.pop(task, None)
            case "step":
                self._step(task, _number(fields["step"]), _number(fields["steps"]))
            case "cell_ended":
                self._tasks.clear()
                told = f": {in_python(str(fields['summary']))}" if fields.get("summary") else ""
                took = _clock(_number(fields["seconds"]))
                self._keep(f"{fields['label']}: {fields['status']} in {took}{told}")
            case "note" if self.told != "all" and fields["text"] not in self.told:
                self._keep(in_python(str(fields["text"])))
        self._draw()

    def _step(self, cell: str, step: float, steps: float) -> None:
        name = f"{cell} training".strip()
        task = self._tasks.setdefault(name, _Bar(steps, "steps", step, step))
        task.done = step
        if step >= steps:
            del self._tasks[name]

    def _keep(self, line: str) -> None:
        self.kept[plain(line)] = None

    def _draw(self) -> None:
        now = time.monotonic()
        if self._tasks and now - self._drawn >= self.often_s:
            self._drawn = now
            name, task = next(reversed(self._tasks.items()))
            self.screen.draw([*self.kept], plain(task.line(name)))

    def close(self) -> None:
        """Leave what stays."""
        self.screen.close([*self.kept])


@contextmanager
def showing(progress: bool | None, told: Told = ()) -> Iterator[None]:
    """Show the events of a call while it works.

    Args:
        progress: True or False; None shows them in a notebook and on a terminal.
        told: notes that the caller has seen already, or sees elsewhere (`all`).
    """
    screen = None if progress is False else _screen(forced=progress is True)
    with ExitStack() as stack:
        if screen is not None:
            line = ProgressLine(screen, told=told)
            # Of a library that asks for widgets, which nothing here needs.
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", message="IProgress not found")
            stack.callback(line.close)
            stack.enter_context(listening(line))
        yield


def _screen(*, forced: bool) -> Screen | None:
    if "IPython" in sys.modules:  # only what runs already: nothing is imported to find out
        shell = import_module("IPython").get_ipython()
        if "ZMQInteractiveShell" in {each.__name__ for each in type(shell).__mro__}:
            return NotebookScreen()
    stream: Any = sys.stderr
    return TerminalScreen() if forced or (stream is not None and stream.isatty()) else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _clock(seconds: float) -> str:
    """Write a duration as a clock does.

    Example:
        >>> _clock(75)
        '1:15'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
