"""The index makes reading fast and changes nothing."""

import json
import os
import shutil

import pytest

from astrojepa_bench.board.render import read_board, write_board
from astrojepa_bench.cli import main
from astrojepa_bench.errors import DataError
from astrojepa_bench.results.identity import digest
from astrojepa_bench.results.index import FILE, FOLDER
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.results.store import Store


@pytest.fixture
def out(tmp_path, make_record):
    """Write six records of two entries."""
    for seed in range(3):
        Store(tmp_path / "out").write(make_record(seed))
        Store(tmp_path / "out").write(make_record(seed, objective="other", masker="none"))
    return tmp_path / "out"


def board_of(out):
    """Build, and read every file of the board."""
    page = write_board(out, read_board(out))
    return {path.name: path.read_bytes() for path in page.parent.iterdir() if path.is_file()}


def place(out):
    return out / FOLDER / FILE


def test_a_board_is_the_same_with_and_without_it(out):
    """Byte for byte: built without, built with, and built again after it was thrown away."""
    first = board_of(out)
    assert place(out).is_file()
    assert board_of(out) == first
    shutil.rmtree(out / FOLDER)
    assert board_of(out) == first
    assert list(out.rglob(".index/*.json")) == []
    assert main(["leaderboard", "check", str(out)]) == 0


def test_records_and_hashes_are_those_of_the_files(out):
    """What the index hands over equals what reading finds."""
    plain = [RunRecord.from_json(path.read_bytes(), path) for path in Store(out).paths()]
    for _ in range(2):
        records, hashes, _ = Store(out).survey()
        assert sorted(records, key=lambda r: r.run_id) == sorted(plain, key=lambda r: r.run_id)
        assert hashes == {record.run_id: digest(record.facts()) for record in plain}


def test_a_changed_record_is_read_again_even_with_its_old_size_and_time(out):
    """Content decides: an edit that keeps size and time is seen."""
    before = Store(out).survey().hashes
    path = Store(out).paths()[0]
    status = path.stat()
    path.write_text(path.read_text().replace('"value": 0.7', '"value": 0.8'))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    records, hashes, _ = Store(out).survey()
    changed = next(record for record in records if record.run_id == path.stem)
    assert changed.value("linear", "accuracy") == 0.8
    assert hashes[path.stem] == digest(changed.facts()) != before[path.stem]


def test_a_record_that_is_no_longer_one_is_named(out):
    """NaN and broken files are found although the file was good when it was indexed."""
    Store(out).survey()
    path = Store(out).paths()[0]
    path.write_text(path.read_text().replace('"value": 0.7', '"value": NaN'))
    found = Store(out).survey()
    assert [path.name in line for line in found.damaged] == [True]
    assert path.stem not in found.hashes
    with pytest.raises(DataError, match=path.name):
        Store(out).records()


def test_new_and_deleted_records_are_noticed(out, make_record):
    """The index follows the folder."""
    Store(out).survey()
    Store(out).write(make_record(7))
    Store(out).paths()[0].unlink()
    assert len(Store(out).survey().records) == 6
    assert set(json.loads(place(out).read_bytes())["files"]) == {
        path.relative_to(out).as_posix() for path in Store(out).paths()
    }


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"version": 0, "fields": "", "files": {}}', b"\xff\x00"]
)
def test_a_damaged_index_is_rebuilt_in_silence(out, damage, capsys):
    """It is only memory."""
    first = board_of(out)
    whole = place(out).read_bytes()
    place(out).write_bytes(damage)
    assert board_of(out) == first
    assert place(out).read_bytes() == whole
    assert capsys.readouterr() == ("", "")


def test_another_kind_of_record_makes_it_stale(out, monkeypatch):
    """A field that is new to records changes their hashes, though no file changed."""
    Store(out).survey()
    monkeypatch.setattr("astrojepa_bench.results.index._fields", lambda: "other fields")
    monkeypatch.setattr("astrojepa_bench.results.record.digest", lambda facts: "hashed again")
    assert set(Store(out).survey().hashes.values()) == {"hashed again"}


def test_a_folder_that_cannot_hold_an_index_goes_without(out):
    """Reading needs no right to write; nor does it write where nobody builds a board."""
    Store(out).records()
    assert not (out / FOLDER).exists()
    (out / FOLDER).write_text("in the way")
    assert len(Store(out).survey().records) == 6


def test_former_ids_are_found_through_it_and_without_it(out, make_record):
    """A migrated run answers to its old id, also where the file changed after it was indexed."""
    record = make_record(5, formerly="0123456789abcdef")
    path = Store(out).write(record)
    assert Store(out).find("0123456789abcdef") == record
    Store(out).survey()
    assert Store(out).find("0123456789abcdef") == record
    path.write_text(path.read_text().replace("0123456789abcdef", "fedcba9876543210fedc"))
    assert Store(out).find("0123456789abcdef") is None
    assert Store(out).find("fedcba9876543210fedc").seed == 5


def test_latest_is_the_scored_run_that_was_made_last(out, make_record):
    """One that failed since does not count."""
    for seed, status, day in ((11, "ok", 3), (12, "ok", 2), (13, "failed", 4)):
        Store(out).write(make_record(seed, status=status, provenance={"created_utc": f"2026-01-0{day}"}))
    assert Store(out).read(Store(out).locate("latest")).seed == 11
