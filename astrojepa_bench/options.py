"""What a plugin offers, and what a user may set on it.

Positional parameters of a factory are what the bench gives; keyword-only parameters are its options. The
signature is the schema: `--set masker.temperature=0.5` is checked against it, `list` prints it and the record
stores it resolved. This module neither discovers plugins nor builds their components.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from pydantic import PydanticUserError, TypeAdapter

from astrojepa_bench.declarations import is_sound
from astrojepa_bench.errors import ConfigError, PluginError, nearest
from astrojepa_bench.signatures import (
    UNREADABLE,
    Factory,
    Option,
    annotation_of,
    class_of,
    docstring_of,
    option_schema,
    summary_of,
)

Kind: TypeAlias = Literal["dataset", "encoder", "masker", "objective", "evaluator"]
KINDS: tuple[Kind, ...] = ("dataset", "encoder", "masker", "objective", "evaluator")
Settings: TypeAlias = Mapping[str, Mapping[str, object]]
FAMILY = ":<name>"
"""How the name of an offer ends that stands for many: `timm:<name>` is asked for as `timm:resnet18`."""


@dataclass(frozen=True)
class Offer:
    """One named component that a plugin offers, with its provenance.

    Attributes:
        kind, name: how it is asked for.
        factory: makes the component from what the bench gives and the resolved options.
        plugin: module that offers it.
        distribution, version_text: the installed package it came with; for a file, its base name and nothing.
        summary: first line of the factory's docstring.
        options: what a user may set.
        fault: which fact its class declares wrongly; it is never built then. None where all are sound.
    """

    kind: Kind
    name: str
    factory: Factory
    plugin: str
    distribution: str
    version_text: str
    summary: str
    options: tuple[Option, ...]
    fault: str | None = None

    def __deepcopy__(self, memo: object) -> Offer:
        """Return itself: a copy of what was made from it bears the same offer."""
        return self

    @property
    def owner(self) -> str:
        """Plugin and package, for messages: `astrojepa_random (astrojepa-bench 0.1.0)`."""
        return f"{self.plugin} ({self.package})"

    @property
    def package(self) -> str:
        """The package that it came with, and its version, or the file: `astrojepa-bench 0.1.0`, `file ring.py`."""
        return f"{self.distribution} {self.version_text}".strip()

    @property
    def title(self) -> str:
        """Kind, name and plugin, for messages: `masker 'random' (plugin astrojepa_random)`."""
        return f"{self.kind} '{self.name}' (plugin {self.plugin})"

    @property
    def is_shipped(self) -> bool:
        """Whether it is the ruler's own and no plugin's, so that nobody is blamed for it."""
        return self.plugin.startswith("astrojepa_bench.")

    @cached_property
    def cls(self) -> type | None:
        """The class of what it makes, through `functools.partial` and decorators; None if a function names none."""
        return class_of(self.factory)

    @property
    def doc(self) -> str:
        """The docstring of the class or function itself; empty if it has none."""
        return docstring_of(self.factory)

    def declares(self, fact: str) -> Any:  # noqa: ANN401 each fact has a type of its own
        """Return what its class declares (`masks`, `standing`, `labels`), or else what its role does.

        So it is too where the class declares what no record can hold: its cells have records, and fail by name.

        Raises:
            AttributeError: its role knows no such fact.
        """
        if hasattr(self.cls, fact) and is_sound(self.kind, fact, getattr(self.cls, fact)):
            return getattr(self.cls, fact)
        from astrojepa_bench.roles import ROLES  # not above: names and options are known without torch

        return getattr(ROLES[self.kind], fact)

    @property
    def option_names(self) -> frozenset[str]:
        """What a user may set."""
        return frozenset(option.name for option in self.options)

    def has(self, option: str) -> bool:
        """Return whether a user may set this option."""
        return option in self.option_names

    @property
    def is_family(self) -> bool:
        """Whether it stands for many components, and is none itself."""
        return self.name.endswith(FAMILY)

    def member(self, name: str) -> Offer:
        """Look up one component of a family by the class method `member` of its factory.

        Raises:
            ConfigError: the family has no such member.
        """
        factory: Factory = self.factory.member(name)  # type: ignore[attr-defined]
        return replace(
            self,
            name=f"{self.name.removesuffix(FAMILY)}:{name}",
            factory=factory,
            summary=summary_of(factory),
            options=option_schema(factory),
        )


# --- what was given, checked -----------------------------------------------------------------------------


def resolve(offer: Offer, given: Mapping[str, object]) -> dict[str, object]:
    """Check what was given against the signature and fill in the defaults.

    Args:
        offer: whose options they are.
        given: by option name; strings are read as on the command line ("0.15,0.2" can be a tuple).

    Raises:
        ConfigError: an option is unknown, missing or of the wrong type.
        PluginError: the annotation of an option cannot be understood.
    """
    for name in given:
        if not offer.has(name):
            raise ConfigError(_no_option([offer], name))
    return {option.name: _resolved(offer, option, given) for option in offer.options}


def _resolved(offer: Offer, option: Option, given: Mapping[str, object]) -> object:
    if option.name in given:
        return _checked(offer, option, given[option.name])
    if option.required:
        value = "FILE" if "Path" in option.type else option.type.upper() if option.type.isalpha() else "VALUE"
        raise ConfigError(
            f"{offer.title} needs the option '{option.name}'; add --set {offer.kind}.{option.name}={value}"
        )
    return option.default


def _checked(offer: Offer, option: Option, value: object) -> object:
    validate = _validator(offer, option)
    for reading in _readings(value) if isinstance(value, str) else (value,):
        with suppress(ValueError):  # pydantic's ValidationError is one
            return _fitting(validate, reading)
    default = "" if option.required else f" (default {option.default!r})"
    raise ConfigError(
        f"{offer.title}: option '{option.name}' is {value!r}, expected {option.type}{default}; "
        f"correct {offer.kind}.{option.name}"
    )


def _fitting(validate: Callable[[object], object], reading: object) -> object:
    found = validate(reading)
    if isinstance(reading, bool) and not isinstance(found, bool):
        raise ValueError("a truth value is not a number, though Python counts it as one")
    if isinstance(found, float) and math.isnan(found):
        raise ValueError("not a number")
    return found


def _validator(offer: Offer, option: Option) -> Callable[[object], object]:
    try:
        return TypeAdapter(annotation_of(offer.factory, option.name)).validate_python
    except (PydanticUserError, *UNREADABLE) as error:
        raise PluginError(
            f"{offer.title}: the annotation of option '{option.name}' cannot be understood ({option.type}); "
            "annotate it with a plain type that can be imported at run time"
        ) from error


def _readings(text: str) -> Iterator[object]:
    """Yield what a text from the command line can mean, likeliest first."""
    if text.lower() in ("none", "null"):
        yield None
    yield from _literals(text)
    yield text
    yield [next(_literals(item), item) for item in re.split(r"\s*,\s*", text.strip("()[] ")) if item]


def _literals(text: str) -> Iterator[object]:
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError):
            yield read(text)


def jsonable(options: Mapping[str, object]) -> dict[str, object]:
    """Render resolved options for a record: paths as base names, tuples as lists, infinities as text."""
    return {name: _plain(value) for name, value in options.items()}


def unrecordable(options: Iterable[Option]) -> str | None:
    """Return the name of an option whose default no record can hold, or None."""
    for option in options:
        try:
            plain = {} if option.required else jsonable({option.name: option.default})
            json.dumps(plain, ensure_ascii=False).encode()
        except Exception:  # whatever a plugin's default does when it is written
            return option.name
    return None


def legible(text: str) -> str:
    r"""Spell text so that it can be written anywhere: file systems allow names that are no UTF-8.

    Example:
        >>> print(legible("m31\udcff.h5"))
        m31\udcff.h5
    """
    return text.encode("utf-8", "backslashreplace").decode()


def _plain(value: object) -> object:
    match value:
        case Path() | str():
            return legible(value.name if isinstance(value, Path) else value)
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {legible(str(key)): _plain(item) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item) for item in value]
        case set() | frozenset():
            return sorted((_plain(item) for item in value), key=str)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return legible(re.sub(r" at 0x[0-9a-f]+", "", str(value)))  # its address is another in every process


# --- --set KIND.OPTION=VALUE -----------------------------------------------------------------------------


def parse_settings(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read `masker.temperature=2` (whatever masker has it) and `masker:brightness.temperature=2` (that one).

    Returns:
        option texts by name, under `masker` or `masker:brightness`; of two settings of one option, the last.

    Raises:
        ConfigError: a text has another form, or its kind does not exist.

    Example:
        >>> parse_settings(["masker.tau=0.5", "encoder:timm:vit_tiny.in1k.width=192"])
        {'masker': {'tau': '0.5'}, 'encoder:timm:vit_tiny.in1k': {'width': '192'}}
        >>> parse_settings(["dataset:hdf5.path=a/x.y=z.h5"])
        {'dataset:hdf5': {'path': 'a/x.y=z.h5'}}
    """
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        address, equals, value = text.strip().partition("=")  # a value may hold dots and signs of its own
        match = re.fullmatch(r"(\w+)((?::.+)?)\.(\w+)", address, re.DOTALL)
        if match is None or not equals:
            raise ConfigError(
                f"--set {text!r} is not KIND.OPTION=VALUE; write for example masker.temperature=0.5"
            )
        kind, component, option = match.groups()
        if kind not in KINDS:
            raise ConfigError(
                f"--set {text!r} starts with '{kind}', which cannot be set; {nearest(kind, KINDS)}"
            )
        settings.setdefault(kind + component, {})[option] = value.strip()
    return settings


def settings_for(settings: Settings, offer: Offer) -> dict[str, object]:
    """Pick what applies to one component: `kind.option` if it has that option, then `kind:name.option`."""
    shared = {name: value for name, value in settings.get(offer.kind, {}).items() if offer.has(name)}
    return {**shared, **settings.get(f"{offer.kind}:{offer.name}", {})}


@runtime_checkable
class Settable(Protocol):
    """A component as far as settings are concerned: an offer, or what is known of one without its plugin."""

    @property
    def kind(self) -> str:
        """Its role."""

    @property
    def name(self) -> str:
        """How it is asked for."""

    @property
    def title(self) -> str:
        """Kind, name and plugin, for messages."""

    @property
    def option_names(self) -> frozenset[str]:
        """What a user may set."""


def check_all_used(settings: Settings, offers: Iterable[Settable]) -> None:
    """Refuse a setting that reaches none of the selected components.

    Raises:
        ConfigError: naming the setting and the nearest options or components.
    """
    selected = list(offers)
    for address, options in settings.items():
        reached = _addressed(address, selected)
        for name in options:
            if not any(name in offer.option_names for offer in reached):
                raise ConfigError(_no_option(reached, name))


def _addressed(address: str, selected: list[Settable]) -> list[Settable]:
    kind, _, component = address.partition(":")
    of_kind = [offer for offer in selected if offer.kind == kind]
    reached = [offer for offer in of_kind if component in ("", offer.name)]
    if not reached:
        names = [offer.name for offer in of_kind]
        raise ConfigError(f"--set {address}… reaches no selected {kind}; {nearest(component, names)}")
    return reached


def _no_option(offers: Sequence[Settable], name: str) -> str:
    known = {option for offer in offers for option in offer.option_names}
    if len(offers) == 1:
        return f"{offers[0].title} has no option '{name}'; {nearest(name, known)}"
    who = ", ".join(offer.name for offer in offers)
    return f"none of the selected {offers[0].kind}s ({who}) has an option '{name}'; {nearest(name, known)}"
