"""Which galaxies of a table are in a list: each way of finding them, against what was planted."""

import json

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astrojepa_bench.cli import main
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.overlap import find_overlap, read_list
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.certificate import Certificate


def write(path, count=30, side=12, **columns):
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    with h5py.File(path, "w") as file:
        for name, values in {"images": images, "ans": np.arange(count) % 2, **columns}.items():
            file[name] = values
    return path


@pytest.fixture
def placed(tmp_path):
    """Return thirty galaxies across RA 0 and up to the pole, as a table and its file."""
    stream = np.random.default_rng(1)
    ra, dec = (
        stream.uniform(-3, 3, 30) % 360,
        np.append(stream.uniform(-60, 60, 25), stream.uniform(89, 90, 5)),
    )
    path = write(tmp_path / "a.h5", ra=ra, dec=dec)
    return Hdf5(path=path).load(6, tmp_path / "cache"), path


def test_ids_of_a_text_file_and_of_a_table(placed, tmp_path):
    """Whatever the container, ids are compared as text."""
    table, _ = placed
    (tmp_path / "l.txt").write_text("3\n17\nsomebody else\n\n")
    pd.DataFrame({"id": [3, 17, 99]}).to_parquet(tmp_path / "l.parquet")
    Table({"ID": ["3", "17"]}).write(tmp_path / "l.fits")
    for name in ("l.txt", "l.parquet", "l.fits"):
        found = find_overlap(table, read_list(tmp_path / name, tmp_path), 5.0, tmp_path)
        assert list(found.by) == ["id"]
        assert set(table.ids[found.seen].tolist()) == {"3", "17"}


@pytest.mark.parametrize("radius", [8.0, 30.0])
def test_positions_are_matched_as_astropy_does(placed, tmp_path, radius):
    """Neighbours of a few to some dozens of arcseconds, across RA 0 and at the pole."""
    table, _ = placed
    stream = np.random.default_rng(2)
    near = SkyCoord(table.ra * units.deg, table.dec * units.deg).directional_offset_by(
        stream.uniform(0, 360, 30) * units.deg, stream.uniform(0, 60, 30) * units.arcsec
    )
    pd.DataFrame({"RA": near.ra.deg, "Dec": near.dec.deg}).to_csv(tmp_path / "l.csv", index=False)
    found = find_overlap(table, read_list(tmp_path / "l.csv", tmp_path), radius, tmp_path)
    truth = (
        SkyCoord(table.ra * units.deg, table.dec * units.deg).match_to_catalog_sky(near)[1].arcsec <= radius
    )
    np.testing.assert_array_equal(found.by["sky"], truth)
    assert 0 < truth.sum() < 30


def test_a_list_of_nothing_comparable_is_refused(placed, tmp_path):
    """A table without ids and positions, and positions where the galaxies have none."""
    pd.DataFrame({"title": ["a"], "ra": [1.0]}).to_csv(tmp_path / "l.csv", index=False)
    with pytest.raises(DataError, match="has the columns title, ra; expected id, or ra and dec"):
        read_list(tmp_path / "l.csv", tmp_path)
    pd.DataFrame({"ra": [1.0], "dec": [1.0]}).to_csv(tmp_path / "p.csv", index=False)
    bare = Hdf5(path=write(tmp_path / "b.h5")).load(6, tmp_path / "cache")
    with pytest.raises(DataError, match="positions alone and b has none"):
        find_overlap(bare, read_list(tmp_path / "p.csv", tmp_path), 5.0, tmp_path)


def test_a_certificate_is_of_one_test_set(placed, tmp_path):
    """It names what was found on each side, is read back for the same galaxies, and refused for others."""
    table, path = placed
    listed = read_list(path, tmp_path / "cache")
    found = find_overlap(table, listed, 5.0, tmp_path / "cache")
    assert list(found.by) == ["sky", "pixels"]  # rows of an HDF5 file have no names
    certificate = Certificate.of(table, listed, found, 5.0)
    assert {side: len(ids) for side, ids in certificate.seen.items()} == certificate.galaxies
    file = tmp_path / "c.json"
    file.write_text(certificate.to_json())
    assert Certificate.read(file, table) == certificate
    other = Hdf5(path=write(tmp_path / "b.h5", 20)).load(6, tmp_path / "cache")
    with pytest.raises(DataError, match=r"is about the \d+ test galaxies of a, these are \d+ others of b"):
        Certificate.read(file, other)
    file.write_text("{}")
    with pytest.raises(DataError, match="is no certificate"):
        Certificate.read(file, table)


@pytest.mark.slow
def test_on_the_command_line(placed, tmp_path, capsys):
    """The counts by split, as a table and as JSON, and the certificate as a file."""
    table, path = placed
    (tmp_path / "l.txt").write_text("\n".join(table.ids[table.rows("test")][:3].tolist()))
    words = ["data", "overlap", str(path), str(tmp_path / "l.txt"), "--cache", str(tmp_path / "cache")]
    assert main([*words, "--out", str(tmp_path / "c.json")]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[0] == "a and l.txt (3 ids)"
    assert [line.split() for line in shown.splitlines() if line.startswith("test")] == [
        ["test", "11", "3", "3"]
    ]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "c.json").read_text())
    assert main([*words, "--radius", "-1"]) == 2
