"""What cannot be made of a finished run costs a line, and neither the run nor what can be made."""

import shutil

import pytest
import torch

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.explore import products as products_module
from astrojepa_bench.explore.products import OwnGalaxies, write_products
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store


@pytest.fixture
def written(run, galaxies, tmp_path):
    """Write products of a copy of the run."""
    store = Store(shutil.copytree(run.store.out, tmp_path / "out"))

    def write(*wanted, path=galaxies):
        own = OwnGalaxies({"dataset": {"path": str(path)}}, tmp_path / "cache", torch.device("cpu"))
        return write_products(run.record, wanted, store, load_registry(), own)

    return write


@pytest.mark.parametrize(
    ("error", "said"),
    [(IndexError("index -1"), "IndexError: index -1"), (ConfigError("no room is left"), "no room is left")],
)
def test_a_product_that_fails_is_a_line(written, monkeypatch, error, said):
    """Whatever it was; what else was asked for is written."""

    def broken(sample):
        raise error

    monkeypatch.setattr(products_module, "make_map", broken)
    made = written("map", "latents")

    assert [path.suffix for path in made.paths] == [".h5"]
    assert len(made.absent) == 1
    assert made.absent[0].startswith("no map of run ")
    assert made.absent[0].endswith(f": {said}")


def test_an_interrupt_is_none(written, monkeypatch):
    """A person who stops is obeyed."""

    def stopped(sample):
        raise KeyboardInterrupt

    monkeypatch.setattr(products_module, "make_map", stopped)
    with pytest.raises(KeyboardInterrupt):
        written("map")


def test_galaxies_that_are_gone_are_a_line(written, tmp_path):
    """All was trained and scored by then; what is older than the record is not said to be written."""
    made = written("map", "latents", path=tmp_path / "gone.h5")

    assert made.paths == ()
    assert len(made.absent) == 1
    assert made.absent[0].startswith("no map, latents of run ")
    assert "gone.h5" in made.absent[0]
