r"""DINO: a student sorts large and small views of a galaxy as its own slow teacher sorts the large ones.

Each galaxy is seen in two *global* views (all patches of an augmented image) and several *local* ones (less of
the sky). The student, encoder and head, sees all of them; the teacher, its moving average, only the global ones.
Heads end in K outputs, which soft-max turns into an assignment to K prototypes. With c the running mean of the
teacher's outputs,

    P_t = softmax((teacher(v) - c) / τ_t),    P_s = softmax(student(v') / τ_s)
    L = mean over galaxies and pairs of a global view v and another view v' of  -Σ_k P_t[k] log P_s[k]

Subtracting c keeps one prototype from taking all galaxies, and would by itself spread every galaxy over all of
them; a low τ_t sharpens against that. Between the two, and behind the stopped gradient, lies what prevents
collapse.

τ_t rises linearly from .04 to .07 over the first 30 % of the run; the last layer, whose rows have unit length,
rests over the first 1 %; the teacher's momentum rises to 1 along half a cosine from a start that follows from
`horizon`, a share of the run; c follows the teacher with a 25th of its memory, at least one step.

Local views are crops of half the side, where the encoder takes images of that size; else the same cut-out is
shown at full size, that is nearer, and costs four times as much.

Golden values: equal assignments cost their entropy; uniform answers cost log K, whatever the teacher says; a
teacher whose outputs equal c is uniform.

It has no use for a masker. Its recipe (batches of 32, a peak rate of 5e-4) is the best of six trials, on Galaxy Zoo
2 without its test galaxies (benchmarks/tuning/galaxy_suite_1.md).

Cost: 3 token-passes per patch of the student at the defaults (2 + 4/4) with gradient,
and 2 of the teacher without; three more where local views have full size.

Expected: no figures of galaxies at this scale are known to us. On photographs, a linear probe reads 77.0 % of
ImageNet (ViT-S/16, 800 epochs; the paper) and 86.1 % of Imagenette (ViT-S/16, 200 epochs; LeJEPA 87.1, VICReg
79.4; stable-pretraining, RESULTS.md of 2026-07-16).

Health: what is left of the teacher's start; the entropy of its assignment of one galaxy, and of the mean over
galaxies, each as a share of log K (1 and 1: uniform; 0 and 0: one prototype); the length of c.

Source: Caron et al. 2021 (DINO, arXiv 2104.14294), section 3 and appendix; local views of .05 to .4 of the area
there, .09 to .3 here. Deviations: galaxy-valid views (turned, mirrored, moved, nearer, noisier) instead of colour
jitter, greyscale, blur and solarisation, since colour carries physics; four local views instead of ten; 1024
prototypes instead of 65,536, for thousands of galaxies, behind a head of 512 and 128 instead of 2048 and 256,
started at PyTorch's fan-in scale; a peak rate of 5e-4 at batches of 32 (by the published rule, 5e-4 · batch / 256,
it would be 6.3e-5); weight decay of .05 throughout instead of .04 to .4; the start of the momentum as a share of
the run (published: .996, at 250,000 steps and more), and with it the memory of c (published: 10 steps, a 25th of
the teacher's 250).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from astrojepa_two_views import Learner, Taught
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from astrojepa_bench.plugin import (
    ConfigError,
    Draw,
    Encoder,
    GalaxyBatch,
    Loss,
    Objective,
    PatchGrid,
    Prediction,
    Progress,
    Streams,
    averaged,
    hookimpl,
)

LOCAL = {"scale": (0.3, 0.55), "shift": 0.15}  # of the side, as the crops of `lejepa`


class DINO(Taught):
    """Self-distillation without labels, over global and local views.

    Args:
        encoder: the encoder to train.
        grid: unused.
        classes: unused.
        local_views: small views, which only the student sees.
        outputs: prototypes K.
        hidden: width of the head's hidden layers.
        bottleneck: width before the last layer, where vectors have unit length.
        student_temperature: τ_s.
        teacher_temperature: τ_t at the start and from `warming` on.
        warming: share of the run over which τ_t changes.
        centre_horizon: memory of the centre c, as a share of the run; at infinity it stays at 0.
        frozen: share of the run over which the last layer rests.
        judge: which encoder is scored, the `teacher` as published or the `student`.
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
    """

    version = 2
    head: PrototypeHead
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        local_views: int = 4,
        outputs: int = 1024,
        hidden: int = 512,
        bottleneck: int = 128,
        student_temperature: float = 0.1,
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        warming: float = 0.3,
        centre_horizon: float = 0.004,
        frozen: float = 0.01,
        judge: Learner = "teacher",
        learning_rate: float = 5e-4,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(
            encoder,
            grid,
            classes,
            judge=judge,
            learning_rate=learning_rate,
            batch_size=batch_size,
            **options,
        )
        if local_views < 0 or min(student_temperature, *teacher_temperature, centre_horizon) <= 0:
            raise ConfigError(
                f"objective: local_views={local_views}, temperatures {student_temperature} and "
                f"{teacher_temperature}, centre_horizon={centre_horizon}; expected 0 or more local views, "
                "temperatures and horizons above 0"
            )
        self.teach(PrototypeHead(encoder.dim, hidden, bottleneck, outputs))
        self.local_views, self.warming, self.frozen = local_views, warming, frozen
        self.student_temperature, self.teacher_temperature = student_temperature, teacher_temperature
        self.centre_horizon = centre_horizon
        half = encoder.spec.size_px // 2
        self.local_px = half if takes(encoder, half) else encoder.spec.size_px
        self.register_buffer("centre", torch.zeros(outputs))
        self.register_buffer("spread", torch.zeros(2))  # entropy of one assignment and of their mean
        self.unseen: list[Tensor] = []  # means of the teacher's outputs that the centre does not know yet

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute the cross-entropy between assignments of different views."""
        views = self.views(batch, streams)
        outputs = self.outputs(self.encoder, self.head, views, len(batch.images))
        if self.local_views:
            crops = self.views(batch, streams, self.local_views, **LOCAL, size_px=self.local_px)
            outputs = torch.cat([outputs, self.outputs(self.encoder, self.head, crops, len(batch.images))])
        with torch.no_grad():
            taught = self.outputs(self.teacher, self.teacher_head, views, len(batch.images))
            self.unseen.append(averaged(taught.mean(dim=(0, 1))))
        assigned = self.assigned(taught, streams.progress)
        surprise = cross_entropy(assigned, F.log_softmax(outputs / self.student_temperature, dim=-1))
        self.spread = entropies(assigned)
        return Loss(surprise, {"divergence": surprise - self.spread[0], "teacher_entropy": self.spread[0]})

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Set the student's assignment of each global view beside the teacher's of the other, without positions.

        As square roots, whose squared distance is that of Hellinger.
        """
        views = self.views(batch, streams)
        student = self.outputs(self.encoder, self.head, views, len(batch.images)) / self.student_temperature
        taught = self.outputs(self.teacher, self.teacher_head, views, len(batch.images)).flip(0)
        pair = (student.softmax(dim=-1), self.assigned(taught, streams.progress))
        predicted, actual = (each.sqrt().transpose(0, 1)[:, :, None] for each in pair)
        return Prediction(predicted, actual)

    def outputs(
        self, encoder: Encoder, head: nn.Module, views: Tensor, galaxies: int
    ) -> Float[Tensor, "view galaxy output"]:
        """Compute the outputs for views of the batch's galaxies, view after view, in float32."""
        return head(encoder(views).values.mean(dim=1)).unflatten(0, (-1, galaxies))

    def assigned(
        self, taught: Float[Tensor, "view galaxy output"], progress: float
    ) -> Float[Tensor, "view galaxy output"]:
        """Centre and sharpen the teacher's outputs."""
        first, last = self.teacher_temperature
        warmed = min(1.0, progress / self.warming) if self.warming else 1.0
        return F.softmax((taught - self.centre) / (first + (last - first) * warmed), dim=-1)

    def before_step(self, progress: Progress) -> None:
        """Let the last layer rest over the first steps, at least the first one."""
        if self.frozen and progress.step <= max(1, self.frozen * progress.steps):
            self.head.prototypes.weight.grad = None

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """Move the teacher towards the student, and the centre towards the mean of what the teacher said."""
        super().after_step(progress)
        if self.unseen:
            share = min(1.0, 1 / (self.centre_horizon * progress.steps))
            self.centre.lerp_(torch.stack(self.unseen).mean(dim=0), share)
            self.unseen.clear()

    def health(self) -> dict[str, float]:
        """Return what is left of the teacher's start, its entropies as shares of log K, and the centre's length."""
        one, mean = (float(value) / math.log(len(self.centre)) for value in self.spread)
        return {
            **super().health(),
            "teacher_entropy": one,
            "teacher_mean_entropy": mean,
            "centre_norm": float(self.centre.norm()),
        }


class PrototypeHead(nn.Module):
    """Three layers to a vector of unit length, and its products with prototypes of unit length.

    Args:
        dim: width of what is given.
        hidden: width of both hidden layers.
        bottleneck: width of the unit vector.
        outputs: prototypes.
    """

    def __init__(self, dim: int, hidden: int, bottleneck: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        self.prototypes = nn.Linear(bottleneck, outputs, bias=False)

    def forward(self, values: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch output"]:
        """Compute the cosines with the prototypes, in float32: a temperature of .04 would show three digits."""
        directions = self.layers(values).float()
        with torch.autocast(values.device.type, enabled=False):
            return F.linear(F.normalize(directions, dim=-1), F.normalize(self.prototypes.weight, dim=-1))


def cross_entropy(
    assigned: Float[Tensor, "taught galaxy output"], log_answers: Float[Tensor, "view galaxy output"]
) -> Float[Tensor, ""]:
    """Average the cross-entropy over galaxies and pairs of views; the first views of both are the same."""
    pairs = -torch.einsum("tgk,vgk->tv", assigned, log_answers) / assigned.shape[1]
    return (pairs.sum() - pairs.diagonal().sum()) / (pairs.numel() - len(pairs.diagonal()))


def entropies(assigned: Float[Tensor, "view galaxy output"]) -> Float[Tensor, " statistic"]:
    """Compute the mean entropy of the assignments, and the entropy of their mean."""
    each = averaged(torch.special.entr(assigned).sum(dim=-1).mean())
    mean = torch.special.entr(averaged(assigned.mean(dim=(0, 1)))).sum()
    return torch.stack([each, mean])


@torch.no_grad()
def takes(encoder: Encoder, size_px: int) -> bool:
    """Try whether an encoder takes images of another size; it is left as it was."""
    was_training = encoder.training
    try:
        image = torch.zeros(1, len(encoder.spec.bands), size_px, size_px)
        encoder.eval()(image.to(next(encoder.parameters()).device))
    except Exception:  # encoders of others refuse in many ways
        return False
    finally:
        encoder.train(was_training)
    return True


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `dino`."""
    return {"dino": DINO}
