"""How an objective gets its masks, in training and wherever else it acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.geometry.grids import Masks, MaskSizes
from astrojepa_bench.roles import Masker
from astrojepa_bench.streams import Streams

Watch = Callable[[Float[Tensor, "batch band height width"], Masks], None]


@dataclass(frozen=True)
class MaskDraw:
    """Draws masks for one step of an objective (the `Draw` of `roles.py`).

    Attributes:
        masker: None for an encoder without patches.
        streams: of the step; masks come from the local stream `masks`.
        validates: whether ranges, repeats and disjointness are checked (reads values from the device).
        watch: called with the images and masks of each draw.
    """

    masker: Masker | None
    streams: Streams
    validates: bool = False
    watch: Watch | None = None

    @property
    def hides(self) -> bool:
        """Whether there are masks to be had."""
        return self.masker is not None and self.masker.hides

    def __call__(self, images: Float[Tensor, "batch band height width"], sizes: MaskSizes) -> Masks:
        """Draw masks of exactly these sizes.

        Raises:
            ConfigError: there are no masks to be had, or the grid cannot hold the sizes.
            ContractError: the masker returned something else than such masks.
        """
        if self.masker is None:
            raise ConfigError(
                "the objective asked for masks and its encoder has no patches; ask `draw.hides` first"
            )
        name = f"masker {type(self.masker).__name__} (plugin {type(self.masker).__module__})"
        if not self.masker.hides:
            raise ConfigError(f"the objective needs masks and {name} hands out none; choose another masker")
        sizes.check(self.masker.grid)
        masks: object = self.masker.draw(images, sizes, self.streams.local("masks"))
        if not isinstance(masks, Masks):
            raise ContractError(
                f"{name} returned {type(masks).__name__}; expected Masks, or hides = False on its class"
            )
        if self.validates:
            masks.validate(self.masker.grid, sizes)
        if self.watch is not None:
            self.watch(images, masks)
        return masks
