"""Kills commands at random moments spread over all of their work, and sees that nothing is lost by it.

Every command is first left alone once, in a folder of its own. Then it is killed, issued again, and must end as
it did undisturbed: records, weights, tables, pages and caches alike, with no half-written file and no lock left.

    python tests/runs/kills.py GALAXIES.h5 FOLDER 200

Commands are forks of one process that has imported everything, so that moments fall into work and not into imports.
"""

import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported; a fork of many threads has one

import numpy as np

from astrojepa_bench.cli import main

for verb in ("run", "embed", "report", "data_info"):
    import_module(f"astrojepa_bench.cli.{verb}")

MOVERS = Path(__file__).parents[1] / "trust" / "movers.py"
RUN = [
    "run",
    "--plugin",
    str(MOVERS),
    "-m",
    "none",
    "-e",
    "tiny",
    "-d",
    "hdf5",
    "--budget",
    "smoke",
    "--no-floors",
]
JOBS = {
    "grid": [*RUN, "-o", "sound,z-sound", "-E", "core", "--out", "grid"],
    "full": [*RUN, "-o", "sound", "-E", "full", "--out", "full"],
    "embed": ["embed", "latest", "--plugin", str(MOVERS), "--runs", "full", "--out", "full/table.npz"],
    "report": ["report", "latest", "--plugin", str(MOVERS), "--runs", "full", "--out", "full/report.html"],
    "info": ["data", "info", "hdf5"],
    "two": [*RUN, "-o", "sound,z-sound", "-E", "core", "--out", "two"],
}
MADE = {
    "grid": ("grid",),
    "full": ("full",),
    "embed": ("full/table.npz",),
    "report": ("full/report.html",),
    "info": ("cache",),
    "two": ("two",),
}
"""What each job makes, to be removed before it is tried anew; `embed` and `report` need the run of `full`."""


def start(words, folder, said):
    """Fork a process that issues a command in a folder; return its number."""
    pid = os.fork()
    if pid:
        return pid
    os.chdir(folder)
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    code = 99
    try:
        code = main(words)
        sys.stdout.flush()
    finally:
        os._exit(code)


def ended(pid):
    """Wait for a process; its exit code, or the signal that ended it as a negative number."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def issued(words, folder, said):
    """Issue a command and let it end; seconds, exit code."""
    began = time.monotonic()
    code = ended(start(words, folder, said))
    return time.monotonic() - began, code


def content(folder, job):
    """Gather what a job made, as far as it must not depend on kills."""
    found = {}
    for path in sorted(each for made in MADE[job] for each in files(folder / made)):
        name = str(path.relative_to(folder))
        if path.suffix == ".json" and "runs" in path.parts:
            record = json.loads(path.read_bytes())
            parts = ("run_id", "status", "scores", "selection", "health", "not_scored", "correct", "warnings")
            found[name] = [*(record[part] for part in parts), record["training"]["loss_curve"]]
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                found[name] = {key: arrays[key].tobytes() for key in arrays}
        elif path.suffix == ".safetensors" or path.name.startswith("images"):
            found[name] = path.read_bytes()
        elif ".index" not in path.parts:
            found[name] = "there"
    return found


def files(path):
    return [each for each in path.rglob("*") if each.is_file()] if path.is_dir() else [path] * path.exists()


def leftovers(folder):
    """List half-written files and locks."""
    return [str(path) for path in folder.rglob("*") if ".partial" in path.name or path.name.endswith(".lock")]


def clear(folder, job):
    for made in MADE[job]:
        shutil.rmtree(folder / made, ignore_errors=True)
        if (folder / made).is_file():
            (folder / made).unlink()


class Campaign:
    """Commands that are killed in one folder, compared with those that were left alone in another."""

    def __init__(self, galaxies, folder, seed):
        self.whole, self.killed, self.said = folder / "whole", folder / "killed", folder / "said.txt"
        self.random = random.Random(seed)
        self.data = ["--set", f"dataset.path={galaxies}", "--cache", "cache"]
        self.undisturbed = {}
        self.kills, self.too_late, self.lost = dict.fromkeys(JOBS, 0), 0, []

    def words(self, job):
        return [*JOBS[job], *self.data]

    def leave_alone(self, job):
        """Do a job once in both folders undisturbed; remember how long it took and what it made."""
        for folder in (self.whole, self.killed):
            folder.mkdir(exist_ok=True)
        seconds, code = issued(self.words(job), self.whole, self.said)
        if code:
            raise SystemExit(f"{job} ends with {code} undisturbed: {self.said.read_text()[-2000:]}")
        self.undisturbed[job] = seconds, content(self.whole, job)
        if job == "full":
            issued(self.words(job), self.killed, self.said)

    def kill(self, job, times):
        """Kill a job a few times in a row from scratch, issue it again, and compare."""
        clear(self.killed, job)
        seconds, expected = self.undisturbed[job]
        for _ in range(times):
            pid = start(self.words(job), self.killed, self.said)
            other = start(self.words(job), self.killed, self.said) if job == "two" else None
            time.sleep(self.random.uniform(0, seconds))
            os.kill(pid, signal.SIGKILL)
            was_killed = ended(pid) == -signal.SIGKILL
            self.kills[job] += was_killed
            self.too_late += not was_killed
            if other is not None and ended(other) != 0:
                self.lost.append(f"two: the other command failed: {self.said.read_text()[-500:]}")
        _, code = issued(self.words(job), self.killed, self.said)
        found = content(self.killed, job)
        if code:
            self.lost.append(f"{job}: issued again it ends with {code}: {self.said.read_text()[-500:]}")
        differing = [name for name in {*expected, *found} if expected.get(name) != found.get(name)]
        if differing:
            self.lost.append(f"{job}: differing {differing[:5]}")
        if left := leftovers(self.killed):
            self.lost.append(f"{job}: left {left[:5]}")


def campaign(galaxies, folder, wanted, seed=0):
    """Kill until so many kills are done, and one of every job; return the figures."""
    tried = Campaign(galaxies.resolve(), folder, seed)
    for job in JOBS:
        tried.leave_alone(job)
    for job in itertools.cycle(JOBS):
        enough = sum(tried.kills.values()) >= wanted and all(tried.kills.values())
        if enough or tried.too_late > 3 * wanted:
            break
        tried.kill(job, times=1 + (job in ("grid", "full")))
        print(
            f"{sum(tried.kills.values())} kills, lost: {tried.lost or 'nothing'}", file=sys.stderr, flush=True
        )
    return {"kills": tried.kills, "too_late": tried.too_late, "lost": tried.lost}


if __name__ == "__main__":
    place = Path(sys.argv[2])
    place.mkdir(parents=True, exist_ok=True)
    print(json.dumps(campaign(Path(sys.argv[1]), place, int(sys.argv[3]))))
