"""What the actions of `data` look at: a dataset by name, or a file or folder as it lies there."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from astrojepa_bench.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astrojepa_bench.options import Offer
    from astrojepa_bench.registry import Registry
    from astrojepa_bench.types import GalaxyTable


def add_target(parser: ArgumentParser) -> None:
    """Declare the arguments that say what to look at."""
    parser.add_argument(
        "target", metavar="TARGET", help="a dataset (see `list datasets`), an HDF5 file, a folder or a zip"
    )
    parser.add_argument("--size", type=int, default=64, metavar="PX", help="image size (default: 64)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="dataset.OPTION=VALUE", help="set an option"
    )
    parser.add_argument(
        "--on-bad-image", choices=("fail", "skip"), help="unreadable images: stop (default), or leave out"
    )
    parser.add_argument("--cache", type=Path, help="folder for converted data (default: the user's cache)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def load_target(arguments: Namespace) -> tuple[str, GalaxyTable]:
    """Load what the arguments name; the first value is the dataset's name.

    Raises:
        ConfigError: neither a dataset nor a path, or an option is wrong.
        DataError: what is there cannot be read.
    """
    from astrojepa_bench.cli.console import console_listener
    from astrojepa_bench.data.cache_folder import default_cache
    from astrojepa_bench.events import listening
    from astrojepa_bench.options import check_all_used, parse_settings
    from astrojepa_bench.registry import load_registry
    from astrojepa_bench.runs.component import Component

    registry = load_registry(arguments.plugin, arguments.strict_plugins)
    offer, known = _offer(arguments.target, registry)
    settings = parse_settings([*arguments.set, *bad_image_setting(arguments.on_bad_image)])
    check_all_used(settings, [offer])
    dataset = Component.of(offer, settings, known).build()
    with console_listener() as listener, listening(listener):
        return offer.name, dataset.load(arguments.size, arguments.cache or default_cache())


def bad_image_setting(choice: str | None) -> list[str]:
    """Spell `--on-bad-image` as the option that it sets."""
    return [] if choice is None else [f"dataset.on_bad_image={choice}"]


def _offer(target: str, registry: Registry) -> tuple[Offer, Mapping[str, object]]:
    from astrojepa_bench.data.sources.layouts import recognise

    names = [offer.name for offer in registry.offers("dataset")]
    if target in names:
        return registry.get("dataset", target), {}
    path = Path(target).expanduser()
    if not path.exists():
        raise ConfigError(f"'{target}' is neither a dataset nor a file or folder; {nearest(target, names)}")
    name, options = recognise(path)
    return registry.get("dataset", name), options
