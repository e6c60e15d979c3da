r"""BYOL: from one view of a galaxy, predict what a slowly following teacher makes of the other view.

A *student*, encoder f and projector g, sees two augmented views v, v' of the whole image; so does a *teacher*,
the moving average of both. A *predictor* q answers for the student only. With p = q(g(f(v))) and t' =
g_ema(f_ema(v')),

    L = mean over galaxies of  [2 - 2 cos(p, sg t')] + [2 - 2 cos(p', sg t)]

No negatives. The predictor, the stopped gradient (sg) and the teacher's slowness keep it from collapse; none of
them appears in the loss, whose minimum, 0, a constant reaches as well.

The teacher's momentum rises to 1 along half a cosine, from a start that follows from a horizon given as a share
of the run (`horizon`): at .1, .7 % of its initial weights are left at the end, at .03 nothing, whatever the budget.

Golden values: each direction costs 0 where prediction and target are parallel, 2 where they are orthogonal, 4
where they are opposite; lengths do not matter. Strangers in D dimensions cost 2 ± 2/√D.

It has no use for a masker: both views show all patches. Cost: two token-passes per patch of the student, with
gradient, and two of the teacher, without. Its recipe (batches of 32, a peak rate of 5e-4, a horizon of .03) is the
best of six trials, on Galaxy Zoo 2 without its test galaxies (benchmarks/tuning/galaxy_suite_1.md).

Expected: on radio galaxies, BYOL with fine-tuning on 145 labels errs in 7.8 % of FRI against FRII (Slijepcevic et
al. 2023, arXiv 2305.16127). On photographs, a linear probe reads 74.3 % of ImageNet (ResNet-50, 1000 epochs; the
paper) and 63.9 % of Imagenette (ViT-S/16, 200 epochs; VICReg 79.4; stable-pretraining, RESULTS.md of 2026-07-16).

Source: Grill et al. 2020 (BYOL, arXiv 2006.07733), equations 1 to 3 and appendix J. Deviations: galaxy-valid views
(turned, mirrored, moved, nearer, noisier) instead of colour jitter, greyscale, blur and solarisation, since colour
carries physics; AdamW at a peak rate of 5e-4 for batches of 32 instead of LARS with a rate of .2 · batch / 256; the
start of the momentum as a share of the run (published: .996, at 300,000 steps); projector and predictor of 512 and
128 instead of 4096 and 256, for thousands of galaxies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from astrojepa_two_views import Taught, perceptron
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from astrojepa_bench.plugin import (
    Draw,
    Encoder,
    GalaxyBatch,
    Loss,
    Objective,
    PatchGrid,
    Prediction,
    Streams,
    hookimpl,
)


class BYOL(Taught):
    """Prediction of a moving-average teacher's view, symmetric in two views.

    Args:
        encoder: the encoder to train.
        grid: unused.
        classes: unused.
        projector: width of the hidden layer of projector and predictor.
        embedding: width of their output.
        horizon: memory of the teacher at the start, as a share of the run.
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
        judge: which encoder is scored, the `student` as published or the `teacher`.
    """

    version = 2

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        projector: int = 512,
        embedding: int = 128,
        horizon: float = 0.03,
        learning_rate: float = 5e-4,
        batch_size: int = 32,
        **options: Any,
    ) -> None:
        super().__init__(
            encoder,
            grid,
            classes,
            horizon=horizon,
            learning_rate=learning_rate,
            batch_size=batch_size,
            **options,
        )
        self.teach(perceptron(encoder.dim, projector, embedding))
        self.predictor = perceptron(embedding, projector, embedding)

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Add the distances of both directions."""
        predicted, targets = self.answers(batch, streams)
        distance = apart(predicted, targets).sum(dim=0).mean()
        return Loss(distance, {"prediction": distance})

    def predict(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Prediction:
        """Set each view's prediction beside the teacher's view, both at unit length, without positions."""
        predicted, targets = (
            F.normalize(each, dim=-1).transpose(0, 1)[:, :, None] for each in self.answers(batch, streams)
        )
        return Prediction(predicted, targets)

    def answers(
        self, batch: GalaxyBatch, streams: Streams
    ) -> tuple[Float[Tensor, "2 galaxy dim"], Float[Tensor, "2 galaxy dim"]]:
        """Compute the student's predictions from both views, and what they are about: the teacher's other view.

        Heads normalise over one view at a time, as published.
        """
        views = self.views(batch, streams)
        seen = self.encoder(views).values.mean(dim=1).chunk(2)
        predicted = torch.stack([self.predictor(self.head(view)) for view in seen])
        with torch.no_grad():
            taught = self.teacher(views).values.mean(dim=1).chunk(2)
            targets = torch.stack([self.teacher_head(view) for view in reversed(taught)])
        return predicted.float(), targets.float()


def apart(predicted: Float[Tensor, "*any dim"], targets: Float[Tensor, "*any dim"]) -> Float[Tensor, "*any"]:
    """Compute 2 - 2 cos: the squared distance of two vectors brought to unit length."""
    return 2 - 2 * F.cosine_similarity(predicted, targets, dim=-1)


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `byol`."""
    return {"byol": BYOL}
