"""Progress of a call: one output in a notebook, one line on a terminal, nothing where nobody looks."""

import io
import re
import sys

import pytest

from astrojepa_bench import events
from astrojepa_bench.api.progress import MOST_LINES, NotebookScreen, ProgressLine, TerminalScreen, showing


class Notebook(NotebookScreen):
    """An output of a notebook, which holds what was drawn last."""

    def __init__(self):
        self.drawn, self.text = 0, ""
        self._display, self._handle = self.update, None

    def update(self, content, **_):
        self.drawn, self.text = self.drawn + 1, content["text/plain"]
        return self


def work(times):
    for _ in events.track(range(times), task="drawing galaxies", total=times):
        pass


def test_a_thousand_steps_leave_no_line():
    """And are drawn a few times a second at most."""
    screen = Notebook()
    line = ProgressLine(screen)
    with events.listening(line):
        work(1000)
        drawn = screen.text
        line.close()

    assert "drawing galaxies" in drawn
    assert "/1,000 images" in drawn
    assert screen.drawn < 20
    assert screen.text == ""


def test_notes_and_ends_of_runs_stay_once_and_speak_python():
    """Of very many the last ones; characters that steer a terminal are spelt out."""
    screen = Notebook()
    line = ProgressLine(screen)
    with events.listening(line):
        for _ in range(3):
            events.emit("note", text="--pretraining 9: there are 5 galaxies\x1b[2J")
        events.emit("step", step=3, steps=8, run="3f9a")
        events.emit("cell_ended", label="a + b", status="ok", seconds=75.0, summary="")
    first = [*line.kept]
    with events.listening(line):
        for number in range(40):
            events.emit("note", text=f"note {number}")
    line.close()

    assert first == ["pretraining=9: there are 5 galaxies\\u001b[2J", "a + b: ok in 1:15"]
    assert screen.text.splitlines()[0] == f"… {42 - MOST_LINES} lines before"
    assert len(screen.text.splitlines()) == MOST_LINES + 1


def test_a_terminal_has_one_line_that_moves(monkeypatch):
    """Lines that stay are written once, above it."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    line = ProgressLine(TerminalScreen(), often_s=0.0)
    with events.listening(line):
        events.emit("note", text="a note")
        work(5)
    line.close()
    said = sys.stderr.getvalue()

    assert said.count("\n") == said.count("a note") == 1
    assert said.endswith("\r\x1b[K")


def test_a_terminal_prints_every_line_however_many(monkeypatch):
    """Each once and in order, while the work goes on; only the output of a notebook must stay short."""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    line, notes = ProgressLine(TerminalScreen(), often_s=0.0), [f"note {at}." for at in range(3 * MOST_LINES)]
    with events.listening(line):
        for at in events.track(range(len(notes)), task="reading", total=len(notes)):
            events.emit("note", text=notes[at])
    during = sys.stderr.getvalue()
    line.close()

    assert re.findall(r"note \d+\.", during) == notes
    assert re.findall(r"note \d+\.", sys.stderr.getvalue()) == notes


@pytest.mark.parametrize("progress", [None, False])
def test_nothing_is_said_where_nobody_looks(progress, capsys):
    with showing(progress):
        work(10)

    assert capsys.readouterr() == ("", "")
