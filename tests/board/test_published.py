"""Figures of others stand beside a board, as they were printed, and never move it."""

import json

import pytest

from astrojepa_bench.board.page import html_page
from astrojepa_bench.board.published import FILE, LEGEND, STATE, is_entry, keep_published, published_lines
from astrojepa_bench.board.render import check_board, write_board
from astrojepa_bench.board.table import build_board
from astrojepa_bench.cli import main
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.store import Store
from astrojepa_bench.suites import Block, Published

ENTRY = Block(
    objectives=("alpha",),
    maskers=("random",),
    encoders=("vit-micro",),
    options={"objective": {"weight": 0.05}},
)
FIGURE = Published(
    model="Alpha | 5 M",
    figure="59.1",
    measured="elsewhere",
    source="a paper",
    split="a random tenth",
    head="an MLP",
    ran_by="themselves",
    entry=ENTRY,
    differs="the <split>",
)


@pytest.fixture
def out(tmp_path, six_entries):
    """An output folder with records of three seeds."""
    store = Store(tmp_path)
    for record in six_entries:
        store.write(record)
    return tmp_path


def test_nearest_entry_is_averaged_over_its_seeds(six_entries):
    """0.71, 0.70 and 0.69 are 70.0 ± 1.0; other maskers and other objectives are not ours."""
    (line,) = published_lines([FIGURE], six_entries)

    assert line["ours"] == "70.0 ± 1.0 (synthetic, budget small)"
    assert line["figure"] == "59.1"


def test_split_head_and_who_ran_it_stand_beside_a_figure(six_entries):
    """All of it, each in a place of its own; the legend calls the rows quoted."""
    (line,) = published_lines([FIGURE], six_entries)

    assert (line["split"], line["head"], line["ran_by"]) == ("a random tenth", "an MLP", "themselves")
    assert line["state"] == STATE == "quoted"
    assert STATE in LEGEND


def test_options_tell_entries_apart(make_run):
    """The same names with another weight are another model; options that the figure leaves open may be anything."""
    options = {"objective": {"weight": 0.05, "batch_size": 128}, "encoder": {"patch": 8}}

    assert is_entry(make_run(options=options), ENTRY)
    assert not is_entry(make_run(options={"objective": {"weight": 0.6}}), ENTRY)
    assert not is_entry(make_run(masker="brightness"), ENTRY)


def test_what_was_not_run_is_said(make_run):
    """An empty cell would look like a figure that got lost."""
    for run in (make_run("beta"), make_run(scores=[], status="failed")):
        assert published_lines([FIGURE], [run])[0]["ours"] == "not run"


def test_figures_stand_on_the_page_as_quoted(six_entries):
    """Angle brackets are text, and nothing ranks them."""
    text = html_page(build_board(six_entries), [FIGURE])
    table = text[text.index('id="published"') :]

    assert "Alpha | 5 M" in table
    assert "the &lt;split&gt;" in table
    assert ">quoted<" in table


def test_board_with_figures_is_byte_reproducible_and_checked(out):
    """The page follows from the folder alone, and an edited figure is found."""
    keep_published(out, [FIGURE])
    write_board(out)
    first = (out / "index.html").read_bytes()

    assert b"Published figures of others" in first
    write_board(out)
    assert (out / "index.html").read_bytes() == first
    assert check_board(out) == []
    (out / FILE).write_text((out / FILE).read_text().replace("59.1", "95.1"))
    assert check_board(out) == ["index.html differs from its records"]


def test_figures_move_no_row(out):
    """Everything above the figures is the board without them, and every other file is the same."""
    bare = write_board(out).read_bytes(), (out / "board.json").read_bytes()
    rows = (out / "index.html").read_text().partition("<main")[2].partition('<section id="agreement">')[0]
    keep_published(out, [FIGURE])

    assert (write_board(out).read_bytes(), (out / "board.json").read_bytes()) == bare
    assert rows in (out / "index.html").read_text()


def test_a_damaged_file_is_one_line(out):
    """Which file, and what to do."""
    (out / FILE).write_text("[{}]")
    with pytest.raises(DataError, match=r"published\.json holds no published figures .* delete it") as caught:
        write_board(out)

    assert "\n" not in str(caught.value)


def test_command_keeps_the_figures_of_a_suite(out, capsys):
    """Once kept, every later board shows them; a suite without figures is refused."""
    assert main(["leaderboard", "build", str(out), "--published", "astrojepa-zoo"]) == 0
    assert main(["leaderboard", "check", str(out)]) == 0
    assert len(json.loads((out / FILE).read_text())) == 26
    assert "59.1" in (out / "index.html").read_text()
    assert main(["leaderboard", "build", str(out), "--published", "masking"]) == 2
    assert "has no published figures" in capsys.readouterr().err
