"""The one training loop. It knows no method by name: an objective gives a loss, the loop descends it.

Every random number of step k comes from streams named (seed, name, k), and the galaxies of step k from
(seed, k); so a run that was killed and resumed from a checkpoint ends with exactly the weights of one that
was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from astrojepa_bench import events
from astrojepa_bench.data.device import DeviceImages, to_unit
from astrojepa_bench.data.splitting.subset import nested_subset
from astrojepa_bench.errors import DivergedError
from astrojepa_bench.geometry.grids import Masks
from astrojepa_bench.geometry.views import base_augment
from astrojepa_bench.roles import Masker, Objective
from astrojepa_bench.streams import Streams, scoped_global
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.cost import StepCost, count_step
from astrojepa_bench.training.draw import MaskDraw
from astrojepa_bench.training.mask_health import averaged, measure_masks
from astrojepa_bench.training.order import DataOrder
from astrojepa_bench.training.schedule import make_optimiser, set_schedule
from astrojepa_bench.types import GalaxyBatch, GalaxyTable, Loss, Progress

CURVE_POINTS = 100
MONITOR_POINTS = 20

Monitor = Callable[[Objective], float]


@dataclass
class TrainingState:
    """What changes while a run trains, beside weights and moments.

    Attributes:
        step: optimiser steps done.
        seconds: time spent training, summed over interruptions [s].
        curve: (step, loss terms) at about a hundred steps.
        ranks: (step, effective rank) at about twenty.
    """

    step: int = 0
    seconds: float = 0.0
    curve: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    ranks: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class TrainingResult:
    """What training leaves, beside the trained objective.

    Attributes:
        steps, batch_size: optimiser steps and galaxies a step.
        cost: of one step.
        state: times, loss curve, live ranks.
        masks: mask health by name: what the masks show and hide of the grid and of the galaxy.
    """

    steps: int
    batch_size: int
    cost: StepCost
    state: TrainingState
    masks: Mapping[str, float]

    @property
    def images_seen(self) -> int:
        """Dataset images seen."""
        return self.steps * self.batch_size


class Trainer:
    """Trains one objective on one table.

    Args:
        objective: what to train, on its device.
        masker: places masks for it; None for objectives that ignore masks.
        table: the galaxies; only `pretraining_rows` are touched.
        images: the table's images on the device.
        budget: how many images to see, and of how many galaxies at most.
        seed: names every random stream.
        monitor: measures the effective rank of the judged encoder now and then.
    """

    def __init__(
        self,
        objective: Objective,
        masker: Masker | None,
        table: GalaxyTable,
        images: DeviceImages,
        budget: Budget,
        seed: int,
        monitor: Monitor | None = None,
    ) -> None:
        self.objective = objective
        self.masker = masker
        self.images = images
        self.device = images.device
        self.seed = seed
        self.monitor = monitor
        self.mirror = table.spec.mirror_safe
        self.label = torch.from_numpy(table.label).to(self.device)
        self.learns_labels = objective.needs_labels
        self.recipe = objective.recipe()
        rows = nested_subset(table.ids, self._rows(table), budget.galaxies)
        self.batch_size = min(self.recipe.batch_size, len(rows))
        self.order = DataOrder(rows, self.batch_size, seed)
        self.steps = budget.steps(self.batch_size)
        self.optimiser = make_optimiser(objective, self.recipe)
        self.mask_numbers: list[dict[str, float]] = []
        self.checks = True

    def _rows(self, table: GalaxyTable) -> Int[np.ndarray, " row"]:
        if not self.learns_labels:
            return table.pretraining_rows
        train = table.rows("train")
        return train[table.label[train] >= 0]

    def run(self, checkpoint: Checkpointer | None = None) -> TrainingResult:
        """Train to the last step, from the newest checkpoint if there is one.

        Raises:
            DivergedError: a loss term or gradient is not finite.
        """
        self.objective.train()
        cost = self._count_cost()
        state = self._resume(checkpoint)
        while state.step < self.steps:
            began = time.perf_counter()
            terms, norm = self._step(state.step)
            self._watch(state, terms, norm)
            state.step += 1
            state.seconds += time.perf_counter() - began
            self._report(state, terms)
            if checkpoint is not None and checkpoint.due() and state.step < self.steps:
                checkpoint.write(self._snapshot(state))
        self.objective.eval()
        return TrainingResult(self.steps, self.batch_size, cost, state, averaged(self.mask_numbers))

    def batch_of(self, step: int, streams: Streams) -> GalaxyBatch:
        """Give the galaxies of a step, turned, mirrored and shifted."""
        rows = self.order.at(step)
        raw = base_augment(self.images.raw(rows), streams.local("base"), mirror=self.mirror)
        index = torch.from_numpy(rows).to(self.device)
        labels = self.label[index] if self.learns_labels else torch.full_like(index, -1)
        return GalaxyBatch(to_unit(raw), index, labels)

    def loss_of(self, objective: Objective, step: int) -> Loss:
        """Compute the loss of a step; the same step always gives the same numbers."""
        streams = Streams(self.seed, step, self.device)
        draw = MaskDraw(self.masker, streams, self.checks, self._measure_masks if self.checks else None)
        on_gpu = self.device.type == "cuda"
        with (
            scoped_global(self.seed, "layers", step, self.device),
            torch.autocast(self.device.type, torch.bfloat16, enabled=on_gpu),
        ):
            return objective.loss(self.batch_of(step, streams), draw, streams)

    def _measure_masks(self, images: torch.Tensor, masks: Masks) -> None:
        assert self.masker is not None
        self.mask_numbers.append(measure_masks(images, masks, self.masker.grid))

    def _count_cost(self) -> StepCost:
        cost = count_step(self.objective, lambda rehearsal: self.loss_of(rehearsal, 0))
        self.checks = False  # values were checked on the first batch; later checks would hold up a GPU
        return cost

    def _step(self, step: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        set_schedule(self.optimiser, self.recipe, step, self.steps)
        loss = self.loss_of(self.objective, step)
        self.optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.recipe.clip)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
            self.objective.after_step(Progress(step + 1, self.steps))
        return {"total": loss.total.detach(), **{k: v.detach() for k, v in loss.terms.items()}}, norm

    def _watch(self, state: TrainingState, terms: Mapping[str, torch.Tensor], norm: torch.Tensor) -> None:
        bad = Loss(terms["total"], terms).first_non_finite()
        if bad is None and not bool(torch.isfinite(norm)):
            bad = "gradient norm"
        if bad is not None:
            raise DivergedError(state.step, bad)

    def _report(self, state: TrainingState, terms: Mapping[str, torch.Tensor]) -> None:
        last = state.step == self.steps
        if self.monitor is not None and (last or state.step % max(1, self.steps // MONITOR_POINTS) == 0):
            self.objective.eval()
            state.ranks.append((state.step, self.monitor(self.objective)))
            self.objective.train()
        numbers = {name: float(value) for name, value in terms.items()}
        if last or state.step % max(1, self.steps // CURVE_POINTS) == 0:
            state.curve.append((state.step, numbers))
        events.emit(
            "step",
            step=state.step,
            steps=self.steps,
            images_per_second=state.step * self.batch_size / max(state.seconds, 1e-9),
            terms=numbers,
            effective_rank=state.ranks[-1][1] if state.ranks else None,
        )

    def _snapshot(self, state: TrainingState) -> dict[str, Any]:
        return {
            "objective": self.objective.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": state.step,
            "seconds": state.seconds,
            "curve": state.curve,
            "ranks": state.ranks,
        }

    def _resume(self, checkpoint: Checkpointer | None) -> TrainingState:
        saved = checkpoint.read(self.device) if checkpoint is not None else None
        if saved is None:
            return TrainingState()
        self.objective.load_state_dict(saved["objective"])
        self.optimiser.load_state_dict(saved["optimiser"])
        events.emit("note", text=f"resuming at step {saved['step']} of {self.steps}")
        return TrainingState(saved["step"], saved["seconds"], list(saved["curve"]), list(saved["ranks"]))
