"""Which self-supervised objective, with which masking, learns the best representation of galaxies?

Importing this package does not import torch; each name is imported when it is used.

- `run`: train and score one entry; `sweep`: a grid of them.
- `compare`: two entries of a board: effect, interval, verdict.
- `open_run`: a finished run, with its encoder and weights.
- `extract_latents`: the features that a run computes of any galaxies.
- `compute_jepa_anomaly_scores`: their anomaly scores, as a table.
- `visualize_full_latent_map`: what a run sees and predicts of one galaxy, as a figure.
- `kmeans_torch`: k-means on the features' own device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astrojepa_bench.api import compare, run, sweep
    from astrojepa_bench.evaluators.probes.kmeans import kmeans_torch
    from astrojepa_bench.explore.anomalies import compute_jepa_anomaly_scores
    from astrojepa_bench.explore.latents import extract_latents
    from astrojepa_bench.explore.latents_figure import visualize_full_latent_map
    from astrojepa_bench.runs.open_run import open_run

__version__ = "0.1.0"
__all__ = [
    "compare",
    "compute_jepa_anomaly_scores",
    "extract_latents",
    "kmeans_torch",
    "open_run",
    "run",
    "sweep",
    "visualize_full_latent_map",
]

_HOMES = {
    "compare": "astrojepa_bench.api",
    "run": "astrojepa_bench.api",
    "sweep": "astrojepa_bench.api",
    "open_run": "astrojepa_bench.runs.open_run",
    "extract_latents": "astrojepa_bench.explore.latents",
    "compute_jepa_anomaly_scores": "astrojepa_bench.explore.anomalies",
    "visualize_full_latent_map": "astrojepa_bench.explore.latents_figure",
    "kmeans_torch": "astrojepa_bench.evaluators.probes.kmeans",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'astrojepa_bench' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
