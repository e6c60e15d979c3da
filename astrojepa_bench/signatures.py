"""What the signature of a factory says: the class that it makes, its options, their types and documentation.

The keyword-only parameters of a factory are its options. A constructor that takes `**options` hands them on to
its base, so it has the options of the base as well, several levels up if need be:

```python
class Wide(Ring):
    def __init__(self, grid, *, radius: float = 16.0, **options):  # all options of Ring, another default for one
        super().__init__(grid, radius=radius, **options)
```

What such a constructor sets itself, `super().__init__(grid, mode="soft", **options)`, it names on its class,
`fixed_options = ("mode",)`: that is an option no more.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeAlias, get_type_hints

Factory: TypeAlias = Callable[..., Any]
REQUIRED = inspect.Parameter.empty
UNREADABLE = (NameError, TypeError, AttributeError, SyntaxError)
"""What the reading of an annotation raises that exists for the type checker only, or not at all."""


@dataclass(frozen=True)
class Option:
    """One thing that a user may set.

    Attributes:
        name: the keyword.
        type: its type, in words ("float | None").
        default: its default, or `REQUIRED`.
        doc: what it means, from the `Args:` or `Attributes:` section of the docstring.
    """

    name: str
    type: str
    default: object = REQUIRED
    doc: str = ""

    @property
    def required(self) -> bool:
        """Whether it must be set."""
        return self.default is REQUIRED


def option_schema(factory: Factory) -> tuple[Option, ...]:
    """Read the options of a factory from its keyword-only parameters.

    Example:
        >>> class Ring:
        ...     '''Hide a ring.
        ...
        ...     Args:
        ...         radius: of the ring [pixel].
        ...     '''
        ...     def __init__(self, grid, *, radius: float = 8.0): ...
        >>> option_schema(Ring)
        (Option(name='radius', type='float', default=8.0, doc='of the ring [pixel].'),)
    """
    docs = _documented(factory)
    return tuple(
        Option(name, keyword.type_text, keyword.parameter.default, docs.get(name, ""))
        for name, keyword in _keywords(factory).items()
    )


def annotation_of(factory: Factory, option: str) -> Any:  # noqa: ANN401 an annotation can be any object
    """Resolve the annotation of an option in the module of the constructor that declares it.

    Raises:
        NameError, TypeError, AttributeError, SyntaxError: it cannot be read at run time.
    """
    return _keywords(factory)[option].annotation


def made_by(factory: Factory) -> Factory:
    """Return the class or function behind `functools.partial` and decorators."""
    while not isinstance(factory, type):
        inner = factory.func if isinstance(factory, partial) else inspect.unwrap(factory)
        if inner is factory:
            break
        factory = inner
    return factory


def class_of(factory: Factory) -> type | None:
    """Return the class of what a factory makes; None for a function whose return annotation is no class."""
    target = made_by(factory)
    if isinstance(target, type):
        return target
    with suppress(ValueError, *UNREADABLE):  # built-in functions have no signature
        returned = _resolved(inspect.signature(target).return_annotation, _scope(target))
        return returned if isinstance(returned, type) and returned is not Any else None
    return None


def docstring_of(factory: Factory) -> str:
    """Return the docstring of the class or function itself, indentation removed; empty if it has none."""
    return inspect.cleandoc(made_by(factory).__doc__ or "")


def summary_of(factory: Factory) -> str:
    """Return the first line of the docstring; empty if there is none."""
    return docstring_of(factory).partition("\n")[0]


@dataclass(frozen=True)
class _Keyword:
    """A keyword-only parameter, and the names that its annotation may use: those of its constructor's module."""

    parameter: inspect.Parameter
    scope: dict[str, Any]

    def preset(self, value: object) -> _Keyword:
        return replace(self, parameter=self.parameter.replace(default=value))

    @property
    def annotation(self) -> Any:  # noqa: ANN401 an annotation can be any object
        return _resolved(self.parameter.annotation, self.scope)

    @property
    def type_text(self) -> str:
        try:
            annotation = self.annotation
        except UNREADABLE:
            return str(self.parameter.annotation)
        if inspect.isclass(annotation) and not hasattr(annotation, "__args__"):
            return annotation.__name__
        return re.sub(r"\b(?:[a-z_]\w*\.)+(?=\w)", "", str(annotation))


def _keywords(factory: Factory) -> dict[str, _Keyword]:
    """Collect the keyword-only parameters of a factory, inherited ones and presets included."""
    if isinstance(factory, type):
        return _inherited(factory)
    if isinstance(factory, partial):
        found = _keywords(factory.func)
        preset = {name: value for name, value in factory.keywords.items() if name in found}
        return found | {name: found[name].preset(value) for name, value in preset.items()}
    if hasattr(factory, "__wrapped__"):
        return _keywords(factory.__wrapped__)
    return _own(inspect.signature(factory), _scope(factory))


def _inherited(cls: type) -> dict[str, _Keyword]:
    """Merge the keywords of a class's constructors, as far as each passes `**options` on to the next one.

    New options come first, then those of the base in its order.
    """
    levels: list[tuple[dict[str, _Keyword], Iterable[str]]] = []
    for owner in (ancestor for ancestor in cls.__mro__ if "__init__" in vars(ancestor)):
        constructor = vars(owner)["__init__"]
        try:
            signature = inspect.signature(constructor if levels else cls)
        except ValueError:  # a built-in constructor has none
            break
        levels.append((_own(signature, _scope(constructor)), vars(owner).get("fixed_options", ())))
        if all(each.kind is not each.VAR_KEYWORD for each in signature.parameters.values()):
            break
    found: dict[str, _Keyword] = {}
    for own, fixed in reversed(levels):
        base = {name: keyword for name, keyword in found.items() if name not in fixed}
        found = {name: own[name] for name in own if name not in base} | base | own
    return found


def _own(signature: inspect.Signature, scope: dict[str, Any]) -> dict[str, _Keyword]:
    parameters = signature.parameters.items()
    return {name: _Keyword(each, scope) for name, each in parameters if each.kind is each.KEYWORD_ONLY}


def _scope(function: Callable[..., Any]) -> dict[str, Any]:
    return getattr(inspect.unwrap(function), "__globals__", {})


def _resolved(written: object, scope: dict[str, Any]) -> Any:  # noqa: ANN401 an annotation can be any object
    """Resolve one annotation; the others may name types that exist for the type checker only."""
    if written is REQUIRED:
        return Any

    annotated = SimpleNamespace(__annotations__={"written": written})
    return get_type_hints(annotated, globalns=scope, include_extras=True)["written"]


# --- documentation ---------------------------------------------------------------------------------------


def _documented(factory: Factory) -> dict[str, str]:
    """Collect what is documented on a factory, its constructor and its ancestors; the nearest one wins."""
    target = made_by(factory)
    docs: dict[str, str] = {}
    for documented in reversed(inspect.getmro(target)) if isinstance(target, type) else (target,):
        constructor = vars(documented).get("__init__")
        docs |= _section_entries(documented.__doc__ or "")
        docs |= _section_entries(getattr(constructor, "__doc__", "") or "")
    return docs


def _section_entries(docstring: str) -> dict[str, str]:
    """Read the entries of the `Args:` and `Attributes:` sections, continuation lines joined."""
    sections = re.findall(
        r"^(?:Args|Attributes):[ ]*\n((?:[ \t]+.*\n?|[ \t]*\n)+)",
        inspect.cleandoc(docstring),
        flags=re.MULTILINE,
    )
    entries = (entry for section in sections for entry in re.split(r"\n(?=\S)", textwrap.dedent(section)))
    found = (re.match(r"([\w, *]+?)\s*(?:\([^)]*\))?:\s+(.*)", entry, re.DOTALL) for entry in entries)
    return {
        name.strip(" *"): " ".join(match[2].split())
        for match in found
        if match
        for name in match[1].split(",")
    }
