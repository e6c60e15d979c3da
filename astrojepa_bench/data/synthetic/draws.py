"""The random draws that recipes share."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

Range: TypeAlias = tuple[float, float]


def between(rng: np.random.Generator, bounds: Range) -> float:
    """Draw a number uniformly."""
    return float(rng.uniform(*bounds))


def near(rng: np.random.Generator, mean: float, scatter: float, bounds: Range) -> float:
    """Draw a normal number, clipped."""
    return float(np.clip(rng.normal(mean, scatter), *bounds))
