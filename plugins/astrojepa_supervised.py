"""The ceiling: the same encoder, trained on the labels that it is scored with.

The mean of the tokens goes through one linear layer; the loss is the cross-entropy of the classes:

    L = - mean over galaxies of log softmax(W · mean of tokens + b)[label]

It sees the labelled training galaxies only, as many images as every other entry, turned freely, zoomed, moved and
made noisier as the views of other objectives are. The head is thrown away; the encoder is scored as all are, by a
probe on frozen features. What a method without labels loses against it is what labels are worth at this budget,
with this encoder. It marks the top of the board and is not ranked.

Its recipe is the best of six trials, on Galaxy Zoo 2 without its test galaxies
(benchmarks/tuning/galaxy_suite_1.md), all but one with augmentation.

Cost: one token-pass per patch.

Expected: the most that this encoder can read of the classes at this budget; an entry above it would say that the
ceiling was trained too little.

Source: empirical risk minimisation, Vapnik 1999 (An overview of statistical learning theory, IEEE Transactions on
Neural Networks 10, 988). Deviations: none; no label smoothing, no mix-up, no class weights.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    Recipe,
    Streams,
    augment,
    hookimpl,
)


class Supervised(Objective):
    """Cross-entropy of a linear head on pooled tokens; uses labels.

    Args:
        encoder: the encoder to train.
        grid: unused: the whole image is seen.
        classes: how many classes the labels name.
        augmented: whether galaxies are also turned freely, zoomed and moved, as other objectives' views are.
        scale: least and largest share of the side that an augmented image shows.
        shift: largest shift of its centre, as a share of the side.
        noise: largest standard deviation of noise added to it, on the [0, 1] scale.
        blur: largest width of a Gaussian point spread added to it [pixel].
        learning_rate: peak learning rate.
        batch_size: galaxies a step.
    """

    masks = "ignored"
    labels = "all"
    standing = "ceiling"
    group = "uses labels"
    version = 2

    def __init__(
        self,
        encoder: Encoder,
        grid: PatchGrid | None,
        classes: int,
        *,
        augmented: bool = True,
        scale: tuple[float, float] = (0.6, 1.0),
        shift: float = 0.05,
        noise: float = 0.02,
        blur: float = 0.0,
        learning_rate: float = 1e-3,
        batch_size: int = 32,
    ) -> None:
        super().__init__(encoder, grid, classes)
        if classes < 2:
            raise ConfigError(
                f"objective 'supervised' needs two classes or more, the data set has {classes}; choose another"
            )
        self.augmented = augmented
        self.scale, self.shift, self.noise, self.blur = scale, shift, noise, blur
        self.head = nn.Linear(encoder.dim, classes)
        self._recipe = Recipe(learning_rate=learning_rate, batch_size=batch_size)

    def recipe(self) -> Recipe:
        """AdamW with the bench's common settings."""
        return self._recipe

    def loss(self, batch: GalaxyBatch, draw: Draw, streams: Streams) -> Loss:
        """Compute the cross-entropy of the labels."""
        images = self._augmented(batch.images, streams) if self.augmented else batch.images
        surprise = F.cross_entropy(self.logits(images), batch.labels)
        return Loss(surprise, {"cross_entropy": surprise})

    def logits(self, images: Float[Tensor, "batch band height width"]) -> Float[Tensor, "batch class"]:
        """Score the classes, in float32."""
        return self.head(self.encoder(images).values.mean(dim=1)).float()

    def _augmented(self, images: Tensor, streams: Streams) -> Tensor:
        return augment(
            images,
            streams.local("views"),
            mirror=self.encoder.spec.mirror_safe,
            scale=self.scale,
            shift=self.shift,
            noise=self.noise,
            blur=self.blur,
        )


@hookimpl
def astrojepa_objectives() -> Mapping[str, type[Objective]]:
    """Offer `supervised`."""
    return {"supervised": Supervised}
