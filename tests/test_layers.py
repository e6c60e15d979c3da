"""The house rules that a reader of one file cannot see: who may import whom, and who may print."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from astrojepa_bench.geometry.grids import PatchGrid

ROOT = Path(__file__).parents[1]
RULER = ROOT / "astrojepa_bench"
MODULES = sorted(RULER.rglob("*.py"))
TEXTS = sorted(path for path in RULER.rglob("*") if path.suffix in {".py", ".html", ".md"})
PLUGINS = sorted((ROOT / "plugins").glob("astrojepa_*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# Each room may import itself and the rooms above it.
ROOMS = (
    "errors", "launched", "ranks", "escaping", "checked", "owners", "files", "groups", "metric", "recipe",
    "geometry", "types", "streams", "events", "seals", "features", "roles", "suites", "interrupts",
    "importers", "hookspecs", "declarations", "signatures", "options", "border", "data", "encoders", "plugin",
    "neighbours", "syntax", "versions", "offering", "loading", "registry", "training", "evaluators",
    "builtin", "evaluation", "results", "runs", "testing", "board", "explore", "api", "cli", "__main__",
)  # fmt: skip
DOOR = {"astrojepa_bench.plugin", "torch", "numpy", "timm", "jaxtyping"}
FACES = {"astrojepa_bench", "astrojepa_bench.plugin", "astrojepa_bench.testing"}


def name_of(path: Path) -> str:
    """Return the dotted name of a module of the ruler, without the package."""
    parts = path.relative_to(RULER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """Find the room a module lies in: the longest entry of the list that holds it."""
    fitting = [room for room in ROOMS if name == room or name.startswith(room + ".")]
    assert fitting, f"astrojepa_bench.{name} lies in no room; add it to ROOMS where it belongs"
    return max(fitting, key=len)


def imports_of(path: Path) -> set[tuple[str, int]]:
    """List what a file imports at run time, with line numbers; type-checking imports are free."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, node.lineno) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the full name"
            found |= {(full_name(node.module, alias.name), node.lineno) for alias in node.names}
    return found


def full_name(module: str, name: str) -> str:
    """Tell a submodule that is imported by name from a thing that is defined in the module."""
    inside = ROOT / Path(*module.split(".")) / name
    return f"{module}.{name}" if inside.is_dir() or inside.with_suffix(".py").is_file() else module


def test_ruler_has_modules_to_check():
    """A wrong path would make every rule below hold of nothing."""
    assert len(MODULES) > 20
    assert len(PLUGINS) > 3


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_room_imports_only_rooms_above_it(path):
    """What is measured with cannot depend on what it measures, nor science on the command line."""
    if path == RULER / "__init__.py":
        return  # the public face, lazy: it stands above all rooms and shows them all
    rank = ROOMS.index(room_of(name_of(path)))
    ours = {(name, line) for name, line in imports_of(path) if name.startswith("astrojepa_bench.")}
    wrong = [
        f"{path.name}:{line} imports {name}, which lies below"
        for name, line in sorted(ours)
        if ROOMS.index(room_of(name.removeprefix("astrojepa_bench."))) > rank
    ]

    assert wrong == []


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.stem)
def test_contestants_come_in_by_the_authors_door(path):
    """A contestant knows `astrojepa_bench.plugin`, the tensor libraries and its fellows, nothing else."""
    allowed = DOOR | set(sys.stdlib_module_names) | {plugin.stem for plugin in PLUGINS}
    wrong = [
        f"{path.name}:{line} imports {name}"
        for name, line in sorted(imports_of(path))
        if name not in allowed and (name.startswith("astrojepa_bench") or name.split(".")[0] not in allowed)
    ]

    assert wrong == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(RULER)))
def test_ruler_names_no_contestant(path):
    """A ruler that knows a method by name could favour it."""
    assert re.findall(r"lejepa|i-?jepa", path.read_text().lower().replace("astrojepa", "")) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_command_line_prints(path):
    """A library that prints cannot be used in a notebook or behind `--json`."""
    if name_of(path).split(".")[0] == "cli":
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = [node.lineno for node in calls if ast.unparse(node.func) in {"print", "sys.stdout.write"}]

    assert printing == []


@pytest.mark.parametrize("path", [*MODULES, *PLUGINS], ids=lambda path: path.stem)
def test_no_global_random_numbers(path):
    """Every random number comes from a named stream, so that a resumed run draws what it would have drawn."""
    if path == RULER / "streams.py":
        return  # the one place that may touch torch's generator, and puts it back
    source = path.read_text()

    assert (
        re.findall(
            r"torch\.manual_seed|np\.random\.(?!Generator|default_rng)\w+|^import random", source, re.M
        )
        == []
    )


@pytest.mark.parametrize("path", [*MODULES, *PLUGINS, *TESTS], ids=lambda path: path.stem)
def test_no_file_is_over_400_lines(path):
    """A file that needs a table of contents is two files."""
    assert len(path.read_text().splitlines()) <= 400


def test_every_room_exists():
    """A room that was renamed or given up leaves the list."""
    gone = [room for room in ROOMS if not (RULER / room).is_dir() and not (RULER / f"{room}.py").is_file()]

    assert gone == []
    assert len(set(ROOMS)) == len(ROOMS)


def test_no_class_has_the_name_of_another():
    """A reader who meets a public name in a message or a traceback finds one class of that name."""
    homes = {}
    for path in [*MODULES, *PLUGINS]:
        for name in defined_in(path, ast.ClassDef):
            homes.setdefault(name, []).append(path.name)

    assert {name: where for name, where in homes.items() if len(where) > 1 and name[0] != "_"} == {}


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_each_class_is_imported_from_the_module_that_defines_it(path):
    """One import path a class, but for the authors' door, the public face, and the face of the kit."""
    wrong = [
        f"{path.name}:{node.lineno} imports {alias.name} from {node.module}, which only imports it"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module not in FACES
        for alias in node.names
        if alias.name in handed_on(node.module)
    ]

    assert wrong == []


def defined_in(path, *kinds):
    """List the names that a module defines at its top level, by the kind of their definition."""
    return [node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds)]


@functools.cache
def handed_on(module):
    """List the classes that a module of ours imports from another one of ours."""
    path = ROOT / Path(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not module.startswith("astrojepa_bench") or not file.is_file():
        return frozenset()
    imports = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if node.module and node.module.startswith("astrojepa_bench")]
    return frozenset(
        alias.name
        for node in ours
        for alias in node.names
        if not alias.name.isupper() and alias.name[0].isupper()
    )


@pytest.mark.parametrize("path", [*MODULES, *PLUGINS], ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_speak_as_the_trade_does(path):
    """Return, Compute, Raise: what a function does, in the words of everyone's libraries."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, documented)]
    openings = [(ast.get_docstring(node) or "").partition("\n")[0] for node in nodes]

    assert [line for line in openings if line.startswith(("Give ", "Gives ", "Say ", "Says "))] == []


def test_public_face_costs_no_torch():
    """Importing the package to read its version or start its command line takes milliseconds."""
    code = "import sys, astrojepa_bench; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_annotations_are_checked_while_testing():
    """A tensor of the wrong shape is caught at the door of a function, by `conftest.py`."""
    with pytest.raises(Exception, match="patch_means"):
        PatchGrid(2, 2, 2).patch_means(torch.zeros(4))
