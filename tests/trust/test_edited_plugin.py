"""A plugin that is edited while a grid runs: what was imported is what runs, and what the ids are made of."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLUGIN = '''
"""An objective whose weight is edited."""
from astrojepa_bench.plugin import Loss, Objective, Recipe, augment, hookimpl

class Edited(Objective):
    """Agreement, weighed."""
    masks = "ignored"

    def recipe(self):
        return Recipe(learning_rate=0.002, batch_size=64)

    def loss(self, batch, draw, streams):
        one, two = (self.encoder(augment(batch.images, streams.local("views"))).values.mean(1) for _ in range(2))
        total = WEIGHT * (one - two).square().mean() + (1 - (one.var(0) + 1e-4).sqrt()).relu().mean()
        return Loss(total, {"all": total})

@hookimpl
def astrojepa_objectives():
    return {"edited": Edited}
'''


def command(verb: str, plugin: Path, out: Path, seeds: str) -> list[str]:
    return [
        *(
            sys.executable,
            "-m",
            "astrojepa_bench",
            verb,
            "--plugin",
            str(plugin),
            "-o",
            "edited",
            "-m",
            "none",
        ),
        *("-e", "vit-micro", "--set", "encoder.width=16", "--set", "encoder.depth=1", "-E", "linear"),
        *(
            "--budget",
            "smoke",
            "--set",
            "dataset.galaxies=120",
            "--no-floors",
            "--seeds",
            seeds,
            "--out",
            str(out),
        ),
    ]


def records_of(out: Path) -> dict[int, dict]:
    found = [json.loads(path.read_text()) for path in (out / "runs").rglob("*.json")]
    return {record["seed"]: record for record in found}


@pytest.mark.slow
def test_an_edit_while_a_grid_runs_forges_nothing(tmp_path):
    plugin, out = tmp_path / "edited_plugin.py", tmp_path / "out"
    plugin.write_text(PLUGIN.replace("WEIGHT", "1.0"))
    words = command("run", plugin, out, "0,1")
    grid = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(out.rglob("runs/**/*.json")):
        assert grid.poll() is None, "the grid ended before its first record"
        time.sleep(0.05)
    plugin.write_text(PLUGIN.replace("WEIGHT", "9.0"))  # while the second seed builds or trains
    assert grid.wait(timeout=300) == 0
    before = records_of(out)
    assert before[0]["entry_id"] == before[1]["entry_id"]  # one code ran, and is one entry

    words = [*command("plan", plugin, out, "0,1"), "--json"]
    asked = json.loads(subprocess.run(words, capture_output=True, timeout=300).stdout)["cells"]
    assert [cell["state"] for cell in asked] == [
        "missing",
        "missing",
    ]  # the edited code asks for runs of its own

    plugin.write_text(PLUGIN.replace("WEIGHT", "1.0"))
    fresh = tmp_path / "fresh"
    words = command("run", plugin, fresh, "0,1")
    assert subprocess.run(words, capture_output=True, timeout=300).returncode == 0
    again = records_of(fresh)[1]
    assert again["run_id"] == before[1]["run_id"]
    assert again["training"]["loss_curve"] == before[1]["training"]["loss_curve"]
