"""Tables as people have them: any name, kind and layout; ids to the last digit; and what is said about the rest."""

import gzip
import io

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from astrojepa_bench.data.column_names import candidates, told_unused
from astrojepa_bench.data.sources.class_folders import by_folders
from astrojepa_bench.data.sources.container import Container
from astrojepa_bench.data.sources.file_kinds import sort_files
from astrojepa_bench.data.sources.layouts import recognise
from astrojepa_bench.data.sources.listing import Columns
from astrojepa_bench.data.sources.table_columns import columns_known
from astrojepa_bench.data.sources.tables import class_notes, classes_of, ids_of, numbers_of, read_table
from astrojepa_bench.errors import DataError

COUNT = 24
IDS = [1237648720693755918 + 7 * row for row in range(COUNT)]  # digits that no floating-point number has
REDSHIFT = np.linspace(0.01, 0.1, COUNT).round(4)
FACTS = {
    "file": [f"g{row}.png" for row in range(COUNT)],
    "class": ["spiral", "edge on"] * (COUNT // 2),
    "z": REDSHIFT,
}


def folder_of(files, path):
    return files.write(path, FACTS["file"])


def held(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def written(path, frame):
    """Write a table in the form that its ending says."""
    match path.name.partition(".")[2]:
        case "csv":
            frame.to_csv(path, index=False)
        case "csv.gz":
            path.write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
        case "tsv":
            frame.to_csv(path, index=False, sep="\t")
        case "parquet":
            frame.to_parquet(path)
        case "ecsv":
            Table.from_pandas(frame).write(path, format="ascii.ecsv")
        case "vot":
            Table.from_pandas(frame).write(path, format="votable")
        case _:
            Table.from_pandas(frame).write(path, format="fits")


@pytest.mark.parametrize(
    "name",
    [
        "catalogue.fits", "x.parquet", "x.ecsv", "x.vot",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("x.FIT", "x.csv", "x.csv.gz", "x.tsv")),
    ],
)  # fmt: skip
def test_a_lone_table_of_any_kind_and_name_is_the_table(files, tmp_path, name):
    """Labels and redshifts of 24 galaxies come from it, under other names; a FITS table is no image."""
    folder = folder_of(files, tmp_path / "f")
    written(folder / name, pd.DataFrame(FACTS))
    table = files.load(folder)
    assert len(table) == COUNT
    assert table.card.class_names == ("edge on", "spiral")
    np.testing.assert_array_equal(table.redshift, REDSHIFT)
    assert "columns read under other names: path (file), label (class), redshift (z)" in table.card.notes


def test_tables_that_are_not_read_are_named(files, tmp_path):
    """Of two at the root none is guessed; one that is named leaves the other counted; one deeper is counted."""
    folder = folder_of(files, tmp_path / "f")
    written(folder / "a.fits", pd.DataFrame(FACTS))
    written(folder / "b.csv", pd.DataFrame(FACTS))
    assert (
        "there are 2 tables, a.fits, b.csv; name the one that lists the images as dataset.table"
        in files.refusal(folder)
    )
    told = "1 tables were not read, first {}; dataset.table names the one that is"
    assert told.format("b.csv") in files.load(folder, table="a.fits").card.notes
    (folder / "deep").mkdir()
    (folder / "b.csv").rename(folder / "deep" / "b.csv")
    assert told.format("deep/b.csv") in files.load(folder).card.notes


def test_ids_survive_an_empty_cell_in_every_kind_of_table():
    """19-digit ids beside a gap never pass through floating point, in any kind of table."""
    column = MaskedColumn(IDS, mask=[False] * (COUNT - 1) + [True], dtype=np.int64, fill_value=-999)
    table = Table({"objid": column})
    frame = pd.DataFrame({"objid": pd.array([*IDS[:-1], None], dtype="Int64")})
    tables = {
        "a.fits": held(lambda file: table.write(file, format="fits")),
        "a.vot": held(lambda file: table.write(file, format="votable")),
        "a.ecsv": "\n".join(table.pformat(-1, -1)).encode(),
        "a.parquet": held(frame.to_parquet),
        "a.csv": frame.to_csv(index=False).encode(),
    }
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    tables["a.ecsv"] = text.getvalue().encode()
    for name, data in tables.items():
        found, notes = ids_of(read_table(name, data)["objid"])
        assert found[:-1] == [str(each) for each in IDS[:-1]], name
        assert notes == []


def test_large_unsigned_ids_survive():
    """Ids beyond 2^63 (unsigned, in FITS through TZERO) keep their digits."""
    large = np.array([2**63 + 2**40 + row for row in range(4)], dtype=np.uint64)
    data = held(lambda file: Table({"id": large}).write(file, format="fits"))
    assert ids_of(read_table("a.fits", data)["id"])[0] == [str(each) for each in large.tolist()]
    frame = pd.DataFrame({"id": pd.array([*large.tolist(), None], dtype="UInt64")})
    found = ids_of(read_table("a.parquet", held(frame.to_parquet))["id"])[0]
    assert found == [*(str(each) for each in large.tolist()), ""]


def test_digits_that_were_lost_before_are_told():
    """Ids that somebody wrote as floating-point numbers, or in powers of ten, are told."""
    floats = pd.Series([float(each) for each in IDS[:3]] + [np.nan], name="id")
    assert "3 ids of column 'id' are floating-point numbers beyond 2^53" in ids_of(floats)[1][0]
    spread = pd.Series(["1.23765E+18", "000123", ""], name="id", dtype=object)
    found, notes = ids_of(spread)
    assert found == ["1.23765E+18", "000123", ""]  # zeros before a number are part of the id
    assert "1 ids of column 'id' are written as 1.23765E+18" in notes[0]
    found, notes = ids_of(pd.Series(["1.0", "", "12.0"], name="id", dtype=object))
    assert found == ["1", "", "12"]
    assert "written with a decimal point (1.0)" in notes[0]


LAYOUTS = {
    "semicolons and decimal commas": (b"id;redshift\ng0;0,5\ng1;1,5\n", "columns are separated by semicolons"),
    "tabulators": (b"id\tredshift\ng0\t0.5\ng1\t1.5\n", "columns are separated by tabulators"),
    "a spreadsheet's own line": (b"sep=;\nid;redshift\ng0;0.5\ng1;1.5\n", ""),
    "byte order mark": ("\ufeffid,redshift\ng0,0.5\ng1,1.5\n".encode(), ""),
    "UTF-16": ("id,redshift\ng0,0.5\ng1,1.5\n".encode("utf-16"), "the table is written in UTF-16"),
    "Windows": ("id,redshift,t\ng0,0.5,barrée\ng1,1.5,x\n".encode("cp1252"), "1 characters are read as Windows-"),
    "SkyServer": (b"#Table1\nid,redshift\ng0,0.5\ng1,1.5\n", ""),
    "heading behind a sign": (b"# made, by, me\n# id,redshift\ng0,0.5\ng1,1.5\n", ""),
    "quoted line ends": (b'id,redshift,text\ng0,0.5,"a\nb"\ng1,1.5,"c,d"\n', ""),
    "a name twice": (b"id,redshift,redshift\ng0,0.5,9\ng1,1.5,9", "1 names of columns stand twice in the"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LAYOUTS)
def test_text_is_read_however_it_is_laid_out(kind):
    """The same two galaxies, and a note on what was assumed."""
    data, note = LAYOUTS[kind]
    frame = read_table("a.csv", data)
    assert ids_of(frame["id"])[0] == ["g0", "g1"]
    values, _ = numbers_of(frame["redshift"])
    np.testing.assert_array_equal(values, [0.5, 1.5])
    assert note in " ".join(frame.attrs["notes"])


def test_numbers_that_are_written_otherwise_are_counted():
    """Decimal commas, true and false, and whole numbers that no float holds are read and counted."""
    for texts, values, note in (
        (["0,5", "", "1,25"], [0.5, np.nan, 1.25], "has decimal commas in 2 rows"),
        (["True", "false", ""], [1, 0, np.nan], "holds true or false in 2 rows"),
        (["9007199254740993", "1", ""], [2.0**53, 1, np.nan], "beyond 2^53 in 0 rows"),
        (["0,5", "1.5"], [np.nan, 1.5], "holds text in 1 rows, first '0,5'"),
    ):
        found, notes = numbers_of(pd.Series(texts, dtype=object, name="x"))
        np.testing.assert_array_equal(found, values)
        assert note in " ".join(notes) or "in 0 rows" in note
    big = numbers_of(pd.Series(["1237648720693755918", "1"], dtype=object, name="x"))[1]
    assert "whole numbers beyond 2^53 in 1 rows, which are rounded" in big[0]


def test_classes_are_named_as_people_write_them():
    """NA, None and null are classes and told; nan is none, and told; numbers go before words, in their order."""
    column = pd.Series(
        ["NA", "null", "10", "2", "nan", "", "=1+1", "Sa/Sb", "\U0001f300", "barre\u0301e"], dtype=object
    )
    names, label = classes_of(column)
    assert names == ("2", "10", "=1+1", "NA", "Sa/Sb", "barr\u00e9e", "null", "\U0001f300")
    assert label.tolist()[4:6] == [-1, -1]
    notes = class_notes(column)
    assert "1 labels are 'nan' and mean unlabelled" in notes
    assert any(note.startswith("1 labels are 'NA': a class as any other") for note in notes)
    numbers = pd.Series([0.0, 2.0, 5.0, -1.0, 255.0, np.nan])
    assert classes_of(numbers)[0] == ("0", "2", "5")
    assert class_notes(numbers) == [
        "1 labels are '-1' and mean unlabelled",
        "1 labels are '255' and mean unlabelled",
    ]
    assert class_notes(pd.Series(["Ring", "ring"])) == ["2 classes differ in nothing but case: Ring, ring"]


@pytest.mark.parametrize(
    ("columns", "unit", "reason"),
    [
        ({"z": REDSHIFT}, "", None),
        ({"z": REDSHIFT, "g": REDSHIFT + 18, "r": REDSHIFT + 17}, "", None),
        ({"z": REDSHIFT + 17}, "", "its median is 17.05"),
        ({"z": REDSHIFT * 10, "g": REDSHIFT * 3, "r": REDSHIFT * 7}, "", "it stands beside g and r"),
        ({"z": REDSHIFT}, "mag", "its unit is 'mag'"),
        ({"z": REDSHIFT, "g": REDSHIFT - 20, "r": REDSHIFT - 21}, "", None),  # absolute magnitudes
        ({"z": REDSHIFT - 22, "g": REDSHIFT - 20, "r": REDSHIFT - 21}, "", "it stands beside g and r"),
        ({"z": REDSHIFT * 10, "g'": REDSHIFT * 3, "R": REDSHIFT * 7}, "", "it stands beside g and r"),
        ({"z'": REDSHIFT + 17, "g'": REDSHIFT + 19}, "", "its median is 17.05"),
        ({"z_": REDSHIFT + 17}, "", "its median is 17.05"),
    ],
)
def test_a_brightness_in_band_z_is_no_redshift(columns, unit, reason):
    """A column z is a redshift unless its unit, its size or its neighbours say that it is a brightness."""
    frame = pd.DataFrame(columns)
    z = next(iter(columns))
    frame.attrs["units"] = {z: unit}
    found = columns_known(frame, np.arange(COUNT).astype(str), Columns())
    if reason is None:
        np.testing.assert_array_equal(found.catalogue.redshift, REDSHIFT)
        assert found.taken == {"redshift": "z"}
        return
    assert np.isnan(found.catalogue.redshift).all()
    assert any(f"column '{z}' is not taken for redshift: {reason}" in note for note in found.notes)


def test_columns_that_are_not_used_are_named_and_near_names_asked_about(files, tmp_path):
    """'redshfit' is no redshift; the card asks, and lists what else is not read."""
    columns = {"objid": np.arange(COUNT) + 500, "redshfit": REDSHIFT, "mass": REDSHIFT}
    table = files.load(files.tabled(tmp_path / "f", **columns))
    assert table.ids[0] == "500"
    assert "column 'redshfit' of table.csv is not used; did you mean redshift?" in table.card.notes
    assert "2 columns of table.csv are not used: redshfit, mass" in table.card.notes


def test_the_plain_name_goes_before_all_others():
    """And of the others the likeliest: a spectroscopic redshift before one of unknown origin."""
    assert candidates("redshift", ["photoz", "Z", "Z_SPEC", "REDSHIFT"]) == [
        "REDSHIFT",
        "Z_SPEC",
        "Z",
        "photoz",
    ]
    assert candidates("dec", ["DEJ2000", "Dec"]) == ["Dec", "DEJ2000"]
    assert told_unused(["lable"], {}) == [
        "column 'lable' is not used; did you mean label?",
        "1 columns are not used: lable",
    ]


def test_what_is_only_named_like_it_is_passed_over(files, tmp_path):
    """A type that is a fraction is no class, a name that repeats no id, and alpha without delta no position."""
    columns = {"type": REDSHIFT, "name": ["SDSS", "DESI"] * 12, "alpha": REDSHIFT}
    table = files.load(files.tabled(tmp_path / "f", **columns))
    assert set(table.label) == {-1}
    assert table.ids[0] == "images/00"
    assert table.ra is None
    told = " ".join(table.card.notes)
    for words in (
        "'type' is not taken for labels",
        "'name' repeats 22 of its values",
        "'alpha' is not taken for ra",
    ):
        assert words in told


def test_pictures_may_state_a_pixel_scale(files, tmp_path):
    """Arcsec per pixel from an option or a column, of the picture as it lies; a header is overruled."""
    folder = files.tabled(tmp_path / "f", pixscale=[0.4] * 12 + [0.2] * 12)
    np.testing.assert_allclose(files.load(folder).pixel_scale, [0.8] * 12 + [0.4] * 12)  # 12 px become 6
    np.testing.assert_allclose(files.load(folder, pixel_scale=0.262).pixel_scale, 0.524)
    assert files.load(folder, pixel_scale="none").pixel_scale is None
    assert "pixel_scale is 0.0; expected arcsec per pixel" in files.refusal(folder, pixel_scale=0.0)
    assert "no column 'pxscal'; did you mean 'pixscale'" in files.refusal(folder, pixel_scale="pxscal")


def test_a_table_takes_nothing_from_elsewhere():
    """A VOTable whose data lie behind a link is refused, and so is one that claims a giant list."""
    whole = held(lambda file: Table({"id": [1]}).write(file, format="votable")).decode()
    link = whole.replace("<TABLEDATA>", '<BINARY><STREAM href="file:///etc/passwd"/></BINARY><TABLEDATA>')
    wide = whole.replace('datatype="long"', 'datatype="long" arraysize="1000000000"')
    for text, reason in ((link, "its data lie in another file"), (wide, "claims lists of 1000000000 values")):
        with pytest.raises(DataError, match=reason):
            read_table("a.vot", text.encode())


def test_a_table_among_fits_images_is_told_by_what_it_holds(tmp_path):
    """catalogue.fits beside FITS images, one with its image in an extension, is the table of them."""
    folder = tmp_path / "f"
    folder.mkdir()
    for row in range(COUNT):
        values = np.random.default_rng(row).normal(0, 1, (12, 12)).astype(np.float32)
        image = fits.PrimaryHDU(values) if row % 2 else fits.ImageHDU(values)
        fits.HDUList([image] if row % 2 else [fits.PrimaryHDU(), image]).writeto(folder / f"g{row}.fits")
    Table({**FACTS, "file": [f"g{row}.fits" for row in range(COUNT)]}).write(folder / "catalogue.fits")
    found = sort_files(Container.opened(folder), "")
    assert (found.table, len(found.images)) == ("catalogue.fits", COUNT)
    (folder / "catalogue.fits").rename(folder / "g99.FITS")
    assert sort_files(Container.opened(folder), "").table == "g99.FITS"


def test_a_path_is_read_as_what_it_is(tmp_path):
    """A table alone is refused with the way out; an HDF5 file's classes are found under another name."""
    (tmp_path / "x.csv").write_text("id\n1\n")
    with pytest.raises(DataError, match=r"x.csv is a table; give the folder in which all images"):
        recognise(tmp_path / "x.csv")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = np.zeros((4, 8, 8, 3), np.uint8)
        file["class"], file["type"] = [0, 1, 0, 3], [0.5, 1, 2, 3]
    assert recognise(tmp_path / "a.h5") == ("hdf5", {"path": tmp_path / "a.h5", "label": "class"})


# --- as people write them elsewhere -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        (["01", "1", "1.0", "2"], ("1", "2"), "3 labels are written in several ways (01, 1, 1.0)"),
        (["b'E'", 'b"S"', "b'E'", "b'S'"], ("E", "S"), "4 labels are written as Python writes bytes"),
    ],
)
def test_labels_of_several_spellings_are_one_class_and_counted(labels, names, said):
    """No class is renamed without a word."""
    column = pd.Series(labels, name="class", dtype=object)

    assert classes_of(column)[0] == names
    assert any(note.startswith(said) for note in class_notes(column))


def test_a_redshift_beyond_all_galaxies_is_unknown():
    """9999 is how some catalogues write that there is none."""
    frame = pd.DataFrame({"redshift": [0.1, 9999.0, 99.0, 7.5]})
    found = columns_known(frame, np.arange(4).astype(str), Columns())

    np.testing.assert_array_equal(found.catalogue.redshift, [0.1, np.nan, np.nan, 7.5])
    assert any("2 redshifts of 30 or more" in note for note in found.notes)


def test_a_folder_called_unlabelled_is_no_class():
    """Its images have no class, and the card counts them."""
    found = by_folders([f"{top}/{n}.jpg" for top in ("S", "E", "Unlabeled") for n in range(2)])

    assert (found.class_names, found.label.tolist()) == (("E", "S"), [1, 1, 0, 0, -1, -1])
    assert found.notes[0].startswith("2 images lie in a folder called unlabelled")
