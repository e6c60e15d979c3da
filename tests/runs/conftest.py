"""A tiny file of galaxies with planted classes, a tiny budget, and plugin files."""

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from astrojepa_bench.training.budgets import BUDGETS, Budget

GALAXIES = 180
PLUGIN = '''
from astrojepa_bench.plugin import Loss, Objective, hookimpl


class Odd(Objective):
    """Does one odd thing."""

    masks = "ignored"
    version = 1

    def loss(self, batch, draw, streams):
        """Do it."""
        {body}


@hookimpl
def astrojepa_objectives():
    """Offer it."""
    return {{"{name}": Odd}}
'''


@pytest.fixture
def galaxies(tmp_path):
    """Write noisy galaxies of 64 px: round, elongated and ringed; `blank` is an all-NaN column."""
    return write_galaxies(tmp_path / "tiny.h5")


def write_galaxies(path, number=GALAXIES):
    rng = np.random.default_rng(0)
    label = np.arange(number) % 3
    y, x = np.mgrid[-32:32, -32:32]
    shapes = [np.exp(-(x**2 + y**2) / 60), np.exp(-(x**2 / 200 + y**2 / 15))]
    shapes.append(np.exp(-((np.hypot(x, y) - 14) ** 2) / 10))
    images = np.stack([shapes[kind] for kind in label])[..., None] * [180, 200, 150]
    images = np.clip(images + rng.normal(20, 12, images.shape), 0, 255).astype(np.uint8)
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = images, label
        # or copies would be looked for by pixels, and found
        file["ra"], file["dec"] = np.arange(number) % 360.0, 10.0 + np.arange(number) // 360
        file["nothing"] = np.full(number, 255)
        file["blank"] = np.full(number, np.nan)
    return path


@pytest.fixture
def many_galaxies(tmp_path):
    """Write 300 of them, so that conversion and training take many steps."""
    return write_galaxies(tmp_path / "many.h5", 300)


@pytest.fixture(scope="module")
def galaxies_of_module(tmp_path_factory):
    """Write the same galaxies once a module, for tests that leave the file as it is."""
    return write_galaxies(tmp_path_factory.mktemp("galaxies") / "tiny.h5")


@pytest.fixture(scope="module")
def tiny_of_module():
    """Name a budget of 256 images, as large as those of the suites, while a module is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BUDGETS, "tiny", Budget("tiny", 64, 8, 256, "vit-micro", "tests"))
        yield


@pytest.fixture
def tiny_of_64(monkeypatch):
    """Name a budget of 256 images as large as those of the suites."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 64, 8, 256, "vit-micro", "tests"))


@pytest.fixture
def tiny(monkeypatch):
    """Name a budget of 256 images."""
    monkeypatch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 8, 256, "vit-micro", "tests"))


@pytest.fixture
def plugin(tmp_path):
    """Write a plugin file whose objective's loss has the given body."""

    def write(name, body):
        path = tmp_path / f"plugin_{name}.py"
        path.write_text(PLUGIN.format(name=name, body=body))
        return path

    return write


@pytest.fixture(name="is_running")
def lend_is_running():
    """Return the function that tells whether there is such a process that has not ended."""

    def is_running(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    return is_running


@pytest.fixture(name="waited_for")
def lend_waited_for():
    """Return the function that waits until something happened."""

    def waited_for(happened, patience_s=300):
        until = time.monotonic() + patience_s
        while not happened():
            assert time.monotonic() < until, "it did not happen"
            time.sleep(0.1)

    return waited_for
