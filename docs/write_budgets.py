"""Write the table of budgets in the README: what each asks of a machine, and of how many galaxies.

    python docs/write_budgets.py              # from what was measured; a test compares the README with this
    python docs/write_budgets.py --measure    # measure again, on two cores of this machine, which must be idle

All of it is of the recommended recipe, the one entry of suite `features`. Minutes of a GPU are from the median rate
of the records of suite 0; minutes and memory of two cores from steps on images of noise (`budgets.json`).
"""

from __future__ import annotations

import json
import platform
import re
import sys
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

import numpy as np
import torch

from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.data.splitting.splits import split_shares
from astrojepa_bench.errors import DataError
from astrojepa_bench.plugin import Encoder, ImageSpec, Masker, Objective
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.training.budgets import BUDGETS, Budget
from astrojepa_bench.training.cost import count_image
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Card, GalaxyTable

README = Path(__file__).parents[1] / "README.md"
MEASURED = Path(__file__).with_name("budgets.json")
RUNS = README.parent / "leaderboard" / "suite-0" / "runs"
MARKS = re.compile(r"(?<=<!-- budgets -->\n).*?(?=<!-- /budgets -->)", re.DOTALL)
CORES = 2
PASSES = 300  # the longest published schedule: galaxies shown more often than that are few
GALAXIES = 10_000  # for which the disk is told
STEPS = 12  # of which the first is left out


def table(registry: Registry) -> str:
    """Return the table and the lines below it.

    Raises:
        DataError: the time of two cores was measured of another recipe than the one that is recommended.
    """
    cores, small = json.loads(MEASURED.read_text()), BUDGETS["small"]
    wanted = told(registry, small)
    of = {name: cores.get(name) for name in wanted}
    if of != wanted:
        raise DataError(f"{MEASURED.name} is of {of}, the recommended recipe is {wanted}; run with --measure")
    runs = recorded(registry)
    gpu_s = small.seen / median(each["cost"]["images_per_second"] for each in runs)
    cores_s = small.seen * cores["seconds_an_image"]
    then = int(median(each["training"]["images_seen"] // each["training"]["steps"] for each in runs))
    batch, entry = wanted["batch_size"], wanted["entry"]
    yardstick = small.seen * count_image(encoder_of(registry, small))
    lines = [
        f"| budget | images shown | px | one GPU | {CORES} cores | arithmetic | memory | disk | least galaxies |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for budget in BUDGETS.values():
        work = budget.seen * count_image(encoder_of(registry, budget)) / yardstick
        measured = (budget.encoder, budget.size_px) == (small.encoder, small.size_px)
        about = "" if measured else "≈ "
        cells = [
            f"`{budget.name}`",
            f"{budget.seen:,}",
            f"{budget.size_px}",
            about + duration(gpu_s * work),
            about + duration(cores_s * work),
            f"× {work:,.2g}" if work < 1 else f"× {work:,.0f}",
            f"{cores['peak_bytes'] / 1e9:.1f} GB" if measured else "–",
            f"{3 * budget.size_px**2 * GALAXIES / 1e9:.1f} GB",
            f"{max(-(-budget.seen // PASSES), round(batch / (1 - sum(split_shares(1))))):,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    gpu = max(each["environment"]["device_name"] for each in runs)
    about = (
        f"Training alone, `{entry}`: on an {gpu} as the records of suite 0 have it, in batches of {then}, and "
        f"on {CORES} cores of an {cores['processor']} (torch {cores['torch']}) in batches of {batch}. `≈` follows "
        "from the arithmetic at the rate of `small` and was not measured. Memory is what training holds beside the "
        f"galaxies, disk what {GALAXIES:,} galaxies of three bands take in the cache. With fewer galaxies than in "
        f"the last column a step is smaller than its recipe says, or each is shown more than {PASSES} times. About "
        f"{labelled(0.05):,} labelled galaxies place an accuracy within ±5 points, {labelled(0.02):,} within ±2 "
        "(standard error)."
    )
    return "\n".join([*lines, "", about, ""])


def entry_of(registry: Registry) -> tuple[str, str]:
    """Return objective and masker of the recommended recipe."""
    [block] = registry.suite("features").suite.all_blocks
    return block.objectives[0], block.maskers[0]


def told(registry: Registry, budget: Budget) -> dict[str, Any]:
    """Tell what was, or would be, measured: the recommended recipe and its batch."""
    batch = recipe_of(registry, budget).recipe().batch_size
    return {"entry": " + ".join(entry_of(registry)), "batch_size": batch}


def encoder_of(registry: Registry, budget: Budget) -> Encoder:
    """Build the encoder of a budget."""
    with scoped_global(0, "page"):
        made: Encoder = registry.get("encoder", budget.encoder).factory(
            spec_of(budget), patch=budget.patch_px
        )
    return made


def recipe_of(registry: Registry, budget: Budget) -> Objective:
    """Build the recommended objective with its defaults."""
    offer, encoder = registry.get("objective", entry_of(registry)[0]), encoder_of(registry, budget)
    with scoped_global(0, "measured"):
        options = {option.name: option.default for option in offer.options if not option.required}
        built: Objective = offer.factory(encoder, encoder.grid, 0, **options)
    return built


def spec_of(budget: Budget) -> ImageSpec:
    """Return images of three bands."""
    return ImageSpec(("z", "r", "g"), budget.size_px, (0.2,) * 3, (0.1,) * 3)


def recorded(registry: Registry) -> list[dict[str, Any]]:
    """Read the runs of the recommended recipe that a GPU trained at its defaults."""
    objective, masker = entry_of(registry)
    found = [json.loads(path.read_text()) for path in sorted(RUNS.glob(f"*/{objective}+{masker}/*.json"))]
    wanted = {"budget": "small", "encoder": BUDGETS["small"].encoder, "pretraining": None, "altered": {}}
    return [
        each
        for each in found
        if each["environment"].get("device") == "cuda" and wanted == {name: each[name] for name in wanted}
    ]


def labelled(standard_error: float) -> int:
    """Return how many labelled galaxies give a test set that places an even chance within a standard error."""
    test, _ = split_shares(1)
    return round(0.25 / standard_error**2 / test / 100) * 100


def duration(seconds: float) -> str:
    """Write a time as a person would.

    Example:
        >>> duration(40), duration(600), duration(7200), duration(864000)
        ('40 s', '10 min', '2 h', '10 days')
    """
    for unit, length, most in (("s", 1, 90), ("min", 60, 90), ("h", 3600, 48)):
        if seconds < most * length:
            return f"{seconds / length:.2g} {unit}" if seconds >= length else f"{seconds:.1g} {unit}"
    return f"{seconds / 86400:.0f} days"


# --- measuring ------------------------------------------------------------------------------------------------


def measure(budget: Budget) -> dict[str, Any]:
    """Take steps of the recommended recipe as the loop takes them; the time of an image [s], and peak memory."""
    torch.set_num_threads(CORES)
    registry = load_registry()
    _, masker = entry_of(registry)
    built = recipe_of(registry, budget)
    drawn: Masker = registry.get("masker", masker).factory(encoder_of(registry, budget).grid)
    galaxies = noise(budget, built.recipe().batch_size)
    trainer = Trainer(built, drawn, galaxies, DeviceImages(galaxies.images, torch.device("cpu")), budget, 0)
    trainer.rehearses = False
    built.train()
    taken = []
    for step in range(STEPS):
        began = time.perf_counter()
        trainer._step(step)
        taken.append(time.perf_counter() - began)
    return {
        **told(registry, budget),
        "processor": processor(),
        "torch": torch.__version__.partition("+")[0],
        "seconds_an_image": round(median(taken[1:]) / trainer.batch_size, 6),
        "peak_bytes": 1024 * getrusage(RUSAGE_SELF).ru_maxrss,
    }


def noise(budget: Budget, count: int) -> GalaxyTable:
    """Invent galaxies."""
    shape = (count, 3, budget.size_px, budget.size_px)
    return GalaxyTable(
        images=np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8),
        ids=np.array([f"g{row}" for row in range(count)]),
        split=np.full(count, "train"),
        spec=spec_of(budget),
        card=Card("noise", "", ""),
        fingerprint="noise",
        label=np.full(count, -1),
        anomaly=np.zeros(count, dtype=int),
        anomaly_type=np.full(count, ""),
    )


def processor() -> str:
    """Name the processor."""
    facts = Path("/proc/cpuinfo")
    named = re.findall(r"^model name\s*: (.*)$", facts.read_text() if facts.is_file() else "", re.MULTILINE)
    return re.sub(r"\((R|TM)\)|CPU ?|@.*", "", named[0]).strip() if named else platform.machine()


if __name__ == "__main__":
    if sys.argv[1:] == ["--measure"]:
        MEASURED.write_text(json.dumps(measure(BUDGETS["small"]), indent=1) + "\n")
    README.write_text(MARKS.sub(lambda _: table(load_registry()), README.read_text()))
