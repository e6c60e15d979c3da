"""A ConvNet runs wherever no masks are needed, and says so where they are."""

import astrojepa_bench as ab
from astrojepa_bench.registry import load_registry
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


def test_convnet_trains_and_is_scored(galaxies, tiny, tmp_path):
    """An objective of two views trains a ResNet; its row and its options name the model."""
    record = ab.run(
        objective="vicreg", masker="none", encoders="timm:test_resnet", dataset="hdf5", budget="tiny", out=tmp_path,
        evaluators="linear", floors=False,
        settings={"dataset": {"path": galaxies, "label": "ans"}, "objective": {"batch_size": 64}},
    )  # fmt: skip

    assert (record.status in ("ok", "collapsed"), record.encoder) == (True, "timm:test_resnet")
    assert record.options["encoder"] == {"weights": None}
    assert record.cost.parameters > 100_000
