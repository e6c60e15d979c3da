"""What objectives on two views of a galaxy share: how views are drawn, heads, and a teacher that follows.

Offers nothing by itself. Views are those of `vicreg`: turned by any angle, mirrored, moved, brought nearer and
made noisier, never coloured otherwise; so entries built on this differ in their loss and not in their views.
"""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from astrojepa_bench.plugin import (
    ConfigError,
    Encoder,
    GalaxyBatch,
    Objective,
    PatchGrid,
    Progress,
    Recipe,
    Streams,
    augment,
)

version = 1  # of what is no class here; raise it whenever a number changes
Learner: TypeAlias = Literal["student", "teacher"]


def perceptron(*widths: int) -> nn.Sequential:
    """Make a projector or predictor: linear layers, BatchNorm and ReLU after each but the last."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


class TwoViews(Objective):
    """Draws two views of the whole image of each galaxy, and keeps a recipe.

    Args:
        encoder: the encoder to train.
        grid: unused: views show all patches.
        classes: unused.
        scale: smallest and largest shown share of the side.
        shift: largest shift of the centre, as a share of the side.
        noise: largest standard deviation of added noise, on the [0, 1] scale.
        blur: largest width of an added Gaussian point spread [pixel].
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
    """

    masks = "ignored"
    version = 1

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        scale: tuple[float, float] = (0.6, 1.0),
        shift: float = 0.05,
        noise: float = 0.05,
        blur: float = 0.0,
        learning_rate: float = 2e-3,
        batch_size: int = 128,
    ) -> None:
        super().__init__(encoder, grid, classes)
        if batch_size < 2:
            raise ConfigError(f"objective.batch_size={batch_size}: expected at least two galaxies a step")
        self.scale, self.shift, self.noise, self.blur = scale, shift, noise, blur
        self._recipe = Recipe(learning_rate=learning_rate, batch_size=batch_size)

    def recipe(self) -> Recipe:
        """AdamW, at the ruler's own rate for small encoders."""
        return self._recipe

    def views(
        self, batch: GalaxyBatch, streams: Streams, count: int = 2, **others: Any
    ) -> Float[Tensor, "view_galaxy band height width"]:
        """Draw views of every galaxy, view after view.

        Args:
            batch: the galaxies.
            streams: of this step.
            count: views of a galaxy.
            others: what `augment` is to be given in place of the options.

        Raises:
            ConfigError: one galaxy, which can be told from no other.
        """
        if len(batch.images) < 2:
            raise ConfigError(
                "objectives on two views need other galaxies in a batch, and this one holds a single galaxy; train "
                "on two or more"
            )
        drawn = {"scale": self.scale, "shift": self.shift, "noise": self.noise, "blur": self.blur, **others}
        mirror = self.encoder.spec.mirror_safe
        return augment(batch.images.repeat(count, 1, 1, 1), streams.local("views"), mirror=mirror, **drawn)

    def pooled(self, batch: GalaxyBatch, streams: Streams) -> Float[Tensor, "2 galaxy dim"]:
        """Average the tokens of both views of every galaxy."""
        return self.encoder(self.views(batch, streams)).values.mean(dim=1).unflatten(0, (2, -1))


class Taught(TwoViews):
    """A student on views, and a teacher that is its moving average.

    The teacher's momentum rises from m₀ to 1 along half a cosine, as published for BYOL and DINO. m₀ follows from a
    horizon h given as a share of the run, m₀ = 1 - 1/(h·steps), so that exp(-1/(2h)) of the teacher's initial
    weights is left at the end, whatever the budget. A published m₀ such as .996 is a horizon of 250 steps: there
    less than a thousandth of the run, in a small budget more than all of it.

    Args:
        encoder: the encoder to train.
        grid: unused.
        classes: unused.
        horizon: memory of the teacher at the start, as a share of the run.
        judge: which encoder is scored.
    """

    version = 1
    start_left: Tensor

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        horizon: float = 0.1,
        judge: Learner = "student",
        **options: Any,
    ) -> None:
        super().__init__(encoder, grid, classes, **options)
        if not 0 < horizon <= 0.1:
            raise ConfigError(
                f"objective.horizon={horizon}: expected a share in (0, 0.1], beyond which more than 1 % of the "
                "teacher's initial weights would be left at the end"
            )
        self.horizon, self.judge = horizon, judge
        self.teacher = copy.deepcopy(encoder).requires_grad_(False)
        self.register_buffer("start_left", torch.ones((), dtype=torch.float64))

    def teach(self, head: nn.Module) -> None:
        """Set a head behind the student, and a copy of it behind the teacher."""
        self.head, self.teacher_head = head, copy.deepcopy(head).requires_grad_(False)

    @property
    def scored_encoder(self) -> Encoder:
        """The student or the teacher, as asked for."""
        return self.teacher if self.judge == "teacher" else self.encoder

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Move the teacher towards the student; running statistics it gathers itself, from its own views."""
        momentum = self.momentum(progress)
        taught: list[Tensor] = [*self.teacher.parameters(), *self.teacher_head.parameters()]
        learnt: list[Tensor] = [*self.encoder.parameters(), *self.head.parameters()]
        torch._foreach_lerp_(taught, learnt, 1 - momentum)
        self.start_left *= momentum

    def momentum(self, progress: Progress) -> float:
        """Rise along half a cosine from m₀ = 1 - 1/(horizon · steps), at least 0, to 1 at the end of the run."""
        start = max(0.0, 1 - 1 / (self.horizon * progress.steps))
        done = (progress.step - 1) / progress.steps
        return 1 - (1 - start) * (1 + math.cos(math.pi * done)) / 2

    def health(self) -> dict[str, float]:
        """Return the share of the teacher's initial weights that is left."""
        return {"teacher_start_left": float(self.start_left)}
