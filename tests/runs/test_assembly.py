"""Building cells: pairs without meaning are skipped with a reason."""

import pytest

from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request


@pytest.mark.parametrize(
    ("encoder", "masker", "reason"),
    [
        pytest.param("pca", "none", "nothing to train", marks=pytest.mark.slow),
        ("majority", "random", "nothing to train"),
    ],
)
def test_encoders_without_weights_cannot_be_trained(galaxies, tmp_path, tiny, encoder, masker, reason):
    """A floor encoder under a training objective is a skipped cell, not a failure."""
    request = make_request(
        {
            "objectives": ["lejepa"], "maskers": [masker], "encoders": [encoder], "dataset": "hdf5",
            "budget": "tiny", "floors": False, "settings": {"dataset": {"path": str(galaxies)}},
            "out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu",
        }
    )  # fmt: skip
    (record,) = run_grid(request, load_registry(), "test").records

    assert record.status == "skipped"
    assert reason in (record.skip_reason or "")


def test_more_components_than_galaxies_is_skipped_with_advice(galaxies, tmp_path, tiny):
    """A floor that a small file cannot carry does not make the command fail."""
    request = make_request(
        {
            "objectives": ["untrained"], "encoders": ["pca"], "dataset": "hdf5", "budget": "tiny", "floors": False,
            "settings": {"dataset": {"path": str(galaxies)}, "encoder": {"components": 400}},
            "out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu",
        }
    )  # fmt: skip
    result = run_grid(request, load_registry(), "test")

    assert result.all_well
    assert "lower encoder.components" in (Store(tmp_path / "out").records()[0].skip_reason or "")


@pytest.mark.parametrize(
    ("column", "status"),
    [("", "skipped"), ("nothing", "skipped"), pytest.param("ans", "ok", marks=pytest.mark.slow)],
)
def test_an_objective_that_needs_labels_is_skipped_where_there_are_none(
    galaxies, tmp_path, tiny, column, status
):
    """Without labels the ceiling says so and is no failure; with them it is trained, and marked on the board."""
    request = make_request(
        {
            "objectives": ["supervised"], "dataset": "hdf5", "budget": "tiny", "floors": False,
            "settings": {"dataset": {"path": str(galaxies), "label": column}},
            "out": tmp_path / "out", "cache": tmp_path / "cache", "device": "cpu",
        }
    )  # fmt: skip
    result = run_grid(request, load_registry(), "test")
    (record,) = result.records

    assert result.all_well
    assert (record.status, record.standing) == (status, "ceiling")
    assert status == "ok" or "needs labels of two classes or more; 0 of" in (record.skip_reason or "")
