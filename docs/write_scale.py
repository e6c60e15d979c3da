"""Write `docs/scale.md`: what many galaxies cost, from rates that were measured, and how to spread the work.

    python docs/write_scale.py

Every number of time, memory and traffic on the page follows from the records below `leaderboard/suite-0/runs` and
from the parameters of what is trained; a test compares the page with what this writes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

from astrojepa_bench.plugin import Encoder, ImageSpec
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.streams import scoped_global

PAGE = Path(__file__).with_name("scale.md")
TEMPLATE = Path(__file__).with_name("scale.template.md")
RUNS = Path(__file__).parents[1] / "leaderboard" / "suite-0" / "runs"
GALAXIES = 8_500_000
"""About as many as the public image sets of the DESI Legacy Surveys hold."""
GPUS = 64
PASSES = 10
SPEC = ImageSpec(("z", "r", "g"), 64, (0.1, 0.1, 0.1), (0.1, 0.1, 0.1))
CLASSES = 10
ENCODER, PATCH_PX = "vit-micro", 8


class Rate(NamedTuple):
    """How fast one GPU trained an objective.

    Attributes:
        objective: its name.
        runs: how many runs were measured.
        least, usual, most: images a second.
        batch: galaxies a step.
        gpu: its name.
    """

    objective: str
    runs: int
    least: float
    usual: float
    most: float
    batch: int
    gpu: str


def rates() -> list[Rate]:
    """Collect the rates of all runs of one encoder that a GPU trained, by objective."""
    found: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
    for path in sorted(RUNS.glob("**/*.json")):
        record = json.loads(path.read_text())
        environment, speed = record["environment"], record["cost"].get("images_per_second")
        if environment.get("device") == "cuda" and record["encoder"] == ENCODER and speed:
            steps, seen = record["training"]["steps"], record["training"]["images_seen"]
            found[record["objective"]].append((speed, seen // steps, environment["device_name"]))
    return [
        Rate(
            objective,
            len(runs),
            min(speed for speed, _, _ in runs),
            median(speed for speed, _, _ in runs),
            max(speed for speed, _, _ in runs),
            int(median(batch for _, batch, _ in runs)),
            max({gpu for _, _, gpu in runs}),
        )
        for objective, runs in sorted(found.items())
    ]


def trained_parameters(registry: Registry, objective: str) -> int:
    """Count the parameters whose gradients are averaged at every step."""
    encoder, offer = registry.get("encoder", ENCODER), registry.get("objective", objective)
    with scoped_global(0, "page"):
        made: Encoder = encoder.factory(SPEC, patch=PATCH_PX)
        options = {option.name: option.default for option in offer.options if not option.required}
        built = offer.factory(made, made.grid, CLASSES, **options)
    return sum(each.numel() for each in built.parameters() if each.requires_grad)


def table(registry: Registry) -> str:
    """Return the table of times: one row an objective."""
    lines = [
        "| objective | images/s of one GPU (least to most, runs) | a pass, one GPU | "
        f"{PASSES} passes, {GPUS} GPUs | averaged a step |",
        "|---|---|---|---|---|",
    ]
    for rate in rates():
        alone = GALAXIES / rate.usual
        traffic = 4 * trained_parameters(registry, rate.objective) / 1e6
        lines.append(
            f"| `{rate.objective}` | {rate.usual:,.0f} ({rate.least:,.0f} to {rate.most:,.0f}, {rate.runs}) | "
            f"{alone / 60:.0f} min | {PASSES * alone / GPUS / 60:.1f} min | {traffic:.1f} MB |"
        )
    return "\n".join(lines)


def page(registry: Registry) -> str:
    """Return the whole page."""
    measured, stored = rates(), GALAXIES * len(SPEC.bands) * SPEC.size_px**2
    fastest = max(rate.usual for rate in measured)
    facts = {
        "galaxies": f"{GALAXIES / 1e6:g} million",
        "gpus": f"{GPUS}",
        "passes": f"{PASSES}",
        "gpu": max({rate.gpu for rate in measured}),
        "encoder": ENCODER,
        "batch": f"{int(median(rate.batch for rate in measured))}",
        "global_batch": f"{GPUS * int(median(rate.batch for rate in measured)):,}",
        "stored_gb": f"{stored / 1e9:,.0f}",
        "stored_224_gb": f"{stored * (224 / SPEC.size_px) ** 2 / 1e9:,.0f}",
        "stored_flux_gb": f"{2 * stored / 1e9:,.0f}",
        "read_gb_s": f"{GPUS * fastest * len(SPEC.bands) * SPEC.size_px**2 / 1e9:.1f}",
        "table": table(registry),
    }
    text = TEMPLATE.read_text()
    for name, value in facts.items():
        text = text.replace("{{" + name + "}}", value)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(load_registry()))
