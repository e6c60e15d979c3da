"""What a command costs before it works: CPU seconds of those that only tell what is on offer, or refuse a slip.

Run: python benchmarks/bench_startup.py

Each is timed as it is, with the catalogue that the command before kept, and with `--strict-plugins`, which reads
the plugins themselves; both must print the same, but for the line that announces the reading. Times are user and
system seconds of the process, the least of several repeats in turn.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from table import Row

MOST_S = 0.6
REPEATS = 3
ANNOUNCED = b"importing torch and plugins"
COMMANDS = {
    "list": ["list"],
    "list objectives": ["list", "objectives"],
    "show NAME": ["show", "lejepa"],
    "unknown name": ["run", "-o", "lejap"],
    "unknown option": ["run", "-o", "lejepa", "--set", "objective.lmbda=1"],
    "unknown run": ["latents", "3f9a", "--index", "3", "--out", "latents.png"],
    "unknown galaxies": ["data", "info", "synthetik"],
    "misspelt command": ["lsit"],
    "--help": ["--help"],
    "run --help": ["run", "--help"],
}


def spent(words: list[str], folder: Path) -> tuple[float, bytes]:
    """Return the CPU seconds of one command in a folder of its own, and what it printed."""
    surroundings = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    with (folder / "printed").open("w+b") as printed:
        command = [sys.executable, "-m", "astrojepa_bench", *words]
        process = subprocess.Popen(command, stdout=printed, stderr=printed, env=surroundings, cwd=folder)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0  # it was waited for
        printed.seek(0)
        answer = b"".join(line for line in printed if not line.startswith(ANNOUNCED))
        return usage.ru_utime + usage.ru_stime, answer


def completion(folder: Path) -> float:
    """Return the CPU seconds of one press of the key for completion."""
    line = "astrojepa-bench run -o le"
    asking = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    os.environ.update(asking, _ARGCOMPLETE_STDOUT_FILENAME=str(folder / "told"))
    try:
        seconds, _ = spent([], folder)
    finally:
        for name in (*asking, "_ARGCOMPLETE_STDOUT_FILENAME"):
            del os.environ[name]
    if "lejepa" not in (folder / "told").read_text():
        raise AssertionError("the shell was not told of lejepa")
    return seconds


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Time every command with the catalogue, beside the same one reading the plugins; both must print the same.

    Raises:
        AssertionError: a command prints something else by the catalogue.
    """
    repeats, goal = (1, "") if quick else (REPEATS, f"<= {MOST_S}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        spent(["list"], folder)  # keeps the catalogue
        for what, words in COMMANDS.items():
            swift, thorough = [], []
            for _ in range(repeats):
                swift.append(spent(words, folder))
                thorough.append(spent([*words, "--strict-plugins"], folder))
            if {printed for _, printed in swift} != {printed for _, printed in thorough}:
                raise AssertionError(f"{what}: the catalogue prints something else than the plugins")
            ours, plugins = min(swift)[0], min(thorough)[0]
            yield Row(
                f"start-up: {what}",
                ours,
                plugins,
                ours,
                "s",
                goal,
                "the ratio is CPU seconds",
                None,
                "Python",
            )
        ours = min(completion(folder) for _ in range(repeats))
        yield Row(
            "start-up: completion", ours, None, ours, "s", goal, "the ratio is CPU seconds", None, "Python"
        )


if __name__ == "__main__":
    for row in rows():
        print(" | ".join(cell for cell in row.cells() if cell))
