"""The library behind the hub: named when it is missing, brief when there is no network."""

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest

from astrojepa_bench.data.hub import HuggingFace
from astrojepa_bench.errors import ConfigError

pytest.importorskip("datasets")


@pytest.mark.parametrize("options", [{}, {"name": "a/b", "path": Path("c")}, {"name": "a/b", "galaxies": 0}])
def test_options_that_name_no_data_set_are_refused(options):
    """One name, or one folder, and at least one galaxy."""
    with pytest.raises(ConfigError, match=r"set one of dataset.name|expected at least 1"):
        HuggingFace(**options)


def test_missing_library_is_named_with_its_command(tmp_path, monkeypatch):
    """Without the extra there is one line, with what to run."""
    really = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] == "datasets":
            raise ImportError(name)
        return really(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'pip install "astrojepa-bench\[hub\]"'):
        HuggingFace(path=tmp_path).load(6, tmp_path / "cache")


UNREACHABLE = """
import socket
from pathlib import Path
def refuse(*address, **options): raise socket.gaierror("no network here")
socket.getaddrinfo = refuse
import warnings; warnings.simplefilter("error")
from astrojepa_bench.data.hub import HuggingFace
from astrojepa_bench.errors import DataError
for galaxies in (None, 10):
    try: HuggingFace(name="nobody/nothing", galaxies=galaxies).load(6, Path("cache"))
    except DataError as error: assert str(error).startswith("nobody/nothing cannot be loaded"), error
    else: raise AssertionError
assert not [*Path("cache").rglob("*.arrow")]
"""


@pytest.mark.slow
def test_hub_out_of_reach_is_one_line_and_nothing_else(tmp_path):
    """Without a network a name fails at once, in silence, and leaves nothing half-written in the cache."""
    home = os.environ | {"HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", UNREACHABLE],
        cwd=tmp_path,
        env=home,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
