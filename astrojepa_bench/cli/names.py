"""What the words of a command name: plugins, components, options; wrong ones are refused before work begins.

A word that nobody offers is refused by the catalogue of the last command, before torch is imported, where nothing
has changed since. The registry is loaded for what goes on, once a command, and checks again. What a verb adds to
what was typed (defaults, a suite's entries, a configuration file) is checked by the verb.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import cast

from astrojepa_bench.cli.listed import OfferCatalogue
from astrojepa_bench.cli.remembered import Memory
from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.options import KINDS, Kind, Settable, Settings, check_all_used, parse_settings
from astrojepa_bench.registry import Registry, load_registry

EVALUATOR_SETS = ("core", "full")


def registry_of(arguments: Namespace) -> Registry:
    """Load the plugins that a command may use: what is installed and its `--plugin` files, once a command."""
    if "registry" not in arguments:
        with plugins_at_work():
            arguments.registry = load_registry(arguments.plugin, arguments.strict_plugins)
    registry: Registry = arguments.registry
    return registry


def recalled(arguments: Namespace) -> OfferCatalogue | None:
    """Return the catalogue that an earlier command kept; None where there is none, or it may not hold any more.

    Only a command in a process of its own keeps and recalls one: nothing was imported before it began.
    """
    if "memory" not in arguments:
        alone = getattr(arguments, "is_own_process", False) and not arguments.strict_plugins
        arguments.memory = Memory.of(arguments.plugin) if alone else None
        arguments.catalogue = arguments.memory.recall() if alone else None
    found: OfferCatalogue | None = arguments.catalogue
    return found


def catalogue_of(arguments: Namespace) -> OfferCatalogue:
    """Return what is on offer: as an earlier command kept it, or else as the plugins say, and keep that."""
    found = recalled(arguments)
    if found is None:
        found = arguments.catalogue = OfferCatalogue.of(registry_of(arguments))
        if arguments.memory is not None:
            arguments.memory.keep(found)
    return found


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
    known = recalled(arguments)
    if known is not None:
        _refuse_unknown(known, typed, settings, suite)
    elif arguments.memory is not None:
        with suppress(Exception):  # for the next command; what cannot be described, `list` tells
            catalogue_of(arguments)
    _refuse_unknown(registry_of(arguments), typed, settings, suite)


def _refuse_unknown(
    offered: OfferCatalogue | Registry, typed: Mapping[Kind, list[str]], settings: Settings, suite: str | None
) -> None:
    """Refuse the names and options that nobody offers; of what a catalogue cannot tell nothing is refused."""
    if suite:
        offered.suite(suite)
    chosen = {
        kind: [offered.get(kind, name) for name in names if name not in EVALUATOR_SETS]
        for kind, names in typed.items()
    }
    for address, options in settings.items():
        addressed, _, name = address.partition(":")
        kind = cast(Kind, addressed)  # parse_settings knows no other
        found = [offered.get(kind, name)] if name else []
        if None in (*found, *chosen[kind]):
            continue
        if chosen[kind] and len(chosen[kind]) == len(typed[kind]) and not suite:
            check_all_used({address: options}, [each for each in chosen[kind] if each is not None])
        else:
            _check_offered(
                kind, options, [each for each in found if each is not None] or offered.offers(kind)
            )


def _check_offered(kind: Kind, options: Iterable[str], offers: Iterable[Settable]) -> None:
    """Refuse options that none of these offers has: whichever the verb chooses, they would reach nothing."""
    known = {option for offer in offers for option in offer.option_names}
    for name in options:
        if name not in known:
            raise ConfigError(f"no {kind} has an option '{name}'; {nearest(name, known)}")
