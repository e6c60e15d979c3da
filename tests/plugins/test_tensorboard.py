"""Live curves: what TensorBoard's own reader finds in the files is what the record holds."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from astrojepa_tensorboard import EventFiles, folder_name

from astrojepa_bench.errors import ConfigError
from astrojepa_bench.events import Event

RUN = {
    "index": 1,
    "total": 2,
    "label": "lejepa(horizon=0.05) + random + vit-micro, seed 0",
    "run_id": "3f9a2c" * 3,
}
needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)


def scalars(folder):
    """Read one run's files as TensorBoard does: points (step, value) by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def step(number, loss, rank=None, **more):
    return Event("step", {"step": number, "steps": 9, "terms": {"total": loss, "fit": loss / 2},
                          "images_per_second": 50.0, "effective_rank": rank, **more})  # fmt: skip


def test_what_is_missing_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch):
    """Before anything is trained."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(ConfigError, match=r"pip install 'astrojepa-bench\[tensorboard\]'"):
        EventFiles(tmp_path)


def test_a_folder_is_named_for_the_entry_and_its_run():
    """In letters that every file system takes, whatever a plugin is called."""
    assert folder_name(RUN) == "lejepa_horizon=0.05_+random+vit-micro,_seed_0-3f9a2c3f"
    assert folder_name({**RUN, "label": "../../x\n" + "y" * 300}).startswith("x_yyy")
    assert len(folder_name({**RUN, "label": "y" * 300})) < 255


@needs_tensorboard
@pytest.mark.slow
def test_two_runs_at_once_have_a_file_each(tmp_path):
    """Told apart by their cell; the rank is written when it is measured, and floors leave nothing."""
    hear = EventFiles(tmp_path)
    for cell, name in (("[1/2]", "a"), ("[2/2]", "b")):
        hear(Event("cell_started", {**RUN, "label": name, "cell": cell}))
    for number in (1, 2, 3):
        hear(step(number, 1 / number, rank=4.0 if number < 3 else 5.0, cell="[1/2]"))
        hear(step(number, 10.0 * number, cell="[2/2]"))
    hear(Event("note", {"text": "nothing"}))
    for cell in ("[1/2]", "[2/2]"):
        hear(Event("cell_ended", {"label": "", "status": "ok", "cell": cell}))
    hear(Event("cell_started", {**RUN, "label": "floor"}))
    hear(Event("cell_ended", {"label": "floor", "status": "ok"}))

    assert sorted(path.name for path in (tmp_path / "tensorboard").iterdir()) == ["a-3f9a2c3f", "b-3f9a2c3f"]
    first, second = (scalars(tmp_path / "tensorboard" / f"{name}-3f9a2c3f") for name in "ab")
    assert [at for at, _ in first["loss/total"]] == [1, 2, 3]
    assert [value for _, value in first["loss/fit"]] == pytest.approx([1 / 2, 1 / 4, 1 / 6])
    assert first["features/effective_rank"] == [(1, 4.0), (3, 5.0)]
    assert second["loss/total"] == [(1, 10.0), (2, 20.0), (3, 30.0)]


@needs_tensorboard
@pytest.mark.slow
def test_a_resumed_run_takes_the_place_of_what_it_repeats(tmp_path):
    """Steps that an interrupted process went beyond its checkpoint are drawn once, as they came out in the end."""
    for steps, loss in (((1, 2, 3, 4), 1.0), ((3, 4, 5), 2.0)):
        hear = EventFiles(tmp_path)
        hear(Event("cell_started", RUN))
        for number in steps:
            hear(step(number, loss))
        hear(Event("cell_ended", {"label": RUN["label"], "status": "ok"}))

    [folder] = (tmp_path / "tensorboard").iterdir()
    assert scalars(folder)["loss/total"] == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0), (5, 2.0)]


@needs_tensorboard
@pytest.mark.slow
def test_curves_of_a_run_are_those_of_its_record(tmp_path, capsys):
    """Point by point, from the command line on; another name than it has is no observer."""
    from astrojepa_bench.cli import main

    words = "run -o lejepa -m random --budget smoke --set dataset.galaxies=240 -E knn --no-floors --json"
    places = ["--device", "cpu", "--out", str(tmp_path), "--cache", str(tmp_path / "cache")]
    plugin = ["--plugin", sys.modules["astrojepa_tensorboard"].__file__] if not installed() else []
    assert main([*words.split(), *places, *plugin, "--observer", "tensorbord"]) == 2
    assert "did you mean 'tensorboard'" in capsys.readouterr().err
    assert main([*words.split(), *places, *plugin, "--observer", "tensorboard"]) == 0

    [path] = json.loads(capsys.readouterr().out)["records"]
    record = json.loads(Path(path).read_text())
    [folder] = (tmp_path / "tensorboard").iterdir()
    drawn = scalars(folder)
    assert folder.name.endswith(record["run_id"][:8])
    kept = dict(map(tuple, record["training"]["loss_curve"]))
    assert len(drawn["loss/total"]) == record["training"]["steps"]
    assert {at: value for at, value in drawn["loss/total"] if at in kept} == pytest.approx(kept, rel=1e-6)


def installed():
    """Whether the plugin's entry point is known here; an editable install does not see new ones by itself."""
    from importlib.metadata import entry_points

    return any(point.value == "astrojepa_tensorboard" for point in entry_points(group="astrojepa_bench"))
