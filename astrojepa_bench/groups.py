"""The groups of a board: what an objective is told beyond the images. Entries are ranked within their group."""

from __future__ import annotations

SELF_SUPERVISED = "self-supervised"
TOLD_BY_MEASUREMENTS = "told by measurements"
USES_LABELS = "uses labels"
GROUPS = (SELF_SUPERVISED, TOLD_BY_MEASUREMENTS, USES_LABELS)
