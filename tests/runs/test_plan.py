"""From a request to cells."""

import pytest

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import make_request


@pytest.fixture(scope="module")
def registry():
    return load_registry()


def plan(registry, **fields):
    return make_plan(make_request({"budget": "smoke", **fields}), registry)


def named(cells):
    return [(cell.objective.name, cell.masker.name, cell.seed) for cell in cells]


def test_the_grid_is_the_product_of_what_is_asked(registry):
    """An objective that needs masks meets every masker at every seed, in order."""
    cells = plan(registry, objectives="ijepa", maskers="random,brightness", seeds="2", floors=False).cells
    assert named(cells) == [("ijepa", masker, seed) for masker in ("random", "brightness") for seed in (0, 1)]


def test_an_objective_that_ignores_masks_is_run_once(registry):
    """Maskers do not multiply an objective that pays no attention to them."""
    cells = plan(registry, objectives="untrained", maskers="random,brightness", floors=False).cells
    assert named(cells) == [("untrained", "none", 0)]


def test_needing_masks_and_getting_none_is_skipped_with_a_reason(registry):
    """A pair that cannot mean anything stays in the grid and says why."""
    (cell,) = plan(registry, objectives="ijepa", maskers="none", floors=False).cells
    assert "needs masks" in cell.skip
    assert "'none'" in cell.skip


def test_floors_are_added_once(registry):
    """Each floor runs once a seed and is not repeated where it was asked for by name."""
    cells = plan(registry, objectives="ijepa,untrained", maskers="random,brightness", seeds="2").cells
    entries = named(cell for cell in cells if cell.encoder.name == "vit-micro")
    assert len(set(entries)) == len(entries) == 6
    assert sorted(e for e in entries if e[0] == "untrained") == [
        ("untrained", "none", 0),
        ("untrained", "none", 1),
    ]
    assert any(cell.standing == "floor" for cell in cells)


def test_encoders_without_weights_are_scored_at_one_seed(registry):
    """Pixels, their components and hand-made features know no seed: a grid of three scores each once."""
    cells = plan(registry, objectives="ijepa", seeds="3").cells
    for name in ("pixels", "pca", "profile", "majority"):
        assert [cell.seed for cell in cells if cell.encoder.name == name] == [0]


def test_without_floors_only_entries_run(registry):
    """`floors = false` leaves the entries alone."""
    cells = plan(registry, objectives="ijepa", floors=False).cells
    assert [cell.standing for cell in cells] == ["contestant"]


@pytest.mark.parametrize(
    ("address", "options"),
    [
        ("masker", {"temprature": "1"}),
        ("encoder", {"patch": "7"}),
        ("encoder", {"patch": "wide"}),
        ("maskr", {"temperature": "1"}),
    ],
)
def test_options_that_nothing_takes_are_refused(registry, address, options):
    """An unknown option, a wrong value and a patch that does not tile the image end before any work."""
    with pytest.raises(ConfigError) as caught:
        plan(registry, objectives="ijepa", maskers="brightness", settings={address: options})
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said_before_anything_trains(registry, tmp_path):
    """A grid of hours does not end at its last cell for a mistyped path."""
    options = {"encoder:timm:resnet18": {"weights": tmp_path / "none.safetensors"}}
    with pytest.raises(
        ConfigError, match=r"encoder.weights=.*none.safetensors cannot be read .*give the path"
    ):
        plan(registry, objectives="ijepa", encoders="vit-micro,timm:resnet18", settings=options)
