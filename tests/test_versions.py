"""Which code a piece runs: whatever can move its numbers moves its chain, and nothing else does."""

import functools
import importlib
import sys
from pathlib import Path

import pytest

from astrojepa_bench.errors import PluginError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.versions import chain_of, remember, version_text

PLUGIN = '''
"""A masker."""

class Half:
    """Hides half."""

    version = None

    def draw(self):
        """Draw."""
        # the nearer half
        return 0.5
'''


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Import source text as a module on the path, and forget it afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a second edit within a second would not be seen
    names = set()

    def _load(source, name="a_plugin", remembered=False):
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        names.add(name)
        if remembered:
            remember(module)
        return module

    yield _load
    for name in names | {name for name in sys.modules if name.partition(".")[0] in ("helper", "late")}:
        sys.modules.pop(name, None)


# --- a piece by itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Hides half.", "Other words."),
        ("# the nearer half", ""),
        ("\n\n", "\n\n\n"),
        ('"""Draw."""', ""),
        ('"""A masker."""', ""),
        ("def draw(self)", "def draw(self) -> float"),
        ("def draw(self)", "def draw(self: 'Half')"),
        ("version = None", "version: int | None = None"),
        ("version = None", "version = None\n    depth: float"),
        ("\nclass Half", "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os\nclass Half"),
    ],
)
def test_text_that_cannot_change_what_the_code_does_leaves_its_version_alone(load, old, new):
    """Comments, docstrings, layout and annotations."""
    start = (
        PLUGIN
        if "TYPE_CHECKING" not in new
        else PLUGIN.replace("\nclass", "\nfrom typing import TYPE_CHECKING\nclass")
    )
    before = chain_of(load(start).Half)
    assert chain_of(load(PLUGIN.replace(old, new)).Half) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.5", "0.25"),
        ("return 0.5", "return '0.5'"),
        ("def draw(self)", "def draw(self, twice=None)"),
        ("version = None", "version = None\n    depth: float = 2"),
    ],
)
def test_code_changes_the_version(load, old, new):
    """A changed constant, type, signature or value is another version."""
    before = chain_of(load(PLUGIN).Half)
    assert chain_of(load(PLUGIN.replace(old, new)).Half) != before


def test_the_version_of_a_known_source_is_the_same_on_every_python(load):
    """A hash that moved with the interpreter would retrain every board at each upgrade."""
    assert chain_of(load(PLUGIN).Half) == {"own": "7c972f2a220a4577"}


def test_a_declared_version_stands_for_the_source(load):
    """An author who counts versions decides alone which changes count."""
    module = load(PLUGIN.replace("version = None", "version = 3"))
    assert chain_of(module.Half) == {"own": "v3"}
    assert version_text(chain_of(functools.partial(module.Half))) == "v3"


def test_a_declaration_at_the_top_of_a_module_counts_for_what_declares_none(load):
    """A module of helpers has one version."""
    assert chain_of(load("version = 2\n" + PLUGIN).Half) == {"own": "v2"}


def test_an_edit_while_a_process_runs_moves_nothing(load, tmp_path):
    """What runs is what was imported, and its id must say so; a new process sees the new file."""
    helper = load("STRENGTH = 1\n", "helper")
    plugin = load("from helper import STRENGTH\n" + PLUGIN, remembered=True)
    before = chain_of(plugin.Half)
    Path(helper.__file__).write_text("STRENGTH = 2\n")
    (tmp_path / "a_plugin.py").write_text("nonsense(\n")
    assert chain_of(plugin.Half) == before


def test_what_is_only_imported_inside_a_function_is_fixed_with_its_plugin(load, tmp_path):
    """Else it could be edited between the hash and the first call."""
    (tmp_path / "late.py").write_text("STRENGTH = 1\n")
    plugin = load("def make(grid):\n    from late import STRENGTH\n    return STRENGTH\n", remembered=True)
    before = chain_of(plugin.make)
    (tmp_path / "late.py").write_text("STRENGTH = 2\n")
    assert "late" in before
    assert (chain_of(plugin.make), plugin.make(None)) == (before, 1)


def test_a_late_import_that_fails_harms_nobody(load, tmp_path):
    """An optional module may be missing or broken until it is needed."""
    (tmp_path / "late.py").write_text("raise SystemExit('no')\n")
    plugin = load(
        "def make(grid):\n    import late\n    import not_there\n    from torch import nothing\n",
        remembered=True,
    )
    assert list(chain_of(plugin.make)) == ["own"]


def test_source_that_was_executed_from_text_is_taken_as_it_was(load, tmp_path):
    """A plugin file that is given by path may have changed by the time it is asked for."""
    plugin = load(PLUGIN)
    remember(plugin, PLUGIN.replace("0.5", "0.25").encode())
    assert chain_of(plugin.Half) == chain_of(load(PLUGIN.replace("0.5", "0.25")).Half)


def test_of_two_modules_of_one_name_each_keeps_its_own(load):
    """Two plugin files can be called alike; the second replaces the first among the modules of the process."""
    first = load(PLUGIN, remembered=True).Half
    second = load(PLUGIN.replace("0.5", "0.25"), remembered=True).Half
    assert chain_of(first) != chain_of(second)
    assert chain_of(first) == {"own": "7c972f2a220a4577"}


def test_of_two_modules_of_one_name_even_bare_classes_keep_their_own(load):
    """A class without functions is told by its name in what was imported."""
    source = "class Base:\n    version = None\nclass Half(Base):\n    depth = {}\n"
    first = load(source.format(1), remembered=True).Half
    before = chain_of(first)
    second = load(source.format(2), remembered=True).Half
    assert chain_of(first) == before != chain_of(second)


def test_what_only_runs_counts_though_a_type_checker_is_named(load):
    """`if not TYPE_CHECKING` hides code from the type checker, not from Python."""
    source = "from typing import TYPE_CHECKING\nif not TYPE_CHECKING:\n    DEPTH = {}\nclass Piece: ...\n"
    assert chain_of(load(source.format(1)).Piece) != chain_of(load(source.format(2)).Piece)


def test_code_without_source_is_asked_for_a_version():
    """A class typed into a session has no file; the message says what to do."""
    nowhere = type("Nowhere", (), {"__module__": "no_such_module"})
    with pytest.raises(PluginError, match="declare an integer `version`"):
        chain_of(nowhere)


# --- ancestors and imports ----------------------------------------------------------------------------------

CHILD = "from helper import Parent\nclass Child(Parent):\n    def draw(self): return 2\n"


def test_a_version_inherited_from_another_module_does_not_count(load):
    """A subclass elsewhere changes behaviour that its parent's integer knows nothing of."""
    load("class Parent:\n    version = 3\n    def draw(self): return 1\n", "helper")
    before = chain_of(load(CHILD).Child)
    assert before["own"] != "v3"
    assert before["helper.Parent"] == "v3"
    assert chain_of(load(CHILD.replace("2", "4")).Child) != before


@pytest.mark.parametrize("declared", ["None", "1"])
def test_a_changed_parent_changes_its_children(load, declared):
    """What a piece inherits from another module is part of what it does, whether or not it is counted."""
    chains = []
    for number in "12":
        version = declared if declared == "None" else number
        load(f"class Parent:\n    version = {version}\n    def draw(self): return {number}\n", "helper")
        chains.append(
            chain_of(load("from helper import Parent\nclass Child(Parent):\n    version = 1\n").Child)
        )
    assert chains[0] != chains[1]
    assert [chain["own"] for chain in chains] == ["v1", "v1"]


@pytest.mark.parametrize(
    "statement",
    [
        "from helper import f",
        "import helper",
        "from helper import *",
        "from helper import f as g",
        "import helper as h",
    ],
)
def test_an_imported_helper_without_a_version_counts_by_its_source(load, statement):
    """Nobody needs to declare what a plugin imports."""
    chains = []
    for number in "12":
        load(f"def f():\n    return {number}\n", "helper")
        chains.append(chain_of(load(f"{statement}\nclass Piece:\n    version = 1\n").Piece))
    assert chains[0] != chains[1]
    assert set(chains[0]) == {"own", "helper"}


def test_a_helper_that_declares_a_version_counts_by_it(load):
    """By that of the class or function that is imported, or by that of its module."""
    load("version = 5\ndef f(): ...\ndef g(): ...\ng.version = 7\nclass H:\n    version = 9\n", "helper")
    chain = chain_of(load("from helper import f, g, H\nclass Piece:\n    version = 1\n").Piece)
    assert chain == {"own": "v1", "helper": "v5", "helper.g": "v7", "helper.H": "v9"}


def test_helpers_of_helpers_count(load):
    """Wherever it lies: what is imported is followed."""
    chains = []
    for number in "12":
        load(f"def deep(): return {number}\n", "helper_below")
        load("version = 1\nfrom helper_below import deep\n", "helper")
        chains.append(
            chain_of(load("from helper import version as v\nclass Piece:\n    version = 1\n").Piece)
        )
    assert set(chains[0]) == {"own", "helper", "helper_below"}
    assert chains[0] != chains[1]


def test_modules_of_a_package_are_told_apart(load, tmp_path):
    """Relative imports are followed; a package that hands a name on does not stand for it."""
    (tmp_path / "helper").mkdir()
    (tmp_path / "helper/__init__.py").write_text("from .losses import sigreg\nfrom .other import unrelated\n")
    piece = "from . import sigreg\nclass Piece:\n    version = 1\n    run = sigreg\n"
    chains = []
    for unrelated, sigreg in ((1, 1), (2, 1), (1, 2)):
        for name in [name for name in sys.modules if name.partition(".")[0] == "helper"]:
            del sys.modules[name]
        (tmp_path / "helper/other.py").write_text(f"unrelated = {unrelated}\n")
        (tmp_path / "helper/losses.py").write_text(f"def sigreg(): return {sigreg}\n")
        chains.append(chain_of(load(piece, "helper.piece").Piece))
    assert set(chains[0]) == {"own", "helper.losses"}
    assert chains[0] == chains[1] != chains[2]


@pytest.mark.parametrize(
    ("statement", "package", "edited"),
    [
        ("import helper.below", "def f(): return {}\n", "package"),  # the piece can call helper.f
        ("import helper", "from . import below\n", "below"),
        ("from helper import *", "from .below import *\nfrom .other import *\n", "below"),
        ("from helper import *", "from .other import *\ndef f(): return {}\n", "package"),
        ("from helper import TABLE", "from .other import TABLE\nTABLE['depth'] = {}\n", "package"),
        ("from helper import TABLE", "from .other import TABLE\nTABLE.update(depth={})\n", "package"),
    ],
)
def test_every_module_of_a_package_that_an_import_reaches_counts(load, tmp_path, statement, package, edited):
    """Through stars, through the package itself, and where a name that is handed on is changed on the way."""
    (tmp_path / "helper").mkdir()
    (tmp_path / "helper/other.py").write_text("TABLE = {}\n")
    chains = []
    for number in (1, 2):
        for name in [name for name in sys.modules if name.partition(".")[0] == "helper"]:
            del sys.modules[name]
        (tmp_path / "helper/__init__.py").write_text(package.format(number if edited == "package" else 1))
        (tmp_path / "helper/below.py").write_text(f"def f(): return {number if edited == 'below' else 1}\n")
        importlib.invalidate_caches()
        chains.append(chain_of(load(f"{statement}\nclass Piece:\n    version = 1\n").Piece))
    assert chains[0] != chains[1]


def test_a_helper_may_be_named_like_a_module_of_python(load, monkeypatch):
    """What counts is the file that was imported."""
    monkeypatch.delitem(sys.modules, "profile", raising=False)
    load("def f(): ...\n", "profile")
    piece = "import json\nfrom profile import f\nclass Piece:\n    version = 1\n"
    assert set(chain_of(load(piece).Piece)) == {"own", "profile"}


def test_what_a_piece_uses_of_its_own_module_counts_if_it_has_a_version(load):
    """A class beside it may be raised by itself."""
    source = """
class Used:
    version = {}
class Unused:
    version = {}
def helper(): return Used()
class Piece:
    version = 1
    def act(self): return helper()
"""
    before = chain_of(load(source.format(1, 1)).Piece)
    assert before == {"own": "v1", "a_plugin.Used": "v1"}
    assert chain_of(load(source.format(1, 2)).Piece) == before
    assert chain_of(load(source.format(2, 1)).Piece) != before


@pytest.mark.parametrize(
    "hidden",
    [
        "class Used:\n    version = {}\nAlias = Used\n",
        "class Used:\n    version = {}\nTABLE = [Used]\nAlias = TABLE[0]\n",
        "if True:\n    class Alias:\n        version = {}\n",
        "try:\n    import nothing_of_this_name\nexcept ImportError:\n    class Alias:\n        version = {}\n",
    ],
)
def test_a_version_counts_by_whatever_name_it_is_reached(load, hidden):
    """Through a variable, through a table, and where a class is defined under a condition."""
    piece = "class Piece:\n    version = 1\n    def act(self): return Alias()\n"
    assert chain_of(load(hidden.format(1) + piece).Piece) != chain_of(load(hidden.format(2) + piece).Piece)


def test_libraries_do_not_count(load):
    """Their releases are recorded; a hash of torch would make every upgrade a new run."""
    source = (
        "import json, numpy, timm, torch\nfrom torch import nn\nclass Piece(nn.Module):\n    version = 1\n"
    )
    assert chain_of(load(source).Piece) == {"own": "v1"}


@pytest.mark.parametrize(
    "statement", ["from astrojepa_bench.plugin import PREFER", "import astrojepa_bench.plugin"]
)
def test_what_comes_through_the_authors_door_counts_as_what_it_is(load, monkeypatch, statement):
    """Constants too; the door itself only hands them on."""
    from astrojepa_bench.geometry import patches

    piece = load(f"{statement}\nclass Piece:\n    version = 1\n").Piece
    assert chain_of(piece)["patches"] == "v1"
    monkeypatch.setattr(patches, "version", 2)
    assert chain_of(piece)["patches"] == "v2"


# --- factories of other kinds -------------------------------------------------------------------------------


def test_functions_count_by_their_module_or_their_own_version(load):
    """A plain function can be a factory."""
    module = load("def f(grid): return 1\ndef g(grid): return 2\ng.version = 4\n")
    assert chain_of(module.g) == {"own": "v4"}
    assert len(chain_of(module.f)["own"]) == 16


@pytest.mark.parametrize("value", [2, "2", (1, 2), {3, 1}, Path("/somewhere/weights.pt"), sorted, None])
def test_what_a_partial_fixes_is_part_of_its_version(load, value):
    """A preset is another piece; its arguments stand in the chain by name."""
    half = load(PLUGIN.replace("version = None", "version = 3")).Half
    preset = functools.partial(functools.partial(half, 1, depth=1), depth=value)
    chain = chain_of(preset)
    assert set(chain) == {"own", "partial.0", "partial.depth"}
    assert "/somewhere" not in chain["partial.depth"]
    assert " at 0x" not in chain["partial.depth"]
    assert chain != chain_of(functools.partial(half, 1, depth=77))


def test_decorated_factories_are_looked_through(load):
    """A wrapper leads to what it wraps, and what decorates is imported and counts."""
    load(
        "import functools\ndef log(f):\n    @functools.wraps(f)\n    def g(*a): return f(*a)\n    return g\n",
        "helper",
    )
    module = load("from helper import log\n@log\ndef make(grid): return 1\n")
    assert set(chain_of(module.make)) == {"own", "helper"}


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def test_members_of_a_family_have_the_version_of_their_family(registry):
    """`timm:resnet18` is made by `timm:<name>`."""
    chain = chain_of(registry.get("encoder", "timm:resnet18").factory)
    assert chain["own"] == "v1"
    assert "weights" in chain
