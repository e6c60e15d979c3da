"""A data set made of the authors' tools keeps every rule, also where it holds copies; with less it does not."""

import re
from pathlib import Path

import numpy as np
import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.plugin import statistics

GUIDE = (Path(__file__).parents[2] / "plugins" / "README.md").read_text()
TOOLS = ("assign_splits", "find_copies", "resize", "stretch", "statistics", "fingerprint")


@pytest.fixture
def discs():
    """Return the guide's data set, of lopsided galaxies of which every second one is the one before, turned."""
    [text] = re.findall(r'^```python\n("""Dataset `discs`.*?)^```$', GUIDE, re.M | re.S)
    assert all(f"{tool}(" in text for tool in TOOLS)
    drawn = "yield light[None] + stream.normal(0, 1, (1, 64, 64))"
    assert drawn in text
    return text.replace(
        drawn,
        "for place in stream.uniform(-0.3, 0.3, (5, 2)):\n"
        "                light += 20 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 0.003)\n"
        "            image = light[None] + stream.normal(0, 1, (1, 64, 64))\n"
        "            yield image\n"
        "            yield np.rot90(image, axes=(1, 2))",
    ).replace("np.where(label == 0, 0.9, 0.3)", "np.where(label == 0, 0.9, 0.3)[::2]")


@pytest.mark.slow
def test_copies_are_kept_together(discs, tmp_path, monkeypatch, capsys):
    """The check that looks for galaxies in two splits finds none, and all other rules hold."""
    monkeypatch.chdir(tmp_path)
    Path("astrojepa_discs.py").write_text(discs)
    assert main(["check", "--module", "astrojepa_discs.py"]) == 0, capsys.readouterr().out


@pytest.mark.slow
def test_without_looking_for_copies_the_check_finds_them(discs, tmp_path, monkeypatch, capsys):
    """Each galaxy in a group of its own: some stand in two splits."""
    monkeypatch.chdir(tmp_path)
    alone = discs.replace("find_copies(survey, cache_dir=cache_dir)", "np.arange(self.galaxies).astype(str)")
    Path("astrojepa_discs.py").write_text(alone)
    assert main(["check", "--module", "astrojepa_discs.py"]) == 1
    assert "galaxies of train are in" in capsys.readouterr().out


def test_statistics_are_those_of_the_rows_alone():
    """Mean and standard deviation of the chosen rows, band by band, on the scale from 0 to 1."""
    images = np.random.default_rng(0).integers(0, 256, (9, 2, 4, 4), dtype=np.uint8)
    rows = np.array([1, 4, 8])
    mean, std = statistics(images, rows)
    np.testing.assert_allclose(mean, (images[rows] / 255).mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(std, (images[rows] / 255).std(axis=(0, 2, 3)))
