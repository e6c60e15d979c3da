"""Named sets of the ruler's own evaluators; without torch, so that boards need none."""

from __future__ import annotations

CORE = ("linear", "knn", "kmeans", "anomaly", "collapse")
