"""An encoder read behind its projector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from astrojepa_bench.encoders.timm_model import TimmModel
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.roles import Encoder
from astrojepa_bench.types import Tokens


class Projected(Encoder):
    """An encoder whose features are the output of a projector, on which an objective's loss acts.

    Lets an objective offer the choice between features before and after its projector. Its tokens are the
    encoder's own; only the tap `last` is projected.

    Args:
        encoder: makes the tokens.
        projector: takes their mean, (batch, encoder.dim) to (batch, anything).

    Source: Chen et al. 2020 (arXiv 2002.05709), section 4.2, who found features before the projector better
    by more than 10 points on ImageNet; the choice is recorded because it is not so for every objective.
    """

    version = 1

    def __init__(self, encoder: Encoder, projector: nn.Module) -> None:
        super().__init__(encoder.spec)
        self.encoder, self.projector = encoder, projector
        self.dim, self.grid = encoder.dim, encoder.grid

    def forward(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Tokens:
        """Return the encoder's tokens, before the projector."""
        tokens: Tokens = self.encoder(images, keep)
        return tokens

    def layers(
        self,
        images: Float[Tensor, "batch band height width"],
        keep: Int[Tensor, "batch token"] | None = None,
    ) -> Sequence[Tokens]:
        """Return the encoder's layers, before the projector."""
        return self.encoder.layers(images, keep)

    def taps(self, images: Float[Tensor, "batch band height width"]) -> Mapping[str, Tensor]:
        """Return `last`: the projected mean of the encoder's tokens."""
        return {"last": self.projector(self(images).values.mean(dim=1))}

    def as_timm(self) -> TimmModel:
        """Refuse: plain timm has no place for a projector.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "features behind a projector have no timm form; export a run that is scored by its encoder"
        )
