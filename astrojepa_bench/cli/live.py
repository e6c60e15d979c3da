"""Progress bars on a terminal, that keep count and time left however narrow it is."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

WIDE = 110
"""From this width on there is room for long bars [characters]."""


class _Count(ProgressColumn):
    def render(self, task: Task) -> Text:
        total = f"{task.total or 0:,.0f}"
        return Text(f"{task.completed:,.0f}".rjust(len(total)) + f"/{total} {task.fields['unit']}")


class _Left(TimeRemainingColumn):
    """Time left: as it was told, or else by the speed so far."""

    def render(self, task: Task) -> Text:
        told: str | None = task.fields["left"]
        text = super().render(task).plain if told is None else told
        return Text(f"{text} left", style="progress.remaining")


class _Speed(ProgressColumn):
    """Speed and whatever else there is to say, as far as there is room."""

    def render(self, task: Task) -> Text:
        speed = f"{task.speed:,.3g}/s" if task.speed is not None and task.fields["left"] is None else ""
        return Text(", ".join(filter(None, (speed, task.fields["remark"]))))


class LiveDisplay:
    """Bars that move, with count, time left and rate; lines that stay go above them.

    Args:
        console: where to draw; by default stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        screen = console or Console(stderr=True)
        is_wide = screen.width >= WIDE
        name = Column(max_width=40 if is_wide else 24, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=24 if is_wide else 10),
            _Count(table_column=Column(no_wrap=True)),
            _Left(table_column=Column(no_wrap=True)),
            _Speed(table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=screen,
            transient=True,
            expand=True,
        )
        self._bars: dict[str, TaskID] = {}

    def start(self) -> None:
        """Take the bottom of the terminal."""
        self._progress.start()

    def stop(self) -> None:
        """Free the terminal."""
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text, markup=False, highlight=False)

    def begin(self, task: str, total: float, unit: str, done: float = 0.0, left: str | None = None) -> None:
        """Add a bar."""
        self._bars[task] = self._progress.add_task(
            task, total=total, completed=int(done), unit=unit, remark="", left=left
        )

    def move(self, task: str, done: float, remark: str, left: str | None = None) -> None:
        """Move a bar."""
        if task in self._bars:
            self._progress.update(self._bars[task], completed=done, remark=remark, left=left)

    def end(self, task: str) -> None:
        """Take a bar away; what lasts is said in lines."""
        if task in self._bars:
            self._progress.remove_task(self._bars.pop(task))
