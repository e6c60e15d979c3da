"""Workers that share one folder: they are killed at random, or one is stopped for longer than its lease.

    python tests/runs/sharing.py kills GALAXIES.h5 FOLDER 40
    python tests/runs/sharing.py stopped GALAXIES.h5 FOLDER training .safetensors .json

Workers are forks of one process that has imported everything, as in `kills.py`. Checkpoints are written after every
step, so that whoever takes a cell over has something to go on from.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import kills
from kills import RUN, content, ended, issued, leftovers, start

from astrojepa_bench import files, owners
from astrojepa_bench.cli import main
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.loop import Trainer

CELLS = [*RUN, "-o", "sound,z-sound", "-E", "core", "--seeds", "3", "--out", "grid", "--json"]
TWO = [*RUN, "-o", "sound,z-sound", "-E", "core", "--out", "grid", "--json"]
WORKERS = 4
LEASE_S = 1.0

Checkpointer.due = lambda self: True
replace = os.replace


def told(source, target, *rest, **more):
    """Put a file in place, and note it if it is a record."""
    replace(source, target, *rest, **more)
    if Path(target).suffix == ".json" and "runs" in Path(target).parts:
        with open(os.environ["WRITTEN"], "a") as file:  # one short line: no other worker's comes between
            file.write(f"{Path(target).stem}\n")


def records(folder):
    return {path.stem: path for path in (folder / "grid" / "runs").rglob("*.json")}


def answer(said):
    """Read what a worker printed last."""
    return json.loads(said.read_text().strip().splitlines()[-1])


# --- kills ----------------------------------------------------------------------------------------------------


def kill_workers(words, folder, wanted, seed=0):
    """Let four workers do a grid, kill one after the other at random moments and put others in their places.

    Where the grid is done before there were enough kills, it begins anew. Return what was found in the end.
    """
    chance, lost, kills_done, rounds = random.Random(seed), [], 0, 0
    seconds, code = issued(words, folder / "whole", folder / "said.txt")
    whole, shared = content(folder / "whole", "grid"), folder / "shared"
    assert code == 0, (folder / "said.txt").read_text()[-2000:]
    os.replace = told
    while kills_done < wanted:
        rounds += 1
        shutil.rmtree(shared / "grid", ignore_errors=True)
        written = folder / f"written{rounds}.txt"
        os.environ["WRITTEN"] = str(written)
        workers = {start(words, shared, folder / f"said{k}.txt"): k for k in range(WORKERS)}
        pause = seconds / WORKERS
        while kills_done < wanted and len(records(shared)) < len(whole_records(whole)):
            time.sleep(chance.uniform(0.05, pause))
            victim = chance.choice([*workers])
            os.kill(victim, signal.SIGKILL)
            was_killed = ended(victim) == -signal.SIGKILL
            kills_done += was_killed
            place = workers.pop(victim)
            workers[start(words, shared, folder / f"said{place}.txt")] = place
        codes = [ended(worker) for worker in workers]
        if any(codes):
            lost.append(f"workers end with {codes}: {(folder / 'said0.txt').read_text()[-500:]}")
        found = content(shared, "grid")
        differing = [name for name in {*whole, *found} if whole.get(name) != found.get(name)]
        lost += [f"differing: {differing[:5]}"] * bool(differing)
        lines = written.read_text().split()  # but for one that was killed before it could note it
        lost += [f"written twice: {sorted(lines)}"] * (len(lines) != len(set(lines) & set(records(shared))))
        left = leftovers(shared / "grid")
        lost += [f"left: {left[:5]}"] * bool(left)
        if main(["leaderboard", "check", str(shared / "grid")]):
            lost.append("the board is not that of its records")
    return {"kills": kills_done, "rounds": rounds, "cells": len(records(shared)), "lost": lost}


def whole_records(found):
    return [name for name in found if name.endswith(".json") and "/runs/" in name]


# --- a lease that runs out while its owner lives --------------------------------------------------------------


def waits_at(moment, here):
    """Let this process wait at a moment: in a step of training, or where a file is about to take its place."""

    def wait():
        if not (here / "reached").exists():
            (here / "reached").touch()
            while not (here / "go").exists():
                time.sleep(0.05)

    if moment == "training":
        step = Trainer._step
        Trainer._step = lambda self, number: (number == 5 and wait(), step(self, number))[1]
        return

    def delayed(source, target, *rest, **more):
        if Path(target).suffix == moment and {"runs", "weights", "features"} & {*Path(target).parts}:
            wait()
        told(source, target, *rest, **more)

    os.replace = delayed


def worker(words, folder, said, place, moment=None):
    """Fork a worker of another machine than its fellows, as its signature tells."""
    pid = os.fork()
    if pid:
        return pid
    owners._place = lambda: place
    if moment is not None:
        waits_at(moment, folder.parent)
    os._exit(ended(start(words, folder, said)))


def stop_worker(words, folder, moment):
    """Stop a worker for longer than its lease, let another finish the grid, and let the first go on."""
    (folder / "shared").mkdir(parents=True)
    files.LEASE_S, files.BEAT_S = LEASE_S, LEASE_S / 10
    shared, first_said, second_said = folder / "shared", folder / "first.txt", folder / "second.txt"
    os.environ["WRITTEN"] = str(folder / "written.txt")
    os.replace = told
    first = worker(words, shared, first_said, "0000000a", moment)
    while not (folder / "reached").exists():
        time.sleep(0.02)
    owner = next(path for path in (shared / "grid" / "leases").glob("*.lock/*"))
    os.kill(int(owner.name.split("-")[2]), signal.SIGSTOP)
    second_code = ended(worker(words, shared, second_said, "0000000b"))
    between = {name: (path.read_bytes(), path.stat().st_mtime_ns) for name, path in kept(shared).items()}
    (folder / "go").touch()
    os.kill(int(owner.name.split("-")[2]), signal.SIGCONT)
    first_code = ended(first)
    after = {name: (path.read_bytes(), path.stat().st_mtime_ns) for name, path in kept(shared).items()}
    return {
        "codes": [first_code, second_code],
        "trained": [answer(said)["trained"] for said in (first_said, second_said)],
        "records": [answer(said)["records"] for said in (first_said, second_said)],
        "written": sorted((folder / "written.txt").read_text().split()),
        "cells": sorted(records(shared)),
        "untouched": between == after,
        "left": leftovers(shared / "grid" / "leases") + leftovers(shared / "grid" / "weights"),
        "said": first_said.read_text(),
    }


def kept(folder):
    """Find the files of runs: records, weights, features, checkpoints."""
    rooms = ("runs", "weights", "features", "checkpoints")
    return {str(path): path for room in rooms for path in kills.files(folder / "grid" / room)}


if __name__ == "__main__":
    what, galaxies, place, *how = sys.argv[1:]
    place = Path(place).resolve()
    data = ["--set", f"dataset.path={Path(galaxies).resolve()}", "--cache", str(place / "cache")]
    if what == "kills":
        for each in ("whole", "shared"):
            (place / each).mkdir(parents=True, exist_ok=True)
        print(json.dumps(kill_workers([*CELLS, *data], place, int(how[0]))))
    else:
        print(json.dumps({moment: stop_worker([*TWO, *data], place / moment, moment) for moment in how}))
