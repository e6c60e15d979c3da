"""Plugins given by path, with what lies beside them: found, kept apart, and part of the identity of their runs."""

import json
import sys

import pytest

from astrojepa_bench import registry as registry_module
from astrojepa_bench.cli import main
from astrojepa_bench.errors import ConfigError, PluginError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.versions import chain_of

MASKER = """
{imports}
from astrojepa_bench.plugin import Masker, hookimpl


class Beside(Masker):
    '''Hides what a neighbour says.'''

    hides = False

    def draw(self, images, sizes, generator):
        return {value}


@hookimpl
def astrojepa_maskers():
    return {{"{name}": Beside}}
"""


def masker(imports="import helpers", value="helpers.SHARE", name="beside"):
    """Write a plugin that uses a neighbour."""
    return MASKER.format(imports=imports, value=value, name=name)


@pytest.fixture
def alone(monkeypatch):
    """Hide what is installed, which is slow to import and not the point."""
    monkeypatch.setattr(registry_module, "entry_points", lambda group: [])


@pytest.fixture
def folder(tmp_path):
    """Return a function that fills a folder with files and returns it."""

    def fill(files, name="mine"):
        for path, text in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / name

    return fill


def drawn(offer):
    """Return what a masker says that needs neither grid nor images."""
    return offer.cls.draw(offer.cls.__new__(offer.cls), None, None, None)


def answer(path, name="beside"):
    """Return what the masker of a plugin draws, and the chain of its versions."""
    offer = load_registry([path]).get("masker", name)
    return drawn(offer), chain_of(offer.factory)


IMPORTS = {
    "import helpers": "helpers.SHARE",
    "import helpers as known": "known.SHARE",
    "from helpers import SHARE": "SHARE",
    "from helpers import *": "SHARE",
    "from . import helpers": "helpers.SHARE",
    "from .helpers import SHARE as share": "share",
    "import shapes.discs": "shapes.discs.SHARE",
    "from shapes.discs import SHARE": "SHARE",
    "from .shapes import discs": "discs.SHARE",
}
HELPERS = {"helpers.py": "SHARE = 0.25\n", "shapes/discs.py": "from helpers import SHARE\n"}


@pytest.mark.parametrize("imports", IMPORTS)
@pytest.mark.parametrize("given", ["", "masks.py"], ids=["folder", "file"])
def test_neighbours_can_be_imported_and_their_edits_change_the_version(alone, folder, imports, given):
    """Relatively and by name, from a folder and from a file alone; an edit is seen, a comment is none."""
    files = {"masks.py": masker(imports, IMPORTS[imports]), **HELPERS}
    value, before = answer(folder(files) / given)
    _, commented = answer(folder({"helpers.py": "# a quarter\nSHARE = 0.25\n"}) / given)
    other, after = answer(folder({"helpers.py": "SHARE = 0.5\n"}) / given)

    assert (value, other) == (0.25, 0.5)
    assert before == commented
    assert before[".helpers"] != after[".helpers"]
    assert {name: text for name, text in before.items() if name != ".helpers"} == {
        name: text for name, text in after.items() if name != ".helpers"
    }


def test_a_neighbour_that_is_imported_late_is_fixed_with_its_plugin(alone, folder):
    """Code that is imported inside a function is kept as it was when the plugin was loaded."""
    late = masker("", "__import__('operator').neg(-self.share())").replace(
        "    hides = False",
        "    hides = False\n\n    def share(self):\n        from helpers import SHARE\n        return SHARE",
    )
    path = folder({"masks.py": late, **HELPERS})
    offer = load_registry([path]).get("masker", "beside")
    before = chain_of(offer.factory)
    folder({"helpers.py": "SHARE = 0.5\n"})

    assert drawn(offer) == 0.25
    assert chain_of(offer.factory) == before
    assert ".helpers" in before


@pytest.mark.parametrize("names", [("one", "other"), ("one/mine", "other/mine")])
def test_equally_named_neighbours_of_two_folders_are_not_mixed_up(alone, folder, names):
    """Each plugin gets its own `helpers`, whatever the folders are called, and nobody else gets either."""
    paths = [
        folder({"masks.py": masker(name=f"beside-{share}"), "helpers.py": f"SHARE = {share}\n"}, name)
        for name, share in zip(names, (1, 2), strict=True)
    ]
    registry = load_registry(paths)
    offers = [registry.get("masker", f"beside-{share}") for share in (1, 2)]

    assert [drawn(offer) for offer in offers] == [1, 2]
    assert "helpers" not in sys.modules
    chains = [chain_of(offer.factory) for offer in offers]
    assert chains[0][".helpers"] != chains[1][".helpers"]
    assert chains == [answer(path, f"beside-{share}")[1] for path, share in zip(paths, (1, 2), strict=True)]


def test_a_folder_may_be_moved_and_renamed(alone, folder):
    """Where code lies is no part of what it does."""
    files = {"masks.py": masker("from shapes.discs import SHARE", "SHARE"), **HELPERS}

    assert answer(folder(files, "here"))[1] == answer(folder(files, "elsewhere/there"))[1]


def test_a_package_offers_what_its_first_file_says(alone, folder):
    """An `__init__.py` with hooks speaks for its package, with what lies in packages below it."""
    path = folder({
        "__init__.py": masker("from .parts.shares import SHARE", "SHARE"),
        "parts/__init__.py": "",
        "parts/shares.py": "from ..helpers import SHARE\n",
        "parts/masks.py": masker(name="never"),
        "helpers.py": "SHARE = 0.75\n",
    })  # fmt: skip
    registry = load_registry([path])

    assert answer(path)[0] == 0.75
    assert ".helpers" in answer(path)[1]  # and `parts.shares`, which only hands it on, is not
    assert registry.get("masker", "beside").owner == "mine (file mine/__init__.py)"
    with pytest.raises(ConfigError, match="unknown masker 'never'"):
        registry.get("masker", "never")


def test_several_files_of_a_folder_are_plugins_and_share_their_helpers(alone, folder):
    """Packages below are looked into; helpers, tests, Python's cache and what is hidden are not plugins."""
    broken = "raise RuntimeError('never imported')\n" + masker(name="broken")
    path = folder({
        "one.py": masker("from helpers import Counter", "Counter", "one"),
        "parts/__init__.py": "",
        "parts/two.py": masker("from helpers import Counter", "Counter", "two"),
        "sets/__init__.py": masker("from ..helpers import Counter", "Counter", "three"),
        "helpers.py": "class Counter:\n    hooks = 'astrojepa_maskers'\n",
        "script.py": "raise RuntimeError('a script')\n",
        "test_one.py": broken, "tests/__init__.py": "", "tests/masks.py": broken, "conftest.py": broken,
        ".hidden.py": broken, "__pycache__/one.py": broken, "data/masks.py": broken,
    })  # fmt: skip
    registry = load_registry([path])
    one, two, three = (registry.get("masker", name) for name in ("one", "two", "three"))

    assert [one.owner, two.owner] == ["one (file mine/one.py)", "two (file mine/parts/two.py)"]
    assert three.owner == "sets (file mine/sets/__init__.py)"
    assert drawn(one) is drawn(two) is drawn(three)
    assert list(registry.failures) == []


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"masks.py": masker(), "helpers.py": "\nSHARE = 1 / 0\n"},
            "ZeroDivisionError.*in line 2 of helpers.py",
        ),
        ({"masks.py": masker(), "helpers.py": "SHARE = = 1\n"}, r"SyntaxError.*\(helpers.py, line 1\)"),
        ({"masks.py": masker() + "\nSHARE = 1 / 0\n"}, "No module named 'helpers'"),
        (
            {"masks.py": masker("") + "\nSHARE = 1 / 0\n"},
            r"plugin masks \(file mine/masks.py\): ZeroDivision",
        ),
        ({"masks.py": "astrojepa_maskers = = 1\n"}, r"plugin masks \(file mine/masks.py\): SyntaxError"),
    ],
)
def test_errors_of_a_file_name_it(alone, folder, files, told):
    """The plugin that cannot be used, and the neighbour that is to blame."""
    with pytest.raises(PluginError, match=told):
        load_registry([folder(files)])


def test_a_folder_without_plugins_is_a_wrong_request(alone, folder):
    """It was mistyped, or nothing in it was decorated."""
    with pytest.raises(ConfigError, match="no file in this folder has a hook"):
        load_registry([folder(HELPERS)])


def test_neighbours_do_not_stand_in_for_python_or_the_bench(folder):
    """Beside a plugin may lie a `types.py`, a clone of a library, or what is installed anyway."""
    path = folder({
        "masks.py": masker("import types, numpy, astrojepa_random", "types, numpy, astrojepa_random"),
        "types.py": "raise RuntimeError\n", "numpy/readme.txt": "",
        "astrojepa_bench/__init__.py": "raise RuntimeError\n",
    })  # fmt: skip
    import types

    import astrojepa_random
    import numpy as np

    assert answer(path)[0] == (types, np, astrojepa_random)


def test_an_edit_of_a_neighbour_makes_other_runs(folder):
    """Identities hold the versions of neighbours, so a run of the old code is not taken for one of the new."""
    asked = {"objectives": ["untrained"], "maskers": ["beside"], "floors": False}
    chains = []
    for share in (1, 2):
        path = folder({"masks.py": masker(), "helpers.py": f"SHARE = {share}\n"})
        (cell,) = make_plan(make_request(asked | {"plugins": [path]}), load_registry([path])).cells
        chains.append(cell.masker.chain)

    assert chains[0] != chains[1]


def test_commands_take_folders(folder, capsys, monkeypatch):
    """`new` writes a plugin into one; `list` and `show` know what it offers, and `new` what is taken."""
    path = folder({"helpers.py": "SHARE = 0.5\n"})
    monkeypatch.chdir(path)
    assert main(["new", "masker", "ringlike"]) == 0
    file = path / "astrojepa_ringlike.py"
    file.write_text(file.read_text().replace("import torch\n", "import torch\nfrom helpers import SHARE\n"))
    capsys.readouterr()

    assert main(["list", "maskers", "--plugin", str(path), "--json"]) == 0
    assert "astrojepa_ringlike" in [each["plugin"] for each in json.loads(capsys.readouterr().out)]
    assert main(["show", "masker:ringlike", "--plugin", str(path)]) == 0
    assert "offered by astrojepa_ringlike (file mine/astrojepa_ringlike.py)" in capsys.readouterr().out
    assert main(["new", "masker", "ringlike", "--plugin", str(path)]) == 2
    assert "is offered by astrojepa_ringlike (file mine/astrojepa_ringlike.py)" in capsys.readouterr().err


@pytest.mark.slow
def test_rules_are_checked_of_what_a_folder_offers(folder, capsys, monkeypatch):
    """Every rule holds of a plugin with neighbours; also that its module is imported quickly, a second time."""
    path = folder({"helpers.py": "SHARE = 0.5\n"})
    monkeypatch.chdir(path)
    main(["new", "masker", "ringlike"])
    file = path / "astrojepa_ringlike.py"
    file.write_text(file.read_text().replace("import torch\n", "import torch\nfrom helpers import SHARE\n"))

    assert main(["check", "--module", str(path)]) == 0
    assert ", 0 failed" in capsys.readouterr().out
    assert main(["check", "--module", str(file)]) == 0
