"""Find plugins, collect what each of them offers, and keep where every component came from.

Entry points are enumerated here and not by pluggy, whose loader drops the second of two equal names in
silence and lets one broken import end the program. Each plugin has a plugin manager of its own, so that
nothing that one does wrong reaches another: its failure is kept, shown by `list`, and named whenever a
name is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import pluggy

from astrojepa_bench import hookspecs
from astrojepa_bench.errors import BenchError, ConfigError, PluginError, nearest
from astrojepa_bench.events import Event, Listener, ObserverOffer, emit, track
from astrojepa_bench.importers import ImporterOffer
from astrojepa_bench.loading import sources_at
from astrojepa_bench.offering import (
    HOOKS,
    Make,
    PluginSource,
    check_sound,
    checked,
    connected,
    entries_of,
    importer_offer,
    member_of,
    observer_offer,
    offer_of,
    reason,
    suite_offer,
)
from astrojepa_bench.options import FAMILY, KINDS, Kind, Offer
from astrojepa_bench.suites import SuiteOffer

Result = TypeVar("Result")
Named = TypeVar("Named", Offer, SuiteOffer, ImporterOffer, ObserverOffer)
Key = TypeVar("Key", bound=Hashable)
PLUGINS_FOLDER = Path(__file__).resolve().parents[1] / "plugins"  # in a checkout; absent from a wheel


@dataclass(frozen=True)
class LoadFailure:
    """A plugin, or one of its hooks, that could not be used.

    Attributes:
        plugin: module that failed.
        distribution: the package it came with, and its version.
        reason: what it raised or what is wrong with it, in one line.
    """

    plugin: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"{self.plugin} ({self.distribution}): {self.reason}"


@dataclass
class Registry:
    """Every component and suite on offer, by kind and name.

    Attributes:
        failures: plugins that could not be used, with the reason.
    """

    failures: list[LoadFailure] = field(default_factory=list)
    _offers: dict[tuple[str, str], Offer] = field(default_factory=dict)
    _suites: dict[str, SuiteOffer] = field(default_factory=dict)
    _importers: dict[str, ImporterOffer] = field(default_factory=dict)
    _observers: dict[str, ObserverOffer] = field(default_factory=dict)
    _plugins: list[str] = field(default_factory=list)
    _listeners: dict[str, Listener] = field(default_factory=dict)
    _rivals: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Modules that were loaded, in order of discovery."""
        return tuple(self._plugins)

    def offers(self, kind: str | None = None) -> tuple[Offer, ...]:
        """Return the offers of one kind, or all of them, by kind and name.

        Raises:
            ConfigError: there is no such kind.
        """
        check_kind(kind)
        wanted = [offer for offer in self._offers.values() if kind in (None, offer.kind)]
        return tuple(sorted(wanted, key=lambda offer: (KINDS.index(offer.kind), offer.name)))

    def get(self, kind: Kind, name: str) -> Offer:
        """Look a component up, or a member of a family (`timm:resnet18` of `timm:<name>`).

        Raises:
            ConfigError: nobody offers it; names the nearest ones and the plugins that failed to load.
            PluginError: two plugins offer it.
        """
        self._refuse_rivals(kind, name)
        found = self._offers.get((kind, name))
        found = self.member(kind, name) if found is None or found.is_family else found
        if found is None:
            known = [offer.name for offer in self.offers(kind)]
            raise unknown_name(kind, name, known, self._hints(name))
        return found

    def member(self, kind: Kind, name: str) -> Offer | None:
        """Look up a member of a family; None if no family is called so.

        Raises:
            ConfigError: the family has no such member.
            PluginError: two plugins offer the family, or its code fails.
        """
        called, _, member = name.partition(":")
        self._refuse_rivals(kind, f"{called}{FAMILY}")
        family = self._offers.get((kind, f"{called}{FAMILY}"))
        if family is None or not member:
            return None
        return member_of(family, member)

    def suites(self) -> tuple[SuiteOffer, ...]:
        """Return the suites on offer, by name."""
        return tuple(self._suites[name] for name in sorted(self._suites))

    def suite(self, name: str) -> SuiteOffer:
        """Look a suite up.

        Raises:
            ConfigError: nobody offers it.
            PluginError: two plugins offer it.
        """
        return self._looked_up("suite", name, self._suites)

    def importers(self) -> tuple[ImporterOffer, ...]:
        """Return the importers on offer, by name."""
        return tuple(self._importers[name] for name in sorted(self._importers))

    def importer(self, name: str) -> ImporterOffer:
        """Look an importer up by the name of its format.

        Raises:
            ConfigError: nobody offers it.
            PluginError: two plugins offer it.
        """
        return self._looked_up("importer", name, self._importers, word="format")

    def observer(self, name: str) -> ObserverOffer:
        """Look up an observer.

        Raises:
            ConfigError: nobody offers it.
            PluginError: two plugins offer it.
        """
        return self._looked_up("observer", name, self._observers)

    def attend(self, name: str, out: Path) -> None:
        """Let an observer hear all events from now on.

        Args:
            name: of the observer.
            out: the output folder, below which it may write.

        Raises:
            ConfigError: nobody offers it, or something that it needs is missing.
            PluginError: two plugins offer it, or its code fails.
        """
        offer = self.observer(name)
        try:
            self._listeners[offer.title] = offer.make(out)
        except BenchError:
            raise
        except Exception as error:
            raise PluginError(f"{offer.title} cannot be made: {reason(error)}") from error

    def observe(self, event: Event) -> None:
        """Pass an event to every observing plugin; one that raises hears no more."""
        for plugin, listener in list(self._listeners.items()):
            try:
                listener(event)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a listener must not end a run
                del self._listeners[plugin]
                emit("note", text=f"plugin {plugin} failed while listening and is muted: {reason(error)}")

    def _hints(self, name: str) -> list[str]:
        """Explain why a name may be unknown though its plugin exists."""
        hints = [not_installed(name, self._plugins)]
        if self.failures:
            failed = "; ".join(str(failure) for failure in self.failures)
            hints.append(f"{len(self.failures)} failed to load, see astrojepa-bench list: {failed}")
        if not self._offers:
            hints.append("nothing is installed: run pip install -e . in the checkout")
        return hints

    # -- loading --

    def _admit(self, source: PluginSource) -> None:
        manager = self._attempt(source, source.is_needed, partial(connected, source))
        if manager is None:
            return
        self._plugins.append(source.plugin)
        observes = bool(manager.hook.astrojepa_observe.get_hookimpls())
        if observes:
            twice = source.plugin in self._listeners  # files of one name, from two folders
            name = f"{source.plugin} ({source.package})" if twice else source.plugin
            self._listeners[name] = partial(_heard_by, manager)
        before, sound = len(self.failures), 0
        for hook in HOOKS:
            for offer in self._offered(source, manager, hook, offer_of):
                self._claim(source, self._offers, (offer.kind, offer.name), offer.kind, offer)
                sound += self._attempt(source, source.is_whole, partial(check_sound, offer)) is not None
        sound += self._take(source, manager, "suite", suite_offer, self._suites)
        sound += self._take(source, manager, "importer", importer_offer, self._importers)
        sound += self._take(source, manager, "observer", observer_offer, self._observers)
        if source.is_needed and not (observes or sound) and len(self.failures) > before:
            raise PluginError(f"plugin {self.failures[before]}; fix it or leave it out")

    def _take(
        self,
        source: PluginSource,
        manager: pluggy.PluginManager,
        kind: str,
        make: Make[Named],
        taken: dict[str, Named],
    ) -> int:
        """Take what a plugin offers of a kind that is no component; return how many offers were sound."""
        offers = self._offered(source, manager, f"astrojepa_{kind}s", make)
        for offer in offers:
            self._claim(source, taken, offer.name, kind, offer)
        return len(offers)

    def _offered(
        self, source: PluginSource, manager: pluggy.PluginManager, hook: str, make: Make[Result]
    ) -> list[Result]:
        """Make an offer of every entry of the mappings that a hook returns; a broken one spares the others."""
        entries = self._attempt(source, source.is_needed, partial(entries_of, manager, hook)) or []
        makers = [partial(checked, make, source, hook, *entry) for entry in entries]
        made = (self._attempt(source, source.is_whole, maker) for maker in makers)
        return [offer for offer in made if offer is not None]

    def _claim(
        self, source: PluginSource, taken: dict[Key, Named], key: Key, kind: str, offer: Named
    ) -> None:
        """Let an offer have its name; where another plugin has it, neither does: no choice would be safe.

        Raises:
            PluginError: the name is taken, and the plugin is needed.
        """
        first = taken.get(key)
        others: list[str] = self._rivals.get((kind, offer.name), [] if first is None else [first.owner])
        if not others:
            taken[key] = offer
            return
        rivals = [*others, offer.owner]
        if source.is_needed:
            raise _rivalry(kind, offer.name, rivals)
        taken.pop(key, None)
        self._rivals[kind, offer.name] = rivals
        told = str(_rivalry(kind, offer.name, rivals))
        self.failures.append(LoadFailure(source.plugin, source.package, told))

    def _looked_up(self, kind: str, name: str, offers: Mapping[str, Named], *, word: str = "") -> Named:
        """Return what is on offer under a name; `word` is what messages call its kind, where that is another."""
        self._refuse_rivals(kind, name)
        if name not in offers:
            raise unknown_name(word or kind, name, offers, self._hints(name))
        return offers[name]

    def _refuse_rivals(self, kind: str, name: str) -> None:
        if (kind, name) in self._rivals:
            raise _rivalry(kind, name, self._rivals[kind, name])

    def _attempt(self, source: PluginSource, raises: bool, action: Callable[[], Result]) -> Result | None:
        try:
            return action()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a plugin may raise anything
            failure = LoadFailure(source.plugin, source.package, reason(error))
            if raises:
                raise PluginError(f"plugin {failure}; fix it or leave it out") from error
            self.failures.append(failure)
            return None


def _heard_by(manager: pluggy.PluginManager, event: Event) -> None:
    manager.hook.astrojepa_observe(event=event)


def load_registry(plugins: Sequence[Path] = (), strict: bool = False) -> Registry:
    """Find and load every installed plugin, and those given by path.

    A plugin that cannot be used becomes a `LoadFailure` of the registry, and so does an offer that breaks a rule; a
    name that two plugins offer belongs to neither. A plugin given by path was asked for: it raises unless something
    of it can be used, and no name of it may be taken.

    Args:
        plugins: Python files, or folders of them, to load in addition to what is installed.
        strict: raise at the first plugin that cannot be used.

    Raises:
        ConfigError: a plugin file or folder does not exist, or a folder holds no plugin.
        PluginError: a plugin that was asked for, or any under `strict`, fails or offers a name that is taken.
    """
    given = sources_at(map(Path, plugins), strict)
    registry = Registry()
    sources = [*installed_sources(strict), *given]
    for source in track(sources, task="reading plugins", total=len(sources), unit="plugins"):
        registry._admit(source)
    return registry


def installed_sources(strict: bool = False) -> list[PluginSource]:
    """Return the installed plugins, in the order in which they are loaded."""
    points = sorted(entry_points(group=hookspecs.GROUP), key=lambda point: (point.value, point.name))
    packages = [
        (point.dist.name, point.dist.version) if point.dist else ("unknown package", "") for point in points
    ]
    return [
        PluginSource(point.value, *package, point.load, strict, strict)
        for point, package in zip(points, packages, strict=True)
    ]


def check_kind(kind: str | None) -> None:
    """Refuse a kind of component that there is not; None stands for all.

    Raises:
        ConfigError: naming the nearest.
    """
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"unknown kind '{kind}'; {nearest(kind, [*KINDS, 'suite'])}")


def unknown_name(what: str, name: str, known: Iterable[str], hints: Iterable[str]) -> ConfigError:
    """Return the error of a name that nobody offers, with the nearest ones and why it may be unknown."""
    told = "".join(f" ({hint})" for hint in hints if hint)
    return ConfigError(f"unknown {what} '{name}'; {nearest(name, known)}{told}")


def _rivalry(kind: str, name: str, owners: Sequence[str]) -> PluginError:
    """Refuse all offers of one name, whichever was meant."""
    return PluginError(
        f"two plugins offer {kind} '{name}': {' and '.join(owners)}; "
        "uninstall one of them or offer it under another name"
    )


def not_installed(name: str, loaded: Sequence[str]) -> str:
    """Explain how to install a plugin of that name that lies in the checkout; empty where there is none."""
    module = f"astrojepa_{name.replace('-', '_')}"
    if module in loaded or not (PLUGINS_FOLDER / f"{module}.py").is_file():
        return ""
    return (
        f"plugins/{module}.py exists but is not installed: add an entry-point line in pyproject.toml and "
        f"run pip install -e . again, or add --plugin plugins/{module}.py"
    )
