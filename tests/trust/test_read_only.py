"""Folders that an ordinary user may read and not write: who must write there is told so in one line."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DROPPED = "-dac_override,-dac_read_search"
AS_ORDINARY_USER = (
    ["setpriv", f"--bounding-set={DROPPED}", f"--inh-caps={DROPPED}"] if os.geteuid() == 0 else []
)
"""What takes the right of a superuser to write anywhere."""
MOVERS = Path(__file__).with_name("movers.py")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make a folder with a plugin in it, and make it writable again in the end."""
    folder = tmp_path_factory.mktemp("read-only")
    shutil.copy(MOVERS, folder)
    (folder / "home").mkdir()
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)


def bench(place, *words, as_user=AS_ORDINARY_USER):
    """Issue a command there as an ordinary user."""
    return subprocess.run(
        [*as_user, sys.executable, "-m", "astrojepa_bench", *words],
        cwd=place, capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": str(place / "home"), "XDG_CACHE_HOME": str(place / "home")},
    )  # fmt: skip


def run_words(out, cache):
    return [
        "run", "--plugin", "movers.py", "-o", "sound", "-m", "none", "-e", "tiny", "-E", "knn", "--budget", "smoke",
        "--set", "dataset.galaxies=60", "--no-floors", "--device", "cpu", "--out", out, "--cache", cache,
    ]  # fmt: skip


def one_line(done):
    """Whether a command refused in one clear line."""
    last = done.stderr.strip().splitlines()[-1]
    return (
        done.returncode == 2
        and last.startswith("astrojepa-bench: error: ")
        and "Traceback" not in done.stderr
    )


@pytest.mark.slow
def test_an_ordinary_user_reads_a_cache_and_is_told_where_he_cannot_write(place):
    """A cache of somebody else is read where it holds the galaxies; an output folder is refused."""
    if AS_ORDINARY_USER and shutil.which("setpriv") is None:
        pytest.skip("the tests run as a superuser, and nothing makes them an ordinary one")
    assert bench(place, *run_words("board", "cache")).returncode == 0
    for path in [*place.rglob("*"), place]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    (place / "home").chmod(0o777)

    refused = bench(place, *run_words("board", "home/cache"))
    elsewhere = bench(place, *run_words("home/mine", "cache"))

    assert one_line(refused), refused.stderr
    assert "cannot be written" in refused.stderr
    assert elsewhere.returncode == 0, elsewhere.stderr
