"""The patch grid of an image, and the sets of patches that are seen or hidden on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from astrojepa_bench.errors import ConfigError, ContractError

version = 1  # raise it whenever a number changes


@dataclass(frozen=True)
class PatchGrid:
    """The grid of square patches that an image is cut into; flat indices run row by row.

    Example:
        >>> PatchGrid.tiling(64, 8)
        PatchGrid(rows=8, columns=8, patch_px=8)
    """

    rows: int
    columns: int
    patch_px: int

    @classmethod
    def tiling(cls, size_px: int, patch_px: int) -> PatchGrid:
        """Tile a square image exactly.

        Raises:
            ConfigError: the patch does not tile the image.
        """
        if patch_px < 1 or size_px % patch_px:
            fits = [p for p in range(2, size_px + 1) if size_px % p == 0]
            near = sorted(fits, key=lambda p: abs(p - patch_px))[:3]
            remainder = (
                f"{size_px} = {size_px // patch_px}·{patch_px} + {size_px % patch_px}" if patch_px > 0 else ""
            )
            raise ConfigError(
                f"encoder.patch={patch_px} does not tile an image of {size_px} px ({remainder}); use one of {near}"
            )
        side = size_px // patch_px
        return cls(side, side, patch_px)

    @property
    def patches(self) -> int:
        """How many patches the grid has."""
        return self.rows * self.columns

    def rectangle(self, patches: float) -> tuple[int, int]:
        """Find the rectangle (rows <= columns) whose area is nearest to `patches`, at most 3:2 elongated.

        Ties go to the squarer one. Sizes are rounded with this rule whatever the masker, so that a
        comparison of maskers is never a comparison of how much they hide.

        Example:
            >>> PatchGrid(8, 8, 8).rectangle(0.175 * 64)
            (3, 4)
        """
        limit = min(self.rows, self.columns)
        shapes = [(a, b) for a in range(1, limit + 1) for b in range(a, limit + 1) if 2 * b <= 3 * a]
        return min(shapes, key=lambda shape: (abs(shape[0] * shape[1] - patches), shape[1] - shape[0]))

    def patch_means(self, values: Float[Tensor, "*batch height width"]) -> Float[Tensor, "*batch patch"]:
        """Average pixel values over each patch, in flat order."""
        p = self.patch_px
        tiles = values.unflatten(-1, (self.columns, p)).unflatten(-3, (self.rows, p))
        return tiles.mean(dim=(-1, -3)).flatten(-2)


@dataclass(frozen=True)
class MaskSizes:
    """How many patches an objective asks for; the masker decides only where they lie.

    Attributes:
        context: patches in the context set.
        targets: how many target blocks, 0 for none.
        target: patches in each target block.
    """

    context: int
    targets: int = 0
    target: int = 0

    @classmethod
    def rounded(cls, grid: PatchGrid, *, context: float, targets: int = 0, target: float = 0.0) -> MaskSizes:
        """Turn fractions of the grid into sizes: blocks become rectangles, for every masker alike.

        A context beside targets is not a block (it is what the targets leave), so it is only rounded.

        Example:
            >>> MaskSizes.rounded(PatchGrid(8, 8, 8), context=0.25, targets=4, target=0.17)
            MaskSizes(context=16, targets=4, target=12)
        """
        block = grid.rectangle(target * grid.patches) if targets else (0, 0)
        seen = grid.rectangle(context * grid.patches)
        kept = round(context * grid.patches) if targets else seen[0] * seen[1]
        return cls(max(1, kept), targets, block[0] * block[1])

    def check(self, grid: PatchGrid) -> None:
        """Refuse sizes that the grid cannot hold.

        Raises:
            ConfigError: with the numbers.
        """
        asked = self.context + self.targets * self.target
        if self.context < 1 or asked > grid.patches:
            raise ConfigError(
                f"{self.context} context patches and {self.targets} targets of {self.target} do not fit a grid of "
                f"{grid.rows}x{grid.columns} = {grid.patches} patches; ask for smaller or fewer targets"
            )


@dataclass(frozen=True)
class Masks:
    """Which patches are seen and which are to be predicted, as flat patch indices.

    Attributes:
        context: the seen patches.
        targets: the blocks to predict; no blocks when none were asked for. Blocks may overlap one another.
    """

    context: Int[Tensor, "batch context"]
    targets: Int[Tensor, "batch block target"]

    def __post_init__(self) -> None:
        for name, ndim in (("context", 2), ("targets", 3)):
            value: object = getattr(self, name)
            if not isinstance(value, Tensor) or value.dtype != torch.int64 or value.ndim != ndim:
                raise ContractError(
                    f"the {name} of masks is {_described(value)}; expected torch.int64 of {ndim} dimensions"
                )
        if len(self.context) != len(self.targets) or self.context.device != self.targets.device:
            raise ContractError(
                f"a context of shape {tuple(self.context.shape)} on {self.context.device} beside targets of "
                f"{tuple(self.targets.shape)} on {self.targets.device}; expected one batch on one device"
            )

    def check_sizes(self, sizes: MaskSizes) -> None:
        """Refuse other sizes than those asked for; no value is read from the device.

        Raises:
            ContractError: with the sizes.
        """
        found = (self.context.shape[1], *self.targets.shape[1:])
        if found != (sizes.context, sizes.targets, sizes.target):
            raise ContractError(f"masks of sizes {found}, asked for {sizes}")

    def validate(self, grid: PatchGrid, sizes: MaskSizes) -> None:
        """Check ranges, repeats, disjointness and the sizes asked for (reads values from the device).

        Raises:
            ContractError: naming what is wrong and where.
        """
        self.check_sizes(sizes)
        outside, repeated, shared = self.faults(grid).tolist()
        if outside:
            flat = torch.cat([self.context.flatten(), self.targets.flatten()])
            raise ContractError(
                f"patch index {int(flat.min())}..{int(flat.max())} on a grid of 0..{grid.patches - 1}; "
                "check that the flattening order is row by row"
            )
        if repeated:
            raise ContractError("a patch appears twice in one set")
        if shared:
            raise ContractError("a patch is both context and target")

    def faults(self, grid: PatchGrid) -> Bool[Tensor, fault]:
        """Find out on the device whether an index is out of range, twice in a set, or in context and target."""
        inside = self.clamped(grid)
        batch, blocks, _ = self.targets.shape
        chosen = self.context.new_zeros((batch, 1 + blocks, grid.patches), dtype=torch.bool)
        chosen[:, :1].scatter_(2, inside.context[:, None], True)
        chosen[:, 1:].scatter_(2, inside.targets, True)
        outside = (inside.context != self.context).any() | (inside.targets != self.targets).any()
        repeated = chosen.sum() != self.context.numel() + self.targets.numel()
        shared = (chosen[:, :1] & chosen[:, 1:]).any()
        return torch.stack([outside, repeated, shared])

    def clamped(self, grid: PatchGrid) -> Masks:
        """Move what lies outside the grid to its border, so that no index can stop a device."""
        last = grid.patches - 1
        return Masks(self.context.clamp(0, last), self.targets.clamp(0, last))


def _described(value: object) -> str:
    return (
        f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    )
