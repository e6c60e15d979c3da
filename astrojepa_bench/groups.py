"""The groups of a board: what an objective is told beyond the images. Entries are ranked within their group."""

from __future__ import annotations

import sys

SELF_SUPERVISED = "self-supervised"
TOLD_BY_MEASUREMENTS = "told by measurements"
USES_LABELS = "uses labels"
GROUPS = (SELF_SUPERVISED, TOLD_BY_MEASUREMENTS, USES_LABELS)

MEASURING = frozenset({"astrojepa_bench.encoders.profile", "astrojepa_bench.encoders.morphology"})
"""Modules of the ruler that measure galaxies by hand."""


def group_of(component: type | None, declared: str) -> str:
    """Return the group of a component: whoever takes the ruler's measurements is told by them, as it says or not.

    Seen is what the module of its class, or of an ancestor, has imported by name. Measurements that somebody writes
    anew, or takes by way of another module, cannot be seen.

    Args:
        component: its class; None where it is not known.
        declared: what it declares.
    """
    if declared != SELF_SUPERVISED or component is None:
        return declared
    modules = (sys.modules.get(each.__module__) for each in component.__mro__)
    names = (value for module in modules if module is not None for value in vars(module).values())
    takes = any(
        getattr(value, fact, None) in MEASURING for value in names for fact in ("__module__", "__name__")
    )
    return TOLD_BY_MEASUREMENTS if takes else declared
