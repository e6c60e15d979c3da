"""The output folder survives crashes and tells what is wrong with it."""

import os

import pytest

from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.results import store as store_module
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


@pytest.mark.parametrize("moment", ["_write_through", "replace", "_sync_folder"])
def test_a_crash_while_writing_leaves_the_old_record_or_the_new(tmp_path, make_record, monkeypatch, moment):
    """A kill before, in or after the rename never leaves a part of a record, nor a draft that counts."""
    store = Store(tmp_path)
    store.write(make_record(health={"effective_rank": 1}))

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os if moment == "replace" else store_module, moment, crash)
    monkeypatch.setattr(store_module, "_forget", lambda _: None)  # a killed process cleans nothing up
    with pytest.raises(KeyboardInterrupt):
        store.write(make_record(health={"effective_rank": 2}))
    (found,) = store.records()
    assert found.health["effective_rank"] == (2 if moment == "_sync_folder" else 1)


def test_drafts_of_a_killed_run_do_not_count(tmp_path, make_record):
    """A half-written temporary file beside the records is ignored, and writing again still works."""
    store = Store(tmp_path)
    path = store.write(make_record())
    path.with_name(f".{path.name}.deadbeef.tmp").write_text('{"run_id": "')
    assert store.records() == [make_record()]
    assert store.write(make_record()) == path


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


def test_a_written_file_has_the_permissions_of_any_file(tmp_path):
    """Others on a shared disk can read a record as they can read any new file of this user."""
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "atomic", b"")
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_files_beside_the_records_are_named_by_run(tmp_path):
    """Weights, checkpoints and answers lie outside `runs`, by run id."""
    store = Store(tmp_path)
    assert store.weights_path("ab") == tmp_path / "weights" / "ab.safetensors"
    assert store.checkpoint_path("ab").parent == tmp_path / "checkpoints"
    assert store.features_path("ab").parent == tmp_path / "answers"
