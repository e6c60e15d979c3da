"""Which way is up: arrows of north and east, and captions that are true of FITS and of pictures."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.data.look.lying import colours_of, compass, compasses_differ, orientation_note
from astrojepa_bench.data.look.sheet import CELL_PX, TITLE_PX, contact_sheet, sheet_note
from astrojepa_bench.types import ORIENTATION, Card, GalaxyTable, ImageSpec


def lying(*rows):
    """A table whose pictures lie as given: north [deg], mirrored, and their first row at the bottom."""
    count = len(rows)
    return GalaxyTable(
        images=np.zeros((count, 3, 8, 8), np.uint8), ids=np.arange(count).astype(str),
        split=np.full(count, "test"), spec=ImageSpec(("i", "r", "g"), 8, (0.2,) * 3, (0.1,) * 3),
        card=Card("x", "", ""), fingerprint="f", label=np.full(count, -1), anomaly=np.zeros(count, int),
        anomaly_type=np.full(count, ""), orientation=np.array(list(rows), dtype=ORIENTATION),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("row", "north", "east"),
    [
        ((0, False, True), (0, -1), (-1, 0)), ((0, True, True), (0, -1), (1, 0)),
        ((90, False, True), (-1, 0), (0, 1)), ((180, True, True), (0, 1), (-1, 0)),
    ],
)  # fmt: skip
def test_east_is_left_of_north_unless_the_sky_is_mirrored(row, north, east):
    """Vectors run to the right and down."""
    found = compass(lying(row), 0)
    np.testing.assert_allclose(found.north, north, atol=1e-9)
    np.testing.assert_allclose(found.east, east, atol=1e-9)


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([(0, False, True), (1, False, True)], "north up, east left, row 0 at the bottom"),
        ([(0, True, True)], "north up, east right (a mirrored sky), row 0 at the bottom"),
        (
            [(30, False, True), (0, True, True)],
            "arrows: north and east, 1 show a mirrored sky, row 0 at the bottom",
        ),
        ([(np.nan, False, True)], "row 0 at the bottom"),
        ([(np.nan, False, True), (np.nan, False, False)], "row 0 at the top, of FITS at the bottom"),
        ([(np.nan, False, False)], "row 0 at the top"),
    ],
)
def test_captions_are_true_of_what_is_shown(rows, note):
    """FITS begins below, pictures above, and only headers know where north is."""
    table = lying(*rows)
    assert orientation_note(table, range(len(rows))) == note
    assert sheet_note(table, range(len(rows))) == f"red: i, green: r, blue: g; {note}"


def test_a_caption_promises_no_arrows_where_none_are_drawn():
    """As on a map of tiles."""
    table = lying((30, False, True), (0, True, True))
    assert orientation_note(table, [0, 1], arrows=False) == "1 show a mirrored sky, row 0 at the bottom"


def test_one_pair_of_arrows_serves_pictures_that_lie_alike():
    """Each picture has its own where they differ, or where some do not know."""
    upright, turned, unknown = (0, False, True), (40, False, True), (np.nan, False, True)
    assert not compasses_differ(lying(upright, upright), [0, 1])
    assert compasses_differ(lying(upright, turned), [0, 1])
    assert compasses_differ(lying(upright, unknown), [0, 1])
    assert not compasses_differ(lying(unknown, unknown), [0, 1])


def test_arrows_stand_in_the_corner_of_the_sheet():
    """On black pictures the first cell has white arrows, and none where nobody knows north."""
    table = lying((0, False, True), (0, False, True))
    corner = (CELL_PX - 50, TITLE_PX + 5, CELL_PX - 5, TITLE_PX + 50)
    known, unknown = (
        contact_sheet(each, 2).crop(corner) for each in (table, replace(table, orientation=None))
    )
    assert np.asarray(known).max() > 200
    assert np.asarray(unknown).max() == 0
    assert isinstance(known, Image.Image)


def test_colours_name_the_bands_that_are_shown():
    """Of five bands the reddest, the middle and the bluest, whatever their order; files without filters say so."""
    assert colours_of(tuple("ugriz")) == {"red": "z", "green": "r", "blue": "u"}
    assert colours_of(("F606W", "F814W")) == {"red": "F814W", "green": "mean", "blue": "F606W"}
    assert colours_of(("g", "r", "i")) == {"red": "i", "green": "r", "blue": "g"}
    assert colours_of(("red", "green", "blue")) == {}
