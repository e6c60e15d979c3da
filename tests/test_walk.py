"""The ten minutes of `docs/own-galaxies.md`: every command, in its order, on a folder that a reader might have."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.cli import main
from astrojepa_bench.training.budgets import BUDGETS, Budget

PAGE = (Path(__file__).parents[1] / "docs" / "own-galaxies.md").read_text()
[WALK] = re.findall(r"^## Ten minutes\n(.*?)(?=^## )", PAGE, re.M | re.S)
SHELL = "\n".join(re.findall(r"```bash\n(.*?)```", WALK, re.S)).replace("\\\n", " ")
COMMANDS = re.findall(r"^astrojepa-bench ([^#\n]+)", SHELL, re.M)
WRITTEN = re.findall(r"--(?:picture|table|page) (\S+)", SHELL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write 130 galaxies of two classes, a table with class and redshift, and three new galaxies; work there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(BUDGETS, "small", Budget("small", 64, 8, 256, "vit-micro", "tests"))
    rng, lines = np.random.default_rng(0), ["file,class,redshift"]
    y, x = np.mgrid[-32:32, -32:32]
    for name, number in (("my_images", 130), ("new_images", 3)):
        Path(name).mkdir()
        for i in range(number):
            flat, turn = 1 + 3 * (i % 2), np.pi * rng.random()
            along, across = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
            light = np.exp(-(along**2 + (flat * across) ** 2) / (60 + 90 * rng.random()))
            shown = light[..., None] * [200, 180, 140] + rng.normal(20, 8, (64, 64, 3))
            Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8)).save(Path(name) / f"g{i}.png")
            lines += [f"g{i}.png,{'edge-on' if i % 2 else 'round'},{0.01 + 0.001 * i:.3f}"] * (
                name == "my_images"
            )
    Path("my_images/catalogue.csv").write_text("\n".join(lines))
    return tmp_path


def test_the_walk_has_commands():
    """A page that was rearranged would make the walk below hold of nothing."""
    assert {words.split()[0] for words in COMMANDS} >= {
        "data",
        "run",
        "neighbours",
        "map",
        "anomalies",
        "predict",
    }
    assert len(WRITTEN) >= 4


@pytest.mark.slow
def test_each_command_of_the_walk_works_in_its_order(folder, capsys):
    """From the card of a folder to its oddities, to what is like them, and to new galaxies."""
    printed = ""
    for words in COMMANDS:
        [floor] = re.findall(r"^([0-9a-f]{8}) .* \+ pca ", printed, re.M)[:1] or ["RUN"]
        assert main([floor if word == "RUN" else word for word in shlex.split(words)]) == 0, words
        printed += capsys.readouterr().out

    assert "130 galaxies" in printed
    assert [name for name in WRITTEN if not Path(name).stat().st_size] == []
    assert {path.name.partition("-")[0] for path in Path("mine").glob("*-*.*")} == {
        "latents", "map", "anomalies", "report",
    }  # fmt: skip
