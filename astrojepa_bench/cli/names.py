"""What the words of a command name: plugins, components, options; wrong ones are refused before work begins.

The registry is all that is loaded for it, once a command. What a verb adds to what was typed (defaults, a suite's
entries, a configuration file) is checked by the verb.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import cast

from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.options import KINDS, Kind, Offer, check_all_used, parse_settings
from astrojepa_bench.registry import Registry, load_registry

EVALUATOR_SETS = ("core", "full")


def registry_of(arguments: Namespace) -> Registry:
    """Load the plugins that a command may use: what is installed and its `--plugin` files, once a command."""
    if "registry" not in arguments:
        with plugins_at_work():
            arguments.registry = load_registry(arguments.plugin, arguments.strict_plugins)
    registry: Registry = arguments.registry
    return registry


def settings_of(arguments: Namespace) -> dict[str, dict[str, str]]:
    """Read `--set`, and `--on-bad-image`, which sets an option of the dataset.

    Raises:
        ConfigError: a text is not KIND.OPTION=VALUE.
    """
    choice = getattr(arguments, "on_bad_image", None)
    return parse_settings([*arguments.set, *([] if choice is None else [f"dataset.on_bad_image={choice}"])])


def split_names(given: str | Iterable[str] | None) -> list[str]:
    """List names that were given by one flag or several, or separated by commas.

    Example:
        >>> split_names(["knn, linear", "core"]), split_names("hdf5"), split_names(None)
        (['knn', 'linear', 'core'], ['hdf5'], [])
    """
    texts = [given] if isinstance(given, str) else given or ()
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def check_names(arguments: Namespace) -> None:
    """Refuse components, suites and options that nobody offers.

    Raises:
        ConfigError: naming the word that is wrong and the nearest right ones.
        PluginError: a plugin that was asked for cannot be loaded.
    """
    settings = settings_of(arguments) if "set" in arguments else {}
    typed = {kind: split_names(getattr(arguments, kind, None)) for kind in KINDS}
    suite = getattr(arguments, "suite", None)
    # A configuration names plugins and components of its own; which dataset reads a path, its files tell.
    elsewhere = getattr(arguments, "config", None) or "target" in arguments
    if elsewhere or not (settings or suite or any(typed.values())):
        return
    registry = registry_of(arguments)
    if suite:
        registry.suite(suite)
    chosen = {
        kind: [registry.get(kind, name) for name in names if name not in EVALUATOR_SETS]
        for kind, names in typed.items()
    }
    for address, options in settings.items():
        addressed, _, name = address.partition(":")
        kind = cast(Kind, addressed)  # parse_settings knows no other
        if chosen[kind] and len(chosen[kind]) == len(typed[kind]) and not suite:
            check_all_used({address: options}, chosen[kind])
        else:
            _check_offered(kind, options, [registry.get(kind, name)] if name else registry.offers(kind))


def _check_offered(kind: Kind, options: Iterable[str], offers: Iterable[Offer]) -> None:
    """Refuse options that none of these offers has: whichever the verb chooses, they would reach nothing."""
    known = {option.name for offer in offers for option in offer.options}
    for name in options:
        if name not in known:
            raise ConfigError(f"no {kind} has an option '{name}'; {nearest(name, known)}")
