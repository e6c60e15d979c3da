"""Start-up: what commands that only look take, in CPU seconds of a fresh process, once the catalogue is kept.

Beside each: what importing torch and timm alone takes, which these commands do without.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from table import Row

from astrojepa_bench.registry import KINDS, load_registry

COMMANDS = (
    (("--help",), 0),
    (("list",), 0),
    (("list", "--json"), 0),
    (("show", "ijepa"), 0),
    (("run", "-o", "ijepaa"), 2),
    (("run", "-o", "ijepa", "--set", "objective.horizonn=1"), 2),
)
MOST_S = 0.6


def rows(*, quick: bool = False) -> Iterator[Row]:
    """Time each command; the first of each, which keeps the catalogue, does not count."""
    repeats = 1 if quick else 5
    with tempfile.TemporaryDirectory() as home:
        heavy_s = timed([sys.executable, "-c", "import torch, timm"], home, repeats, 0)[0]
        for words, code in COMMANDS:
            command = [sys.executable, "-m", "astrojepa_bench", *words]
            seconds, spread, said = timed(command, home, repeats, code)
            if words == ("list", "--json"):
                listed = [each for each in json.loads(said) if each["kind"] in KINDS]
                names = {(each["kind"], each["name"]) for each in listed}
                registry = load_registry()
                offers = {(kind, offer.name) for kind in KINDS for offer in registry.offers(kind)}
                assert names == offers, f"listed and offered differ by {sorted(names ^ offers)[:3]}"
            yield Row(
                f"`{' '.join(words)}`, CPU seconds of a fresh process", seconds, heavy_s, seconds, "s",
                "" if quick else f"<= {MOST_S}", f"exit code {code}; beside it: importing torch and timm", spread,
                "Python",
            )  # fmt: skip


def timed(
    command: Sequence[str], home: str, repeats: int, code: int
) -> tuple[float, tuple[float, float], str]:
    """Return the median CPU seconds of a command, their least and most, and what it printed."""
    taken, said = [], ""
    environment = {**os.environ, "HOME": home, "XDG_CACHE_HOME": home, "OMP_NUM_THREADS": "1"}
    for _ in range(repeats + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == code, f"{' '.join(command)}: exit code {done.returncode}"
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        said = done.stdout
    return statistics.median(taken[1:]), (min(taken[1:]), max(taken[1:])), said
