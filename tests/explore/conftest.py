"""One small trained run and its galaxies, for everything that looks at a run."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from astrojepa_bench import open_run
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.explore.sample import Sample
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request
from astrojepa_bench.training.budgets import BUDGETS, Budget


@pytest.fixture(scope="session")
def galaxies(shared):
    """Write 120 noisy galaxies of 32 px in two classes, with redshifts and places."""

    def fill(folder):
        rng = np.random.default_rng(0)
        images = rng.integers(0, 90, (120, 32, 32, 3), dtype=np.uint8)
        images[::2, 10:22, 10:22] += 100
        with h5py.File(folder / "tiny.h5", "w") as file:
            file["images"], file["ans"] = images, np.arange(120) % 2
            file["redshift"], file["pxscale"] = rng.uniform(0, 0.2, 120), np.full(120, 0.262)
            file["ra"], file["dec"] = rng.uniform(0, 90, 120), rng.uniform(-5, 5, 120)

    return shared("explored-galaxies", fill) / "tiny.h5"


@pytest.fixture(scope="session")
def trained(galaxies, shared):
    """Train and score one objective on them; the record's file."""

    def train(objective, seen, evaluators, **options):
        def fill(folder):
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(BUDGETS, "tiny", Budget("tiny", 32, 8, seen, "vit-micro", "tests"))
                request = make_request(
                    {
                        "objectives": objective, "maskers": "random", "dataset": "hdf5", "budget": "tiny",
                        "floors": False, "evaluators": evaluators, "out": folder / "out",
                        "cache": folder / "cache", "device": "cpu",
                        "settings": {"dataset": {"path": str(galaxies)},
                                     "objective": {"batch_size": 32, **options}},
                    }
                )  # fmt: skip
                run_grid(request, load_registry(), "astrojepa-bench run")

        [path] = (shared(f"explored-{objective}-{seen}", fill) / "out" / "runs").rglob("*.json")
        return path

    return train


@pytest.fixture(scope="session")
def record_path(trained):
    """The record's file of an objective with a predictor."""
    return trained("ijepa", 256, "linear,knn", targets=2)


@pytest.fixture(scope="session")
def run(record_path):
    """The run, opened."""
    return open_run(record_path)


@pytest.fixture(scope="session")
def table(galaxies, tmp_path_factory):
    """The galaxies, read as the run reads them."""
    return Hdf5(path=galaxies).load(32, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def sample(run, table):
    """The run's own test galaxies."""
    return Sample(run, table, table.rows("test"), own=True)


@pytest.fixture
def planted(run, table):
    """Make a sample whose latents are what a test says they are; labels likewise, if it says any."""

    def plant(latents, reference=None, label=None):
        rows = np.arange(len(latents))
        known = table if label is None else with_labels(table, rows, label)
        made = Sample(run, known, rows)
        made.__dict__["latents"] = torch.as_tensor(latents, dtype=torch.float32)  # where cached values lie
        if reference is None:
            made.__dict__["reference_rows"], made.__dict__["reference"] = rows, made.latents
        else:
            made.__dict__["reference_rows"] = np.arange(0)
            made.__dict__["reference"] = torch.as_tensor(reference, dtype=torch.float32)
        return made

    return plant


def with_labels(table, rows, label):
    """Return a table in which some galaxies have other labels."""
    labels = table.label.copy()
    labels[rows] = label
    return replace(table, label=labels)
