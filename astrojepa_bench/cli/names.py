"""What the words of a command name: plugins, components, options; wrong ones are refused before work begins.

A word that nobody offers is refused by the catalogue of the last command, before torch is imported, where nothing
has changed since. The registry is loaded for what goes on, once a command, and checks again. What a verb adds to
what was typed (defaults, a suite's entries, a configuration file) is checked by the verb.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext, suppress
from importlib import import_module
from pathlib import Path
from typing import TypeAlias, cast

from astrojepa_bench.cli.listed import OfferCatalogue
from astrojepa_bench.cli.printing import print
from astrojepa_bench.cli.remembered import Memory
from astrojepa_bench.cli.stdout import plugins_at_work
from astrojepa_bench.errors import ConfigError, nearest
from astrojepa_bench.options import KINDS, Kind, Settable, Settings, check_all_used, parse_settings
from astrojepa_bench.registry import Registry, load_registry

EVALUATOR_SETS = ("core", "full")
_Typed: TypeAlias = tuple[Mapping[Kind, list[str]], Settings, str | None]


def registry_of(arguments: Namespace) -> Registry:
    """Load the plugins that a command may use: what is installed and its `--plugin` files, once a command."""
    if "registry" not in arguments:
        announce(arguments)
        # Not above: bars are drawn on a terminal alone, and by what few commands need.
        shown = (
            import_module("astrojepa_bench.cli.console").progress() if sys.stderr.isatty() else nullcontext()
        )
        with plugins_at_work(), shown:
            arguments.registry = load_registry(arguments.plugin, arguments.strict_plugins)
        if getattr(arguments, "memory", None) is not None and arguments.catalogue is None:
            with suppress(Exception):  # what cannot be described, `list` tells
                arguments.memory.keep(OfferCatalogue.of(arguments.registry))
    registry: Registry = arguments.registry
    return registry


def announce(arguments: Namespace) -> None:
    """Tell, once a command, that what takes seconds is imported now; before the first of it is."""
    if getattr(arguments, "is_own_process", False) and "is_announced" not in arguments:
        arguments.is_announced = True
        print("importing torch and plugins, which takes some seconds ...", file=sys.stderr, flush=True)


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
    """Return what is on offer: as an earlier command kept it, or else as the plugins say."""
    return recalled(arguments) or OfferCatalogue.of(registry_of(arguments))


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
    """Refuse components, suites and options that nobody offers, and runs and galaxies that are not there.

    Raises:
        ConfigError: naming the word that is wrong and the nearest right ones.
        DataError: the record of a run cannot be read, or has no scores.
        PluginError: a plugin that was asked for cannot be loaded.
    """
    products = getattr(arguments, "products", ())
    if products and arguments.needs_product and not any(getattr(arguments, word) for word in products):
        flags = " or ".join(f"--{word} FILE" for word in products)
        raise ConfigError(f"nothing is to be written; name a file with {flags}")
    typed = _typed(arguments)
    known = recalled(arguments) if typed or "target" in arguments else None
    if typed:
        _refuse_unknown(known or registry_of(arguments), *typed)
    if "target" in arguments and known is not None:
        refuse_target(arguments.target, [each.name for each in known.offers("dataset")])
    if "run" in arguments:
        _check_run(arguments)
    if typed:  # what was kept refuses, and permits nothing
        _refuse_unknown(registry_of(arguments), *typed)


def refuse_target(target: str, datasets: Collection[str]) -> None:
    """Refuse galaxies that are neither a dataset nor a path.

    Raises:
        ConfigError: naming the nearest datasets.
    """
    if target not in datasets and not Path(target).expanduser().exists():
        raise ConfigError(
            f"'{target}' is neither a dataset nor a file or folder; {nearest(target, datasets)}"
        )


def _check_run(arguments: Namespace) -> None:
    """Refuse a run that is not there, before what opens it is imported."""
    store = import_module("astrojepa_bench.results.store")  # for commands that open a run
    store.find_run(arguments.run, arguments.out)


def _typed(arguments: Namespace) -> _Typed | None:
    """Collect the names by kind, the settings and the suite of a command; None where nothing is to be checked."""
    settings = settings_of(arguments) if "set" in arguments else {}
    names = {kind: split_names(getattr(arguments, kind, None)) for kind in KINDS}
    suite = getattr(arguments, "suite", None)
    # A configuration names plugins and components of its own; which dataset reads a path, its files tell.
    elsewhere = getattr(arguments, "config", None) or "target" in arguments
    return (names, settings, suite) if (settings or suite or any(names.values())) and not elsewhere else None


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
