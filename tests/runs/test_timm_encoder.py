"""A ConvNet runs wherever no masks are needed, and says so where they are."""

import h5py
import pytest
import torch

import astrojepa_bench as ab
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs.plan import make_plan
from astrojepa_bench.runs.request import RunRequest


def test_objective_that_needs_masks_is_skipped_with_a_convnet():
    """The reason names both; nothing is built to find it."""
    request = RunRequest(
        objectives=("mae",), maskers=("random",), encoders=("timm:test_resnet",), floors=False
    )
    (cell,) = make_plan(request, load_registry()).cells

    assert "needs patches" in cell.skip
    assert "timm:test_resnet" in cell.skip


@pytest.mark.slow
def test_convnet_trains_and_is_scored_by_what_it_says_of_one_galaxy_alone(galaxies, tiny, tmp_path):
    """Its kept features are those of evaluation mode: batch statistics of training, none of the test batch."""
    record = ab.run(
        objective="vicreg", masker="none", encoder="timm:test_resnet", dataset="hdf5", budget="tiny", out=tmp_path,
        cache=tmp_path, evaluators="linear", settings={"dataset": {"path": galaxies, "label": "ans"}},
    ).record  # fmt: skip
    table = Hdf5(path=galaxies, label="ans").load(32, tmp_path)
    encoder = ab.open_run(Store(tmp_path).path(record)).encoder
    images = torch.from_numpy(table.images[table.rows("test")[:3]].copy()).float() / 255
    with h5py.File(Store(tmp_path).features_path(record.run_id)) as file, torch.no_grad():
        kept = torch.from_numpy(file["test/last"][:3])
        alone = torch.cat([encoder.taps(image[None])["last"] for image in images])
        together = encoder.train().taps(images)["last"]

    assert (record.status in ("ok", "collapsed"), record.encoder) == (True, "timm:test_resnet")
    assert record.options["encoder"] == {"weights": None}
    assert record.cost.parameters > 100_000
    torch.testing.assert_close(kept, alone, atol=1e-4, rtol=1e-3)
    assert not torch.allclose(kept, together, atol=1e-2)
