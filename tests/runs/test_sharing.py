"""Many workers, one folder: each cell is done once, whoever is killed, and whoever sleeps through its lease."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARING = Path(__file__).with_name("sharing.py")
KILLS = int(os.environ.get("ASTROJEPA_KILLS", "10"))
MOMENTS = ("training", ".safetensors", ".json")


def shared(what, galaxies, folder, *how):
    """Let workers share a folder; return what came of it."""
    words = [sys.executable, str(SHARING), what, str(galaxies), str(folder), *map(str, how)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_four_workers_and_many_kills_leave_every_cell_done_once(galaxies, tmp_path):
    """Equal to an undisturbed run to the last bit; no record written twice, no draft, no lock; the board follows.

    `ASTROJEPA_KILLS=40` tries more.
    """
    found = shared("kills", galaxies, tmp_path / "kills", KILLS)

    assert found["lost"] == []
    assert found["kills"] >= KILLS
    assert found["cells"] == 6


@pytest.mark.slow
def test_who_sleeps_through_its_lease_leaves_the_cell_to_its_new_owner(galaxies, tmp_path):
    """In a step, between the check and the weights' taking their place, and before the record: nothing is mixed."""
    for moment, found in shared("stopped", galaxies, tmp_path / "stopped", *MOMENTS).items():
        assert found["codes"] == [0, 0], found["said"]
        assert found["trained"][0] == [], moment
        assert sorted(found["trained"][1]) == found["cells"] == found["written"]
        assert found["records"][0] == found["records"][1]
        assert found["untouched"], moment  # neither record, weights, features nor checkpoints
        assert found["left"] == []
        assert "taken over" in found["said"]
