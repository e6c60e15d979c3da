"""Which self-supervised objective, with which masking, learns the best representation of galaxies?

Importing this package does not import torch; each name is imported when it is used.

- `load`: galaxies from a file, a folder, a data set by name, or arrays.
- `run`: train and score one entry; `sweep`: a grid of them; `list_runs`: what lies in an output folder.
- `compare`: two entries of a board: effect, interval, verdict.
- `open_run`: a finished run, with its encoder and weights.
- `extract_latents`: the features that a run computes of any galaxies; `predict`: their class and redshift.
- `compute_jepa_anomaly_scores`, `find_neighbours`: what is odd, and what is alike, as tables.
- `draw_map`, `draw_anomalies`, `draw_neighbours`, `visualize_full_latent_map`: the same as figures.
- `kmeans_torch`: k-means on the features' own device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astrojepa_bench.api.drawing import (
        draw_anomalies,
        draw_map,
        draw_neighbours,
        visualize_full_latent_map,
    )
    from astrojepa_bench.api.galaxies import load
    from astrojepa_bench.api.looking import (
        compute_jepa_anomaly_scores,
        extract_latents,
        find_neighbours,
        open_run,
        predict,
    )
    from astrojepa_bench.api.runs import compare, list_runs, run, sweep
    from astrojepa_bench.evaluators.probes.kmeans import kmeans_torch

__version__ = "0.1.0"
__all__ = [
    "compare",
    "compute_jepa_anomaly_scores",
    "draw_anomalies",
    "draw_map",
    "draw_neighbours",
    "extract_latents",
    "find_neighbours",
    "kmeans_torch",
    "list_runs",
    "load",
    "open_run",
    "predict",
    "run",
    "sweep",
    "visualize_full_latent_map",
]

_HOMES = {
    "compare": "astrojepa_bench.api.runs",
    "run": "astrojepa_bench.api.runs",
    "list_runs": "astrojepa_bench.api.runs",
    "sweep": "astrojepa_bench.api.runs",
    "load": "astrojepa_bench.api.galaxies",
    "compute_jepa_anomaly_scores": "astrojepa_bench.api.looking",
    "draw_anomalies": "astrojepa_bench.api.drawing",
    "draw_map": "astrojepa_bench.api.drawing",
    "draw_neighbours": "astrojepa_bench.api.drawing",
    "extract_latents": "astrojepa_bench.api.looking",
    "find_neighbours": "astrojepa_bench.api.looking",
    "open_run": "astrojepa_bench.api.looking",
    "predict": "astrojepa_bench.api.looking",
    "visualize_full_latent_map": "astrojepa_bench.api.drawing",
    "kmeans_torch": "astrojepa_bench.evaluators.probes.kmeans",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'astrojepa_bench' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
