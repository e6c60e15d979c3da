"""The table beside images: three kinds, what is read from it, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from astrojepa_bench.data.folder import Folder
from astrojepa_bench.options import Offer, resolve
from astrojepa_bench.signatures import option_schema

FACTS = {
    "ID": [f"g{row}" for row in range(24)],
    "path": [f"images/{row:02}.png" for row in range(24)],
    "label": np.arange(24) % 2,
    "RA": np.linspace(0, 300, 24),
    "Dec": np.linspace(-80, 80, 24),
    "redshift": np.linspace(0.01, 0.3, 24),
    "f_bar": np.linspace(0, 1, 24),
}


def write_tables(folder):
    from astropy.table import Table

    frame = pd.DataFrame(FACTS)
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_parquet(folder / "a.parquet")
    Table.from_pandas(frame).write(folder / "a.fits")


def test_tables_of_any_kind_say_the_same(files, tmp_path):
    """CSV, Parquet and FITS give the same galaxies to the last bit; RA is ra."""
    folder = files.write(tmp_path / "f", files.numbered())
    write_tables(folder)
    tables = [
        files.load(folder, table=f"a.{kind}", attributes=("f_bar",)) for kind in ("csv", "parquet", "fits")
    ]
    assert len({table.fingerprint for table in tables}) == 1
    for table in tables:
        assert table.ids.tolist() == FACTS["ID"]
        np.testing.assert_array_equal(table.ra, FACTS["RA"])
        np.testing.assert_array_equal(table.factors["f_bar"], FACTS["f_bar"])


def test_folder_and_zip_say_the_same(files, tmp_path):
    """A zip, with or without a folder around everything, gives the galaxies of the folder."""
    folder = files.tabled(tmp_path / "f", label=["a", "b"] * 12, id=np.arange(24))
    both = [files.load(folder), files.load(files.zipped(folder)), files.load(files.zipped(folder, "top/"))]
    assert len({table.fingerprint for table in both}) == 1


def test_table_nearest_the_root_is_used(files, tmp_path):
    """Of two tables the outer one counts, and paths are relative to it."""
    folder = files.tabled(tmp_path / "f", id=np.arange(24))
    (folder / "images" / "table.csv").write_text("id,path\n1,00.png\n")
    assert len(files.load(folder)) == 24
    assert "1 in 1 sky groups" in files.refusal(folder, table="images/table.csv").replace("1 galaxies", "1")


def test_lone_table_is_used_whatever_its_name(files, tmp_path):
    """A single table at the root is the table; two are refused by name, until one, or none, is named."""
    folder = files.tabled(tmp_path / "f", id=np.arange(24))
    (folder / "table.csv").rename(folder / "catalogue.csv")
    assert files.load(folder).ids[0] == "0"
    (folder / "b.csv").write_text("x\n1\n")
    message = files.refusal(folder)
    assert "2 tables, b.csv, catalogue.csv; name the one that lists the images as dataset.table" in message
    assert files.load(folder, table="none").ids[0] == "images/00"
    assert files.load(folder, table="catalogue.csv").ids[0] == "0"
    assert "no table 'catalog.csv'; did you mean 'catalogue.csv'" in files.refusal(
        folder, table="catalog.csv"
    )


def test_sentinels_and_words_among_numbers_are_unknown_and_counted(files, tmp_path):
    """-99, infinities, words and positions off the sky become NaN; each is counted on the card."""
    columns = {name: np.linspace(1, 9, 24).astype(object) for name in ("redshift", "ra", "dec", "size")}
    columns["redshift"][:3] = [-99, -1, "photometric"]
    columns["ra"][4:6] = ["12:30:01", "nan"]
    columns["dec"][7] = -999
    columns["size"][9:11] = ["inf", "-inf"]
    table = files.load(files.tabled(tmp_path / "f", **columns), attributes=("size",))
    assert np.flatnonzero(np.isnan(table.redshift)).tolist() == [0, 1, 2]
    assert np.flatnonzero(np.isnan(table.ra)).tolist() == [4, 5, 7]
    assert np.flatnonzero(np.isnan(table.factors["size"])).tolist() == [9, 10]
    for note in (
        "2 redshifts of -1 or less mean unknown",
        "column 'redshift' holds text in 1 rows, first 'photometric'; unknown there",
        "column 'ra' holds text in 1 rows, first '12:30:01'; unknown there",
        "1 positions are not on the sky; unknown there",
        "column 'size' is infinite in 2 rows; unknown there",
    ):
        assert note in table.card.notes


def test_attributes_are_options_of_the_command_line():
    """`--set dataset.attributes=f_smooth,f_bar` names two columns, and one name is one column."""
    offer = Offer("dataset", "folder", Folder, "x", "x", "", "", option_schema(Folder))
    for text, names in (("f_smooth,f_bar", ("f_smooth", "f_bar")), ("f_bar", ("f_bar",)), ("", ())):
        assert resolve(offer, {"path": "f", "attributes": text})["attributes"] == names
    assert all(option.doc for option in offer.options)


def test_missing_attribute_is_refused(files, tmp_path):
    """An attribute that is not there is named with its nearest match; without a table it cannot be there."""
    folder = files.tabled(tmp_path / "f", f_smooth=np.linspace(0, 1, 24))
    assert "no column 'f_smoth'; did you mean 'f_smooth'" in files.refusal(folder, attributes=("f_smoth",))
    (folder / "table.csv").unlink()
    assert "there is no table for the column 'f_smooth'" in files.refusal(folder, attributes=("f_smooth",))


def test_declared_splits_and_groups_are_honoured(files, tmp_path):
    """A split column is kept in any spelling, and rows of a group stay together."""
    folder = files.tabled(tmp_path / "f", split=["TRAIN", "validation", "Test"] * 8)
    assert files.load(folder).split.tolist() == ["train", "val", "test"] * 8
    grouped = files.load(
        files.tabled(tmp_path / "g", group=[*np.repeat(["a", "b", "c", "d"], 3), *[""] * 12])
    )
    assert all(len(set(grouped.split[row : row + 3])) == 1 for row in range(0, 12, 3))
    assert "4 groups of overlapping images hold 12 galaxies" in grouped.card.notes


def test_empty_split_is_refused_rather_than_guessed(files, tmp_path):
    """A row without a split might be one that its authors held out; an all-empty column declares nothing."""
    folder = files.tabled(tmp_path / "f", split=["train", "", "test"] * 8)
    assert "column 'split' holds ''; expected train, val or test in every row" in files.refusal(folder)
    assert "12 train / 4 val / 8 test" in str(
        files.load(files.tabled(tmp_path / "g", split=[""] * 24)).card.notes
    )


BAD_TABLES = {
    "empty": (b"", "is not a CSV table"),
    "heading only": (b"id,path\n", "has no rows"),
    "no columns": (b"nom,fichier\n1,a.png\n", "no column 'id' or 'path'; found nom, fichier"),
    "ids of nothing": (
        b"id,x\nq,1\n",
        "no image is named like an id (first 'q'), and table.csv has no column 'path'",
    ),
    "binary": (bytes(range(256)) * 9, "is not a CSV table"),
    "long rows": (b"id,path\n1,a.png,3,4\n", "is not a CSV table"),
    "open quote": (b'id,path\n1,"a.png\n', "is not a CSV table"),
    "long id": (b"id,path\n" + b"x" * 1_000_000 + b",a.png\n", "text of 1000000 characters in row 1"),
}


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_bad_table_is_refused_in_one_line(files, tmp_path, kind):
    """Whatever is wrong with a table, one short line says so."""
    folder = files.write(tmp_path / "f", files.numbered(3))
    (folder / "table.csv").write_bytes(BAD_TABLES[kind][0])
    message = files.refusal(folder)
    assert BAD_TABLES[kind][1] in message
    assert len(message) < 400


@pytest.mark.parametrize("suffix", ["parquet", "fits"])
def test_wrong_kind_of_table_is_refused(files, tmp_path, suffix):
    """Text under the name of another kind of table is refused in one line."""
    folder = files.write(tmp_path / "f", files.numbered(3))
    (folder / f"table.{suffix}").write_text("id,path\n1,a.png\n")
    assert f"table.{suffix} is not a " in files.refusal(folder)
