"""Plugins that are given by path: a file, or a folder of them, imported with what lies beside it.

Every module keeps the very text that was executed: its version is taken from that. Nothing is read from Python's
cache, nor written there.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec
from pathlib import Path
from types import ModuleType

from astrojepa_bench.errors import ConfigError, PluginError, named
from astrojepa_bench.neighbours import as_neighbours_say, folder_of, forget, homed, package_of
from astrojepa_bench.offering import HOOKS, OTHER_HOOKS, PluginSource
from astrojepa_bench.versions import keep

ALONE = "astrojepa_file_"  # a file called random.py must not replace a module of that name
_HOOKS = frozenset({*HOOKS, *OTHER_HOOKS, "astrojepa_observe"})
_IGNORED = re.compile(r"[._].*|tests?|test_.*|.*_test|conftest|setup")


def sources_at(paths: Iterable[Path], strict: bool = False) -> list[PluginSource]:
    """List the plugins at some paths, to be imported anew.

    A folder is one plugin where its `__init__.py` has hooks, else every file of it and of its packages that has
    some is one. Tests and what is hidden are passed over.

    Args:
        paths: files and folders.
        strict: whether a plugin is of no use unless every single offer is sound.

    Raises:
        ConfigError: there is no such file or folder, or no plugin in the folder.
    """
    found = list[PluginSource]()
    for path in paths:
        if path.is_dir():
            folder, files = path, [*_plugin_files(path)]
            if not files:
                raise ConfigError(
                    f"{path}: no file in this folder has a hook such as astrojepa_maskers; give a folder of plugins"
                )
        elif path.is_file() and path.suffix == ".py":
            folder, files = path.parent, [path]
        else:
            raise ConfigError(f"{path}: no such Python file or folder; give the path of a plugin's .py file")
        package = package_of(folder)
        forget(package)
        for file in files:
            if file is path:
                name, place = path.stem, path.name
                load: Callable[[], ModuleType] = partial(executed, path, f"{ALONE}{path.stem}", package)
            else:
                inside = file.relative_to(folder).with_suffix("").parts
                name = file.resolve().parent.name if inside[-1] == "__init__" else file.stem
                place = f"{folder.resolve().name}/{file.relative_to(folder).as_posix()}"
                module = ".".join([package, *(each for each in inside if each != "__init__")])
                load = partial(importlib.import_module, module)
            found.append(PluginSource(name, f"file {place}", "", partial(_naming, load, file), True, strict))
    if found and _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    return found


def known_as(module: str) -> str:
    """Return the name of a module as its author knows it: without what is put before it here."""
    folder = folder_of(module)
    return module.removeprefix(ALONE) if folder is None else as_neighbours_say(module)[1:] or folder.name


def module_known_as(plugin: str) -> ModuleType | None:
    """Find the module of a plugin by the name that its offers bear, installed or given by path."""
    last = (module for name, module in sys.modules.items() if known_as(name).rpartition(".")[2] == plugin)
    return sys.modules.get(plugin) or next(last, None)


def executed(path: Path, name: str, package: str) -> ModuleType:
    """Execute a file as a module of some name, and keep the very text that was executed.

    Args:
        path: the file.
        name: under which it stands in `sys.modules` from now on.
        package: whose modules it can import.
    """
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ImportError(f"{path.name} cannot be imported")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    module.__package__ = package
    _execute(module, path)
    return module


def _naming(load: Callable[[], ModuleType], file: Path) -> ModuleType:
    """Import a plugin, and name the neighbour that failed, where it was one.

    Raises:
        PluginError: a neighbour raised, with file and line.
    """
    try:
        return load()
    except Exception as error:
        frames = [*traceback.walk_tb(error.__traceback__)]
        inside = [each for each in frames if folder_of(str(each[0].f_globals.get("__name__")))]
        where = Path(inside[-1][0].f_code.co_filename) if inside else file
        if where.resolve() == file.resolve():
            raise
        raise PluginError(f"{named(error)}, in line {inside[-1][1]} of {where.name}") from error


def _execute(module: ModuleType, path: Path) -> None:
    text = path.read_bytes()
    tree = _Homing(str(module.__package__)).visit(ast.parse(text, path.absolute()))
    keep(module, text)
    exec(compile(tree, path.absolute(), "exec", dont_inherit=True), vars(module))  # as frames name it


class _Homing(ast.NodeTransformer):
    """Lets every import statement of a module find the module's neighbours."""

    def __init__(self, package: str) -> None:
        self.package = package

    def visit_Import(self, node: ast.Import) -> ast.AST:
        """Return the statement with the neighbours' private names."""
        return homed(node, self.package)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        """Return the statement with the neighbours' private names."""
        return homed(node, self.package)


# --- how Python finds them ----------------------------------------------------------------------------------


class _TextLoader(Loader):
    """Executes a module of a folder from its text."""

    def __init__(self, name: str, path: str) -> None:
        self.path = path

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the file."""
        _execute(module, Path(self.path))

    def get_filename(self, name: str) -> str:
        """Return where its text is, for tracebacks and `inspect`."""
        return self.path


class _FolderFinder(MetaPathFinder):
    """Finds the packages that folders of plugins are, and the modules in them."""

    def find_spec(
        self, fullname: str, path: Iterable[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of a folder; None for any other."""
        folder = folder_of(fullname)
        if folder is None:
            return None
        if "." in fullname:
            kinds = (ExtensionFileLoader, EXTENSION_SUFFIXES), (_TextLoader, [".py"])
            found = (FileFinder(place, *kinds).find_spec(fullname) for place in path or ())
            return next((spec for spec in found if spec is not None), None)
        first = folder / "__init__.py"
        if first.is_file():
            loader = _TextLoader(fullname, str(first))
            return importlib.util.spec_from_file_location(
                fullname, first, loader=loader, submodule_search_locations=[str(folder)]
            )
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        return spec


_FINDER = _FolderFinder()


# --- which files are plugins --------------------------------------------------------------------------------


def _plugin_files(folder: Path) -> Iterator[Path]:
    """Find the files with hooks in a folder and the packages below it; an `__init__.py` speaks for its own."""
    for place, inner, files in os.walk(folder):
        base = Path(place)
        if _has_hooks(base / "__init__.py"):
            yield base / "__init__.py"
            inner.clear()
            continue
        packages = [name for name in sorted(inner) if (base / name / "__init__.py").is_file()]
        inner[:] = [name for name in packages if not _IGNORED.fullmatch(name)]
        code = [name for name in sorted(files) if name.endswith(".py")]
        yield from (
            base / name
            for name in code
            if not _IGNORED.fullmatch(name.removesuffix(".py")) and _has_hooks(base / name)
        )


def _has_hooks(file: Path) -> bool:
    """Whether a file defines or imports a function that is called as a hook; nothing of it is executed."""
    if not file.is_file():
        return False
    text = file.read_bytes()
    try:
        nodes = [*ast.walk(ast.parse(text))]
    except (SyntaxError, ValueError):
        # what is wrong is told when it is imported, if it may be a plugin at all
        return any(hook.encode() in text for hook in _HOOKS)
    imports = (node for node in nodes if isinstance(node, ast.ImportFrom))
    names = {each.asname or each.name for node in imports for each in node.names}
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    names |= {node.name for node in functions}
    misspelt = (node for node in functions if node.name.startswith("astrojepa_") and node.decorator_list)
    return bool(names & _HOOKS) or any(misspelt)
