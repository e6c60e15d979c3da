"""The main job as a Python call."""

from __future__ import annotations

from typing import Any

from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.record import RunRecord
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request


def run(*, objective: str, masker: str = "random", seed: int = 0, **fields: Any) -> RunRecord:
    """Train and score one entry with one seed, as `astrojepa-bench run` does, and give its record.

    Args:
        objective: name of the objective.
        masker: name of the masker.
        seed: pretraining seed.
        fields: any other field of `RunRequest`: `dataset`, `budget`, `settings`, `out`, ...

    Raises:
        ConfigError: something is unknown or cannot be done.
        DataError: the dataset cannot be loaded.
    """
    chosen = {"objectives": [objective], "maskers": [masker], "seeds": [seed], "floors": False}
    request = make_request({**chosen, **fields})
    return run_grid(request, load_registry(request.plugins), "astrojepa_bench.run(...)").records[0]
