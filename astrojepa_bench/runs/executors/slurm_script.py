"""The array script of Slurm: a part of the grid for each task, and nothing in it but the same command.

A task works on its `--shard` in the shared output folder. Leases of cells make tasks that overlap harmless, so that
the script can be submitted again, a task requeued, or a command issued by hand, all at once.
"""

from __future__ import annotations

import math
import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.results.store import Store, write_atomically
from astrojepa_bench.runs.executors.asked import TOLD_BEFORE_END_S, SlurmTask, read_slurm
from astrojepa_bench.runs.grid import PlannedCell
from astrojepa_bench.runs.request import RunRequest

FOLDER, SCRIPT = "slurm", "array.sh"
STARTING_S = 120.0
"""What a task takes to start and to load the galaxies, and how much earlier than asked Slurm may tell it [s]."""
MOST_TASKS = 1000
"""The largest index that Slurm allows in an array unless it is told otherwise."""
RESTARTS = 100
CPUS = 4
"""Processors of a task where none were asked for."""


@dataclass(frozen=True)
class SlurmArray:
    """An array that was written down.

    Attributes:
        script: the file.
        tasks: indices of its tasks, from 1.
        parts: into how many the grid is dealt.
        missing: how many cells lack a record, or scores.
        unknown: of how many of them nobody knows how long they take; each of those is taken to fill a task.
        over: how many take longer than a task; they go on when it comes back.
    """

    script: Path
    tasks: tuple[int, ...]
    parts: int
    missing: int
    unknown: int
    over: int

    @property
    def length(self) -> str:
        """Tell what is known of the time that the cells take."""
        told = f"nothing measured tells how long {self.unknown} take: a task each" if self.unknown else ""
        long = f"{self.over} take longer than a task, which comes back for them" if self.over else ""
        return "; ".join(part for part in (told, long) if part) or "as many to a task as fit into its time"


def write_array(
    request: RunRequest, planned: Sequence[PlannedCell], words: Sequence[str]
) -> SlurmArray | None:
    """Write the array script of a request below its output folder; None where every cell has its record.

    Args:
        request: what is asked for; its `executor_options` are options of `sbatch`.
        planned: all of its cells.
        words: of the command line, after the program's name.

    Raises:
        ConfigError: the grid is dealt out already, a path is none that Slurm reads, or it cannot be written.
    """
    if request.shard is not None:
        raise ConfigError(
            "--shard with --executor slurm: its tasks deal out the grid themselves; leave out --shard"
        )
    store = Store(request.out.absolute())
    is_open = [
        each.state == "missing" or (each.state == "skipped" and store.recall(each.run_id) is None)
        for each in planned
    ]
    if not any(is_open):
        return None
    task, missing = (
        read_slurm(request.executor_options),
        [each for each in planned if each.state == "missing"],
    )
    store.prepare()
    parts = _parts(planned, task.time_s - TOLD_BEFORE_END_S - STARTING_S)
    array = SlurmArray(
        script=store.out / FOLDER / SCRIPT,
        tasks=tuple(index for index in range(1, parts + 1) if any(is_open[index - 1 :: parts])),
        parts=parts,
        missing=sum(is_open),
        unknown=sum(each.minutes is None for each in missing),
        over=sum(60 * (each.minutes or 0.0) > task.time_s for each in missing),
    )
    write_atomically(array.script, _text(array, task, request, words).encode())
    return array


def submit(array: SlurmArray) -> str:
    """Hand an array to Slurm; return the number of the job.

    Raises:
        ConfigError: there is no Slurm here, or it refuses.
    """
    if shutil.which("sbatch") is None:
        raise ConfigError(
            f"--submit: there is no sbatch on this machine; submit {array.script} where Slurm is, with sbatch"
        )
    done = subprocess.run(
        ["sbatch", "--parsable", str(array.script)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ConfigError(f"sbatch refused {array.script}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip().partition(";")[0]


def _parts(planned: Sequence[PlannedCell], usable_s: float) -> int:
    """Choose the smallest number of parts of which each fits into the time of a task.

    A cell that is longer, or of unknown length, is taken to fill one, which comes back if need be: no part has two
    of those, nor more of others than fit.
    """
    seconds = [
        math.inf if each.minutes is None else 60 * each.minutes for each in planned
    ]  # 0 where it is done

    def fits(part: Sequence[float]) -> bool:
        shorter = [each for each in part if each <= usable_s]
        return len(part) - len(shorter) <= 1 and sum(shorter) <= usable_s

    most = min(len(planned), MOST_TASKS)
    return next((n for n in range(1, most) if all(fits(seconds[i::n]) for i in range(n))), most)


def _text(array: SlurmArray, task: SlurmTask, request: RunRequest, words: Sequence[str]) -> str:
    places = {"script": array.script, "folder": Path.cwd(), "out": array.script.parents[1]}
    for path in places.values():
        if "\\" in str(path) or not str(path).isprintable():
            raise ConfigError(
                f"Slurm cannot read the path {str(path)!r}; work in a folder without such letters"
            )
    log = str(array.script.parent).replace("%", "%%") + "/%A_%a.log"
    options = {"job-name": "astrojepa-bench", "cpus-per-task": str(max(CPUS, request.jobs)), **task.options}
    templates = Environment(
        loader=PackageLoader("astrojepa_bench.runs", "executors"),
        undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    return templates.get_template("slurm.sh").render(
        {name: shlex.quote(str(path)) for name, path in places.items()},
        missing=f"{array.missing} cell{'s' * (array.missing > 1)}",
        length=array.length,
        parts=array.parts,
        array=_ranges(array.tasks),
        time=f"{task.time_s // 3600:02}:{task.time_s // 60 % 60:02}:{task.time_s % 60:02}",
        told_s=TOLD_BEFORE_END_S,
        log=shlex.quote(log),
        options=[
            name if value is None else f"{name}={shlex.quote(value)}" for name, value in options.items()
        ],
        command=" \\\n    ".join(_command(request, words, array.script.parents[1])),
        restarts=RESTARTS,
    )


def _command(request: RunRequest, words: Sequence[str], out: Path) -> list[str]:
    """Return the lines of a task's command: the words as they were typed, but for what is of this call alone."""
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--executor", "--executor-option", "--ray-address", "--out", "--device"):
        parser.add_argument(flag, action="append")
    for flag in ("--submit", "--json"):
        parser.add_argument(flag, action="store_true")
    _, kept = parser.parse_known_args([*words])
    return [
        shlex.join([sys.executable, "-m", "astrojepa_bench"]),
        shlex.join(kept),
        shlex.join(["--executor", "local", "--device", request.device, "--out", str(out)]),
    ]


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers in rising order as Slurm reads them.

    Example:
        >>> _ranges([1, 2, 3, 5, 8, 9])
        '1-3,5,8-9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
