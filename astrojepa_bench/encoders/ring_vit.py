"""The token vision transformer read as photometry reads a galaxy: by rings, in units of what galaxies differ by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from astrojepa_bench.encoders.pooling import rings
from astrojepa_bench.encoders.timm_model import TimmModel
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.encoders.whitening import Whitening
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.types import ImageSpec

BATCH = 512
WHITENING = "whitenings."


class RingViT(TokenViT):
    """`vit-micro`, trained in the same way, read by whitened rings.

    The mean of all tokens forgets how large and how concentrated a galaxy is, and two or three of its directions
    hold nearly all of its variance, which is all that a cosine between neighbours then sees. Here tap `last` holds
    the mean and spread of the tokens in rings around the centre, and `last4` those of the last four blocks as well,
    joined. Each tap is whitened to the same number of axes, on galaxies that may be learnt from, without labels and
    after training.

    Whitened features have nearly full rank whatever they came from, so the rank and spread on the board say nothing
    here; whether a run collapsed is decided before, on the features as they are.

    Args:
        spec: bands and their training statistics.
        axes: principal axes that each tap keeps.

    Source: as `vit-micro`; rings: `encoder.pooling=rings` there; whitening: Jégou & Chum 2012 (ECCV).
    """

    version = 2
    fixed_options = ("pooling",)

    def __init__(self, spec: ImageSpec, *, axes: int = 64, **options: Any) -> None:
        super().__init__(spec, pooling="rings", **options)
        assert self.grid is not None
        width = 2 * len(rings(self.grid.rows, self.grid.columns)) * self.dim
        self.whitenings = nn.ModuleDict(
            {"last": Whitening(width, axes), "last4": Whitening((1 + min(4, self.layer)) * width, axes)}
        )

    def taps(self, images: Float[Tensor, "batch band height width"]) -> Mapping[str, Tensor]:
        """Return `last`, rings of the last layer, and `last4`, rings of four blocks; each whitened once fitted."""
        return {name: self.whitenings[name](rows) for name, rows in super().taps(images).items()}

    @torch.no_grad()
    def fit_readout(self, images: Float[Tensor, "galaxy band height width"]) -> None:
        """Fit the whitening of each tap.

        Raises:
            ConfigError: fewer images than axes.
        """
        parts = [super(RingViT, self).taps(part) for part in images.split(BATCH)]
        for name, whitening in self.whitenings.items():
            assert isinstance(whitening, Whitening)
            whitening.fit(torch.cat([part[name].float() for part in parts]))

    def translated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Understand files without a whitening too, those of `vit-micro` and of timm, and ignore one at a start.

        It is fitted after training, so a start has no place for it, and a file without it leaves it to be fitted.
        """
        given = super().translated(state)
        ours = {name: value for name, value in self.state_dict().items() if name.startswith(WHITENING)}
        kept = {
            name: value for name, value in given.items() if not name.startswith(WHITENING) or name in ours
        }
        return {**ours, **kept}

    def as_timm(self) -> TimmModel:
        """Refuse: plain timm has no place for rings.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("features of whitened rings have no timm form; export a run of encoder 'vit-micro'")
