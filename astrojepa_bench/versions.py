"""Which code a component runs, as a chain of versions: its own, its ancestors' and those of what it imports.

Whoever changes a number raises an integer: `version` on a class or function, or at the top of a module of helpers.
Outside the ruler nobody need declare one. What declares none is known by a hash of its syntax tree, taken when it
was imported, so that a file that is edited while a grid runs moves no id. Docstrings, comments, layout and
annotations are left out of it.

Modules outside the ruler count where they are plugin code: files beside a plugin, on PYTHONPATH or in an editable
checkout, and installed files of a package that offers entry points in our group. Libraries do not; records keep
their release numbers. Inside the ruler only declared integers count, so that an edit of an unrelated file, or of
one that merely hands names on, moves nothing.

```
chain_of(Disc) -> {"own": "v1", "my_rings.Rings": "v4", "my_weights": "9f2c…", "patches": "v1", …}
```
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

from astrojepa_bench.errors import PluginError
from astrojepa_bench.neighbours import as_neighbours_say, folder_of
from astrojepa_bench.syntax import ImportedName, ModuleSource, digest_of

RULER = "astrojepa_bench"  # the package, and the group of its entry points
OWN = "own"
"""The name in a chain under which the component's own version is found."""

UNCOUNTED = frozenset({
    "checked", "data", "encoders.timm_library", "encoders.timm_model", "errors", "evaluators.shown", "events",
    "features", "files", "groups", "hookspecs", "importers", "metric", "options", "ranks", "recipe", "registry",
    "roles", "streams", "suites", "types", "encoders.torch_files",
})  # fmt: skip
"""Modules of the ruler without a version: PROTOCOL stands for roles and streams, a fingerprint for the galaxies."""

_LIBRARIES = frozenset({"jaxtyping", "numpy", "timm", "torch", "torchvision"})  # however they are installed
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_STANDARD = Path(os.__file__).parent  # of Python's own library
_Piece: TypeAlias = Any  # a class or a function


def keep(module: ModuleType, text: bytes) -> None:
    """Keep the text of a module that is executed from it, and not from its file."""
    _kept(vars(module), text)


def remember(module: ModuleType, source: bytes | None = None) -> None:
    """Keep the source of a module, and of the plugin code that it imports, as it was imported.

    Plugin code that is only imported inside functions is imported now, so that what runs later is what was kept.
    A module that was kept before stays as it was; one that is never remembered is read when it is first needed.

    Args:
        module: a plugin that was imported just now.
        source: its text, where it was not executed from its file.
    """
    if _in_ruler(module.__name__):
        return  # declared integers count, and they are in memory
    for imported in _kept(vars(module), source).imports:
        for name in imported.modules:
            if name not in sys.modules and _would_count(name):
                # It may be optional, or fail as it likes: it has not run yet.
                with suppress(Exception, SystemExit):
                    importlib.import_module(name)
            other = sys.modules.get(name)
            if other is not None and id(vars(other)) not in _KEPT and _counts(vars(other)):
                remember(other)


def chain_of(factory: Callable[..., object]) -> dict[str, str]:
    """Collect the versions of everything that a component is made of outside the libraries.

    Args:
        factory: a class or a function, decorated or not, or a `functools.partial` of one.

    Returns:
        Name to version: `v3` where an integer is declared, else a hash (16 hex digits). `own` stands first;
        ancestors, what their modules import, and the arguments that a `partial` fixes follow.

    Raises:
        PluginError: no version is declared and the source cannot be read.

    Example:
        >>> class Piece:
        ...     version = 3
        >>> chain_of(Piece)
        {'own': 'v3'}
    """
    piece, fixed = _unwrapped(factory)
    walk = _Walk()
    walk.add_piece(piece, OWN)
    return walk.found | {f"partial.{name}": _argument_text(value) for name, value in fixed.items()}


def imported_by(factory: Callable[..., object]) -> frozenset[str]:
    """Return the names of the libraries that the plugin code behind a component imports, at once or late.

    Args:
        factory: a class or a function, decorated or not, or a `functools.partial` of one.

    Raises:
        PluginError: as `chain_of`.
    """
    walk = _Walk()
    walk.add_piece(_unwrapped(factory)[0], OWN)
    names = {name for source in walk.sources for each in source.imports for name in each.modules}
    code = {each.name.partition(".")[0] for each in walk.sources} | {RULER}
    return frozenset({name.partition(".")[0] for name in names} - sys.stdlib_module_names - code)


def version_text(chain: Mapping[str, str]) -> str:
    """Shorten a chain: the component's own version, and a digest of the rest where there is any.

    Example:
        >>> version_text({"own": "v3"}), version_text({"own": "v3", "logistic": "v1"})
        ('v3', 'v3-579b2ac7')
    """
    rest = {name: version for name, version in chain.items() if name != OWN}
    return f"{chain[OWN]}-{digest_of(rest)[:8]}" if rest else chain[OWN]


def newest(texts: Iterable[str]) -> str:
    """Find the newest of some versions: the greatest own integer, then the most frequent, then the last by text.

    Example:
        >>> newest(["v2-aaaa", "v10-bbbb", "v10-cccc", "v10-bbbb"])
        'v10-bbbb'
    """
    counted = Counter(texts)
    return max(counted, key=lambda text: (own_number(text), counted[text], text))


def own_number(text: str) -> int:
    """Read the integer that a version text starts with; 0 for a hash, which nobody counts."""
    found = re.match(r"v(\d+)\b", text)
    return int(found[1]) if found else 0


# --- which modules count, and their sources as they were imported -------------------------------------------

_KEPT: dict[int, ModuleSource] = {}


def _kept(namespace: dict[str, Any], text: bytes | None = None) -> ModuleSource:
    """Find the source that goes with a module's globals; it is read once, when it is first asked for."""
    if id(namespace) not in _KEPT:
        _KEPT[id(namespace)] = ModuleSource.of(namespace, text)
    return _KEPT[id(namespace)]


def _counts(namespace: Mapping[str, Any]) -> bool:
    """Whether the module of these globals is plugin code, or a part of the ruler that can move numbers."""
    top, _, inside = str(namespace["__name__"]).partition(".")
    if top == RULER:
        return inside not in UNCOUNTED and inside.partition(".")[0] not in UNCOUNTED
    return is_plugin_code(top, namespace.get("__file__"))


def _in_ruler(name: object) -> bool:
    return str(name).partition(".")[0] == RULER


def is_plugin_code(top: str, file: str | None) -> bool:
    """Whether a file is a plugin's, or code beside one; `top` is the first part of its module's name."""
    if not file or folder_of(top) or top == RULER or top in _LIBRARIES:
        return bool(file and folder_of(top))
    is_standard = file in ("built-in", "frozen") or Path(file).is_relative_to(_STANDARD)
    if top in sys.stdlib_module_names and is_standard:  # a helper beside a plugin may be named like one
        return False
    return _INSTALLED.isdisjoint(Path(file).parts) or os.path.realpath(file) in _installed_plugin_files()


def _would_count(name: str) -> bool:
    """Whether a module that is not imported yet is plugin code; no library is imported to find out."""
    top = name.partition(".")[0]
    for part in (top, name):
        try:
            spec = importlib.util.find_spec(part)
        except Exception:  # it is no module, or its package cannot be imported
            return False
        places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
        if not any(is_plugin_code(top, place) for place in places):
            return False
    return True


@functools.cache
def _installed_plugin_files() -> frozenset[str]:
    """List the files of every installed package that offers entry points in our group."""
    packages = {point.dist.name: point.dist for point in entry_points(group=RULER) if point.dist}
    listed = [package.locate_file(file) for package in packages.values() for file in package.files or ()]
    return frozenset(os.path.realpath(str(file)) for file in listed)


# --- from a piece to its chain ------------------------------------------------------------------------------


class _Walk:
    """Collects versions while it follows ancestors, names and imports; nothing is followed twice.

    Attributes:
        found: version by name.
        sources: the modules of plugins that were followed.
    """

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.sources: list[ModuleSource] = []
        self._seen: set[object] = set()

    def add_piece(self, piece: _Piece, key: str | None = None) -> None:
        """Add a class with its ancestors, or a function, and what the modules that define them import.

        Args:
            piece: class or function.
            key: what its own version is called; by default as its definition.

        Raises:
            PluginError: no version is declared and the source cannot be read.
        """
        if not self._is_new(piece):
            return
        for member in piece.__mro__ if isinstance(piece, type) else (piece,):
            namespace = _namespace_of(member)
            is_asked_for, counts = member is piece and key is not None, _counts(namespace)
            if not is_asked_for and not counts:
                continue
            source = _kept(namespace)
            holder, version = _version_of(member, source)
            if is_asked_for and version is None:
                raise _unreadable(member.__qualname__, member.__module__)
            if version is not None and self._is_new((id(holder), "version")):
                self.found[key if key and is_asked_for else _label(holder)] = version
            if counts:
                declared = _as_version(source.namespace.get("version"))  # of the helpers beside its pieces
                if declared and self._is_new((id(source), "version")):
                    self.found[_label(source)] = declared
                self._add_used(member.__name__, source)
                self._add_imports(source)

    def _add_used(self, definition: str, source: ModuleSource) -> None:
        """Add what a definition uses of its own module, where that declares a version of its own."""
        if not self._is_new((id(source), definition)):
            return
        for name in sorted(source.uses.get(definition, frozenset()) & source.uses.keys()):
            if _own_version(source.namespace.get(name)):
                self.add_piece(source.namespace[name])
            self._add_used(name, source)

    def _add_imports(self, source: ModuleSource) -> None:
        if self._is_new((id(source), "imports")):
            if not _in_ruler(source.name):
                self.sources.append(source)
            for imported in source.imports:
                self._add_imported(imported)
                for package in imported.packages if not _in_ruler(imported.module) else ():
                    self._add_imported(ImportedName(package, None, package))

    def _add_imported(self, imported: ImportedName) -> None:
        module, name = sys.modules.get(imported.module), imported.name
        if name is not None and getattr(module, "__file__", None) is None:  # a folder of modules, itself none
            self._add_imported(ImportedName(f"{imported.module}.{name}", None, ""))
            return
        if module is None or not _counts(vars(module)) or not self._is_new((id(module), name)):
            return
        source = _kept(vars(module))
        origin = source.handed_on.get(name or "")
        if origin is not None and (origin.module, origin.name) != (imported.module, name):
            self._add_imported(origin)  # it lives there, and an edit of this module does not change it
        elif f"{imported.module}.{name}" in sys.modules:
            self._add_imported(ImportedName(f"{imported.module}.{name}", None, ""))
        elif name is not None and _own_version(source.namespace.get(name)):
            self.add_piece(source.namespace[name])
        else:
            self._add_module(source)

    def _add_module(self, source: ModuleSource) -> None:
        """Add a module as a whole: its integer or else its hash; in the ruler, else its classes with integers."""
        version = _module_version(source)
        if version is not None:
            self.found[_label(source)] = version
        elif _in_ruler(source.name):
            for name in source.uses:
                if _own_version(source.namespace.get(name)):
                    self.add_piece(source.namespace[name])
        else:
            raise _unreadable(source.name, source.name)
        self._add_imports(source)

    def _is_new(self, thing: object) -> bool:
        """Mark a thing as followed; false if it was before."""
        is_new = thing not in self._seen
        self._seen.add(thing)
        return is_new


def _unwrapped(factory: Any) -> tuple[_Piece, dict[str, object]]:  # noqa: ANN401 anything that can be called
    """Find the class or function that does the work, and the arguments that a `partial` fixes on the way."""
    if isinstance(factory, functools.partial):
        piece, inner = _unwrapped(factory.func)
        places = {str(place): value for place, value in enumerate(factory.args, start=len(inner))}
        return piece, {**inner, **places, **factory.keywords}
    if hasattr(factory, "__wrapped__"):
        return _unwrapped(factory.__wrapped__)
    if inspect.ismethod(factory):
        return _unwrapped(factory.__self__)
    return (factory if isinstance(factory, type) or inspect.isroutine(factory) else type(factory)), {}


def _namespace_of(member: _Piece) -> dict[str, Any]:
    """Find the globals of the module that defines a class or function.

    Its functions lead there even where another module of that name was imported since.
    """
    values = vars(member).values() if isinstance(member, type) else (member,)
    for value in values:
        function = inspect.unwrap(getattr(value, "__func__", None) or getattr(value, "fget", None) or value)
        if isinstance(function, FunctionType) and function.__globals__.get("__name__") == member.__module__:
            return function.__globals__
    for source in _KEPT.values():  # what has no functions is still found by its name
        if source.name == member.__module__ and source.namespace.get(member.__name__) is member:
            return source.namespace
    module = sys.modules.get(member.__module__)
    return {"__name__": str(member.__module__)} if module is None else vars(module)


def _version_of(member: _Piece, source: ModuleSource) -> tuple[object, str | None]:
    """Find the version of a class or function, and what it stands on: the class that declares it, or the module.

    An integer that is inherited counts within one module; one from elsewhere would not notice what changed here.
    """
    family = member.__mro__ if isinstance(member, type) else (member,)
    for each in family:
        if each.__module__ == member.__module__ and _own_version(each):
            return each, _own_version(each)
    return source, _module_version(source)


def _module_version(source: ModuleSource) -> str | None:
    return _as_version(source.namespace.get("version")) or (None if _in_ruler(source.name) else source.digest)


def _own_version(value: object) -> str | None:
    is_piece = isinstance(value, type) or inspect.isfunction(value)
    return _as_version(vars(value).get("version")) if is_piece else None


def _as_version(value: object) -> str | None:
    return f"v{value}" if isinstance(value, int) and not isinstance(value, bool) else None


def _label(holder: _Piece) -> str:
    """Name a module, class or function in a chain; those of the ruler by their last name, so that they may move."""
    if isinstance(holder, ModuleSource):
        is_ours = _in_ruler(holder.name)
        return holder.name.rpartition(".")[2] if is_ours else as_neighbours_say(holder.name)
    if _in_ruler(holder.__module__):
        return str(holder.__qualname__)
    return f"{as_neighbours_say(holder.__module__)}.{holder.__qualname__}"


def _argument_text(value: object) -> str:
    """Write a fixed argument so that equal ones read alike in every process and on every machine."""
    try:
        return json.dumps(value, sort_keys=True, default=_plain_argument)
    except (TypeError, ValueError):  # keys that JSON has no word for
        return _plain_argument(value)


def _plain_argument(value: object) -> Any:  # noqa: ANN401 anything that JSON can hold
    if isinstance(value, Path):
        return value.name
    if isinstance(value, set | frozenset):
        return sorted(map(_argument_text, value))
    if callable(value):
        piece, _ = _unwrapped(value)
        name = f"{piece.__module__}.{piece.__qualname__}"
        return chain_of(value) if _counts(_namespace_of(piece)) else name
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _unreadable(name: str, module: str) -> PluginError:
    return PluginError(
        f"the source of '{name}' (module {module}) cannot be read; declare an integer `version` on it"
    )
