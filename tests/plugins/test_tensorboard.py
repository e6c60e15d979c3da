"""Live curves: what is heard of a run is what TensorBoard reads."""

import warnings

import pytest
from astrojepa_tensorboard import Curves

from astrojepa_bench.plugin import Event


def test_nothing_is_written_of_cells_that_do_not_train(tmp_path):
    """A floor starts and ends without a step, and steps of a cell that nobody announced belong to no run."""
    curves, facts = Curves(), {"terms": {"total": 1.0}, "images_per_second": 9.0, "effective_rank": None}
    curves.hear(Event("step", {"step": 1, **facts}))
    curves.hear(Event("cell_started", {"run_id": "abc", "out": str(tmp_path)}))
    curves.hear(Event("cell_ended", {"label": "floor"}))
    curves.hear(Event("step", {"step": 1, **facts}))

    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
def test_each_run_has_its_curves_also_where_two_train_at_once_and_one_is_resumed(tmp_path):
    """Losses and rank at their steps; steps beyond the checkpoint count once, as they were trained again."""
    pytest.importorskip("tensorboard")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        for start in (1, 3):  # killed after step 4 with a checkpoint at step 2
            curves = Curves()
            for cell, run in (("[1/2]", "abc"), ("[2/2]", "def")):
                curves.hear(Event("cell_started", {"run_id": run, "out": str(tmp_path), "cell": cell}))
            for step in range(start, start + 4):
                for cell, loss in (("[1/2]", 10.0), ("[2/2]", 20.0)):
                    terms = {"total": loss * start + step, "sigreg": 0.5}
                    facts = {
                        "terms": terms,
                        "images_per_second": 9.0,
                        "effective_rank": 7.0 if step > 1 else None,
                    }
                    curves.hear(Event("step", {"step": step, "steps": 6, "cell": cell, **facts}))
            for cell in ("[1/2]", "[2/2]"):
                curves.hear(Event("cell_ended", {"cell": cell}))
        read = EventAccumulator(str(tmp_path / "tensorboard" / "def"))
        read.Reload()

    assert [(each.step, each.value) for each in read.Scalars("loss/total")] == [
        (1, 21.0), (2, 22.0), (3, 63.0), (4, 64.0), (5, 65.0), (6, 66.0),
    ]  # fmt: skip
    assert [each.step for each in read.Scalars("effective rank")] == [2, 3, 4, 5, 6]
    assert len(read.Scalars("loss/sigreg")) == 6
