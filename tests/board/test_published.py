"""Figures of others stand beside a board, as they were printed, and never move it."""

import json

import pytest

from astrojepa_bench.board.published import FILE, LEGEND, STATE, is_entry, keep_published, published_table
from astrojepa_bench.board.render import check_board, write_board
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
    row = published_table([FIGURE], six_entries).splitlines()[2]

    assert "70.0 ± 1.0 (synthetic, budget small)" in row
    assert "59.1" in row


def test_split_head_and_who_ran_it_stand_beside_a_figure(six_entries):
    """All of it, each in a column of its own; the legend calls the rows quoted."""
    head, _, row = published_table([FIGURE], six_entries).splitlines()
    cells = dict(zip(*([part.strip() for part in line.split(" | ")] for line in (head, row)), strict=True))

    assert (cells["split"], cells["head"], cells["run by"]) == ("a random tenth", "an MLP", "themselves")
    assert STATE == "quoted"
    assert STATE in LEGEND


def test_options_tell_entries_apart(make_run):
    """The same names with another weight are another model; options that the figure leaves open may be anything."""
    options = {"objective": {"weight": 0.05, "batch_size": 128}, "encoder": {"patch": 8}}

    assert is_entry(make_run(options=options), ENTRY)
    assert not is_entry(make_run(options={"objective": {"weight": 0.6}}), ENTRY)
    assert not is_entry(make_run(masker="brightness"), ENTRY)


def test_what_was_not_run_is_said(make_run):
    """An empty cell would look like a figure that got lost."""
    assert "not run" in published_table([FIGURE], [make_run("beta")])
    assert "not run" in published_table([FIGURE], [make_run(scores=[], status="failed")])


def test_words_of_a_figure_cannot_break_the_table(six_entries):
    """Bars and angle brackets are text."""
    row = published_table([FIGURE], six_entries).splitlines()[2]

    assert "Alpha \\| 5 M" in row
    assert "&lt;split>" in row


def test_board_with_figures_is_byte_reproducible_and_checked(out):
    """The page follows from the folder alone, and an edited figure is found."""
    keep_published(out, [FIGURE])
    first = write_board(out).read_bytes()

    assert b"## Published figures" in first
    assert write_board(out).read_bytes() == first
    assert check_board(out) == []
    (out / FILE).write_text((out / FILE).read_text().replace("59.1", "95.1"))
    assert check_board(out) == ["README.md differs from its records"]


def test_figures_move_no_row(out):
    """Everything above the figures is the board without them."""
    bare = write_board(out).read_text()
    keep_published(out, [FIGURE])

    assert write_board(out).read_text().startswith(bare)


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
    assert "59.1" in (out / "README.md").read_text()
    assert main(["leaderboard", "build", str(out), "--published", "masking"]) == 2
    assert "has no published figures" in capsys.readouterr().err
