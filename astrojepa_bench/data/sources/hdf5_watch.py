"""Can an HDF5 file be opened here? Another process tries it first, because some files never end or crash.

That process starts once, with the first file, and answers for all files of this one.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from astrojepa_bench.data.given import check_regular
from astrojepa_bench.data.sources import hdf5_walk
from astrojepa_bench.errors import DataError

START_SECONDS = 60.0
PATIENCE_SECONDS = 4.0  # for a file of any size, whose structure takes milliseconds
LEAST_BYTES_A_SECOND = 20e6


class _Walker:
    """A process that walks through files, and ends when this one does."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", hdf5_walk.__file__]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.owner, self.works = os.getpid(), False
        self.process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        with suppress(OSError, RuntimeError):  # where no process or thread can be started
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                encoding="ascii", env=environment,
            )  # fmt: skip
            threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True).start()
            self.works = self.said(START_SECONDS) == {"ready": ""}
        if not self.works:
            self.end()

    @property
    def usable(self) -> bool:
        """Whether it need not be started anew: it answers, or could not be started here at all."""
        runs = self.process is not None and self.process.poll() is None
        return self.owner == os.getpid() and (runs or not self.works)

    def _listen(self, lines: Iterable[str]) -> None:
        with suppress(OSError, ValueError):  # closed
            for line in lines:
                self._lines.put(line)
        self._lines.put("")

    def said(self, seconds: float) -> dict[str, str] | None:
        """Wait for its next answer; None if there is none in time, an empty "damage" if it ended."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        answer: dict[str, str] = json.loads(line) if line else {"damage": ""}
        return answer

    def ask(self, path: Path, names: Sequence[str], seconds: float) -> dict[str, str] | None:
        """Have it walk through a file; see `said`."""
        with suppress(OSError):  # it has ended; the listener knows
            if self.process is not None and self.process.stdin is not None:
                self.process.stdin.write(json.dumps([os.fspath(path), list(names)]) + "\n")
                self.process.stdin.flush()
        return self.said(seconds)

    def end(self) -> None:
        """End it, whatever it does."""
        if self.process is not None and self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                with suppress(OSError):
                    if pipe is not None:
                        pipe.close()


_turn = threading.Lock()
_walkers: list[_Walker] = []
_sound: set[tuple[object, ...]] = set()


def examine(path: Path, names: Sequence[str]) -> None:
    """Make sure that a file can be opened and its columns be read, without waiting or leaving it.

    What was found sound is remembered for as long as its size and times stay the same.

    Args:
        path: the file.
        names: of the datasets that will be read.

    Raises:
        DataError: it is damaged, reaches into other files, claims more than it can hold, or takes for ever.
    """
    check_regular(path)
    facts = path.stat()
    key = (path.resolve(), facts.st_size, facts.st_mtime_ns, facts.st_ino, *names)
    with _turn:
        if key not in _sound:
            _refuse(path, _found(path, names, PATIENCE_SECONDS + facts.st_size / LEAST_BYTES_A_SECOND))
            _sound.add(key)


def _found(path: Path, names: Sequence[str], seconds: float) -> dict[str, str] | None:
    if not _walkers or not _walkers[0].usable:
        _walkers[:] = [_Walker()]
        atexit.register(_walkers[0].end)
    walker = _walkers[0]
    if not walker.works:  # Python cannot start another Python here: nothing limits the time, the rest holds
        return next(hdf5_walk.answers([json.dumps([os.fspath(path), list(names)])]))
    answer = walker.ask(path, names, seconds)
    if answer is None or answer == {"damage": ""}:
        walker.end()
    return answer


def _refuse(path: Path, answer: dict[str, str] | None) -> None:
    if answer is None:
        raise DataError(
            f"{path} cannot be read (its structure leads round in circles: no end after some seconds); it is "
            "damaged or incomplete: fetch it again"
        )
    if "unfit" in answer:
        raise DataError(f"{path}: {answer['unfit']}")
    if "damage" in answer:
        reason = answer["damage"] or "it makes the HDF5 library crash"
        raise DataError(
            f"{path} cannot be read ({reason[:300]}); it may be damaged or incomplete: check the path or fetch it "
            "again"
        )
