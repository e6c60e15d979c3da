"""The galaxies that an action of `data` looks at: a dataset by name, or a file or folder by its path."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from astrojepa_bench.cli.console import progress
from astrojepa_bench.cli.names import refuse_target, registry_of, settings_of
from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.data.cache_folder import default_cache
from astrojepa_bench.data.galaxies import loaded
from astrojepa_bench.data.sources.layouts import recognise
from astrojepa_bench.options import check_all_used
from astrojepa_bench.runs.component import Component
from astrojepa_bench.types import GalaxyTable


@plugins_at_work()
def load_target(arguments: Namespace) -> tuple[str, GalaxyTable]:
    """Load what the arguments name, and return it after the dataset's name.

    Raises:
        ConfigError: neither a dataset nor a path, or an option is wrong.
        DataError: the files cannot be read.
    """
    component = component_of(arguments)
    dataset = component.build()
    with progress():
        return component.name, loaded(dataset, arguments.size, arguments.cache or default_cache())


def component_of(arguments: Namespace) -> Component:
    """Find the dataset that the arguments name, with its options.

    Raises:
        ConfigError: neither a dataset nor a path, or an option is wrong.
        DataError: nothing reads the path.
    """
    registry, target = registry_of(arguments), arguments.target
    names = [offer.name for offer in registry.offers("dataset")]
    refuse_target(target, names)
    name, known = (target, {}) if target in names else recognise(Path(target).expanduser())
    offer, settings = registry.get("dataset", name), settings_of(arguments)
    check_all_used(settings, [offer])
    return Component.of(offer, settings, known)
