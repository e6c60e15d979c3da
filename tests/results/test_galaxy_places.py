"""An output folder knows where its galaxies lay; nothing rests on it."""

from pathlib import Path

import pytest

from astrojepa_bench.results.galaxy_places import FILE, GalaxyPlaces
from astrojepa_bench.results.index import FOLDER


@pytest.fixture
def record(make_record):
    """Return the record of a run."""
    made = make_record(0)
    return made.model_copy(update={"identity": {**made.identity, "fingerprint": "f00d"}})


def test_paths_are_found_again_by_the_fingerprint(tmp_path, record, monkeypatch):
    """Wherever the reader stands by then; options that are no paths are the record's."""
    monkeypatch.chdir(tmp_path)
    fingerprint = record.identity["fingerprint"]
    places = GalaxyPlaces(tmp_path / "out")
    assert places.of(record) == {}
    places.keep(fingerprint, "folder", {"path": Path("images"), "label": "class", "pool": None})
    places.keep(fingerprint, "folder", {"path": Path("images"), "pool": Path("/more.zip")})
    places.keep("of others", "folder", {"path": Path("elsewhere")})

    found = GalaxyPlaces(tmp_path / "out").of(record)
    assert found == {"folder": {"path": str(tmp_path / "images"), "pool": "/more.zip"}}
    assert not list((tmp_path / "out").rglob("*.json"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1, "galaxies": {"a": 3}}', b"\xff\xfe"])
def test_a_damaged_memory_is_none(tmp_path, record, content):
    """It is written anew, and no command fails over it."""
    path = tmp_path / FOLDER / FILE
    path.parent.mkdir()
    path.write_bytes(content)
    assert GalaxyPlaces(tmp_path).of(record) == {}
    GalaxyPlaces(tmp_path).keep(record.identity["fingerprint"], "hdf5", {"path": Path("/a.h5")})

    assert GalaxyPlaces(tmp_path).of(record) == {"hdf5": {"path": "/a.h5"}}


def test_a_folder_that_cannot_be_written_goes_without(tmp_path, record):
    """As one that somebody else shares."""
    (tmp_path / FOLDER).write_text("a file")
    GalaxyPlaces(tmp_path).keep(record.identity["fingerprint"], "hdf5", {"path": Path("/a.h5")})

    assert GalaxyPlaces(tmp_path).of(record) == {}
