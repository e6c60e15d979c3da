"""Files that are whole or not there: drafts that take a file's place, and what of them the next writer removes."""

import os
import signal
import time

import pytest

from astrojepa_bench import files
from astrojepa_bench.files import locked, replacing
from tests.files.conftest import ELSEWHERE


def test_unwritable_folder_is_an_operating_system_error(tmp_path):
    """A file where the folder should be: the reason is the system's."""
    (tmp_path / "file").touch()
    for tool in (locked, replacing):
        with pytest.raises(OSError, match="file"), tool(tmp_path / "file" / "inside"):
            pass


FORKING = """
path = pathlib.Path(sys.argv[1])
with locked(path), replacing(path) as draft:
    draft.write_text("whole")
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        assert (path.parent / f"{path.name}.lock").exists()
    else:
        raise SystemExit
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_leaves_lock_and_draft_to_its_parent(path, started):
    """A child process that ends inside the block takes neither away."""
    assert started(FORKING, path).wait() == 0
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_replaced_file_is_whole(path):
    """Until the block ends, the old content is there; then the new one, and nothing else."""
    path.write_text("old")
    with replacing(path) as draft:
        draft.write_text("n")
        assert path.read_text() == "old"
        draft.write_text("new")
    assert path.read_text() == "new"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_folders_are_made(tmp_path):
    with replacing(tmp_path / "a" / "b" / "file") as draft:
        draft.write_text("new")
    assert (tmp_path / "a" / "b" / "file").read_text() == "new"


def test_folder_can_be_put_in_place(path):
    """A draft may be a folder: all of it appears at once."""
    with replacing(path) as draft:
        draft.mkdir()
        (draft / "part").write_text("one")
        assert not path.exists()
    assert (path / "part").read_text() == "one"


@pytest.mark.parametrize("is_folder", [False, True])
def test_error_keeps_the_old_and_leaves_nothing(path, is_folder):
    path.write_text("old")

    def fail(draft):
        if is_folder:
            draft.mkdir()
            draft = draft / "part"
        draft.write_text("half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), replacing(path) as draft:
        fail(draft)
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


KILLED = """
import signal
with replacing(pathlib.Path(sys.argv[1])) as draft:
    draft.mkdir() if sys.argv[2] == "folder" else None
    (draft / "part" if sys.argv[2] == "folder" else draft).write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="how processes fare is not told here")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_next_writer_removes_what_a_killed_one_left(path, started, kind):
    """Any next writer in the folder does, whatever file it writes."""
    assert started(KILLED, path, kind).wait() == -signal.SIGKILL
    assert not path.exists()
    assert len(list(path.parent.glob(".*.partial"))) == 1
    with replacing(path.with_name("another [1].txt")) as draft:
        draft.touch()
    assert [file.name for file in path.parent.iterdir()] == ["another [1].txt"]


def test_drafts_of_the_living_and_of_strangers_stay(path, monkeypatch):
    """A writer removes neither what another one here is at, nor files that only look like drafts."""
    with replacing(path) as first:
        first.write_text("first")
        (path.parent / ".vendor.partial").touch()
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert (path.parent / ".vendor.partial").exists()


def test_draft_of_another_machine_stays_for_a_day(path):
    """Nobody here can tell whether its writer lives."""
    draft = path.with_name(f".{path.name}.{ELSEWHERE}.partial")
    draft.mkdir()
    (draft / "images").touch()
    os.utime(draft, (1, 1))
    for age, stays in ((files.ABANDONED_S - 60, True), (files.ABANDONED_S + 60, False)):
        os.utime(draft / "images", (time.time() - age,) * 2)
        os.utime(draft, (1, 1))
        with replacing(path) as mine:
            mine.touch()
        assert draft.exists() == stays
