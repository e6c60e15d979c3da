"""A place where plugins are installed as pip would install them, and a plugin."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from astrojepa_bench import registry as registry_module

HEAD = "from astrojepa_bench.hookspecs import hookimpl\n\n"
RING = (
    HEAD
    + '''
class Ring:
    """Hide a ring."""

    def __init__(self, grid, *, radius: float = 8.0):
        self.radius = radius

@hookimpl
def astrojepa_maskers():
    return {"ring": Ring}
'''
)


class Site:
    """A folder on the path where packages can be put as pip would put them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, module: str, source: str, version: str = "0.3", entry: str = "") -> None:
        """Put a module there, with the metadata that makes it discoverable."""
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[astrojepa_bench]\n{entry or module} = {module}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a site, forgetting afterwards what was imported from it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def alone(site, monkeypatch):
    """Hide the bench's own plugins, which are slow to import and not the point."""

    def entry_points(group):
        found = importlib.metadata.entry_points(group=group)
        return [point for point in found if point.dist.name != "astrojepa-bench"]

    monkeypatch.setattr(registry_module, "entry_points", entry_points)
    return site
