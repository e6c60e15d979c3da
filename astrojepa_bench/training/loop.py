"""The one training loop. It knows no method by name: an objective gives a loss, the loop descends it.

Every random number of step k comes from streams named (seed, name, k), and the galaxies of step k from
(seed, k); so a run that was killed and resumed from a checkpoint ends with exactly the weights of one that
was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from astrojepa_bench import events, ranks
from astrojepa_bench.border import blamed_on
from astrojepa_bench.data.device import DeviceImages, to_unit
from astrojepa_bench.errors import ContractError, DataError, Unsuitable, said_by
from astrojepa_bench.geometry.grids import Masks
from astrojepa_bench.geometry.views import base_augment
from astrojepa_bench.ranks import Share
from astrojepa_bench.roles import Masker, Objective
from astrojepa_bench.streams import (
    Streams,
    of_part,
    python_and_numpy_kept,
    scoped_global,
    seed_python_and_numpy,
)
from astrojepa_bench.training.asked import loss_of, recipe_of
from astrojepa_bench.training.autocast import autocast_to
from astrojepa_bench.training.batch_norm import normalising_over_ranks
from astrojepa_bench.training.budgets import Budget
from astrojepa_bench.training.checkpoint import Checkpointer
from astrojepa_bench.training.cost import StepCost, count_step, matched_steps
from astrojepa_bench.training.draw import MaskDraw, UnreadMasks
from astrojepa_bench.training.hidden import hidden_state
from astrojepa_bench.training.linear_layers import LinearByOneDNN
from astrojepa_bench.training.mask_health import averaged, measure_masks
from astrojepa_bench.training.numbers import NORM, StepNumbers, read_numbers
from astrojepa_bench.training.optimisers import gradient_norm, make_optimiser, step_unless
from astrojepa_bench.training.order import DataOrder
from astrojepa_bench.training.precision import precision_on
from astrojepa_bench.training.resuming import check_fit, load_state
from astrojepa_bench.training.schedule import set_schedule
from astrojepa_bench.training.together import (
    check_alike,
    rows_of,
    share_gradients,
    share_numbers,
    share_of_part,
    state_of_first,
)
from astrojepa_bench.training.told import Told
from astrojepa_bench.types import GalaxyBatch, GalaxyTable, Loss, Progress

CURVE_POINTS = 100
MONITOR_POINTS = 20
READ_EVERY = 10

Monitor = Callable[[Objective], float]


@dataclass
class TrainingState:
    """What changes while a run trains, besides weights and moments.

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
    """What training leaves, besides the trained objective.

    Attributes:
        steps, batch_size: optimiser steps and galaxies a step.
        cost: of one step; None for an objective that cannot be copied to count it.
        state: times, loss curve, live ranks.
        masks: mask health by name: what the masks show and hide of the grid and of the galaxy.
    """

    steps: int
    batch_size: int
    cost: StepCost | None
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
        budget: how many images to see, of how many galaxies and with how many labels at most.
        seed: names every random stream.
        monitor: measures the effective rank of the scored encoder now and then.
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
        self.recipe = recipe_of(objective)
        self.told = Told.of(objective, table, budget, self.device)
        rows = self.told.rows
        batch_size = min(self.recipe.batch_size, len(rows))
        self.parts = min(self.recipe.accumulation, batch_size)
        self.batch_size = batch_size - batch_size % self.parts  # parts are of equal size
        self.paced = self.recipe.at_batch(self.batch_size)
        self.order = DataOrder(rows, self.batch_size, seed, table.block, images.coming)
        self.budget = budget
        self.precision = precision_on(budget.precision, self.device.type)
        self.steps = budget.steps(self.batch_size)  # of images; of operations once a step is counted
        with blamed_on(objective):
            self.optimiser = make_optimiser(objective, self.paced)
        self.mask_numbers: list[dict[str, float]] = []
        self.rehearses = True
        self.share: Share | None = None  # of each batch, while several ranks train
        # a CPU reads at once, and an index beyond the grid must not reach a gather; a GPU would be held up
        self.unread_masks = UnreadMasks() if self.device.type != "cpu" else None
        self.non_finite = torch.zeros((), device=self.device)  # 1 from the first step that diverged

    def run(self, checkpoint: Checkpointer | None = None) -> TrainingResult:
        """Train to the last step, from the newest checkpoint if there is one.

        Where several ranks train together (`ranks.training_as`), each calls this, the first one alone with a
        checkpoint; they compute what one process computes on the same batches.

        Losses are read from the device every few steps only, since each reading holds a GPU up.

        Raises:
            DivergedError: a loss term or gradient is not finite.
            UncountedError: the budget is matched by arithmetic, and a step cannot be counted.
            ConfigError: a batch cannot be dealt to the ranks equally.
        """
        with python_and_numpy_kept(), normalising_over_ranks(self.objective):
            return self._run(checkpoint)

    def count(self) -> StepCost | None:
        """Count what a step costs; where arithmetic is matched, the number of steps follows from it."""
        self._set_mode(training=True)
        cost = count_step(self.objective, lambda rehearsal: self.loss_of(rehearsal, 0), self.parts)
        self._read_masks()
        if self.budget.flops is not None:
            self.steps = matched_steps(self.objective, self.budget.flops, cost)
        return cost

    def _run(self, checkpoint: Checkpointer | None) -> TrainingResult:
        together = ranks.current()
        rank = 0 if together is None else together.rank
        share = share_of_part(rank, ranks.size(), self.batch_size, self.parts)
        self._set_mode(training=True)
        self._snapshot(TrainingState())  # what no checkpoint can hold is refused before anything is learnt
        cost, self.steps = ranks.from_first(lambda: (self.count(), self.steps), self.device)
        self.rehearses, self.share = False, share
        state = self._resume(checkpoint)
        first = state.step + 1
        unread: list[StepNumbers] = []
        while state.step < self.steps:
            began = time.perf_counter()
            try:
                unread.append(self._step(state.step))
            except Exception as error:
                self._read(unread)  # what raised may have met masks that are none, or numbers of a step that
                if isinstance(error, Unsuitable) and state.step:  # diverged: then say that
                    raise ContractError(
                        f"it calls itself unsuitable after {state.step} steps ({said_by(error)}); raise Unsuitable "
                        "before anything is learnt"
                    ) from error
                raise
            state.step += 1
            saves = checkpoint is not None and checkpoint.due() and state.step < self.steps
            pauses = saves or self._measures_rank(state.step) or state.step == self.steps
            numbers = self._read(unread) if pauses or len(unread) == READ_EVERY else {}
            state.seconds += time.perf_counter() - began
            if numbers:
                unread.clear()
                with ranks.training_as(None):
                    self._report(state, numbers)
            if together is not None and state.step in (first, self.steps):
                check_alike(together, self.objective)
            if checkpoint is not None and saves:
                checkpoint.write(self._snapshot(state))
        self._set_mode(training=False)
        return TrainingResult(self.steps, self.batch_size, cost, state, averaged(self.mask_numbers))

    def _set_mode(self, *, training: bool) -> None:
        with blamed_on(self.objective):
            self.objective.train(training)

    def batch_of(self, step: int, streams: Streams) -> GalaxyBatch:
        """Return the galaxies of a step, or of a part of it, turned, mirrored and shifted; of this rank alone."""
        rows = rows_of(np.split(self.order.at(step), self.parts)[streams.part], self.share)
        raw = base_augment(self.images.raw(rows), streams.local("base"), mirror=self.mirror)
        return self.told.batch(rows, to_unit(raw))

    def loss_of(self, objective: Objective, step: int, part: int = 0) -> Loss:
        """Compute the loss of a part of a step; the same one always gives the same numbers."""
        progress, share = step / self.steps, self.share
        streams = Streams(self.seed, step, self.device, progress=progress, part=part, share=share)
        layers = of_part("layers", part)
        watch = self._measure_masks if self.rehearses else None
        draw = MaskDraw(self.masker, streams, watch, self.unread_masks)
        with (
            scoped_global(self.seed, layers, step, self.device, share=share),
            autocast_to(self.precision, self.device.type),
            LinearByOneDNN(),
        ):
            seed_python_and_numpy(self.seed, layers, step, share)
            return loss_of(objective, self.batch_of(step, streams), draw, streams, self.device)

    def _measure_masks(self, images: torch.Tensor, masks: Masks) -> None:
        assert self.masker is not None
        self.mask_numbers.append(measure_masks(images, masks, self.masker.grid))

    def _step(self, step: int) -> StepNumbers:
        """Descend once. From the first step that is not finite, weights stay as they are, unread as it is yet."""
        set_schedule(self.optimiser, self.paced, step, self.steps)
        found: dict[str, list[torch.Tensor]] = {}
        for part in range(self.parts):
            loss = self.loss_of(self.objective, step, part)
            with blamed_on(self.objective):  # a gradient is computed by its code, and left to a hook of its
                if part == 0:
                    self.optimiser.zero_grad(set_to_none=True)
                (loss.total / self.parts if self.parts > 1 else loss.total).backward()
            for name, term in {"total": loss.total, **loss.terms}.items():
                found.setdefault(name, []).append(term.detach().to(self.device, torch.float64).reshape(()))
        together = ranks.current()
        if together is not None:
            share_gradients(together, self.objective.parameters())
        with blamed_on(self.objective):
            self.objective.before_step(Progress(step + 1, self.steps))
            norm = gradient_norm(self.objective, self.recipe.clip)
            self._note_non_finite(norm)
            step_unless(self.optimiser, self.non_finite)
            with scoped_global(self.seed, "after step", step, self.device):
                self.objective.after_step(Progress(step + 1, self.steps))
        terms = {
            name: each[0] if len(each) == 1 else torch.stack(each).mean() for name, each in found.items()
        }
        if self.recipe.clip is None:
            terms.setdefault(NORM, norm.to(torch.float64))
        values = torch.stack([*terms.values(), norm.to(torch.float64)])
        if together is not None:
            values = share_numbers(together, [*terms, NORM], values)
        self._note_non_finite(values)
        return StepNumbers(step, tuple(terms), values)

    def _read(self, unread: Sequence[StepNumbers]) -> dict[int, dict[str, float]]:
        """Read what some steps left on the device.

        Raises:
            ContractError: masks of one of them are none.
            DivergedError: a loss term or gradient is not finite.
        """
        self._read_masks()
        return read_numbers(unread)

    def _read_masks(self) -> None:
        if self.masker is not None and self.unread_masks is not None:
            self.unread_masks.read(self.masker)

    def _note_non_finite(self, values: torch.Tensor) -> None:
        self.non_finite = torch.maximum(self.non_finite, (~values.isfinite().all()).float())

    def _measures_rank(self, step: int) -> bool:
        return self.monitor is not None and self._is_point(step, MONITOR_POINTS)

    def _is_point(self, step: int, points: int) -> bool:
        return step == self.steps or step % max(1, self.steps // points) == 0

    def _report(self, state: TrainingState, numbers: Mapping[int, dict[str, float]]) -> None:
        """Note and announce the loss of the steps just read; the effective rank is that of the last of them."""
        for step, terms in numbers.items():
            if self.monitor is not None and self._measures_rank(step):
                self._set_mode(training=False)
                state.ranks.append((step, self.monitor(self.objective)))
                self._set_mode(training=True)
            if self._is_point(step, CURVE_POINTS):
                state.curve.append((step, terms))
            events.emit(
                "step",
                step=step,
                steps=self.steps,
                images_per_second=state.step * self.batch_size / max(state.seconds, 1e-9),
                terms=terms,
                effective_rank=state.ranks[-1][1] if state.ranks else None,
            )

    def _snapshot(self, state: TrainingState) -> dict[str, Any]:
        with blamed_on(self.objective):
            kept = {"objective": self.objective.state_dict(), "hidden": hidden_state(self.objective)}
        trained = {id(each) for group in self.optimiser.param_groups for each in group["params"]}
        return {
            # of an inner optimiser; it is clipped with the rest until its owner sets it to zero
            "gradients": {
                name: parameter.grad
                for name, parameter in self.objective.named_parameters()
                if parameter.grad is not None and id(parameter) not in trained
            },
            **kept,
            "optimiser": self.optimiser.state_dict(),
            "steps": self.steps,
            "step": state.step,
            "seconds": state.seconds,
            "curve": state.curve,
            "ranks": state.ranks,
        }

    def _resume(self, checkpoint: Checkpointer | None) -> TrainingState:
        """Load the newest checkpoint, or nothing of one that is damaged or that another code wrote.

        Of several ranks the others load what the first one has, whatever their number was when it was written.
        """
        saved = self._kept(checkpoint)
        together = ranks.current()
        if together is not None:
            told = state_of_first(together, saved or self._snapshot(TrainingState()), self.device)
            saved = told if saved or together.rank else None
        if saved is None:
            return TrainingState()
        load_state(saved, self.objective, self.optimiser, checkpoint)
        if saved["step"]:
            events.emit("note", text=f"resuming at step {saved['step']} of {self.steps}")
        return TrainingState(saved["step"], saved["seconds"], list(saved["curve"]), list(saved["ranks"]))

    def _kept(self, checkpoint: Checkpointer | None) -> Mapping[str, Any] | None:
        """Read a checkpoint, and look whether it is of this run."""
        try:
            saved = checkpoint.read(self.device) if checkpoint is not None else None
            if saved is not None:
                fresh = self._snapshot(TrainingState())
                check_fit(saved, fresh, self.objective, self.optimiser)
            return saved
        except DataError as error:
            events.emit(
                "note", text=f"the checkpoint of this run is not used: {error}; it trains from the start"
            )
            return None
