"""Locks on files that processes share: they outlive nobody."""

import os
import signal
import threading
import time

import pytest

from astrojepa_bench import files
from astrojepa_bench.errors import BenchError
from astrojepa_bench.files import LeaseLostError, LockedError, is_locked, locked, renew_leases, replacing
from tests.files.conftest import ELSEWHERE


def lock_of(path):
    return path.with_name(f"{path.name}.lock")


def locked_by(path, owner, age_s=0.0):
    """Fake the lock of another process that was last heard of some time ago."""
    lock = lock_of(path)
    lock.mkdir()
    then = time.time() - age_s
    if owner:
        (lock / owner).touch()
        os.utime(lock / owner, (then, then))
    os.utime(lock, (then, then))


def acquired(path):
    """Tell whether a lock can be had at once or, where a first try clears it, by the second."""
    for _ in range(2):
        try:
            with locked(path, wait=False):
                return True
        except LockedError:
            continue
    return False


COUNTING = """
path = pathlib.Path(sys.argv[1])
for _ in range(50):
    with locked(path):
        number = int(path.read_text())
        time.sleep(0.001)
        path.write_text(str(number + 1))
"""


def test_two_processes_lose_no_change(path, started, monkeypatch):
    """Two processes that read, wait and write fifty times each add up to a hundred."""
    path.write_text("0")
    processes = [started(COUNTING, path) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert path.read_text() == "100"
    assert not lock_of(path).exists()


def test_threads_of_one_process_take_turns(path):
    """A lock holds between threads too."""
    path.write_text("0")

    def count():
        for _ in range(20):
            with locked(path):
                number = int(path.read_text())
                time.sleep(0.0005)
                path.write_text(str(number + 1))

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "60"


HOLDING = """
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(path, started):
    """Start a process that holds a lock."""
    process = started(HOLDING, path)
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="how processes fare is not told here")
@pytest.mark.parametrize("reaped", [True, False])
def test_killed_owner_frees_its_lock_at_once(path, started, reaped):
    """Nobody waits for a process that was killed on this machine, be it a zombie or gone."""
    process = holder(path, started)
    assert not acquired(path)
    process.send_signal(signal.SIGKILL)
    if reaped:
        process.wait()
    begun = time.monotonic()
    with locked(path):
        assert time.monotonic() - begun < 2.0
    assert not lock_of(path).exists()


def test_stopped_owner_keeps_its_lock(path, started, monkeypatch):
    """A run that somebody suspended here goes on later: however silent, its lock is not taken."""
    process = holder(path, started)
    process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(files, "LEASE_S", 0.05)
    time.sleep(0.1)
    assert not acquired(path)
    process.send_signal(signal.SIGCONT)


def test_busy_lock_names_its_owner(path, started):
    """Who does not want to wait hears which process to wait for, as an error that the command line shows."""
    process = holder(path, started)
    with (
        pytest.raises(LockedError, match=rf"shared.txt is in use by process {process.pid} on \w+"),
        locked(path, wait=False),
    ):
        pass
    assert issubclass(LockedError, BenchError)


def test_silent_owner_of_another_machine_loses_its_lock(path):
    """After the lease it counts as gone; before, it does not."""
    locked_by(path, ELSEWHERE, age_s=files.LEASE_S - 20)
    assert not acquired(path)
    then = time.time() - files.LEASE_S - 20
    os.utime(lock_of(path) / ELSEWHERE, (then, then))
    os.utime(lock_of(path), (then, then))
    assert acquired(path)
    assert not lock_of(path).exists()


def test_beating_owner_of_another_machine_keeps_its_lock(path):
    """A beat renews the owner's file only: an old folder with a young file is alive."""
    locked_by(path, ELSEWHERE, age_s=1000)
    os.utime(lock_of(path) / ELSEWHERE)
    assert not acquired(path)


def test_owner_beats(path, monkeypatch):
    """An owner that works for longer than a lease shows all the while that it is alive."""
    monkeypatch.setattr(files, "BEAT_S", 0.01)
    with locked(path):
        (owner,) = lock_of(path).iterdir()
        os.utime(owner, (1, 1))
        deadline = time.monotonic() + 10
        while owner.stat().st_mtime < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - owner.stat().st_mtime < 60


def test_clocks_of_machines_may_differ(path, monkeypatch):
    """Silence is measured by the clock of the disk: a machine whose own clock is a day fast takes nothing."""
    locked_by(path, ELSEWHERE, age_s=1)
    monkeypatch.setattr(files.time, "time", lambda: 86400.0 + time.monotonic() + 2e9)
    assert not acquired(path)


def test_lock_without_owner_frees_after_the_lease(path):
    """Its maker was killed before it could sign; until the lease is over, it may be about to sign."""
    locked_by(path, None, age_s=files.LEASE_S - 20)
    assert not acquired(path)
    then = time.time() - files.LEASE_S - 20
    os.utime(lock_of(path), (then, then))
    assert acquired(path)


def test_lock_file_of_an_earlier_edition_is_no_lock(path):
    """Earlier editions left an empty file under this name in every cache."""
    lock_of(path).touch()
    assert acquired(path)
    assert not lock_of(path).exists()


def test_owner_that_lost_its_lock_leaves_the_new_owner_alone(path):
    """A machine that slept through its lease must not give back what is no longer its own."""
    with locked(path):
        (mine,) = lock_of(path).iterdir()
        mine.rename(lock_of(path) / ELSEWHERE)
    assert [owner.name for owner in lock_of(path).iterdir()] == [ELSEWHERE]


def test_who_lost_a_lock_hears_it_before_a_file_takes_its_place(path):
    """The new owner's file stays, nothing is left of the old owner's, and the error tells both machines."""
    path.write_text("new owner's")
    with locked(path):
        (mine,) = lock_of(path).iterdir()
        mine.rename(lock_of(path) / ELSEWHERE)
        with (
            pytest.raises(LeaseLostError, match="taken over by process 1 on elsewhere"),
            replacing(path.with_name("other")) as draft,
        ):
            draft.write_text("old owner's")
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]


def test_a_draft_that_the_new_owner_cleared_away_is_a_lost_lease(path):
    """Between the last look and the rename lies a moment too; then the file is gone that should take its place."""
    with locked(path):
        (mine,) = lock_of(path).iterdir()
        with pytest.raises(LeaseLostError), replacing(path):  # no draft was written, or it is gone
            mine.rename(lock_of(path) / ELSEWHERE)
    assert not path.exists()


def test_leases_are_renewed_by_whoever_holds_them_and_alone(path):
    """Another name, the same owner, a young lock; a thread that holds none has nothing to lose."""
    with locked(path):
        (mine,) = lock_of(path).iterdir()
        os.utime(mine, (1, 1))
        os.utime(lock_of(path), (1, 1))
        other = threading.Thread(target=renew_leases)
        other.start()
        other.join()
        assert mine.stat().st_mtime == 1
        renew_leases()
        (renewed,) = lock_of(path).iterdir()
        assert renewed.name.rpartition("-")[0] == mine.name.rpartition("-")[0]
        assert time.time() - renewed.stat().st_mtime < 60
        assert time.time() - lock_of(path).stat().st_mtime < 60
    assert list(path.parent.iterdir()) == []


def test_asking_whether_a_file_is_locked_locks_nothing(path):
    """Free, held, and abandoned by another machine."""
    assert not is_locked(path)
    with locked(path):
        assert is_locked(path)
    assert list(path.parent.iterdir()) == []
    locked_by(path, ELSEWHERE, age_s=1000)
    assert not is_locked(path)


def test_abandoned_lock_goes_to_one_process_only(path):
    """However many find it abandoned at the same moment, they hold it one after the other."""
    locked_by(path, ELSEWHERE, age_s=1000)
    inside, most, everybody = [], [], threading.Barrier(8)

    def take():
        everybody.wait()
        with locked(path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


def test_locking_twice_is_an_error_and_no_endless_wait(path):
    """Locks are not re-entrant: the second attempt of a thread would wait for itself."""
    with locked(path):
        with pytest.raises(LockedError, match="this very thread"), locked(path):
            pass
        assert lock_of(path).exists()
    assert acquired(path)


def test_error_inside_frees_the_lock(path):
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == []
