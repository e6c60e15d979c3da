"""Which packages a record names beside those of the bench: what plugins require, and what their code imports."""

import importlib
import sys

import pytest

from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.environment import describe_environment
from astrojepa_bench.results.packages import libraries_behind

PLUGIN = """
import os, numpy
import {used}
from astrojepa_bench.plugin import Masker, hookimpl
from {module}_helpers import late


class Rings(Masker):
    '''Hides rings.'''

    def draw(self, images, sizes, generator):
        import sklearn.svm
        return late()


@hookimpl
def astrojepa_maskers():
    return {{"rings-of-{module}": Rings}}
"""
HELPERS = "def late():\n    import yaml.nodes\n"
METADATA = """Metadata-Version: 2.1
Name: saturn-rings
Version: 1.2
Requires-Dist: astrojepa-bench>=0.1
Requires-Dist: h5py (>=3)
Requires-Dist: pooch>=1 ; python_version > "3"
Requires-Dist: pytest ; extra == "test"
Requires-Dist: not-installed-anywhere>=2
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a plugin with its helpers, and forget them afterwards."""
    monkeypatch.syspath_prepend(tmp_path)

    def _write(module, used="jinja2"):
        path = tmp_path / f"{module}.py"
        path.write_text(PLUGIN.format(used=used, module=module))
        (tmp_path / f"{module}_helpers.py").write_text(HELPERS)
        importlib.invalidate_caches()
        return path

    yield _write
    for name in [name for name in sys.modules if name.startswith("saturn")]:
        del sys.modules[name]


def test_libraries_that_plugin_code_imports_are_named(write):
    """At once or late, in a neighbour too, by the names of their packages; not Python's, nor its own."""
    offer = load_registry([write("uranus")]).get("masker", "rings-of-uranus")

    assert libraries_behind([offer]) == {"numpy", "jinja2", "scikit-learn", "pyyaml"}


def test_what_an_installed_plugin_requires_is_named(write, tmp_path):
    """Directly and for running; a record goes without what is not there."""
    write("saturn")
    info = tmp_path / "saturn_rings-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text("[astrojepa_bench]\nsaturn = saturn\n")
    offer = load_registry().get("masker", "rings-of-saturn")
    found = libraries_behind([offer])
    packages = describe_environment("cpu", found)["packages"]

    assert offer.package == "saturn-rings 1.2"
    assert {"h5py", "pooch", "scikit-learn"} <= found
    assert not {"pytest", "astrojepa-bench"} & found
    assert {"h5py", "pooch", "torch", "timm", "scipy"} <= packages.keys()
    assert "not-installed-anywhere" not in packages
