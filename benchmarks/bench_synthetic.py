"""How many simulated galaxies one core draws a second; targets are 110 at 64 px and 45 at 128 px.

OMP_NUM_THREADS=1 pytest benchmarks/bench_synthetic.py -o addopts=--import-mode=importlib

Each round draws every class equally often. Where other programs share the cores, read the fastest round.
"""

import pytest

from astrojepa_bench.data.synthetic.drawing import Block, draw_block
from astrojepa_bench.data.synthetic.scene import Survey

GALAXIES = 80


@pytest.mark.parametrize("instrument", ["survey", "shifted"])
@pytest.mark.parametrize("population", ["natural", "matched"])
@pytest.mark.parametrize(
    ("size_px", "fov_arcsec"), [(64, 40.0), (64, 67.0), (128, 40.0), (128, 67.0), (224, 58.7)]
)
def test_drawing_on_one_core(benchmark, size_px, fov_arcsec, population, instrument):
    """Scene, seeing, noise, stretch, coverage and truth of eighty galaxies."""
    survey = Survey(0, "uniform", size_px, fov_arcsec, population, instrument)
    benchmark.pedantic(draw_block, args=(survey, Block(False, 0, GALAXIES)), rounds=5, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = round(GALAXIES / benchmark.stats["min"])
