"""The output folder survives crashes and tells what is wrong with it."""

import os
from pathlib import Path

import pytest

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.files import locked
from astrojepa_bench.results.store import Store, write_atomically


def test_a_written_record_is_found(tmp_path, make_record):
    """A record lies under its dataset and pair, and is found by its id."""
    store = Store(tmp_path / "out")
    path = store.write(make_record())
    assert path.relative_to(tmp_path / "out").parts[:3] == ("runs", "synthetic", "obj+random")
    assert store.find(path.stem) == make_record()
    assert store.find("0" * 16) is None


def test_records_come_in_one_order_however_they_were_written(tmp_path, make_record):
    """The order depends on content only."""
    forth, back = Store(tmp_path / "a"), Store(tmp_path / "b")
    made = [make_record(seed, objective=name) for name in ("beta", "alpha") for seed in (2, 0, 1)]
    for record in made:
        forth.write(record)
    for record in reversed(made):
        back.write(record)
    assert forth.records() == back.records()
    assert [(r.objective, r.seed) for r in forth.records()][:3] == [("alpha", 0), ("alpha", 1), ("alpha", 2)]


def test_reading_an_absent_folder_makes_nothing(tmp_path):
    """Looking is not writing."""
    assert Store(tmp_path / "out").records() == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_the_old_record(tmp_path, make_record, monkeypatch, moment):
    """A kill before or in the rename never leaves a part of a record, nor a draft that counts."""
    store = Store(tmp_path)
    store.write(make_record(health={"effective_rank": 1}))

    def crash(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, moment, crash)
    monkeypatch.setattr(Path, "unlink", crash)  # a killed process cleans nothing up
    with pytest.raises(KeyboardInterrupt):
        store.write(make_record(health={"effective_rank": 2}))
    monkeypatch.undo()
    (found,) = store.records()
    assert found.health["effective_rank"] == 1


def test_drafts_and_locks_do_not_count(tmp_path, make_record):
    """What a killed run left, or another one holds, is no record, and writing again still works."""
    store = Store(tmp_path)
    path = store.write(make_record())
    path.with_name(f".{path.name}.deadbeef.json").write_text('{"run_id": "')
    with locked(path):
        assert store.records() == [make_record()]
        assert store.write(make_record()) == path


def test_a_run_is_found_by_the_id_that_it_had_before_it_was_migrated(tmp_path, make_record):
    """Papers and notes name the old one."""
    store = Store(tmp_path)
    record = make_record(formerly="0123456789abcdef")
    path = store.write(record)
    store.write(make_record(1))
    assert store.find("0123456789abcdef") == record
    assert store.locate("0123") == store.locate(record.run_id) == path
    with pytest.raises(ConfigError, match="no run id starts with 'fff'"):
        store.locate("fff")


def test_an_ambiguous_beginning_of_an_id_is_refused(tmp_path, make_record):
    """Ids of today and of before are counted together."""
    store = Store(tmp_path)
    record = make_record()
    store.write(record)
    store.write(make_record(1, formerly=record.run_id[:8] + "00000000"))
    with pytest.raises(ConfigError, match="2 run ids start with"):
        store.locate(record.run_id[:8])


def test_a_corrupt_record_is_named(tmp_path, make_record):
    """A truncated file is an error that names it, not a missing row."""
    store = Store(tmp_path)
    path = store.write(make_record())
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=path.name):
        store.records()
    with pytest.raises(DataError, match=path.name):
        store.find(path.stem)


def test_a_renamed_copy_is_refused(tmp_path, make_record):
    """A copy under another name would count one seed twice."""
    store = Store(tmp_path)
    path = store.write(make_record())
    path.with_name("copy.json").write_bytes(path.read_bytes())
    with pytest.raises(DataError, match=r"copy\.json holds .*move or delete"):
        store.records()


@pytest.mark.parametrize("name", ["timm:resnet18/a", "../../escape", "..", "a b\n", "Äpfel"])
def test_names_cannot_leave_the_folder(tmp_path, make_record, name):
    """Whatever an objective is called, its records stay below the output folder and are found."""
    store = Store(tmp_path / "out")
    path = store.write(make_record(objective=name, masker=name, dataset=name))
    assert path.resolve().is_relative_to((tmp_path / "out" / "runs").resolve())
    assert [record.objective for record in store.records()] == [name]


def test_an_output_that_is_a_file_is_a_one_line_error(tmp_path, make_record):
    """A file in the way is found before training, and said in one line."""
    (tmp_path / "out").write_text("in the way")
    for action in (Store(tmp_path / "out").prepare, lambda: Store(tmp_path / "out").write(make_record())):
        with pytest.raises(ConfigError, match="choose a writable --out folder") as caught:
            action()
        assert "\n" not in str(caught.value)


def test_preparing_leaves_an_empty_folder(tmp_path):
    """The probe of a writable folder leaves nothing behind."""
    Store(tmp_path / "out").prepare()
    assert list((tmp_path / "out" / "runs").iterdir()) == []


def test_a_folder_of_locks_that_cannot_be_made_is_known_before_training(tmp_path):
    """Every run takes a lock, so the grid would end at its first one."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "leases").write_text("")
    with pytest.raises(ConfigError, match="choose a writable --out folder"):
        Store(tmp_path / "out").prepare()


def test_a_written_file_has_the_permissions_of_any_file(tmp_path):
    """Others on a shared disk can read a record as they can read any new file of this user."""
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_files_beside_the_records_are_named_by_run(tmp_path):
    """Weights, checkpoints and features lie outside `runs`, by run id."""
    store = Store(tmp_path)
    assert store.weights_path("ab") == tmp_path / "weights" / "ab.safetensors"
    assert store.checkpoint_path("ab").parent == tmp_path / "checkpoints"
    assert store.features_path("ab").parent == tmp_path / "features"
