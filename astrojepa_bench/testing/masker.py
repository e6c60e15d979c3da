"""Rules for maskers: exact sizes, no overlap, independent images, and no image that breaks them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from astrojepa_bench.errors import BenchError, ConfigError
from astrojepa_bench.geometry.grids import Masks, MaskSizes, PatchGrid
from astrojepa_bench.roles import Masker
from astrojepa_bench.testing import galaxies
from astrojepa_bench.testing.checks import NotApplicable, RuleSet
from astrojepa_bench.testing.rehearsal import GRID, build, generator
from astrojepa_bench.testing.subject import Subject

DRAWN = 125  # images in each of the cases below: more than a thousand masks
GRIDS = (GRID, PatchGrid.tiling(56, 4), PatchGrid.tiling(16, 4))
SIZES = MaskSizes(16, 4, 12)
rules = RuleSet("masker", after=("acts",))


def cases() -> Iterator[tuple[PatchGrid, MaskSizes]]:
    """Yield the sizes of published objectives on three grids: blocks, one set alone, one block."""
    for grid in GRIDS:
        yield grid, MaskSizes.rounded(grid, context=0.25, targets=4, target=0.15)
        yield grid, MaskSizes.rounded(grid, context=0.15)
        yield grid, MaskSizes.rounded(grid, context=0.4, targets=1, target=0.5)


def masking(piece: Subject) -> Masker:
    """Build a masker that draws masks.

    Raises:
        NotApplicable: it declares `hides = False`.
    """
    masker: Masker = build(piece)
    if not masker.hides:
        raise NotApplicable("it declares that it draws no masks")
    return masker


def sound(piece: Subject) -> Masker:
    """Build a masker whose masks of ordinary galaxies are correct.

    Raises:
        NotApplicable: they are not; other checks report that, and this one would only repeat it.
    """
    masker = masking(piece)
    try:
        draw(masker, galaxies.images(4)).validate(GRID, SIZES)
    except BenchError as error:
        raise NotApplicable("ordinary galaxies get no proper masks either") from error
    return masker


def draw(
    masker: Masker,
    images: Float[Tensor, "batch band height width"],
    sizes: MaskSizes = SIZES,
    seed: int = 0,
    **told: object,
) -> Masks:
    """Draw masks, told of a hint or of progress; raise unless the output is `Masks`."""
    masks = masker.draw(images, sizes, generator(seed), **told)
    if not isinstance(masks, Masks):
        raise TypeError(f"draw returned {type(masks).__name__}; expected Masks")
    return masks


def drawn(piece: Subject) -> Iterator[tuple[PatchGrid, MaskSizes, Masks]]:
    """Draw masks for every case."""
    masking(piece)
    for grid, sizes in cases():
        shown = galaxies.images(DRAWN, size_px=grid.rows * grid.patch_px)
        yield grid, sizes, draw(piece.build(grid), shown, sizes)


@rules(
    "declares",
    "It draws masks if and only if it declares so.",
    "set `hides = False` on a masker whose draw returns None, and on no other",
)
def find_declares(piece: Subject) -> str | None:
    """Compare the declaration with a draw."""
    masker: Masker = build(piece)
    masks = masker.draw(galaxies.images(2), SIZES, generator())
    if (masks is not None) == masker.hides:
        return None
    return f"hides = {masker.hides}, but draw returned {'masks' if masks is not None else 'None'}"


@rules(
    "sizes",
    "Every mask has exactly the sizes asked for, as whole numbers on the images' device.",
    "return Masks(context (batch, sizes.context), targets (batch, sizes.targets, sizes.target)), dtype int64",
)
def find_sizes(piece: Subject) -> str | None:
    """Compare shapes, dtypes and devices over a thousand masks."""
    for grid, sizes, masks in drawn(piece):
        found = (tuple(masks.context.shape), tuple(masks.targets.shape))
        asked = ((DRAWN, sizes.context), (DRAWN, sizes.targets, sizes.target))
        if found != asked:
            return f"shapes {found} on {grid.rows}x{grid.columns} patches; asked for {asked}"
        if {masks.context.dtype, masks.targets.dtype} != {torch.int64}:
            return f"dtypes {masks.context.dtype} and {masks.targets.dtype}"
        if masks.context.device.type != "cpu" or masks.targets.device.type != "cpu":
            return f"masks on {masks.context.device} for images on the CPU"
    return None


@rules(
    "range",
    "Every patch index lies on the grid.",
    "count patches row by row, from 0 to grid.patches - 1",
)
def find_range(piece: Subject) -> str | None:
    """Look for indices outside the grid."""
    for grid, _, masks in drawn(piece):
        index = torch.cat([masks.context.flatten(), masks.targets.flatten()])
        if not 0 <= int(index.min()) <= int(index.max()) < grid.patches:
            return f"indices {int(index.min())} to {int(index.max())} on a grid of {grid.patches} patches"
    return None


@rules(
    "repeats",
    "No set holds a patch twice.",
    "draw without replacement, for example with choose_patches",
)
def find_repeats(piece: Subject) -> str | None:
    """Look for equal indices in one set."""
    for _, _, masks in drawn(piece):
        for name, sets in (("context", masks.context), ("target", masks.targets.flatten(0, 1))):
            ascending = sets.sort(dim=1).values
            twice = (ascending.diff(dim=1) == 0).any(dim=1)
            if bool(twice.any()):
                return f"{int(twice.sum())} of {len(sets)} {name} sets repeat a patch"
    return None


@rules(
    "disjoint",
    "No patch is both seen and to be predicted.",
    "draw the context from the patches outside the targets: weigh those with -inf, or use covered",
)
def find_disjoint(piece: Subject) -> str | None:
    """Look for context patches among the targets."""
    for _, sizes, masks in drawn(piece):
        hidden = masks.targets.flatten(1)
        both = (masks.context[:, :, None] == hidden[:, None]).any(dim=(1, 2))
        if bool(both.any()):
            return (
                f"{int(both.sum())} of {len(both)} images share a patch between context and targets ({sizes})"
            )
    return None


@rules(
    "refuses",
    "Sizes that the grid cannot hold are refused with a ConfigError.",
    "call sizes.check(self.grid) first",
)
def find_refuses(piece: Subject) -> str | None:
    """Ask for more patches than there are."""
    masker = masking(piece)
    try:
        masker.draw(galaxies.images(2), MaskSizes(60, 4, 12), generator())
    except ConfigError:
        return None
    return "60 context and 4 x 12 target patches were drawn on a grid of 64"


@rules(
    "streams",
    "Another stream gives other masks.",
    "draw from the generator that is passed in",
)
def find_streams(piece: Subject) -> str | None:
    """Compare two streams."""
    masker, shown = masking(piece), galaxies.images(16)
    first, second = draw(masker, shown, seed=0), draw(masker, shown, seed=1)
    same = torch.equal(first.context, second.context) and torch.equal(first.targets, second.targets)
    return "two streams gave the same masks" if same else None


@rules(
    "independent",
    "Images of one batch get masks of their own, even where they show the same galaxy.",
    "draw random numbers of shape (batch, ...), not one set for all",
)
def find_independent(piece: Subject) -> str | None:
    """Show one galaxy sixteen times."""
    masks = draw(masking(piece), galaxies.images(1).expand(16, -1, -1, -1).contiguous())
    rows = torch.cat([masks.context, masks.targets.flatten(1)], dim=1)
    return "all images of a batch got the same masks" if len(rows.unique(dim=0)) == 1 else None


@rules(
    "edge-cases",
    "Images without light, without noise, saturated or with gaps get proper masks too.",
    "guard divisions by a spread or a sum that can be 0, and let weights of no finite value fall back on 1",
)
def find_edge_cases(piece: Subject) -> str | None:
    """Mask every edge case."""
    masker = sound(piece)
    for name, image in galaxies.edge_cases().items():
        shown = image.expand(4, -1, -1, -1).contiguous()
        try:
            draw(masker, shown).validate(GRID, SIZES)
        except Exception as error:  # a component may raise anything
            return f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


@rules(
    "guided",
    "Whatever it is told of patches that matter, and of how far the run is, its masks are as proper as ever.",
    "guard a sum of weights that can be 0, and let every number of patches be drawn at any progress",
)
def find_guided(piece: Subject) -> str | None:
    """Mask with weights that leave no choice, and from the first step to the last."""
    masker = sound(piece)
    given = inspect.signature(masker.draw).parameters.keys() & {"hint", "progress"}
    if not given:
        raise NotApplicable("it takes neither hints nor progress")
    shown = galaxies.images(4)
    one = torch.zeros(4, GRID.patches).index_fill(1, torch.tensor([27]), 1.0)
    hints = {"no hint": None, "weights of 0": 0 * one, "one weight": one, "weights of 1e30": 1e30 * (1 + one)}
    for name, hint in hints.items():
        for progress in (0.0, 0.5, 1.0):
            told: dict[str, Any] = {"hint": hint, "progress": progress}
            masks = draw(masker, shown, **{each: told[each] for each in given})
            try:
                masks.validate(GRID, SIZES)
            except BenchError as error:
                return f"{name}, progress {progress:g}: {error}"
    return None


@rules(
    "bands",
    "Images of one to five bands are masked.",
    "average over the band axis instead of indexing three bands",
)
def find_bands(piece: Subject) -> str | None:
    """Mask images of one and of five bands."""
    masker = sound(piece)
    for bands in (1, 5):
        draw(masker, galaxies.images(4, bands=bands)).validate(GRID, SIZES)
    return None


@rules(
    "input",
    "It does not change the images.",
    "use operations that return new tensors, not those that end in _",
)
def find_input(piece: Subject) -> str | None:
    """Compare the images before and after."""
    shown = galaxies.images(4)
    before = shown.clone()
    draw(masking(piece), shown)
    return None if torch.equal(before, shown) else "draw changed the images in place"
