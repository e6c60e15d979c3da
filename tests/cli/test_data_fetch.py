"""`data fetch` and `data verify` on the command line: what they print, and how they exit."""

import hashlib
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from astrojepa_bench.cli import build_parser, data_fetch, data_verify
from astrojepa_bench.data.published import releases
from astrojepa_bench.errors import DataError


@pytest.fixture
def act(capsys):
    """Run an action; gives exit code, stdout and stderr."""

    def run(action, *words):
        verb = action.__name__.rpartition("_")[2]
        code = action.execute(build_parser(["data"]).parse_args(["data", verb, *map(str, words)]))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def file(tmp_path):
    """Write ten noisy images in the layout of Galaxy10 SDSS."""
    path = tmp_path / "copy.h5"
    with h5py.File(path, "w") as file:
        file["images"] = np.random.default_rng(0).integers(0, 256, (10, 69, 69, 3), dtype=np.uint8)
        file["ans"] = np.arange(10)
    return path


def test_fetched_file_is_named(act, file, tmp_path, monkeypatch):
    """A file that is already here needs no network: its place is printed, or told as JSON."""
    release = replace(releases.SDSS, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setitem(releases.RELEASES, "sdss", release)
    release.path(tmp_path).parent.mkdir()
    file.rename(release.path(tmp_path))

    code, out, _ = act(data_fetch, "galaxy10", "--release", "sdss", "--cache", tmp_path)
    assert (code, out.startswith(f"{release.path(tmp_path)}: Galaxy10 SDSS")) == (0, True)
    _, out, _ = act(data_fetch, "galaxy10", "--release", "sdss", "--cache", tmp_path, "--json")
    assert json.loads(out)["path"] == str(release.path(tmp_path))


def test_mirror_that_is_not_there_is_an_error(act, tmp_path):
    """The error passes through to the one place that prints errors."""
    with pytest.raises(DataError, match="Galaxy10 DECaLS was not fetched"):
        act(data_fetch, "galaxy10", "--from", "http://127.0.0.1:9/a.h5", "--cache", tmp_path)


def test_only_known_sets_are_fetched(act):
    """A misspelt name is a usage error."""
    with pytest.raises(SystemExit):
        act(data_fetch, "galaxy11")


def test_whole_file_exits_zero_and_says_what_it_is(act, file):
    """A copy that is not byte for byte the published file is no fault."""
    code, out, _ = act(data_verify, file)
    assert code == 0
    assert "whole: every image can be read" in out
    assert "not a published file; read it as Galaxy10 SDSS" in out
    assert "Disk, Edge-on, Boxy Bulge" in out
    assert "position unknown" in out


def test_json_holds_every_finding(act, file):
    """Scripts read the same facts."""
    code, out, _ = act(data_verify, file, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["ok"]
    assert found["layout"] == "Galaxy10 SDSS"
    assert found["defects"]["without_position"] == 10
    assert found["shape"] == [10, 69, 69, 3]


@pytest.mark.parametrize("json_too", [(), ("--json",)])
def test_damaged_file_exits_two(act, file, json_too):
    """Half a file is of no use, and the reason is printed."""
    with file.open("r+b") as half:
        half.truncate(file.stat().st_size // 2)
    code, out, _ = act(data_verify, file, *json_too)
    assert code == 2
    assert "fetch it again" in out
