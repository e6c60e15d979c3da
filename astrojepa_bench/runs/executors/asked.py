"""Where cells are to run, as it is asked for: on this machine, as an array of Slurm, or on a cluster of Ray."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from astrojepa_bench.errors import ConfigError, nearest

Executor: TypeAlias = Literal["local", "slurm", "ray"]
EXECUTORS: tuple[Executor, ...] = ("local", "slurm", "ray")
TOLD_BEFORE_END_S = 120
"""How long before its end a task of Slurm is told to stop [s]."""
TASK_S = 4 * 3600
SHORTEST_TASK_S = 300
_OURS = frozenset(
    {"array", "chdir", "error", "help", "no-requeue", "open-mode", "output", "parsable", "requeue", "signal"}
    | {"test-only", "wait", "wrap"}
)
_SLURM_TIME = re.compile(r"(?:(?P<d>\d+)-)?(?P<a>\d+)(?::(?P<b>\d+))?(?::(?P<c>\d+))?")
_MEMORY_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class SlurmTask:
    """What a task of an array may take.

    Attributes:
        time_s: its time limit [s].
        options: options of `sbatch` by their long names; None for those without a value. `time` is not among them.
    """

    time_s: int = TASK_S
    options: dict[str, str | None] = field(default_factory=dict)

    @property
    def has_gpu(self) -> bool:
        """Whether a GPU is among what was asked for."""
        return any(
            name.startswith("gpus") or (name in ("gres", "tres-per-task") and "gpu" in (value or ""))
            for name, value in self.options.items()
        )


@dataclass(frozen=True)
class RayCell:
    """What a cell takes of a node.

    Attributes:
        num_cpus: processors, and threads; None: as many threads as this process computes with.
        num_gpus: GPUs; a half lets two cells share one. None: one where the device is `cuda`.
        memory: [byte]; None: nothing is set aside.
    """

    num_cpus: int | None = None
    num_gpus: float | None = None
    memory: int | None = None

    @property
    def has_gpu(self) -> bool:
        """Whether a GPU was asked for."""
        return bool(self.num_gpus)


def read_slurm(texts: Iterable[str]) -> SlurmTask:
    """Read what a task may take, from options of `sbatch` such as `mem=16G`.

    Raises:
        ConfigError: no option, one that the script sets itself, or a text that no script should hold.

    Example:
        >>> read_slurm(["time=2:00:00", "mem=16G", "exclusive"])
        SlurmTask(time_s=7200, options={'mem': '16G', 'exclusive': None})
    """
    options = _pairs(texts, "an option of sbatch by its long name, such as partition=main or mem=16G")
    for name, value in options.items():
        if name in _OURS:
            raise ConfigError(f"--executor-option {name}: the script sets it itself; edit the script instead")
        if value is not None and "\\" in value:
            raise ConfigError(
                f"--executor-option {name}={value}: Slurm reads no backslash here; leave it out"
            )
    time = options.pop("time", None)
    return SlurmTask(TASK_S if time is None else parse_task_time(time), options)


def read_ray(texts: Iterable[str]) -> RayCell:
    """Read what a cell takes of a node.

    Raises:
        ConfigError: none of the three, or no number.

    Example:
        >>> read_ray(["num_cpus=2", "num_gpus=0.5", "memory=4G"])
        RayCell(num_cpus=2, num_gpus=0.5, memory=4294967296)
    """
    options = _pairs(texts, "num_cpus=2, num_gpus=0.5 or memory=8G")
    known = ("num_cpus", "num_gpus", "memory")
    for name in options:
        if name not in known:
            raise ConfigError(
                f"--executor-option {name}: a cell on Ray takes no '{name}'; {nearest(name, known)}"
            )
    numbers = {name: _number(name, value) for name, value in options.items()}
    cpus, memory = numbers.get("num_cpus"), numbers.get("memory")
    if cpus is not None and (cpus < 1 or cpus != int(cpus)):
        raise ConfigError(f"--executor-option num_cpus={options['num_cpus']}: expected 1, 2, … processors")
    gpus = numbers.get("num_gpus")
    if gpus is not None and gpus != (int(gpus) if gpus > 1 else round(gpus, 4)):
        raise ConfigError(
            f"--executor-option num_gpus={options['num_gpus']}: expected whole GPUs, or a share of one in four "
            "digits at most, such as 0.5"
        )
    return RayCell(None if cpus is None else int(cpus), gpus, None if memory is None else int(memory))


def parse_task_time(text: str) -> int:
    """Read a time limit of Slurm: minutes, `H:M:S`, `D-H` or `D-H:M:S`; `2h`, `90m` and `300s` too [s].

    Raises:
        ConfigError: no time, or too short a one to stop within.

    Example:
        >>> parse_task_time("90"), parse_task_time("2:30:00"), parse_task_time("1-12"), parse_task_time("2h")
        (5400, 9000, 129600, 7200)
    """
    found, plain = _SLURM_TIME.fullmatch(text), re.fullmatch(r"(\d+)([smhd])", text)
    seconds = 0
    if plain:
        seconds = int(plain[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[plain[2]]
    elif found:
        first, *others = [int(found[name] or 0) for name in "abc"]
        given = 1 + sum(found[name] is not None for name in "bc")
        if found["d"] is not None:  # D-H, D-H:M, D-H:M:S
            seconds = int(found["d"]) * 86400 + first * 3600 + others[0] * 60 + others[1]
        elif given == 3:  # H:M:S
            seconds = first * 3600 + others[0] * 60 + others[1]
        else:  # M, M:S
            seconds = first * 60 + others[0]
    if seconds < SHORTEST_TASK_S:
        raise ConfigError(
            f"--executor-option time={text}: expected five minutes at least, as Slurm reads it (90 for minutes, "
            f"2:30:00, 1-12) or such as 2h; a task is told {TOLD_BEFORE_END_S} s before its end"
        )
    return seconds


def _pairs(texts: Iterable[str], expected: str) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or not text.isprintable() or (equals and not value):
            raise ConfigError(f"--executor-option {text!r}: expected {expected}")
        if name in found:
            raise ConfigError(f"--executor-option {name} is given twice; leave one of them out")
        found[name] = value if equals else None
    return found


def _number(name: str, value: str | None) -> float:
    """Read a number; of bytes with a unit perhaps."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", value or "")
    if found is None or (found[2] and name != "memory"):
        raise ConfigError(
            f"--executor-option {name}={value}: expected a number, such as num_cpus=2 or memory=8G"
        )
    return float(found[1]) * _MEMORY_UNITS[found[2]]
