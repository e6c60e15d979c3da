"""How many images a second each masker serves, at the grids and sizes of the small and the standard budget.

pytest benchmarks/bench_masking.py -o addopts=--import-mode=importlib
"""

import astrojepa_brightness
import astrojepa_brightness_seed
import astrojepa_inverse
import astrojepa_multiblock
import astrojepa_radial
import astrojepa_random
import pytest
import torch

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
