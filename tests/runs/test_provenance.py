"""A record names whose code made it: package and version of every component, and the libraries behind them."""

from importlib.metadata import version

import pytest

from astrojepa_bench.cli import main
from astrojepa_bench.registry import load_registry
from astrojepa_bench.runs.grid import run_grid
from astrojepa_bench.runs.request import make_request


@pytest.mark.slow
def test_a_record_names_the_packages_of_its_components(plugin, galaxies, tiny, tmp_path, capsys):
    """Of what is installed and of a file, of whoever scored it; no folder of this machine is named."""
    body = "\n        import h5py\n        return Loss(self.encoder(batch.images).values.square().mean(), {})"
    file, out = plugin("mine", body), tmp_path / "out"
    asked = {
        "objectives": "mine", "evaluators": "knn", "floors": False, "dataset": "hdf5", "budget": "tiny",
        "maskers": "none", "device": "cpu", "settings": {"dataset": {"path": str(galaxies)}}, "plugins": (file,),
        "out": out, "cache": tmp_path / "cache",
    }  # fmt: skip
    [record] = run_grid(make_request(asked), load_registry([file]), "tests").records
    ours = f"astrojepa-bench {version('astrojepa-bench')}"

    assert record.provenance.plugins == {
        "objective": "file plugin_mine.py", "masker": ours, "encoder": ours, "dataset": ours
    }  # fmt: skip
    assert record.evaluators["knn"]["plugin"] == ours
    assert record.environment.packages["h5py"] == version("h5py")
    assert str(tmp_path) not in record.to_json()

    assert main(["show", record.run_id, "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "objective=file plugin_mine.py" in shown
    assert f"h5py={version('h5py')}" in shown
    assert f"knn={ours}" in shown
