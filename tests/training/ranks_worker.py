"""A rank of the tests: trains what it is asked for, with others or alone, and keeps what came of it.

Every task is an objective on a few invented galaxies, with plain descent. AdamW divides gradients by their own
size: where one is zero but for rounding, as that of a bias in front of a BatchNorm, its last digit becomes a step.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from astrojepa_bench.data.galaxies import Galaxies
from astrojepa_bench.launched import launched
from astrojepa_bench.ranks import current, training_as
from astrojepa_bench.registry import Registry, load_registry
from astrojepa_bench.runs.assemble import assemble, load_galaxies
from astrojepa_bench.runs.component import Cell, Component
from astrojepa_bench.runs.ranks.channel import Channel
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.loop import Trainer
from astrojepa_bench.types import Progress

BATCH, STEPS, GALAXIES, SIZE_PX = 8, 2, 48, 32
BUDGET = Budget("ranks", SIZE_PX, 4, STEPS * BATCH, "vit-micro", "tests")


def main(tasks: dict[str, dict[str, Any]], results: Path) -> None:
    """Do all tasks, alone where no launcher started others; write what this rank found."""
    channel = Channel.of_environment() if launched().size > 1 else None
    found = dict[str, Any]()
    for number, (name, task) in enumerate(tasks.items()):
        ranks = None if channel is None else channel.group(number, torch.device("cpu"))
        try:
            with training_as(ranks):
                found[name] = train(task)
            if channel is not None:
                wait_for_all(channel, f"done/{number}")
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
        finally:
            if ranks is not None:
                ranks.part()
    torch.save(found, results)
    if channel is not None:
        wait_for_all(channel, "end", waits=channel.place.rank == 0)  # the first rank holds the store


def wait_for_all(channel: Channel, what: str, *, waits: bool = True) -> None:
    """Say that this rank is there, and wait until all are."""
    channel.tell(f"{what}/{channel.place.rank}", True)
    for rank in range(channel.place.size if waits else 0):
        channel.told(f"{what}/{rank}")


class Stopped(Exception):
    """The run ends here, its checkpoint is written."""


class Stopping(Checkpointer):
    """Writes one checkpoint and ends the run."""

    def write(self, state: Mapping[str, Any]) -> None:
        """Write, and stop."""
        super().write(state)
        raise Stopped


@cache
def registry() -> Registry:
    """Load what is shipped."""
    return load_registry()


@cache
def galaxies() -> Galaxies:
    """Invent a few galaxies."""
    dataset = Component.of(registry().get("dataset", "synthetic"), {"dataset": {"galaxies": GALAXIES}})
    with tempfile.TemporaryDirectory() as cache_dir:
        return load_galaxies(dataset, SIZE_PX, Path(cache_dir), torch.device("cpu"))


def train(task: dict[str, Any]) -> dict[str, Any]:
    """Train one objective; return gradients, curve, weights, and what a record tells of the batch."""
    offers = [registry().get(role, task[role]) for role in ("objective", "masker", "encoder")]
    settings = {"objective": {"batch_size": BATCH, **task.get("options", {})}}
    parts = [Component.of(offer, settings, {"patch": BUDGET.patch_px}) for offer in offers]
    made = assemble(Cell(*parts, seed=0), galaxies(), None)
    objective, gradients = made.objective, list[dict[str, torch.Tensor]]()
    recipe = dataclasses.replace(
        objective.recipe(), optimiser="sgd", learning_rate=1e-2, momentum=0.0, scales_with="none",
        accumulation=task.get("accumulation", 1),
    )  # fmt: skip
    before_step = objective.before_step

    def keep(progress: Progress) -> None:
        named = objective.named_parameters()
        gradients.append({name: each.grad.clone() for name, each in named if each.grad is not None})
        before_step(progress)

    vars(objective).update(recipe=lambda: recipe, before_step=keep)
    held, checkpoint = galaxies(), None
    if (current() is None or current().rank == 0) and {"stop", "resume"} & task.keys():
        kind = Stopping if "stop" in task else Checkpointer
        checkpoint = kind(Path(task.get("stop") or task["resume"]), every_s=0 if "stop" in task else 1e9)
    result = Trainer(objective, made.masker, held.table, held.images, BUDGET, seed=0).run(checkpoint)
    return {
        "gradients": gradients,
        "curve": result.state.curve,
        "weights": {name: each for name, each in objective.state_dict().items() if torch.is_tensor(each)},
        "told": (result.cost, dict(result.masks), result.images_seen),
    }


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
