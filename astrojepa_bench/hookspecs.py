"""The hooks of plugins: each returns a mapping by name (of factories, suites, importers), and one listens.

A plugin is a module (entry-point group `astrojepa_bench`, or `--plugin PATH`) with functions that `hookimpl`
decorates, named as below. A factory is usually the class itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from astrojepa_bench.events import Event, Observer
    from astrojepa_bench.importers import Importer
    from astrojepa_bench.roles import Dataset, Encoder, Evaluator, Masker, Objective
    from astrojepa_bench.suites import Suite

GROUP = "astrojepa_bench"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def astrojepa_datasets() -> Mapping[str, Callable[..., Dataset]]:  # type: ignore[empty-body]
    """Offer datasets by name."""


@hookspec
def astrojepa_encoders() -> Mapping[str, Callable[..., Encoder]]:  # type: ignore[empty-body]
    """Offer encoders by name."""


@hookspec
def astrojepa_maskers() -> Mapping[str, Callable[..., Masker]]:  # type: ignore[empty-body]
    """Offer maskers by name."""


@hookspec
def astrojepa_objectives() -> Mapping[str, Callable[..., Objective]]:  # type: ignore[empty-body]
    """Offer objectives by name."""


@hookspec
def astrojepa_evaluators() -> Mapping[str, Callable[..., Evaluator]]:  # type: ignore[empty-body]
    """Offer evaluators by name."""


@hookspec
def astrojepa_suites() -> Mapping[str, Suite]:  # type: ignore[empty-body]
    """Offer suites by name: grids of entries, as data."""


@hookspec
def astrojepa_importers() -> Mapping[str, Importer]:  # type: ignore[empty-body]
    """Offer readers of models trained elsewhere, by name of the format."""


@hookspec
def astrojepa_observers() -> Mapping[str, Observer]:  # type: ignore[empty-body]
    """Offer observers by name, which hear events where `run --observer NAME` asks for them."""


@hookspec
def astrojepa_observe(event: Event) -> None:
    """Receive an event: a step, a cell, a slow task."""
