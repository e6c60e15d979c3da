"""A suite that promises latents, map, anomalies and report: from the command line to the files."""

import json
import os

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from astrojepa_bench.cli import main
from astrojepa_bench.registry import load_registry

SUITE = '''
from astrojepa_bench.plugin import Block, Suite, hookimpl


@hookimpl
def astrojepa_suites():
    """Offer one entry and what is made of it."""
    products = ("latents", "map", "anomalies", "report")
    blocks = [Block(objectives=["untrained"])]
    return {"looked-at": Suite(summary="What is in there?", blocks=blocks, evaluators=["knn"], products=products)}
'''
KINDS = ("latents", "map", "map-points", "anomalies", "anomalies", "report")
ENDINGS = (".h5", ".png", ".png", ".csv", ".png", ".html")


@pytest.fixture
def images(tmp_path):
    """Write 60 round galaxies without labels, and one that is a cross."""
    folder, rng = tmp_path / "images", np.random.default_rng(0)
    folder.mkdir()
    y, x = np.mgrid[-32:32, -32:32]
    for number in range(60):
        wide = 40 + 40 * rng.random()
        light = np.exp(-(x**2 + y**2) / wide)[..., None] * [180, 200, 150] + rng.normal(20, 8, (64, 64, 3))
        Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).save(folder / f"round{number}.png")
    cross = np.where((abs(x) < 3) | (abs(y) < 3), 220.0, 20.0)[..., None] + rng.normal(0, 8, (64, 64, 3))
    Image.fromarray(np.clip(cross, 0, 255).astype(np.uint8)).save(folder / "cross.png")
    return folder


@pytest.mark.slow
def test_a_suite_writes_what_it_promises_of_every_galaxy_once(tmp_path, images, tiny_of_64, capsys):
    """Without labels too: latents of all, the strange one first, and nothing twice until scores are added."""
    plugin, out = tmp_path / "looked.py", tmp_path / "out"
    plugin.write_text(SUITE)
    words = ["run", "--suite", "looked-at", "--plugin", str(plugin), "-d", str(images), "--budget", "tiny",
             "--device", "cpu", "--no-floors", "--cache", str(tmp_path / "cache"), "--out", str(out)]  # fmt: skip

    assert main(words) == 0
    printed = capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    [run] = facts["records"]
    short = os.path.basename(run)[:8]
    expected = [out / f"{kind}-{short}{ending}" for kind, ending in zip(KINDS, ENDINGS, strict=True)]

    assert facts["products"] == [str(path) for path in expected]
    assert all(f"Written: {path}" in printed for path in expected)
    assert "--picture neighbours.png" in printed  # what comes next is what was not written yet
    assert "--page" not in printed
    with h5py.File(expected[0]) as file:
        assert len(file["latents"]) == 61
    table = pd.read_csv(expected[3])
    assert len(table) == 61
    assert table["id"][0].startswith("cross")
    assert "61 galaxies of images" in expected[5].read_text()
    before = [path.stat().st_mtime_ns for path in expected]
    assert main(words) == 0
    assert [path.stat().st_mtime_ns for path in expected] == before
    os.utime(run, ns=(max(before) + 10**9, max(before) + 10**9))
    assert main(words) == 0
    assert min(path.stat().st_mtime_ns for path in expected) > max(before)


@pytest.mark.slow
def test_what_a_few_galaxies_cannot_give_is_said_and_the_rest_is_written(
    tmp_path, images, tiny_of_64, capsys
):
    """Three galaxies make no map."""
    for path in sorted(images.iterdir())[4:]:
        path.unlink()
    plugin, out = tmp_path / "looked.py", tmp_path / "out"
    plugin.write_text(SUITE)
    words = ["run", "--suite", "looked-at", "--plugin", str(plugin), "-d", str(images), "--budget", "tiny",
             "--device", "cpu", "--no-floors", "--cache", str(tmp_path / "cache"), "--out", str(out)]  # fmt: skip

    assert main(words) == 0
    assert "no map of run" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    [told] = json.loads(capsys.readouterr().out)["absent"]
    assert told.startswith("no map of run")
    assert len([*out.glob("latents-*.h5")]) == len([*out.glob("report-*.html")]) == 1


def test_the_recommended_recipe_promises_what_the_readme_says():
    """One entry, and all that can be made of it."""
    suite = load_registry().suite("features").suite

    assert suite.products == ("latents", "map", "anomalies", "report")
    assert [len(block.objectives) * len(block.maskers) for block in suite.all_blocks] == [1]
