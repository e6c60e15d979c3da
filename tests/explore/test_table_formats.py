"""Tables explain themselves in the formats that can, hold any text, and keep ids what they are."""

import io
import json
import re

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.io import fits, votable
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table
from pyarrow import parquet

from astrojepa_bench.events import listening
from astrojepa_bench.explore.anomalies import anomaly_table
from astrojepa_bench.explore.clusters import cluster_members, find_clusters
from astrojepa_bench.explore.column_meanings import MEANINGS, meaning_of
from astrojepa_bench.explore.latents_map import patch_table
from astrojepa_bench.explore.neighbours import find_neighbours
from astrojepa_bench.explore.predict import prediction_table
from astrojepa_bench.explore.probes import fit_probes
from astrojepa_bench.explore.table_formats import (
    TableOrigin,
    as_csv,
    as_fits,
    as_hdf5,
    as_npz,
    as_parquet,
    as_votable,
    columns_of,
)

ORIGIN = TableOrigin("3f9a", "a + b", "2 galaxies", "astrojepa-bench embed 3f9a", "2026-11-29")
ANY_TEXT = ["spirale barrée/é1", "two\nlines", "ends in blanks  ", "猫 🌌", "x" * 300, "", "=1+1"]


def written(columns, ending, origin=ORIGIN):
    """Write columns, and read them back with the library that the format's users take."""
    match ending:
        case ".csv":
            return pd.read_csv(io.BytesIO(as_csv(columns)), keep_default_na=False)
        case ".parquet":
            return pd.read_parquet(io.BytesIO(as_parquet(columns, origin)))
        case ".fits":
            return Table.read(io.BytesIO(as_fits(columns, origin)), format="fits", mask_invalid=False)
        case ".vot":
            return Table.read(io.BytesIO(as_votable(columns, origin)), format="votable")
        case ".npz":
            return np.load(io.BytesIO(as_npz(columns, origin)))
    with h5py.File(io.BytesIO(as_hdf5(columns, origin))) as file:
        return {name: each.asstr()[:] if each.dtype.kind == "O" else each[:] for name, each in file.items()}


EVERY = (".csv", ".parquet", ".fits", ".vot", ".npz", ".h5")


@pytest.mark.parametrize("ending", EVERY[1:])
def test_ids_are_text_in_every_format(ending):
    """Digit by digit, so that one script joins them whatever the format: a number of 19 digits, one with zeros."""
    ids = ["1237648720693755918", "9223372036854775808", "-3", "007"]
    found = list(written(columns_of(pd.DataFrame({"id": ids})), ending)["id"])

    assert [each.decode() if isinstance(each, bytes) else each for each in found] == ids


@pytest.mark.parametrize("ending", EVERY)
def test_any_text_is_written(ending):
    """Accents, lines, blanks, other alphabets, long ones; spelt in ASCII where the format knows no more."""
    columns = columns_of(pd.DataFrame({"id": ANY_TEXT, "probability_barrée": np.linspace(0, 1, 7)}))
    found = written(columns, ending)
    ids = [str(each) for each in found["id"]]
    if ending == ".vot":
        ids[2] = ids[2].replace("\\u0020", " ")  # blanks at the end, which readers cut off
    if ending == ".fits":
        ids = [json.loads(f'"{each}"') for each in ids]  # \u00e9 is an é, here as in JSON
        assert "probability_barr\\u00e9e" in found.colnames
    if ending == ".csv":
        ids[-1] = ids[-1].removeprefix("'")

    assert ids == ANY_TEXT


NAMES = ["probability_" + name for name in ("a" * 60, "a" * 256, "A" * 70, "星" * 13, "'" * 60, "x y" * 40)]


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")  # of the reader
@pytest.mark.parametrize("ending", EVERY)
def test_any_name_of_a_class_names_a_column(ending):
    """However long, in any alphabet: no two columns become one, and none loses its numbers."""
    columns = columns_of(pd.DataFrame({name: [float(at)] for at, name in enumerate(NAMES)}))
    found = written(columns, ending, None)
    names = list(getattr(found, "colnames", found))

    assert sorted(float(found[name][0]) for name in names) == [*range(6)]
    assert len({name.casefold() for name in names}) == len(NAMES)


def test_a_name_too_long_for_fits_stands_whole_in_its_comment():
    """No letter that is spelt out is cut in two; a column of no known meaning keeps its name too."""
    names = [*NAMES, "μ" * 100]
    header = fits.open(io.BytesIO(as_fits({name: np.zeros(2) for name in names}, None)))[1].header
    kept = [header[f"TTYPE{at}"] for at in range(1, 8)]

    assert all(len(name) + name.count("'") <= 68 for name in kept)
    assert kept[0] == NAMES[0][:68]
    assert kept[1] == f"{NAMES[1][:66]}_2"
    assert re.fullmatch(r"probability_(\\u661f){9}", kept[3])
    assert header["TCOMM2"] == "probability of class " + "a" * 256
    assert json.loads(f'"{header["TCOMM4"]}"') == "probability of class " + "星" * 13
    assert header["TCOMM5"] == "probability of class " + "'" * 60
    assert json.loads(f'"{header["TCOMM7"]}"') == names[6]


@pytest.mark.filterwarnings("ignore::astropy.io.fits.verify.VerifyWarning")  # of the reader
@pytest.mark.parametrize("ending", EVERY)
def test_a_name_steers_no_terminal_and_no_spreadsheet(ending):
    """As the values of a table: escapes are spelt out, two that come to the same stay two."""
    hostile = ["\x1b[31mred", "\\u001b[31mred", "a\ufffeb ", "=1+1"]
    columns = columns_of(pd.DataFrame({name: [float(at)] for at, name in enumerate(hostile)}))
    found = written(columns, ending, None)
    names = list(getattr(found, "colnames", found))

    assert sorted(float(found[name][0]) for name in names) == [0, 1, 2, 3]
    assert not any("\x1b" in name for name in names)
    if ending == ".csv":
        assert names[0] == "\\u001b[31mred"
        assert names[3] == "'=1+1"


@pytest.mark.parametrize("ending", EVERY)
def test_a_table_without_rows_is_a_table(ending):
    """With its columns."""
    columns = columns_of(pd.DataFrame({"id": np.array([], dtype=str), "ra": np.array([], dtype=float)}))
    found = written(columns, ending)

    assert {"id", "ra"} <= set(getattr(found, "colnames", found))
    assert len(found["id"]) == 0


def test_letters_that_fits_lacks_are_counted_in_a_note():
    """And nothing is said where there are none."""
    notes = []
    with listening(lambda event: notes.append(event.fields.get("text", ""))):
        as_fits(columns_of(pd.DataFrame({"id": ["a", "b"]})), ORIGIN)
        assert notes == []
        as_fits(columns_of(pd.DataFrame({"id": ["é", "b"], "class": ["barrée", ""]})), ORIGIN)
    assert notes[0].startswith("2 texts are spelt in ASCII")


# --- what a table says of itself --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def columns(sample):
    """A table of facts, a vector and a probability."""
    probes = fit_probes(sample.run, lambda: None)
    return columns_of(prediction_table(sample, probes, latents=True))


def test_every_unit_and_ucd_is_of_the_standards():
    """UCDs by the IVOA's list, units by astropy, FITS and VOTable."""
    for name, meaning in MEANINGS.items():
        assert meaning.text, name
        assert not meaning.ucd or check_ucd(meaning.ucd, check_controlled_vocabulary=True), name
        if meaning.unit:
            for standard in ("fits", "vounit"):
                units.Unit(meaning.unit).to_string(standard)


def test_every_column_of_every_table_is_explained(sample):
    """Whatever a command writes has a sentence of its own."""
    tables = [
        anomaly_table(sample), find_neighbours(sample, 0), cluster_members(find_clusters(sample)),
        prediction_table(sample, fit_probes(sample.run, lambda: None), latents=True), patch_table(sample, 0),
    ]  # fmt: skip
    names = {str(name) for table in tables for name in table}

    assert [name for name in sorted(names) if not (meaning_of(name).text and meaning_of(name).ucd)] == []


def test_fits_headers_explain_the_table(columns):
    """Units, UCDs and descriptions by column; the run, the command and the day in both headers."""
    with fits.open(io.BytesIO(as_fits(columns, ORIGIN))) as file:
        file.verify("exception")
        header, names = file[1].header, file[1].columns.names
        place = names.index("ra") + 1
        assert (header[f"TUNIT{place}"], header[f"TUCD{place}"]) == ("deg", "pos.eq.ra;meta.main")
        assert header[f"TCOMM{place}"].startswith("right ascension")
        for each in file[:2]:
            assert (each.header["RUN_ID"], each.header["COMMAND"]) == ("3f9a", "astrojepa-bench embed 3f9a")
            assert each.header["DATE"] == "2026-11-29"
        np.testing.assert_array_equal(file[1].data["latents"], columns["latents"])


def test_votables_explain_the_table(columns):
    """In fields and INFO elements."""
    tree = votable.parse(io.BytesIO(as_votable(columns, ORIGIN)), verify="exception")
    fields = {field.name: field for field in tree.get_first_table().fields}

    assert (fields["dec"].ucd, str(fields["dec"].unit)) == ("pos.eq.dec;meta.main", "deg")
    assert fields["probability"].ucd == "stat.probability;src.class"
    assert "class 0" in fields["probability_class 0"].description
    told = {info.name: info.value for info in tree.resources[0].infos}
    assert told | {"run_id": "3f9a", "date": "2026-11-29"} == told


def test_parquet_explains_the_table(columns):
    """In the metadata of fields and file, and as a VOTable without rows, which tools of astronomers read."""
    schema = parquet.read_schema(io.BytesIO(as_parquet(columns, ORIGIN)))
    head = Table.read(io.BytesIO(schema.metadata[b"IVOA.VOTable-Parquet.content"]), format="votable")

    assert schema.field("id").metadata[b"ucd"] == b"meta.id;meta.main"
    assert schema.field("pixel_scale").metadata[b"unit"] == b"arcsec / pix"
    assert schema.metadata[b"run_id"] == b"3f9a"
    assert str(head["ra"].unit) == "deg"
    assert len(head) == 0


def test_hdf5_and_numpy_tell_their_run(columns):
    """As attributes, and as arrays of one text."""
    with h5py.File(io.BytesIO(as_hdf5(columns, ORIGIN))) as file:
        assert (file.attrs["run_id"], file["ra"].attrs["unit"]) == ("3f9a", "deg")
    assert str(np.load(io.BytesIO(as_npz(columns, ORIGIN)))["command"]) == "astrojepa-bench embed 3f9a"
