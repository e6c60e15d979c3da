"""`export` hands out the encoder that was scored, in a form that needs nothing of ours."""

import json
import re
from argparse import Namespace
from pathlib import Path

import pytest
import torch

import astrojepa_bench as ab
from astrojepa_bench.cli import main
from astrojepa_bench.cli.export import execute
from astrojepa_bench.encoders.projected import Projected
from astrojepa_bench.encoders.vit import TokenViT
from astrojepa_bench.errors import ConfigError
from astrojepa_bench.results.store import Store
from astrojepa_bench.types import ImageSpec

PAGE = (Path(__file__).parents[2] / "docs" / "looking.md").read_text()


def code_of_page():
    """Return the Python of the section on exporting."""
    section = PAGE.split("## Take an encoder home")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", section, re.S))


@pytest.fixture
def trained(galaxies, tiny, tmp_path):
    """Run one entry; gives its record's file."""

    def run(**fields):
        record = ab.run(
            masker="none", dataset="hdf5", budget="tiny", out=tmp_path, cache=tmp_path, evaluators="knn",
            settings={"dataset": {"path": galaxies, "label": "ans"}, **fields.pop("settings", {})}, **fields,
        ).record  # fmt: skip
        return Store(tmp_path).path(record)

    return run


@pytest.mark.parametrize(
    ("objective", "encoder"), [("untrained", "vit-micro"), ("vicreg", "timm:test_resnet")]
)
def test_lines_of_the_page_give_the_features_that_were_scored(
    trained, objective, encoder, tmp_path, monkeypatch, capsys
):
    """The page's very code agrees with our encoder, batch statistics of training included."""
    path = trained(objective=objective, encoder=encoder)
    monkeypatch.chdir(tmp_path)
    assert main(["export", path.stem[:8], "--runs", str(tmp_path), "--out", "encoder.safetensors"]) == 0
    told = capsys.readouterr().out
    (tmp_path / "any file").touch()
    written = [tmp_path / "encoder.safetensors", *(tmp_path / "weights").glob("*.safetensors")]
    assert {each.stat().st_mode for each in written} == {(tmp_path / "any file").stat().st_mode}

    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    names = {"images": images}
    with torch.no_grad():
        exec(code_of_page(), names)
        expected = ab.open_run(path).encoder.taps(images)["last"]

    torch.testing.assert_close(names["features"], expected, atol=1e-5, rtol=1e-5)
    assert names["facts"]["run"] == path.stem
    assert f"mean {', '.join(f'{value:.6g}' for value in names['facts']['mean'])}" in told


def test_encoder_without_a_timm_form_says_so(trained, tmp_path, capsys):
    """Principal components are no model of timm: one line, and no file."""
    path = trained(objective="untrained", encoder="pixels")
    code = main(["export", str(path), "--out", str(tmp_path / "encoder.safetensors")])

    assert code == 2
    assert "encoder 'pixels' of run" in capsys.readouterr().err
    assert not (tmp_path / "encoder.safetensors").exists()


@pytest.mark.parametrize("name", ["encoder.pth", "encoder.PT", "pytorch_model.bin"])
def test_a_name_that_torch_would_load_is_refused(name):
    """What is written there is no pickle, and torch.load would fail over it."""
    with pytest.raises(ConfigError, match=r"name it \.safetensors"):
        execute(Namespace(weights=Path(name)))


def test_json_is_all_that_is_printed(trained, tmp_path, capsys):
    """A script reads the file's name and everything it needs to load it."""
    path = trained(objective="untrained", encoder="vit-micro")
    assert main(["export", str(path), "--out", str(tmp_path / "new" / "e.safetensors"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)

    assert Path(facts["file"]).is_file()
    assert (facts["size_px"], facts["run"], facts["create_model"]["embed_dim"]) == (32, path.stem, 96)


def test_features_behind_a_projector_have_no_timm_form():
    """They are refused with what can be exported instead."""
    encoder = TokenViT(ImageSpec(("r",), 32, (0.1,), (0.1,)), width=32, depth=1, heads=2)
    with pytest.raises(ConfigError, match="scored by its encoder"):
        Projected(encoder, torch.nn.Identity()).as_timm()
