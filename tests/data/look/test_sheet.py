"""The contact sheet and `data show`: what an astronomer looks at first."""

import json

import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.cli import main
from astrojepa_bench.data.look.colours import as_rgb
from astrojepa_bench.data.look.sheet import (
    CELL_PX,
    GAP_PX,
    LINE_PX,
    TITLE_PX,
    caption,
    contact_sheet,
    footer,
    sheet_columns,
)
from astrojepa_bench.errors import DataError
from astrojepa_bench.types import Card, GalaxyTable, ImageSpec

BAND_NAMES = {1: ("gray",), 2: ("r", "g"), 3: ("z", "r", "g"), 4: ("g", "r", "i", "z"), 5: tuple("ugriz")}


def made_table(rows=12, bands=3, labels=None, odd=(), **columns):
    """A table of noise, its last rows anomalies."""
    rng = np.random.default_rng(0)
    names = np.array([""] * (rows - len(odd)) + list(odd))
    label = np.full(rows, -1) if labels is None else np.where(names == "", np.resize(labels, rows), -1)
    return GalaxyTable(
        images=rng.integers(0, 256, (rows, bands, 16, 16), dtype=np.uint8), ids=np.arange(rows).astype(str),
        split=np.full(rows, "test"), spec=ImageSpec(BAND_NAMES[bands], 16, (0.2,) * bands, (0.1,) * bands),
        card=Card("noise", "MIT", "nobody", ("round", "spiral")), fingerprint="f", label=label,
        anomaly=np.where(names == "", 0, np.where(names == "trail", 2, 1)), anomaly_type=names, **columns,
    )  # fmt: skip


@pytest.mark.parametrize("bands", range(1, 6))
@pytest.mark.parametrize("labels", [None, [0, 1, 1]])
def test_any_table_can_be_shown(bands, labels):
    """One to five bands, with or without labels, give a sheet of the size its columns need."""
    table = made_table(bands=bands, labels=labels)
    columns, sheet = len(sheet_columns(table, 3)), contact_sheet(table, 3)
    width, height = columns * (CELL_PX + GAP_PX) - GAP_PX, TITLE_PX + 3 * (CELL_PX + GAP_PX) - GAP_PX
    assert sheet.size == (width, height + LINE_PX * len(footer(table, [0], width)) + GAP_PX)
    assert np.asarray(sheet).std() > 10


def test_columns_are_classes_then_physical_anomalies_then_artefacts():
    """Classes stand in order, then anomalies, physical before artefacts, each with rows of its own kind."""
    table = made_table(20, labels=[1, 0], odd=("trail", "lens", "lens"))
    columns = sheet_columns(table, 4)
    assert [column.title for column in columns] == ["round", "spiral", "lens", "trail"]
    assert all((table.label[column.rows] == k).all() for k, column in enumerate(columns[:2]))
    assert columns[2].rows.tolist() == [18, 19]


def test_shown_galaxies_are_spread_over_the_table():
    """A file sorted by brightness is not shown by its first galaxies only."""
    assert sheet_columns(made_table(101, labels=[0]), 3)[0].rows.tolist() == [0, 50, 100]


def test_unlabelled_galaxies_stand_beside_the_classes():
    """A pool without labels has one column of its own."""
    table = made_table(9, labels=[0, 1, -1])
    assert [column.title for column in sheet_columns(table, 2)] == ["round", "spiral", "unlabelled"]


def test_classes_without_a_name_are_numbered():
    """A label beyond the card's names still has a title."""
    assert sheet_columns(made_table(4, labels=[3]), 1)[0].title == "class 3"


def test_bands_become_colours():
    """The reddest filter is red, whatever the order of four or five bands; one band is grey."""
    image = np.stack([np.full((2, 2), value, dtype=np.uint8) for value in (10, 20, 30, 40, 50)])
    assert as_rgb(image, tuple("ugriz"))[0, 0].tolist() == [50, 30, 10]
    assert as_rgb(image[:3], ("z", "r", "g"))[0, 0].tolist() == [10, 20, 30]
    assert as_rgb(image[:2], ("r", "g"))[0, 0].tolist() == [10, 15, 20]
    assert as_rgb(image[:1], ("gray",))[0, 0].tolist() == [10, 10, 10]


def test_caption_states_what_is_known():
    """Redshift and magnitude are printed; what is unknown is left out."""
    nan = np.nan
    table = made_table(2, redshift=np.array([0.081, nan]), factors={"magnitude_r": np.array([16.24, nan])})
    assert caption(table, 0) == "z=0.08 r=16.2"
    assert caption(table, 1) == ""


def test_scale_bar_is_ten_arcsec_long():
    """With 16 px of 2.5 arcsec, 10 arcsec are a quarter of the cell."""
    table = made_table(1, labels=[0], pixel_scale=np.array([2.5]))
    table.images[:] = 0
    row = np.asarray(contact_sheet(table, 1))[TITLE_PX + CELL_PX - 6, :CELL_PX, 0]
    assert (row > 200).sum() == pytest.approx(CELL_PX / 4, abs=1)


def test_empty_table_is_refused():
    """There is nothing to show of nothing, and the message says so."""
    with pytest.raises(DataError, match="no galaxy"):
        contact_sheet(made_table(0), 3)


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    """Run `data show synthetic` on a handful of galaxies, drawn once."""
    few = ("--set", "dataset.galaxies=24", "--size", "16", "--cache", str(tmp_path_factory.mktemp("cache")))
    return lambda *words: main(["data", "show", "synthetic", *few, *words])


def test_data_show_writes_a_sheet(show, tmp_path, capsys):
    """The command writes the picture and says as JSON where it is."""
    out = tmp_path / "pictures" / "sheet.png"
    assert show("--out", str(out), "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sheet"] == str(out)
    assert facts["galaxies"] == 24 + 6
    with Image.open(out) as sheet:
        columns = 10 + 5  # classes; types of anomalies, of which two in a round of six are mergers
        assert sheet.width == columns * (CELL_PX + GAP_PX) - GAP_PX


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "sheet.nonsense"), "cannot write"),
        (("--per-class", "0"), "1 or more"),
        (("--set", "dataset.galaxys=9"), "did you mean 'galaxies'"),
    ],
)
def test_data_show_refuses_what_it_cannot_do(show, capsys, words, message):
    """A wrong picture format, number or option ends with code 2 and one line."""
    assert show(*words) == 2
    error = capsys.readouterr().err.strip()
    assert message in error.splitlines()[-1]
