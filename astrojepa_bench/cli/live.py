"""Progress bars on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        return Text(unit if task.speed is None else f"{unit}, {task.speed:,.3g}/s")


class LiveDisplay:
    """Bars that move, with rate and time left; lines that stay go above them.

    Args:
        console: where to draw; by default stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}", markup=False),
            console=console or Console(stderr=True),
            transient=True,
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

    def begin(self, task: str, total: float, unit: str, done: float = 0.0) -> None:
        """Add a bar."""
        self._bars[task] = self._progress.add_task(
            task, total=total, completed=int(done), unit=unit, remark=""
        )

    def move(self, task: str, done: float, remark: str) -> None:
        """Move a bar."""
        if task in self._bars:
            self._progress.update(self._bars[task], completed=done, remark=remark)

    def end(self, task: str) -> None:
        """Take a bar away; what lasts is said in lines."""
        if task in self._bars:
            self._progress.remove_task(self._bars.pop(task))
