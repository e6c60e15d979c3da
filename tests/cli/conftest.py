"""A small plugin, and a command line that knows no other."""

import pytest

from astrojepa_bench import registry
from astrojepa_bench.cli import main

RING = '''
from pathlib import Path
from astrojepa_bench.hookspecs import hookimpl

class Ring:
    """Hide a ring.

    Everything else is seen.

    Args:
        radius: of the ring [pixel].
    """

    def __init__(self, grid, *, radius: float = 8.0):
        """Keep nothing."""

class Survey:
    """Galaxies of a file."""

    def __init__(self, *, path: Path, bands: tuple[str, ...] = ("r",)):
        """Keep nothing."""

@hookimpl
def astrojepa_maskers():
    return {"ring": Ring}

@hookimpl
def astrojepa_datasets():
    return {"survey": Survey}
'''


@pytest.fixture
def ring(tmp_path, monkeypatch):
    """Return the path of a plugin file, while nothing else is installed."""
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    path = tmp_path / "ringmasks.py"
    path.write_text(RING)
    return path


@pytest.fixture
def command(ring, capsys):
    """Run a command with that plugin; gives exit code, stdout and stderr."""

    def run(*words, plugin=ring):
        code = main([*map(str, words), "--plugin", str(plugin)])
        return code, *capsys.readouterr()

    return run
