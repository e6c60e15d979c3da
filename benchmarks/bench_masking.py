"""Masks: how many images a second each masker serves, and a batch at once against a loop over its images.

pytest benchmarks/bench_masking.py -o addopts=--import-mode=importlib

at the grids and sizes of the small and the standard budget. The rows of the table hold the same distribution: how
often each patch is hidden is compared patch by patch.
"""

from importlib.util import find_spec

import astrojepa_brightness
import astrojepa_brightness_seed
import astrojepa_inverse
import astrojepa_multiblock
import astrojepa_radial
import astrojepa_random
import pytest
import torch
from peers.astrojepa import GRID, PATCH_PX, TARGETS, collate
from table import Row, absent, paired

from astrojepa_bench.plugin import MaskSizes, PatchGrid

BATCH = 128
MASKERS = {
    **astrojepa_random.astrojepa_maskers(),
    **astrojepa_multiblock.astrojepa_maskers(),
    **astrojepa_brightness.astrojepa_maskers(),
    **astrojepa_brightness_seed.astrojepa_maskers(),
    **astrojepa_inverse.astrojepa_maskers(),
    **astrojepa_radial.astrojepa_maskers(),
}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("size_px", "patch_px"), [(64, 8), (224, 16)])
@pytest.mark.parametrize("name", [name for name in MASKERS if name != "none"])
def test_masks_of_a_batch(benchmark, name, size_px, patch_px, device):
    """Context of a quarter and four targets of .175 of the grid, three bands."""
    grid = PatchGrid.tiling(size_px, patch_px)
    sizes = MaskSizes.rounded(grid, context=0.25, targets=4, target=0.175)
    images = torch.rand(BATCH, 3, size_px, size_px, device=device)
    masker, generator = MASKERS[name](grid), torch.Generator(device).manual_seed(0)

    def draw():
        masker.draw(images, sizes, generator)
        if device == "cuda":
            torch.cuda.synchronize()

    benchmark(draw)
    benchmark.extra_info["images_per_second"] = round(BATCH / benchmark.stats["median"])


TURNS = 4
SIDE = 3  # of the targets where AstroJEPA's loop is compared: between its own 2 and 4
APART = 5.0  # standard errors between two frequencies of a patch, beyond which they are not equal


def rows(*, quick=False):
    """Compare with AstroJEPA's collator at its own configuration, written again, and with lightly's."""
    batch, repeats, goal = (8, 1, "") if quick else (BATCH, 9, ">= 30")
    grid, images = PatchGrid(GRID, GRID, PATCH_PX), galaxies_like(batch)
    blocks, seed = MASKERS["multiblock"](grid), MASKERS["brightness-seed"](grid)
    sizes = MaskSizes.rounded(grid, context=0.25, targets=TARGETS, target=0.175)
    small = MaskSizes(context=40, targets=TARGETS, target=SIDE * SIDE)

    def by_loop():
        return collate(2 * images - 1)

    hides_apart(blocks.draw(images, sizes, torch.Generator().manual_seed(0)), *by_loop())
    yield compared(
        "masks of I-JEPA, a batch at once against AstroJEPA's loop over images", blocks, images, sizes, by_loop,
        repeats, goal, "four targets and a context without any of them on both sides; its blocks follow the light",
    )  # fmt: skip
    hides_alike(seed, small, images[:1].expand(400 if quick else 4000, -1, -1, -1))
    yield compared(
        "masks `brightness-seed`, its own distribution, against AstroJEPA's loop over images", seed, images, small,
        lambda: collate(2 * images - 1, SIDE), repeats, "",
        f"each patch is hidden as often, within {APART:g} standard errors; both read every pixel",
    )  # fmt: skip
    what = "masks of I-JEPA, a batch at once against lightly's loop over images"
    if find_spec("lightly") is None:
        yield absent(what, "lightly")
        return
    numbers = list(range(batch))
    loop = lightly_loop()
    note = covers_alike(blocks, images, sizes, loop)
    yield compared(what, blocks, images, sizes, lambda: loop(numbers), repeats, "", note)


def compared(what, masker, images, sizes, loop, repeats, goal, note):
    """Time masks of a batch against a loop; `TURNS` batches a turn, or a clock would be too coarse."""
    generator = torch.Generator().manual_seed(0)
    found = paired(lambda: [masker.draw(images, sizes, generator) for _ in range(TURNS)], loop, repeats)
    low, high = found.spread
    return Row(
        what, len(images) * TURNS / found.ours_s, len(images) / found.peer_s, TURNS * found.ratio, "images/s", goal,
        note, (TURNS * low, TURNS * high), "Python",
    )  # fmt: skip


def hides_apart(masks, contexts, targets):
    """Check that on both sides no context shows a patch of a target."""
    seen = torch.zeros(len(contexts), GRID * GRID).scatter_(1, masks.context, 1.0)
    hidden = torch.zeros_like(seen).scatter_(1, masks.targets.flatten(1), 1.0)
    assert masks.targets.shape[1] == len(targets) == TARGETS
    assert not bool((seen * hidden).any()), "our context shows a target"
    assert not bool((contexts & targets.any(dim=0)).any()), "the loop's context shows a target"


def galaxies_like(count):
    """Make bright round spots on a dark sky, in [0, 1]."""
    side = torch.linspace(-1, 1, GRID * PATCH_PX)
    spot = torch.exp(-(side[:, None] ** 2 + side**2) / 0.1)
    noise = 0.02 * torch.randn(count, 3, len(side), len(side), generator=torch.Generator().manual_seed(1))
    return (0.1 + 0.8 * spot + noise).clamp(0, 1)


def hides_alike(masker, sizes, images):
    """Check that both hide each patch of one image equally often."""
    torch.manual_seed(2)
    masks = masker.draw(images, sizes, torch.Generator().manual_seed(3))
    count = len(images)
    ours = torch.zeros(count, GRID * GRID).scatter_(1, masks.targets.flatten(1), 1.0).mean(dim=0)
    theirs = collate(2 * images - 1, SIDE)[1].any(dim=0).float().mean(dim=0)
    middle = (ours + theirs) / 2
    error = (middle * (1 - middle) * 2 / count).sqrt().clamp_min(1 / count)
    assert float(((ours - theirs).abs() / error).max()) < APART, "the loop hides other patches"


def lightly_loop():
    """Return lightly's collator at published sizes."""
    from lightly.data.ijepa_collate import IJEPAMaskCollator

    torch.manual_seed(4)
    return IJEPAMaskCollator(
        GRID * PATCH_PX, PATCH_PX, (0.85, 1.0), (0.15, 0.2), (0.75, 1.5), npred=TARGETS, min_keep=10
    )


def covers_alike(masker, images, sizes, loop):
    """Check that targets cover as much; lightly's never reach the last row and column, so places differ."""
    generator, tries = torch.Generator().manual_seed(0), range(max(1, 512 // len(images)))
    mine = [masker.draw(images, sizes, generator).targets.flatten(1) for _ in tries]
    theirs = [torch.cat(loop(list(range(len(images))))[2], dim=1) for _ in tries]
    ours, others = (
        sum(len(row.unique()) for each in kind for row in each) / len(tries) / len(images) / GRID**2
        for kind in (mine, theirs)
    )
    assert abs(ours - others) < 0.06, f"targets cover {ours:.2f} of the patches, lightly's {others:.2f}"
    return f"targets cover {ours:.0%} of the patches, lightly's {others:.0%}, without the last row and column"
