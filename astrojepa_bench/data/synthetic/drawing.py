"""Many galaxies on many cores, so that being killed at any moment costs no more than the blocks in hand.

Galaxies are drawn in blocks of fixed ranges, each a file that appears whole under its name or not at all.
Workers are plain processes: unlike those of `multiprocessing` they neither fork a parent full of threads nor
run the caller's main module again, so they work the same from a script, a notebook and a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from astrojepa_bench.data.synthetic.anomalies import anomaly_types
from astrojepa_bench.data.synthetic.scene import SceneSubject, Survey, draw
from astrojepa_bench.data.synthetic.truth import COVERAGE_CELLS, TRUTHS
from astrojepa_bench.errors import BenchError
from astrojepa_bench.events import emit
from astrojepa_bench.files import discard, replacing
from astrojepa_bench.seals import append_seal, seal_holds

BLOCK = 50
_FEW_BLOCKS = 4  # not worth starting workers for
WORKER = "astrojepa_bench.data.synthetic.worker"
_TASK = "drawing galaxies"


@dataclass(frozen=True)
class DrawingTask:
    """A range of galaxies, or of anomalies, that is drawn and kept together."""

    anomalies: bool
    start: int
    stop: int

    @property
    def name(self) -> str:
        """File name."""
        return f"{'anomalies' if self.anomalies else 'galaxies'}-{self.start:07d}-{self.stop:07d}.npy"

    def __len__(self) -> int:
        return self.stop - self.start

    def subjects(self, anomaly_mix: str) -> list[SceneSubject]:
        """List what is to be drawn; a mix decides the types of anomalies."""
        numbers = range(self.start, self.stop)
        if not self.anomalies:
            return [SceneSubject(number) for number in numbers]
        types = anomaly_types(anomaly_mix, self.stop)
        return [SceneSubject(number, types[number]) for number in numbers]


def blocks_of(galaxies: int, anomalies: int) -> list[DrawingTask]:
    """Cut so many galaxies and anomalies into blocks, in table order."""
    return [
        DrawingTask(odd, start, min(start + BLOCK, count))
        for odd, count in ((False, galaxies), (True, anomalies))
        for start in range(0, count, BLOCK)
    ]


def block_dtype(size_px: int) -> np.dtype[np.void]:
    """Layout of a drawn row: image, coverage of each cell [percent], truth in the order of `TRUTHS`."""
    cells = (COVERAGE_CELLS, COVERAGE_CELLS)
    return np.dtype(
        [("image", "u1", (3, size_px, size_px)), ("coverage", "u1", cells), ("truth", "f8", len(TRUTHS))]
    )


def draw_block(survey: Survey, block: DrawingTask) -> np.ndarray:
    """Draw every row of a block."""
    rows = np.empty(len(block), dtype=block_dtype(survey.size_px))
    for row, subject in zip(rows, block.subjects(survey.anomaly_mix), strict=True):
        drawn = draw(survey, subject)
        row["image"], row["coverage"] = drawn.image, drawn.coverage
        row["truth"] = [drawn.truth[name] for name in TRUTHS]
    return rows


def save_block(survey: Survey, block: DrawingTask, folder: Path) -> None:
    """Draw a block into its file; it bears its name only when it is whole."""
    with replacing(folder / block.name) as draft:
        with draft.open("wb") as file:
            np.save(file, draw_block(survey, block))
        append_seal(draft)


def is_drawn(block: DrawingTask, folder: Path) -> bool:
    """Whether the file of a block is there, as it was written."""
    with suppress(OSError):
        return seal_holds(folder / block.name) is True
    return False


def draw_all(survey: Survey, blocks: Sequence[DrawingTask], folder: Path, workers: int | None = None) -> None:
    """Draw every block that is not in `folder` yet, or is damaged there, on all cores unless told how many.

    Raises:
        BenchError: a worker failed; what is drawn so far is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [block for block in blocks if not is_drawn(block, folder)]
    for block in missing:
        discard(folder / block.name)
    workers = min(workers or cores(), len(missing))
    emit("task_started", task=_TASK, total=sum(map(len, blocks)), unit="images")
    emit("task_advanced", task=_TASK, advance=sum(map(len, blocks)) - sum(map(len, missing)))
    try:
        here = workers <= 1 or len(missing) <= _FEW_BLOCKS
        for block in missing if here else _drawn_by(workers, survey, missing, folder):
            if here:
                save_block(survey, block, folder)
            emit("task_advanced", task=_TASK, advance=len(block))
    finally:
        emit("task_ended", task=_TASK)


def cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _drawn_by(
    workers: int, survey: Survey, missing: Sequence[DrawingTask], folder: Path
) -> Iterator[DrawingTask]:
    awaited = list(missing)
    with _running([_start(survey, missing[place::workers], folder) for place in range(workers)]) as processes:
        while awaited:
            alive = any(process.poll() is None for process in processes)
            arrived = [block for block in awaited if (folder / block.name).exists()]
            yield from arrived
            awaited = [block for block in awaited if block not in arrived]
            if awaited and not alive:
                failed = [process for process in processes if process.returncode]
                said = [process.stderr.read().splitlines()[-1:] for process in failed if process.stderr]
                words = "; ".join(dict.fromkeys(line for last in said for line in last))
                raise BenchError(
                    f"{len(awaited)} of {len(missing)} blocks were not drawn "
                    f"({words or f'{len(failed)} workers were killed'}); run again to draw the rest"
                )
            time.sleep(0.05)


def _start(survey: Survey, blocks: Sequence[DrawingTask], folder: Path) -> subprocess.Popen[str]:
    request = {
        "survey": asdict(survey),
        "blocks": [asdict(block) for block in blocks],
        "folder": str(folder.resolve()),
    }
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [sys.executable, "-m", WORKER],
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as stdin:
            json.dump(request, stdin)
    return process


@contextmanager
def _running(processes: list[subprocess.Popen[str]]) -> Iterator[list[subprocess.Popen[str]]]:
    try:
        yield processes
    finally:
        for process in processes:
            process.terminate()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
