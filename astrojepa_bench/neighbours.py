"""Modules that lie beside a plugin which was given by path: they can import each other, relatively and by name.

Their folder is imported as a package of a private name, so that two folders may both have a `helpers.py`, and none
gets in the way of a module that is installed. `import helpers` in one of them therefore means `helpers` of that
package. Modules of Python's own library and of the bench are never taken for neighbours by their bare name, nor is
what is installed from the very same file; everything else that lies there comes first, as beside a script.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import TypeAlias

PREFIX = "astrojepa_folder_"
ImportStatement: TypeAlias = ast.Import | ast.ImportFrom
_FOLDERS: dict[str, Path] = {}


def package_of(folder: Path) -> str:
    """Return the name of the package that a folder is imported as, always the same within a process."""
    place = folder.resolve()
    name = PREFIX + re.sub(r"\W", "_", place.name)
    names = chain([name], (f"{name}_{number}" for number in count(2)))
    return next(each for each in names if _FOLDERS.setdefault(each, place) == place)


def folder_of(module: str) -> Path | None:
    """Return the folder that a module was imported from; None where it came another way."""
    return _FOLDERS.get(module.partition(".")[0])


def as_neighbours_say(module: str) -> str:
    """Return a dot and the place of a module below its folder, wherever that lies; any other name as it is."""
    inside = module.partition(".")[2]
    return f".{inside}" if folder_of(module) else module


def forget(package: str) -> None:
    """Let a folder be imported anew: what lies there may have changed."""
    for name in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
        del sys.modules[name]
    _is_neighbour.cache_clear()


def homed(statement: ImportStatement, package: str) -> ImportStatement:
    """Return an import statement that names the private package where it means a neighbour.

    Args:
        statement: as it was written.
        package: of the module that it stands in.
    """
    root = package.partition(".")[0]
    if root not in _FOLDERS:
        return statement
    if isinstance(statement, ast.Import):
        names = [name for each in statement.names for name in _homed_names(each, root)]
        return ast.copy_location(ast.Import(names), statement)
    module, level = statement.module or "", statement.level
    if level:
        with suppress(ImportError):  # one that leaves the folder fails when it runs
            module, level = importlib.util.resolve_name("." * level + module, package), 0
    elif _is_neighbour(root, module.partition(".")[0]):
        module = f"{root}.{module}"
    return ast.copy_location(ast.ImportFrom(module or None, statement.names, level), statement)


def _homed_names(name: ast.alias, root: str) -> Iterator[ast.alias]:
    top, dot, _ = name.name.partition(".")
    if not _is_neighbour(root, top):
        yield name
        return
    binds_top = dot and name.asname is None  # `import shapes.discs` makes `shapes` known
    bound = None if binds_top else name.asname or top
    yield ast.copy_location(ast.alias(f"{root}.{name.name}", bound), name)
    if binds_top:
        yield ast.copy_location(ast.alias(f"{root}.{top}", top), name)


@functools.cache
def _is_neighbour(root: str, top: str) -> bool:
    """Whether a module of this bare name, imported in a folder, is the one that lies there."""
    if top in sys.stdlib_module_names or top == "astrojepa_bench":
        return False
    place = _FOLDERS[root] / top
    files = [file for file in (place.with_name(f"{top}.py"), place / "__init__.py") if file.is_file()]
    elsewhere = None
    with suppress(Exception):  # what cannot be found is not there
        elsewhere = importlib.util.find_spec(top)
    if not files:  # a bare folder is a package only where nothing else is
        return place.is_dir() and elsewhere is None
    return not (elsewhere and elsewhere.origin and Path(elsewhere.origin).resolve() == files[0].resolve())
