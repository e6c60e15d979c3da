"""From the module of a plugin to what it offers: imported, its hooks heard, every entry examined alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TypeAlias, TypeVar

import pluggy

from astrojepa_bench import hookspecs
from astrojepa_bench.declarations import fact_fault, name_fault
from astrojepa_bench.errors import BenchError, PluginError, named, nearest, said_by
from astrojepa_bench.events import ObserverOffer
from astrojepa_bench.importers import ImporterOffer
from astrojepa_bench.options import FAMILY, KINDS, Kind, Offer, unrecordable
from astrojepa_bench.signatures import made_by, option_schema, summary_of
from astrojepa_bench.suites import Suite, SuiteOffer
from astrojepa_bench.versions import remember

LONGEST = 300  # letters of a reason: a list shows several
Result = TypeVar("Result")
HOOKS: Mapping[str, Kind] = {f"astrojepa_{kind}s": kind for kind in KINDS}
OTHER_HOOKS: Mapping[str, str] = {
    "astrojepa_suites": "Suite",
    "astrojepa_importers": "importer",
    "astrojepa_observers": "observer",
}
"""The other hooks that return mappings, and what each maps a name to."""


@dataclass(frozen=True)
class PluginSource:
    """Where a plugin comes from.

    Attributes:
        plugin: its module.
        distribution, version_text: the package it came with; for a file, its base name and nothing.
        load: imports it.
        is_needed: whether nothing may go on without it.
        is_whole: whether it is of no use unless every single offer is sound.
    """

    plugin: str
    distribution: str
    version_text: str
    load: Callable[[], object]
    is_needed: bool = False
    is_whole: bool = False

    @property
    def package(self) -> str:
        """The package and its version, for messages."""
        return f"{self.distribution} {self.version_text}".strip()


Make: TypeAlias = Callable[[PluginSource, str, str, object], Result]
"""Makes an offer of a source, the hook that it came by, its name and what is offered."""


def connected(source: PluginSource) -> pluggy.PluginManager:
    """Import a plugin and register it alone with a manager that knows the hooks."""
    module = source.load()
    if not isinstance(module, ModuleType):
        raise PluginError(f"the entry point names a {type(module).__name__}; expected a module")
    remember(module)
    manager = pluggy.PluginManager(hookspecs.GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(module, name=source.plugin)
    _check_spelling(manager, module)
    return manager


def _check_spelling(manager: pluggy.PluginManager, module: ModuleType) -> None:
    callers = manager.get_hookcallers(module) or []
    heard = {implementation.function for caller in callers for implementation in caller.get_hookimpls()}
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if name.startswith("astrojepa_") and function.__module__ == module.__name__ and function not in heard:
            raise PluginError(f"function {name} is not registered: decorate it with @hookimpl")
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        names = [caller.name for caller in callers if not caller.has_spec()]
        hooks = [*HOOKS, *OTHER_HOOKS, "astrojepa_observe"]
        raise PluginError(f"unknown hook '{names[0]}'; {nearest(names[0], hooks)}") from error
    if not callers:
        raise PluginError("it offers nothing: no function is decorated with @hookimpl")


def entries_of(manager: pluggy.PluginManager, hook: str) -> list[tuple[object, object]]:
    """List what the mappings hold that a hook returns."""
    entries: list[tuple[object, object]] = []
    for mapping in getattr(manager.hook, hook)():
        if not isinstance(mapping, Mapping):
            expected = f"a mapping, name to {OTHER_HOOKS.get(hook, 'factory')}"
            raise PluginError(f"{hook} returned {type(mapping).__name__}; expected {expected}")
        entries += mapping.items()
    return entries


def checked(make: Make[Result], source: PluginSource, hook: str, name: object, value: object) -> Result:
    """Make an offer of one entry under a name that can be used.

    Raises:
        PluginError: the name is none, or `make` refuses.
    """
    fault = name_fault(name)
    if fault is not None:
        raise PluginError(f"{hook} offers {fault}")
    return make(source, hook, str(name), value)


def offer_of(source: PluginSource, hook: str, name: str, factory: object) -> Offer:
    """Make an offer of a component.

    Raises:
        PluginError: the factory is none, or cannot be read.
    """
    if not callable(factory):
        raise PluginError(f"{hook} offers '{name}' as {type(factory).__name__}; expected a class or function")
    if name.endswith(FAMILY) and not callable(getattr(factory, "member", None)):
        raise PluginError(f"{hook} offers the family '{name}' without a class method `member(name)`; add one")
    facts = (source.plugin, source.distribution, source.version_text)
    try:
        return _sound(Offer(HOOKS[hook], name, factory, *facts, summary_of(factory), option_schema(factory)))
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"{HOOKS[hook]} '{name}' cannot be read: {reason(error)}") from error


def _sound(offer: Offer) -> Offer:
    """Mark an offer whose class declares a fact wrongly.

    Raises:
        PluginError: the default of an option cannot be recorded.
    """
    lost = unrecordable(offer.options)
    if lost is not None:
        raise PluginError(
            f"{offer.kind} '{offer.name}': option '{lost}' has a default that no record can hold"
        )
    fault = fact_fault(offer.kind, offer.cls or made_by(offer.factory))
    return offer if fault is None else replace(offer, fault=f"{offer.kind} '{offer.name}' {fault}")


def check_sound(offer: Offer) -> Offer:
    """Return an offer that can be built.

    Raises:
        PluginError: its class declares a fact wrongly.
    """
    if offer.fault is not None:
        raise PluginError(f"{offer.fault} (plugin {offer.plugin})")
    return offer


def member_of(family: Offer, name: str) -> Offer:
    """Look a member of a family up, by the family's own code.

    Raises:
        ConfigError: there is no such member.
        PluginError: the family's code fails.
    """
    try:
        return _sound(family.member(name))
    except BenchError:
        raise
    except Exception as error:
        raise PluginError(f"{family.title} has no usable member '{name}': {reason(error)}") from error


def suite_offer(source: PluginSource, hook: str, name: str, suite: object) -> SuiteOffer:
    """Make an offer of a suite.

    Raises:
        PluginError: it is none.
    """
    if not isinstance(suite, Suite):
        raise PluginError(
            f"{hook} offers '{name}' as {type(suite).__name__}; expected astrojepa_bench.plugin.Suite"
        )
    return SuiteOffer(name, suite, source.plugin, source.package)


def importer_offer(source: PluginSource, hook: str, name: str, read: object) -> ImporterOffer:
    """Make an offer of an importer.

    Raises:
        PluginError: it is no function.
    """
    if not callable(read):
        raise PluginError(f"{hook} offers '{name}' as {type(read).__name__}; expected a function")
    return ImporterOffer(name, read, source.plugin, source.package)


def observer_offer(source: PluginSource, hook: str, name: str, make: object) -> ObserverOffer:
    """Make an offer of an observer.

    Raises:
        PluginError: it is no class or function.
    """
    if not callable(make):
        raise PluginError(f"{hook} offers '{name}' as {type(make).__name__}; expected a class or function")
    return ObserverOffer(name, make, source.plugin, source.package)


def reason(error: BaseException) -> str:
    """Return in one line what a plugin raised; what the bench itself found wrong speaks for itself."""
    return said_by(error)[:LONGEST] if isinstance(error, PluginError) else named(error)[:LONGEST]
