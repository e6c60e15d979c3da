"""Rules for objectives in a run: interrupted and resumed, at half precision, for a few more steps, looked at.

They use what a run uses: its training loop and its checkpoints.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from astrojepa_bench.checked import misnamed, plain_number
from astrojepa_bench.data.device import DeviceImages
from astrojepa_bench.evaluation.collapse import HealthWatch
from astrojepa_bench.events import muted
from astrojepa_bench.roles import Objective
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.testing import galaxies
from astrojepa_bench.testing.checks import RuleSet
from astrojepa_bench.testing.objective import trained
from astrojepa_bench.testing.rehearsal import (
    CPU,
    GRID,
    Anywhere,
    build,
    descend,
    drawer_for,
    equal_values,
    labelled_batch,
    streams_of,
)
from astrojepa_bench.testing.subject import Subject
from astrojepa_bench.testing.watching import move_generators
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.loop import Trainer, TrainingResult
from astrojepa_bench.training.optimisers import make_optimiser
from astrojepa_bench.types import Card, GalaxyTable, Progress

SEEN, RESUMED_AT, STEPS = 24, 2, 4  # galaxies; optimiser steps before the interruption, and in all
LATE = 12
LEARNS = ("objective-finite", "objective-recipe", "objective-gradients")
rules = RuleSet("objective", after=("acts", "settings"))


class _Interrupted(Exception):  # noqa: N818 what a kill is to a process
    """The rehearsed run ends here; its checkpoint is written."""


@dataclass
class _Stopping(Checkpointer):
    """Writes one checkpoint, after some steps, and stops the run."""

    steps: int = 0

    def due(self) -> bool:
        """Whether the steps are done."""
        self.steps += 1
        return self.steps == RESUMED_AT

    def write(self, state: Mapping[str, Any]) -> None:
        """Write, and stop."""
        super().write(state)
        raise _Interrupted


def invented_table(columns: Mapping[str, np.ndarray] | None = None) -> GalaxyTable:
    """Put invented galaxies of every class, and columns, into a table, all of them to train on."""
    rows, spec = np.arange(SEEN), galaxies.image_spec()
    images = (galaxies.images(SEEN).numpy() * 255).round().astype(np.uint8)
    return GalaxyTable(
        images, np.array([f"invented-{row:02d}" for row in rows]), np.full(SEEN, "train"), spec,
        Card("invented galaxies", "none", "none"), "invented", rows % galaxies.CLASSES,
        np.zeros(SEEN, dtype=np.int64), np.full(SEEN, ""), columns=columns or {},
    )  # fmt: skip


def rehearse(objective: Objective, checkpoint: Checkpointer | None = None) -> TrainingResult:
    """Train a few steps on invented galaxies, with the loop, the masks and the checkpoints of a run."""
    with muted():
        return trainer_of(objective).run(checkpoint)


def trainer_of(objective: Objective) -> Trainer:
    """Make the trainer of a few steps on invented galaxies."""
    told = galaxies.batch_of(galaxies.images(SEEN), columns=objective.columns).columns
    table = invented_table({name: values.numpy() for name, values in told.items()})
    seen = STEPS * min(objective.recipe().batch_size, SEEN)
    budget = Budget("check", galaxies.SIZE_PX, galaxies.PATCH_PX, seen, "", "rehearsal")
    masker = None if objective.masks == "ignored" else Anywhere(GRID)
    return Trainer(objective, masker, table, DeviceImages(table.images, CPU), budget, seed=0)


@rules(
    "state",
    "An interrupted run goes on as if it had not been: after a resume the next two steps are the same.",
    "register what changes while training as parameters or buffers; the guide tells how to keep anything else",
    ("global-random", "repeatable", "picklable", "objective-weights", *LEARNS),
)
def find_state(piece: Subject) -> str | None:
    """Stop a run after two steps, let a new objective resume it, and compare it with one that was not stopped."""
    whole, stopped, resumed = trained(piece), trained(piece), trained_from(piece, seed=1)
    expected = rehearse(whole).state.curve
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.pt")
        try:
            rehearse(stopped, _Stopping(path))
        except _Interrupted:
            move_generators()  # as in another process
        found = rehearse(resumed, Checkpointer(path, every_s=math.inf)).state.curve
    for (step, terms), (_, resumed_terms) in zip(expected[RESUMED_AT:], found[RESUMED_AT:], strict=True):
        if terms != resumed_terms:
            return (
                f"resumed with the same state the loss is {resumed_terms['total']:.6g} in step {step}, "
                f"not {terms['total']:.6g}"
            )
    again = resumed.state_dict()
    moved = [name for name, value in whole.state_dict().items() if not equal_values(value, again.get(name))]
    return f"'{moved[0]}' is another after the resumed run" if moved else None


def trained_from(piece: Subject, seed: int) -> Objective:
    """Build an objective in training mode, from another seed than the checks use."""
    objective: Objective = build(piece, seed=seed)
    return objective.train()


@rules(
    "health",
    "Its health is finite numbers by name, and none that the bench measures itself.",
    "return {} or a mapping of names to floats; leave out what cannot be computed, such as a mean over nothing",
    LEARNS,
)
def find_health(piece: Subject) -> str | None:
    """Ask for it before and after a few steps, in evaluation mode as a run does."""
    objective: Objective = build(piece)
    table = invented_table()
    watch = HealthWatch(objective, table, DeviceImages(table.images, CPU))
    for steps in (0, 2) if objective.trains else (0,):
        if steps:
            descend(objective.train(), labelled_batch(objective), steps)
        health: object = objective.eval().health()
        measured = watch.verdict(objective)[1]
        if not isinstance(health, Mapping):
            return f"health returned {type(health).__name__}; expected a mapping of names to numbers"
        for name, value in health.items():
            if (fault := misnamed(name)) is not None:
                return f"a health number: {fault}"
            if name in measured:
                return f"health '{name}' is measured by the bench; choose another name"
            if plain_number(value) is None:
                return f"health '{name}' is {value!r}; expected a finite number"
    return None


@rules(
    "half-precision",
    "It learns under autocast to bfloat16, as on a GPU: `loss` runs under it, `after_step` outside.",
    "cast what you keep to the dtype of its buffer, such as `self.queue[rows] = new.to(self.queue.dtype)`",
    LEARNS,
)
def find_half_precision(piece: Subject) -> str | None:
    """Take three steps under the autocast of the CPU."""
    objective = trained(piece)
    batch, optimiser = labelled_batch(objective), make_optimiser(objective, objective.recipe())
    for step in range(3):
        streams = streams_of(step)
        draw = drawer_for(objective, streams)
        with scoped_global(0, "layers", step), torch.autocast("cpu", torch.bfloat16):
            loss = objective.loss(batch, draw, streams)
        bad = loss.first_non_finite()
        if bad is not None:
            return f"loss term '{bad}' is not finite in bfloat16"
        optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        objective.before_step(Progress(step + 1, 3))
        optimiser.step()
        objective.after_step(Progress(step + 1, 3))
    return None


@rules(
    "steps",
    f"Its loss and gradients stay finite numbers by name over {LATE} steps; terms may come and go.",
    "return Loss(total, terms) with scalar tensors by name in every step; see what `after_step` changes",
    LEARNS,
)
def find_steps(piece: Subject) -> str | None:
    """Learn from one batch, with all that a step moves."""
    objective = trained(piece)
    for step, loss in enumerate(descend(objective, labelled_batch(objective), LATE)):
        if not math.isfinite(loss):
            return f"the loss is {loss} in step {step}"
    return None
