"""The catalogue: everything on offer, as plain data that `list`, `show` and the check of names need, and no more.

It is made of the registry, and can be kept between commands: see `remembered`. Nothing can be built or run from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from astrojepa_bench.cli.pages import expected_of, page_of, source_of
from astrojepa_bench.errors import BenchError
from astrojepa_bench.loading import known_as, module_known_as
from astrojepa_bench.options import FAMILY, Kind, Offer, jsonable, legible
from astrojepa_bench.registry import Registry, check_kind, not_installed, unknown_name
from astrojepa_bench.signatures import Option, made_by
from astrojepa_bench.suites import Block, Suite, SuiteOffer

Text = Annotated[str, BeforeValidator(legible)]
"""Text of a plugin, as any file can hold it."""


class _PlainModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ListedOption(_PlainModel):
    """What is said of one option.

    Attributes:
        name, type, default, required, doc: as `list --json` prints them.
        text: the option with its default, `temperature=1.0`, or `path=<Path>` where it must be set.
    """

    name: str
    type: Text
    default: Any
    required: bool
    doc: Text
    text: Text

    @classmethod
    def of(cls, option: Option) -> ListedOption:
        """Describe an option."""
        default = None if option.required else jsonable({"default": option.default})["default"]
        return cls(
            name=option.name,
            type=option.type,
            default=default,
            required=option.required,
            doc=option.doc,
            text=option_text(option),
        )


class ListedComponent(_PlainModel):
    """What is said of one component.

    Attributes:
        kind, name, plugin, summary, source, expected, options: as `list --json` prints them.
        distribution, version: the installed package it came with; for a file, its base name and nothing.
        description: the docstring of its class or function.
        page: the docstring of the module that defines it.
        module: that module, as its author knows it.
    """

    kind: Kind
    name: str
    plugin: str
    summary: Text
    source: Text
    expected: Text
    options: tuple[ListedOption, ...]
    distribution: str
    version: str
    description: Text
    page: Text
    module: str

    @classmethod
    def of(cls, offer: Offer) -> ListedComponent:
        """Describe a component."""
        return cls(
            kind=offer.kind,
            name=offer.name,
            plugin=offer.plugin,
            summary=offer.summary,
            source=source_of(offer.factory),
            expected=expected_of(offer.factory),
            options=tuple(map(ListedOption.of, offer.options)),
            distribution=offer.distribution,
            version=offer.version_text,
            description=offer.doc,
            page=page_of(offer.factory),
            module=known_as(made_by(offer.factory).__module__),
        )

    @property
    def title(self) -> str:
        """Kind, name and plugin, for messages."""
        return f"{self.kind} '{self.name}' (plugin {self.plugin})"

    @property
    def owner(self) -> str:
        """Plugin and package, for messages."""
        return f"{self.plugin} ({f'{self.distribution} {self.version}'.strip()})"

    @property
    def option_names(self) -> frozenset[str]:
        """What a user may set."""
        return frozenset(option.name for option in self.options)


class ListedSuite(_PlainModel):
    """What is said of one suite.

    Attributes:
        name, plugin, owner, summary: whose it is, and its question.
        facts: what `list --json` prints.
        entries: what runs, a line each, as `show` prints it.
        not_installed: which of its names nobody offers.
        page: the docstring of its module.
    """

    name: str
    plugin: str
    owner: str
    summary: Text
    facts: dict[str, Any]
    entries: tuple[Text, ...]
    not_installed: tuple[str, ...]
    page: Text

    @classmethod
    def of(cls, offer: SuiteOffer, registry: Registry) -> ListedSuite:
        """Describe a suite."""
        keys = {"kind": "suite", "name": offer.name, "plugin": offer.plugin, "source": "", "expected": ""}
        page = getattr(module_known_as(offer.plugin), "__doc__", "")  # a suite is data and has no docstring
        return cls(
            name=offer.name,
            plugin=offer.plugin,
            owner=offer.owner,
            summary=offer.suite.summary,
            facts={**keys, "options": [], **jsonable(offer.suite.model_dump())},
            entries=tuple(_entries_of(offer.suite)),
            not_installed=tuple(_absent(offer.suite.all_blocks, registry)),
            page=page.strip() if isinstance(page, str) else "",
        )


class OfferCatalogue(_PlainModel):
    """Everything on offer.

    Attributes:
        plugins: modules that were loaded.
        components, suites: by kind and name.
        failures: what could not be used, a line each.
    """

    plugins: tuple[str, ...]
    components: tuple[ListedComponent, ...]
    suites: tuple[ListedSuite, ...]
    failures: tuple[Text, ...] = ()

    @classmethod
    def of(cls, registry: Registry) -> OfferCatalogue:
        """Describe everything that a registry offers."""
        return cls(
            plugins=registry.plugins,
            components=tuple(map(ListedComponent.of, registry.offers())),
            suites=tuple(ListedSuite.of(suite, registry) for suite in registry.suites()),
            failures=tuple(map(str, registry.failures)),
        )

    def offers(self, kind: str | None = None) -> tuple[ListedComponent, ...]:
        """Return the components of one kind, or all of them.

        Raises:
            ConfigError: there is no such kind.
        """
        check_kind(kind)
        return tuple(each for each in self.components if kind in (None, each.kind))

    def get(self, kind: Kind, name: str) -> ListedComponent | None:
        """Look a component up; None for what may be a member of a family, as only its plugin knows.

        Raises:
            ConfigError: nobody offers it; names the nearest ones.
        """
        names = [each.name for each in self.offers(kind)]
        if self.may_be_member(kind, name):
            return None
        if name not in names:
            raise unknown_name(kind, name, names, [not_installed(name, self.plugins)])
        return self.offers(kind)[names.index(name)]

    def may_be_member(self, kind: Kind, name: str) -> bool:
        """Whether a name is that of a family, or begins like the names of its members."""
        family, _, _ = name.partition(":")
        return any(each.name == f"{family}{FAMILY}" for each in self.offers(kind))

    def suite(self, name: str) -> ListedSuite:
        """Look a suite up.

        Raises:
            ConfigError: nobody offers it.
        """
        names = [suite.name for suite in self.suites]
        if name not in names:
            raise unknown_name("suite", name, names, [not_installed(name, self.plugins)])
        return self.suites[names.index(name)]


def option_text(option: Option) -> str:
    """Return an option with its default: `temperature=1.0`, or `path=<Path>` where it must be set."""
    if option.required:
        return f"{option.name}=<{option.type}>"
    default = option.default if isinstance(option.default, str) else repr(option.default)
    return f"{option.name}={default}"


def _entries_of(suite: Suite) -> Iterator[str]:
    """Name what runs, grid by grid, and on which galaxies with which seeds where the suite fixes them."""
    for name in suite.grids or ("",):
        heading = f"grid {name}: " if name else ""
        yield from (heading + _block_text(block) for block in suite.grid(name))
    for key, galaxies in suite.data.items():
        grid = galaxies.grid or next(iter(suite.grids), "of the suite")
        margin = f", a difference matters from {suite.margins[key]:.1%} on" if key in suite.margins else ""
        yield f"on {key} ({galaxies.title}): grid {grid}{margin}"
    if suite.products:
        yield f"of each entry's first run is written: {', '.join(suite.products)}"
    if suite.seeds:
        yield f"with seeds {', '.join(map(str, suite.seeds))}"


def _block_text(block: Block) -> str:
    names = [block.objectives, block.maskers, block.encoders]
    grid = " x ".join(", ".join(group) for group in names if group)
    options = [
        f"{kind}.{key}={value}" for kind, chosen in block.options.items() for key, value in chosen.items()
    ]
    few = [] if block.seeds is None else [f"at most {block.seeds} seeds"]
    return f"{grid} with {', '.join([*options, *few])}" if options or few else grid


def _absent(blocks: Sequence[Block], registry: Registry) -> list[str]:
    wanted: list[tuple[Kind, str]] = []
    for block in blocks:
        wanted += [("objective", name) for name in block.objectives]
        wanted += [("masker", name) for name in block.maskers]
        wanted += [("encoder", name) for name in block.encoders]
    absent = []
    for kind, name in dict.fromkeys(wanted):
        try:
            registry.get(kind, name)
        except BenchError:  # unknown, or offered by two: it cannot be used
            absent.append(f"{kind} {name}")
    return absent
