"""The commands that look at a run: each writes what it says it wrote, the same each time, and errs in one line."""

import json
import shutil

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from astrojepa_bench.cli import main
from astrojepa_bench.explore import map as map_module

PNG, HTML = b"\x89PNG", b"<!doctype html>"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def look(record_path, galaxies, cache, capsys):
    """Run a looking command on the run's own galaxies; gives exit code, stdout and stderr."""

    def run(verb, *words, record=record_path, files=True):
        given = ["--set", f"dataset.path={galaxies}"] if files else []
        places = ["--cache", str(cache), "--device", "cpu"]
        code = main([verb, str(record), *map(str, words), *given, *places])
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("words", "ending", "start"),
    [
        (("embed",), ".h5", b"\x89HDF"), (("embed",), ".npz", b"PK"), (("embed",), ".parquet", b"PAR1"),
        (("embed",), ".fits", b"SIMPLE"), (("latents", "--index", 2), ".png", PNG),
        (("map", "--method", "pca", "--colour", "redshift"), ".pdf", b"%PDF"),
        (("map", "--thumbnails"), ".png", PNG),
        (("clusters",), ".svg", b"<?xml"), (("neighbours", "--index", 2), ".png", PNG),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else None,
)  # fmt: skip
@pytest.mark.slow
def test_the_same_command_writes_the_same_bytes(look, tmp_path, words, ending, start):
    """Of the kind that the name of the file says."""
    paths = [tmp_path / f"{name}{ending}" for name in ("one", "two")]
    for path in paths:
        code, out, _ = look(*words, "--out", path)
        assert code == 0
        assert str(path) in out

    assert paths[0].read_bytes().startswith(start)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.slow
def test_another_number_of_draws_is_computed_anew_and_never_kept(look, record_path, tmp_path):
    """What is kept is what evaluators are given; the default comes out the same before and after."""
    kept = next(path for path in record_path.parents if path.name == "out") / "features"
    tables = {}
    for name, words in (("few", ("--draws", 3)), ("usual", ()), ("again", ("--draws", 3)), ("kept", ())):
        code, out, _ = look("anomalies", "--json", "--out", tmp_path / f"{name}.csv", *words)
        assert code == 0
        assert json.loads(out)["draws"] == (words[1] if words else 16)
        tables[name] = pd.read_csv(tmp_path / f"{name}.csv")
        [file] = kept.glob("*.h5")
        with h5py.File(file) as features:
            assert ("prediction_errors" in features.get("extras", {})) == (name != "few")

    pd.testing.assert_frame_equal(tables["few"], tables["again"])
    pd.testing.assert_frame_equal(tables["usual"], tables["kept"])
    assert set(tables["few"]["draws"]) == {3}
    assert not np.allclose(tables["few"]["mean_mse"], tables["usual"]["mean_mse"], rtol=1e-4)
    assert np.corrcoef(tables["few"]["mean_mse"], tables["usual"]["mean_mse"])[0, 1] > 0.5


@pytest.mark.slow
def test_anomalies_in_two_formats_are_one_table(look, tmp_path):
    """CSV and VOTable say the same, beside a mosaic (the other formats: test_tables.py)."""
    for ending in (".csv", ".vot"):
        assert look("anomalies", "--out", tmp_path / f"odd{ending}")[0] == 0
    plain, virtual = pd.read_csv(tmp_path / "odd.csv"), Table.read(tmp_path / "odd.vot").to_pandas()

    assert (tmp_path / "odd.png").read_bytes().startswith(PNG)
    assert list(plain["rank"]) == list(range(1, len(plain) + 1))
    for name in ("index", "knn_distance", "mean_mse", "ra"):
        np.testing.assert_array_equal(plain[name], virtual[name])


def test_json_is_all_of_stdout(look, tmp_path):
    """Scripts read facts and not sentences."""
    facts = {}
    for verb, words in {"clusters": (), "neighbours": ("--index", 0), "map": ("--method", "pca")}.items():
        facts[verb] = json.loads(look(verb, *words, "--out", tmp_path / "x.png", "--json")[1])

    assert sum(cluster["galaxies"] for cluster in facts["clusters"]["clusters"]) == facts["map"]["galaxies"]
    assert facts["clusters"]["agreement"]["n"] == facts["map"]["galaxies"]
    assert [found["rank"] for found in facts["neighbours"]["neighbours"]] == list(range(10))


def test_a_run_is_named_by_the_first_letters_of_its_id(look, record_path, tmp_path):
    """In the output folder that `--runs` names; `-d` looks at any other galaxies, all of them."""
    words = ("-d", "hdf5", "--runs", record_path.parents[3], "--out", tmp_path / "all.npz", "--json")
    code, out, _ = look("embed", *words, record=record_path.stem[:6])

    assert code == 0
    assert json.loads(out)["galaxies"] == 120


@pytest.mark.slow
def test_tables_of_every_command_tell_run_command_and_meaning(look, record_path, table, tmp_path):
    """FITS headers name the run; columns that are places have their UCD."""
    name = str(table.ids[table.rows("test")[2]])
    commands = {
        "predict": ("predict", "--table"), "members": ("clusters", "--table"), "odd": ("anomalies", "--table"),
        "like": ("neighbours", "--id", name, "--among", "train", "--table"),
        "patches": ("latents", "--id", name, "--table"), "all": ("embed", "--latents"),
    }  # fmt: skip
    for file, words in commands.items():
        code, _, _ = look(*words, tmp_path / f"{file}.fits")
        assert code == 0
        with fits.open(tmp_path / f"{file}.fits") as written:
            header, columns = written[1].header, written[1].columns
        assert header["RUN_ID"] == record_path.stem
        assert header["COMMAND"].startswith("astrojepa-bench")
        assert len(header["DATE"]) == 10
        assert header[f"TUCD{columns.names.index('ra') + 1}"] == "pos.eq.ra;meta.main"


@pytest.mark.slow
def test_predict_prints_what_the_probes_are(look, galaxies, tmp_path):
    """Class and redshift of any galaxies; with --json all of it."""
    code, out, error = look("predict", "-d", galaxies, "--table", tmp_path / "p.csv", files=False)
    predicted = pd.read_csv(tmp_path / "p.csv")

    assert code == 0
    assert "class: linear probe of tap" in out
    assert "as recorded" in out
    assert "galaxies bear ids of the run's train or val galaxies" in error
    assert (predicted["redshift_scatter"] > 0).all()
    assert len(predicted) == 120
    facts = json.loads(look("predict", "--json")[1])
    assert len(facts["first"]) == 10
    assert {"predicted_class", "probability", "predicted_redshift"} <= set(facts["first"][0])


@pytest.mark.slow
def test_a_place_on_the_sky_is_a_query(look, table, tmp_path):
    """The galaxy that lies there, with its distance; a picture of one's own is another."""
    row = table.rows("test")[5]
    place = ("--ra", table.ra[row] + 2e-4, "--dec", table.dec[row])
    facts = json.loads(look("neighbours", *place, "--json")[1])
    Image.fromarray(np.moveaxis(np.asarray(table.images[row]), 0, -1)).save(tmp_path / "mine.png")
    mine = json.loads(look("neighbours", "--image", tmp_path / "mine.png", "--json")[1])

    assert facts["query"]["id"] == str(table.ids[row]) == mine["neighbours"][1]["id"]
    assert facts["query"]["separation_arcsec"] == pytest.approx(
        0.72 * np.cos(np.radians(table.dec[row])), abs=0.002
    )
    assert mine["query"]["id"] == "mine"


@pytest.mark.slow
def test_report_is_a_page(look, tmp_path):
    """What stands in it is tested in test_report.py."""
    assert look("report", "--out", tmp_path / "r.html")[0] == 0
    assert (tmp_path / "r.html").read_bytes().lstrip().startswith(HTML)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("embed", "--out", "x.xlsx"), "unknown ending '.xlsx'; use one of .h5, .npz, .parquet, .fits"),
        (("anomalies", "--out", "x.doc"), "unknown ending '.doc'; use one of .csv"),
        (("anomalies", "--by", "luck", "--out", "x.csv"), "unknown anomaly score 'luck'"),
        (("anomalies", "--draws", 0, "--out", "x.csv"), "0 draws of masks tell nothing; ask for 1 or more"),
        (("map", "--out", "x.html"), "'.html' is not a picture format"),
        (("map", "--method", "tsnee", "--out", "x.png"), "unknown method 'tsnee'"),
        (("map", "--colour", "redshit", "--out", "x.png"), "unknown column 'redshit'"),
        (("latents", "--index", "999", "--out", "x.png"), "index 999 is not among the"),
        (("neighbours", "--index", "-1", "--out", "x.png"), "index -1 is not among the"),
        (("neighbours", "--ra", "1"), "--ra and --dec belong together"),
        (("latents", "--id", "nobody", "--out", "x.png"), "has the id 'nobody'"),
        (("predict", "--table", "x.doc"), "unknown ending '.doc'; use one of .csv"),
        (("clusters", "--clusters", "0", "--out", "x.png"), "asked for 0 clusters"),
        (("report", "--out", "x.pdf"), "'.pdf' is not an HTML page"),
        (("embed", "-d", "hdf6", "--out", "x.h5"), "hdf6"),
        (("embed", "--out", "/proc/nowhere/x.h5"), "/proc/nowhere"),
    ],
)
def test_errors_are_one_line(look, tmp_path, monkeypatch, words, message):
    """Exit code 2, what was found and what was expected, and no file is left behind."""
    monkeypatch.chdir(tmp_path)
    code, out, error = look(*words)

    assert (code, out) == (2, "")
    assert message in error.splitlines()[-1]
    assert sum(line.startswith("astrojepa-bench: error") for line in error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_unknown_runs_are_one_line(look, tmp_path):
    """By id, and by file."""
    code, _, error = look("embed", "--out", tmp_path / "x.h5", "--runs", tmp_path, record="0000")
    assert code == 2
    assert "no run id starts with '0000'" in error
    assert "--out" in error
    code, _, error = look("embed", "--out", tmp_path / "x.h5", record=tmp_path / "none.json")
    assert code == 2
    assert "none.json cannot be read" in error


@pytest.fixture
def moved(record_path, tmp_path):
    """Copy the run's folder; give its record, and the file in which it remembers where its galaxies lie."""
    shutil.copytree(record_path.parents[3], tmp_path / "moved")
    record = tmp_path / "moved" / record_path.relative_to(record_path.parents[3])
    return record, tmp_path / "moved" / ".index" / "galaxies"


def test_where_galaxies_lay_is_told_when_they_are_gone(look, moved, galaxies, tmp_path):
    """What was expected where, and how to tell the new place; a folder that remembers nothing asks for it."""
    record, memory = moved
    gone = tmp_path / "lay" / "tiny.h5"
    memory.write_text(memory.read_text().replace(str(galaxies), str(gone)))
    words = ("embed", "--latents", tmp_path / "x.npz")
    for said in (f"galaxies of tiny.h5, which lay at {gone} and is gone", "records keep no folders"):
        code, _, error = look(*words, files=False, record=record)
        assert code == 2
        assert f"{said}; give its path with --set dataset.path=FILE" in error
        memory.unlink(missing_ok=True)


@pytest.mark.slow
def test_a_run_finds_its_own_galaxies_again(look, moved, tmp_path):
    """Wherever the folder lies by then; told once, it is known from then on."""
    record, memory = moved
    words = ("embed", "--latents", tmp_path / "x.npz", "--json")
    assert json.loads(look(*words, files=False, record=record)[1])["galaxies"] == 42
    memory.unlink()
    assert look(*words, files=False, record=record)[0] == 2
    assert look(*words, record=record)[0] == 0
    assert look(*words, files=False, record=record)[0] == 0


@pytest.mark.slow
def test_galaxies_that_lie_where_the_runs_lay_are_told_apart(look, moved, galaxies, tmp_path):
    """By their fingerprint: nobody looks at others unawares."""
    record, memory = moved
    other = tmp_path / "tiny.h5"
    shutil.copy(galaxies, other)
    with h5py.File(other, "a") as file:
        file["images"][0] = 7
    memory.write_text(memory.read_text().replace(str(galaxies), str(other)))
    code, _, error = look("embed", "--latents", tmp_path / "x.npz", files=False, record=record)

    assert code == 0
    assert "these are not the galaxies that run" in error


def test_a_missing_extra_is_told_before_anything_is_opened(look, tmp_path, monkeypatch):
    """With the line that installs it."""
    monkeypatch.setattr(map_module.importlib.util, "find_spec", lambda name: None)
    code, _, error = look("map", "--method", "umap", "--out", tmp_path / "x.png", files=False)

    assert code == 2
    assert "pip install 'astrojepa-bench[umap]'" in error
