"""How an objective gets its masks, in training and wherever else it acts.

Where several ranks train, masks are drawn for the images of all of them, and each rank keeps those of its own.
Masks of every draw are checked. Where reading a value holds a GPU up, they are kept and checked together every few
steps (`UnreadMasks`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.border import blamed_on, owner_of
from astrojepa_bench.checked import described
from astrojepa_bench.errors import ConfigError, ContractError
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.ranks import RankStream, share_of
from astrojepa_bench.roles import Masker
from astrojepa_bench.streams import Streams

Watch = Callable[[Float[Tensor, "batch band height width"], Masks], None]


@dataclass
class UnreadMasks:
    """Masks of the last few steps, whose values are not read yet.

    What a masker draws meanwhile is used as it is, but for indices beyond the grid, which would stop a GPU for
    good: they are moved to its border, and the run ends at the next reading.

    Attributes:
        drawn: step, masks and the sizes asked for, draw by draw.
    """

    drawn: list[tuple[int, Masks, MaskSizes]] = field(default_factory=list)

    def read(self, masker: Masker) -> None:
        """Check what was drawn since the last reading, at the price of one value read from the device.

        Raises:
            ContractError: naming the first step whose masks are none.
        """
        drawn, self.drawn = self.drawn, []
        alike: dict[MaskSizes, list[Masks]] = {}
        for _, masks, sizes in drawn:
            alike.setdefault(sizes, []).append(masks)
        found = [_joined(each).faults(masker.grid) for each in alike.values()]
        if found and bool(torch.stack(found).any()):
            for step, masks, sizes in drawn:
                with blamed_on(masker):
                    _validate(masks, masker, sizes, step)


@dataclass(frozen=True)
class MaskDraw:
    """Draws masks for one step of an objective (the `Draw` of `roles.py`).

    Attributes:
        masker: None for an encoder without patches.
        streams: of the step; masks come from the local stream `masks`.
        watch: called with the images and masks of each draw.
        unread: keeps masks whose values are checked later; None checks them at once.
    """

    masker: Masker | None
    streams: Streams
    watch: Watch | None = None
    unread: UnreadMasks | None = None

    @property
    def hides(self) -> bool:
        """Whether there are masks to be had."""
        return self.masker is not None and self.masker.hides

    def __call__(
        self,
        images: Float[Tensor, "batch band height width"],
        sizes: MaskSizes,
        hint: Float[Tensor, "batch patch"] | None = None,
    ) -> Masks:
        """Draw masks of exactly these sizes.

        Raises:
            ConfigError: there are no masks to be had, or the grid cannot hold the sizes.
            ContractError: the masker returned something else than such masks, or the hint is no weight a patch.
        """
        if self.masker is None:
            raise ConfigError(
                "the objective asked for masks and its encoder has no patches; ask `draw.hides` first"
            )
        if not self.masker.hides:
            raise ConfigError(
                f"the objective needs masks and {_title(self.masker)} hands out none; choose another masker"
            )
        sizes.check(self.masker.grid)
        hint = None if hint is None else _weights(hint, images, self.masker.grid)
        stream = self.streams.local("masks")
        share = share_of(stream, len(images))
        if share is not None and isinstance(stream, RankStream):
            images, hint = share.whole(images), None if hint is None else share.whole(hint)
            stream = stream.whole
        with blamed_on(self.masker):
            masks = self._drawn(self.masker, images, sizes, hint, stream)
        if self.watch is not None:
            self.watch(images, masks)
        return masks if share is None else Masks(share.own(masks.context), share.own(masks.targets))

    def _drawn(
        self, masker: Masker, images: Tensor, sizes: MaskSizes, hint: Tensor | None, stream: torch.Generator
    ) -> Masks:
        offered = {"hint": hint, "progress": self.streams.progress}
        wanted = {name: value for name, value in offered.items() if name in _parameters(type(masker))}
        masks: object = masker.draw(images, sizes, stream, **wanted)
        if not isinstance(masks, Masks):
            raise ContractError(
                f"{_title(masker)} returned {type(masks).__name__}; expected Masks, or hides = False on its class"
            )
        if len(masks.context) != len(images) or masks.context.device != images.device:
            raise ContractError(
                f"{_title(masker)} returned masks of {len(masks.context)} images on {masks.context.device}; "
                f"expected {len(images)} on {images.device}"
            )
        if self.unread is None:
            _validate(masks, masker, sizes, self.streams.step)
            return masks
        masks.check_sizes(sizes)
        self.unread.drawn.append((self.streams.step, masks, sizes))
        return masks.clamped(masker.grid)


@lru_cache
def _parameters(masker: type[Masker]) -> frozenset[str]:
    return frozenset(inspect.signature(masker.draw).parameters)


def _weights(hint: Tensor, images: Tensor, grid: PatchGrid) -> Float[Tensor, "batch patch"]:
    """Hold a hint to its rules; on a GPU, where reading its values would hold it up, what is no weight counts 0."""
    given: object = hint
    if (
        not isinstance(given, Tensor)
        or given.shape != (len(images), grid.patches)
        or given.device != images.device
    ):
        raise ContractError(
            f"the hint for the masks is {described(given)}; expected a weight for each patch, "
            f"({len(images)}, {grid.patches}) on {images.device}"
        )
    weights = given.detach().float()
    if weights.device.type != "cpu":
        return weights.nan_to_num(0, 0, 0).clamp(min=0)
    if not bool((weights.isfinite() & (weights >= 0)).all()):
        raise ContractError("the hint for the masks has negative weights or some that are not finite")
    return weights


def _validate(masks: Masks, masker: Masker, sizes: MaskSizes, step: int) -> None:
    try:
        masks.validate(masker.grid, sizes)
    except ContractError as error:
        raise ContractError(f"{_title(masker)}, draw of step {step}: {error}") from None


def _joined(masks: list[Masks]) -> Masks:
    return Masks(torch.cat([each.context for each in masks]), torch.cat([each.targets for each in masks]))


def _title(masker: Masker) -> str:
    offer = owner_of(masker)
    kind = type(masker)
    return f"masker {kind.__name__} (plugin {kind.__module__})" if offer is None else offer.title
