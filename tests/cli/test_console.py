"""Progress is visible on a terminal, sparse in a log, and never on stdout."""

import io

import pytest
from rich.console import Console

from astrojepa_bench.cli.console import ConsoleListener, PlainDisplay, console_listener
from astrojepa_bench.cli.live import LiveDisplay
from astrojepa_bench.cli.time_left import TimeLeft
from astrojepa_bench.events import emit, listening, track


class Clock:
    """A clock that moves when told."""

    seconds = 0.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def plain(clock):
    """Listen with lines, and give what was written."""
    lines = []
    with ConsoleListener(PlainDisplay(lines.append, clock, quiet_s=5.0)) as listener, listening(listener):
        yield lines


def step(number, steps=9, **more):
    """Announce that an optimiser step was done."""
    emit("step", step=number, steps=steps, **{"terms": {}, "effective_rank": None, **more})


def test_slow_task_speaks_at_most_every_few_seconds(plain, clock):
    """A log of a task of 99 s has a line after 5 s, one each tenth and the end, with rate and time left."""
    for _ in track(range(99), task="drawing", total=99, unit="galaxies"):
        clock.seconds += 1

    assert len(plain) == 11
    assert plain[0] == "    drawing: 5/99 galaxies, 1/s, 1:34 left"
    assert plain[-1] == "    drawing: done in 1:39"


def test_a_task_of_hours_is_never_silent_for_long(plain, clock):
    """Ten minutes in which hardly anything happens are a line each half; a file each 0.1 s is no line a file."""
    for _ in track(range(600), task="reading", total=10**6, unit="files"):
        clock.seconds += 1
    lines = len(plain)
    for _ in track(range(1000), task="hashing", total=1000, unit="files"):
        clock.seconds += 0.1

    assert lines == 20 + 1
    assert len(plain) - lines == 10 + 1


def test_short_task_leaves_no_line(plain):
    """What took no time needs no report."""
    assert len(list(track(range(100), task="drawing", total=100))) == 100

    assert plain == []


def test_steps_show_loss_terms_speed_and_rank(plain, clock):
    """A reader of the log sees whether training works, while it does."""
    for number in (1, 2):
        step(number, 4, run="a", images_per_second=812.4, terms={"total": 0.25}, effective_rank=31.44)
        clock.seconds += 6

    assert plain[-1] == ("    training a: 2/4 steps, 0.167/s, 0:12 left, 812 images/s, total 0.25, rank 31.4")


def test_steps_need_neither_run_nor_rank(plain, clock):
    """A training loop alone has no name and may not watch its rank."""
    step(1, 2)
    clock.seconds = 8.0
    step(2, 2)

    assert plain == [
        "    training: 2/2 steps, 0.125/s, 0:00 left",
        "    training: done in 0:08",
    ]


def test_cells_and_notes_are_lines(plain):
    """The grid is told cell by cell."""
    emit("cell_started", index=2, total=6, label="pixels, seed 0")
    emit("cell_ended", label="pixels, seed 0", status="ok", summary="linear 0.71", seconds=42.3)
    emit("note", text="[bold] galaxies are not markup")

    assert plain == [
        "[2/6] pixels, seed 0",
        "    pixels, seed 0: ok in 0:42: linear 0.71",
        "[bold] galaxies are not markup",
    ]


def test_failed_cell_closes_its_tasks(plain, clock):
    """The next cell starts its own clock."""
    step(3)
    clock.seconds = 100.0
    emit("cell_ended", label="pixels", status="failed", summary="", seconds=100.0)
    step(1)
    clock.seconds = 110.0
    step(2)

    assert plain[-1].startswith("    training: 2/9 steps, 0.1/s")


def test_cells_at_once_keep_their_tasks_apart(plain, clock):
    """A cell that ends closes its own tasks, and neither another cell's nor that of the whole grid."""
    emit("task_started", task="cells", total=2, unit="cells")
    step(1, 4, cell="[1/2]")
    step(3, 4, cell="[2/2]")
    clock.seconds = 10.0
    emit("cell_ended", label="a", status="failed", summary="", seconds=10.0, cell="[2/2]")
    step(2, 4, cell="[1/2]")
    emit("task_advanced", task="cells", advance=1)

    assert plain == [
        "    a: failed in 0:10",
        "    [1/2] training: 2/4 steps, 0.1/s, 0:20 left",
        "    cells: 1/2 cells, 0.1/s, 0:10 left",
    ]


def test_resumed_run_is_not_credited_with_what_it_found(plain, clock):
    """A run that begins at step 80 has done nothing yet, and its rate says so."""
    step(80, 100)
    clock.seconds = 10.0
    step(81, 100)

    assert plain == ["    training: 81/100 steps, 0.1/s, 3:10 left"]


def test_unknown_events_pass_in_silence(plain):
    """A plugin may emit what this version has never heard of."""
    emit("supernova", redshift=0.01)

    assert plain == []


def test_pipe_gets_lines_on_stderr(capsys):
    """Stdout belongs to results."""
    with console_listener() as listener, listening(listener):
        emit("note", text="hello")

    assert capsys.readouterr() == ("", "hello\n")


def test_terminal_shows_bars_with_rate_and_keeps_lines():
    """Bars come and go; what was said stays, brackets included."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    with ConsoleListener(LiveDisplay(console)) as listener, listening(listener):
        emit("task_started", task="drawing [r]", total=10, unit="galaxies")
        emit("task_advanced", task="drawing [r]", advance=4)
        step(1, 4, terms={"total": 0.25}, images_per_second=812.4)
        emit("note", text="[2/6] done")
        emit("task_ended", task="drawing [r]")

    shown = screen.getvalue()
    for words in ("drawing [r]", "4/10 galaxies", "812 images/s, total 0.25", "[2/6] done"):
        assert words in shown


@pytest.mark.parametrize("width", [80, 100, 120])
def test_bars_keep_count_and_time_left_at_any_width(width):
    """On a terminal of 80 columns too, however long the names and however much there is to say."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    with ConsoleListener(LiveDisplay(console)) as listener, listening(listener):
        step(
            1,
            40_000,
            run="lejepa(batch_size=32) + brightness + vit-micro",
            terms={"total": 0.25, "sigreg": 9.1},
        )
        step(
            9_876, 40_000, images_per_second=812.4, effective_rank=31.44, terms={"total": 0.25, "sigreg": 9.1}
        )

    shown = screen.getvalue()
    assert "9,876/40,000 steps" in shown
    assert " left" in shown
    assert "\u2501" in shown or "\u2578" in shown or "\u257a" in shown
    assert (
        max(len(line) for line in shown.replace("\r", "\n").splitlines()) < width + 20
    )  # and codes of the terminal


CELLS = [
    {"label": f"{kind} {seed}", "kind": kind, "trains": kind != "floor", "seconds": None}
    for kind in ("deep", "flat", "floor")
    for seed in (0, 1)
]


def test_what_a_grid_still_takes_is_weighed_by_what_its_cells_cost():
    """A floor that ended in a second does not promise that what trains for minutes does."""
    left = TimeLeft(CELLS, 1)
    assert left.seconds is None
    left.ended("deep 0", 100.0)
    assert left.seconds == 5 * 100.0  # nothing else is known
    left.ended("flat 0", 20.0)
    left.ended("floor 0", 1.0)
    assert (left.done, left.total, left.seconds) == (3, 6, 100.0 + 20.0 + 1.0)
    assert TimeLeft([{**CELLS[0], "seconds": 30.0}, {**CELLS[1], "seconds": 50.0}], 2).seconds == 50.0
    assert TimeLeft([{**CELLS[0], "seconds": 30.0}], 0).seconds is None
    floors_first = TimeLeft(CELLS, 1)
    floors_first.ended("floor 0", 1.0)
    assert floors_first.seconds is None  # nothing that trains has ended


def test_the_time_left_of_a_grid_is_a_line_a_cell(plain):
    """In a pipe too; what was done before counts as done."""
    emit("cells_expected", task="cells of tiny", cells=[{**CELLS[0], "seconds": 0.0}, *CELLS[1:]], at_once=1)
    emit("cell_ended", label="deep 1", status="ok", summary="", seconds=60.0)

    assert plain[-1] == "    cells of tiny: 2/6, about 4:00 left"


def test_notes_name_the_cell_that_they_are_about(plain):
    """What is wrong with a floor is not taken for a fault of the user."""
    emit("cell_started", index=1, total=2, label="untrained + majority", cell="[1/2]")
    emit("cell_started", index=2, total=2, label="alpha + random", cell="[2/2]")
    emit("note", text="knn is not scored: constant", cell="[1/2]")
    emit("cell_ended", label="untrained + majority", status="ok", summary="", seconds=1.0, cell="[1/2]")
    emit("note", text="of the whole grid")

    assert "    untrained + majority: knn is not scored: constant" in plain
    assert plain[-1] == "of the whole grid"


def test_a_task_that_never_spoke_does_not_say_that_it_is_done():
    """On a clock that never stands still, as real ones."""
    lines, ticks = [], iter(range(1000))
    with (
        ConsoleListener(PlainDisplay(lines.append, lambda: next(ticks) / 1000)) as listener,
        listening(listener),
    ):
        list(track(range(3), task="looking", total=3))

    assert lines == []
