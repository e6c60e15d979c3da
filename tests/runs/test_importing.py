"""A checkpoint of AstroJEPA becomes a run that opens, predicts and is scored like any other."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from astrojepa_checkpoint import BANDS, CLASS_NAMES, SURVEY, heads_of, read_checkpoint
from torch import nn

from astrojepa_bench import open_run
from astrojepa_bench.board.render import check_board
from astrojepa_bench.cli import main
from astrojepa_bench.data.published.releases import DECALS
from astrojepa_bench.errors import ConfigError, DataError, PluginError
from astrojepa_bench.importers import Imported
from astrojepa_bench.registry import load_registry
from astrojepa_bench.results.store import Store
from astrojepa_bench.runs import cell as cell_module
from astrojepa_bench.runs.importing import read_model
from astrojepa_bench.streams import scoped_global
from astrojepa_bench.types import ImageSpec

WIDTH, HEADS = 24, 3


class Part(nn.Module):
    """One transformer of the published module: its names come from PyTorch."""

    def __init__(self, depth, patches=16):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.randn(1, patches, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(WIDTH)


class Original(nn.Module):
    """The published module, small."""

    def __init__(self):
        super().__init__()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, WIDTH, 8, 8)})
        self.context_encoder, self.target_encoder, self.predictor = Part(2), Part(2), Part(3)
        self.mask_token = nn.Parameter(torch.randn(1, 1, WIDTH))


@pytest.fixture(scope="module")
def original():
    with scoped_global(0, "tests"):
        return Original().eval()


def saved(path, original, **changed):
    config = {
        "img_size": 32,
        "embed_dim": WIDTH,
        "num_heads": HEADS,
        "mask_scale": (0.2, 0.3),
        "device": "cuda",
    }
    content = {
        "epoch": 99, "model_state_dict": original.state_dict(), "optimizer_state_dict": {"state": {}},
        "val_loss": 0.0334, "config": config, **changed,
    }  # fmt: skip
    torch.save({key: value for key, value in content.items() if value is not None}, path)
    return path


@pytest.fixture
def checkpoint(tmp_path, original):
    return saved(tmp_path / "100jepa.pth", original)


@pytest.fixture
def galaxies(tmp_path):
    """Write 150 noisy images of 32 px in two classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (150, 32, 32, 3), dtype=np.uint8)
    images[::2, 10:22, 10:22] += 100
    with h5py.File(tmp_path / "tiny.h5", "w") as file:
        file["images"], file["ans"] = images, np.arange(150) % 2
        file["ra"], file["dec"] = np.arange(150.0), np.full(150, 10.0)  # or copies are looked for by pixels
    return tmp_path / "tiny.h5"


def test_sizes_are_read_off_the_file(checkpoint):
    """Only the number of heads is nowhere in the tensors."""
    found = read_checkpoint(checkpoint)

    assert (found.spec.size_px, found.patch_px, found.spec.bands) == (32, 8, ("z", "r", "g"))
    assert found.options["encoder"] == {"patch": 8, "width": 24, "depth": 2, "heads": 3}
    assert found.options["objective"] == {"weights": checkpoint, "depth": 3, "heads": 3}
    assert "trained elsewhere (epoch 99, validation loss 0.0334)" in found.warnings[0]


def test_the_plugin_and_the_ruler_agree_on_what_the_models_were_trained_on():
    """The plugin may not import the ruler's list of releases, so its copy is compared."""
    assert (DECALS.title, DECALS.bands, DECALS.class_names) == (SURVEY, BANDS, CLASS_NAMES)


def test_imported_run_opens_with_the_latents_of_the_original(checkpoint, original, tmp_path, capsys):
    """Within 1e-5, from the output folder alone: the checkpoint may be gone."""
    assert main(["import-checkpoint", str(checkpoint), "--out", str(tmp_path / "zoo"), "--json"]) == 0
    checkpoint.unlink()
    (path,) = Store(tmp_path / "zoo").paths()
    run = open_run(path)
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    part = original.target_encoder
    with torch.no_grad():
        tokens = original.patch_embed["proj"](2 * images - 1).flatten(2).transpose(1, 2)
        expected = part.norm(part.blocks(tokens + part.pos_embed)).mean(dim=1)
        found = run.encoder.taps(images)["last"]

    assert torch.allclose(found, expected, atol=1e-5)
    assert found.std() > 0.1
    assert not run.record.scores
    assert any("epoch 99" in warning for warning in run.record.warnings)
    assert check_board(tmp_path / "zoo") == []


def test_the_same_file_is_the_same_run_wherever_it_lies(checkpoint, original, tmp_path):
    """Importing twice leaves one record; other weights under the same name leave a second one."""
    store = Store(tmp_path / "zoo")
    for _ in range(2):
        main(["import-checkpoint", str(checkpoint), "--out", str(store.out), "--json"])
    assert len(store.paths()) == 1
    other = {**original.state_dict(), "mask_token": torch.zeros(1, 1, WIDTH)}
    saved(checkpoint, original, model_state_dict=other)
    main(["import-checkpoint", str(checkpoint), "--out", str(store.out), "--json"])

    assert len(store.paths()) == 2


def test_checkpoint_is_scored_beside_its_untrained_self(checkpoint, galaxies, tmp_path, capsys):
    """Prediction errors too; the board has both rows, and warns that the model was trained elsewhere."""
    words = [
        "import-checkpoint",
        checkpoint,
        "--out",
        tmp_path / "zoo",
        "-d",
        "hdf5",
        "--cache",
        tmp_path / "cache",
    ]
    words += ["-E", "knn,linear", "--set", f"dataset.path={galaxies}", "--device", "cpu"]
    assert main([*map(str, words)]) == 0
    records = {record.objective: record for record in Store(tmp_path / "zoo").records()}
    page = (tmp_path / "zoo" / "README.md").read_text()

    assert set(records) == {"astrojepa", "untrained"}
    assert records["astrojepa"].value("knn", "accuracy") > 0.5
    assert records["astrojepa"].options["objective"]["weights"] == "100jepa.pth"
    assert records["untrained"].options["encoder"] == records["astrojepa"].options["encoder"]
    assert "astrojepa(depth=3, weights=100jepa.pth) + brightness-seed" in page
    assert "trained elsewhere (epoch 99" in page


@pytest.mark.slow
def test_a_later_failure_spares_the_scores_of_an_imported_model(
    checkpoint, galaxies, tmp_path, capsys, monkeypatch
):
    """As with runs that are trained here; the importer's warnings are written once."""
    words = ["import-checkpoint", str(checkpoint), "--out", str(tmp_path / "zoo"), "-d", "hdf5", "--json"]
    words += [
        "--cache",
        str(tmp_path / "cache"),
        "--set",
        f"dataset.path={galaxies}",
        "--device",
        "cpu",
        "-E",
    ]
    assert main([*words, "knn"]) == 0
    before = Store(tmp_path / "zoo").records()

    def fails(*_):
        raise RuntimeError("no space")

    monkeypatch.setattr(cell_module, "score", fails)
    main([*words, "knn,kmeans"])

    assert Store(tmp_path / "zoo").records() == before


@pytest.mark.slow
def test_a_run_imported_without_galaxies_is_scored_later(checkpoint, galaxies, tmp_path, capsys):
    """`score` binds it to its first galaxies, under the id that it gets where it is imported and scored at once."""
    at_once, later = tmp_path / "at_once", tmp_path / "later"
    places = ["--cache", str(tmp_path / "cache"), "--device", "cpu", "-d", "hdf5", "--json"]
    places += ["--set", f"dataset.path={galaxies}"]
    assert main(["import-checkpoint", str(checkpoint), "--out", str(at_once), "-E", "knn", *places]) == 0
    assert main(["import-checkpoint", str(checkpoint), "--out", str(later), "--json"]) == 0
    (path,) = Store(later).paths()
    checkpoint.unlink()
    for _ in range(2):  # the second time nothing is left to do
        assert main(["score", str(path), "-E", "knn", *places]) == 0
    (expected,) = (record for record in Store(at_once).records() if record.objective == "astrojepa")
    found = {record.run_id: record for record in Store(later).records()}

    assert set(found) == {path.stem, expected.run_id}
    assert found[expected.run_id].scores == expected.scores
    assert open_run(Store(later).path(found[expected.run_id])).classes == 2


def test_names_behind_wrappers_are_read_and_what_is_left_out_is_told(tmp_path, original):
    """A model within a training module, compiled, with a head that the zoo does not have."""
    state = {f"model._orig_mod.{name}": value for name, value in original.state_dict().items()}
    state["model.head.weight"] = torch.zeros(2, WIDTH)
    found = read_checkpoint(saved(tmp_path / "odd.pth", original, model_state_dict=state))

    assert found.options["encoder"] == {"patch": 8, "width": 24, "depth": 2, "heads": 3}
    assert found.warnings[1] == "odd.pth: left out, by the number of tensors: head (1)"


def test_a_checkpoint_without_a_predictor_is_scored_and_predicts_nothing(tmp_path, original, capsys):
    """Heads missing: the encoder is whole and is read, and the record says what is not there."""
    kept = ("patch_embed.", "target_encoder.")
    state = {name: value for name, value in original.state_dict().items() if name.startswith(kept)}
    path = saved(tmp_path / "half.pth", original, model_state_dict=state)
    assert main(["import-checkpoint", str(path), "--out", str(tmp_path / "zoo"), "--json"]) == 0
    (record,) = Store(tmp_path / "zoo").records()
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    part = original.target_encoder
    with torch.no_grad():
        tokens = original.patch_embed["proj"](2 * images - 1).flatten(2).transpose(1, 2)
        expected = part.norm(part.blocks(tokens + part.pos_embed)).mean(dim=1)
        found = open_run(Store(tmp_path / "zoo").path(record)).encoder.taps(images)["last"]

    assert (record.objective, record.encoder) == ("frozen", "astrojepa-vit")
    assert any("holds no predictor" in warning for warning in record.warnings)
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("width", "heads"), [(192, 3), (384, 6)])
def test_published_widths_have_the_published_heads(width, heads):
    """Nothing in the tensors tells; the warning says that it is assumed."""
    found, assumed = heads_of(Path("x.pth"), {}, width)

    assert found == heads
    assert f"the {heads} of the published models" in assumed
    assert heads_of(Path("x.pth"), {"args": {"num_heads": 8}}, width) == (8, "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"config": None}, "does not say how many attention heads"),
        ({"model_state_dict": {"embed.weight": torch.zeros(2, 2)}}, "is no checkpoint of AstroJEPA"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, original, changed, said):
    """What lacks and what to do."""
    with pytest.raises(DataError, match=said) as caught:
        read_checkpoint(saved(tmp_path / "odd.pth", original, **changed))

    assert "\n" not in str(caught.value)


def test_a_missing_file_is_told(tmp_path):
    """The message names the path."""
    with pytest.raises(ConfigError, match=r"no file at .*gone\.pth"):
        read_checkpoint(tmp_path / "gone.pth")


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_code_in_a_checkpoint_is_never_run(tmp_path, original):
    """Neither in the weights nor in what stands beside them."""
    with pytest.raises(DataError, match="running code"):
        read_checkpoint(saved(tmp_path / "trap.pth", original, val_loss=Trap()))
    (tmp_path / "old.pth").write_bytes(pickle.dumps({"model_state_dict": Trap()}))
    with pytest.raises(DataError, match=r"running code|no safetensors"):
        read_checkpoint(tmp_path / "old.pth")


def test_options_of_scoring_need_galaxies(checkpoint, tmp_path, capsys):
    """`-E` without `-d` would be ignored in silence."""
    code = main(["import-checkpoint", str(checkpoint), "--out", str(tmp_path / "zoo"), "-E", "knn"])

    assert code == 2
    assert "-d DATASET" in capsys.readouterr().err


PLUGIN = """
import torch
from astrojepa_bench.plugin import DataError, Imported, hookimpl

def picky(path):
    raise DataError("its first tensor is blue; give a green one")

def broken(path):
    raise ZeroDivisionError("oh")

def shapeless(path):
    return {"encoder": "vit"}

@hookimpl
def astrojepa_importers():
    return {"picky": picky, "broken": broken, "shapeless": shapeless}
"""


@pytest.fixture
def foreign(tmp_path, capsys):
    """Import a file with a plugin of other importers; gives exit code and stderr."""
    (tmp_path / "foreign.py").write_text(PLUGIN)

    def run(path, *words):
        words = ["import-checkpoint", str(path), "--out", str(tmp_path / "zoo"), *words]
        code = main([*words, "--plugin", str(tmp_path / "foreign.py")])
        return code, capsys.readouterr().err

    return run


def test_every_importer_that_refuses_a_file_is_named_with_its_reason(tmp_path):
    """Each is asked in turn, and the message says why none of them took the file."""
    plugin = tmp_path / "foreign.py"
    plugin.write_text(PLUGIN.replace(', "broken": broken, "shapeless": shapeless', ""))
    torch.save({"embed.weight": torch.zeros(2, 2)}, tmp_path / "odd.pth")
    with pytest.raises(DataError) as caught:
        read_model(tmp_path / "odd.pth", load_registry([plugin]))

    assert "importer 'astrojepa' (plugin astrojepa_checkpoint): odd.pth is no checkpoint" in str(caught.value)
    assert "importer 'picky' (plugin foreign): its first tensor is blue" in str(caught.value)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            "picky",
            "no importer takes 100jepa.pth: importer 'picky' (plugin foreign): its first tensor is blue",
        ),
        ("broken", "importer 'broken' (plugin foreign) failed on 100jepa.pth: ZeroDivisionError: oh"),
        ("shapeless", "importer 'shapeless' (plugin foreign) returned a dict; expected Imported"),
        ("pickly", "unknown format 'pickly'; did you mean 'picky'"),
    ],
)
def test_format_asks_one_importer_alone(foreign, checkpoint, form, said):
    """And what goes wrong in it is told in one line that names its plugin."""
    code, err = foreign(checkpoint, "--format", form)

    assert code == 2
    assert said in err
    assert foreign(checkpoint, "--format", "astrojepa")[0] == 0


def test_missing_file_is_told_before_any_importer_is_asked(foreign, tmp_path):
    """Not once for each format."""
    code, err = foreign(tmp_path / "gone.pth")

    assert code == 2
    assert "no file at" in err
    assert "importer" not in err


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ('["a"]', "astrojepa_importers returned list; expected a mapping"),
        ('{"a": 3}', "astrojepa_importers offers 'a' as int; expected a function"),
        ('{"a b": print}', "astrojepa_importers offers the name 'a b'"),
        ('{"astrojepa": print}', "two plugins offer importer 'astrojepa'"),
    ],
)
def test_what_is_no_importer_is_refused_when_it_is_loaded(tmp_path, returned, said):
    """The plugin that offers it is named."""
    hook = "@hookimpl\ndef astrojepa_importers():\n    return "
    plugin = tmp_path / "odd_importers.py"
    plugin.write_text(f"from astrojepa_bench.plugin import hookimpl\n\n{hook}{returned}\n")
    with pytest.raises(PluginError, match=said) as caught:
        load_registry([plugin])

    assert "odd_importers" in str(caught.value)


def test_an_importer_sets_options_of_what_a_model_is_built_from():
    """A misspelt kind would be dropped in silence."""
    spec = ImageSpec(("r",), 32, (0.5,), (0.5,))
    with pytest.raises(ConfigError, match="options of 'encodr'; expected objective, masker or encoder"):
        Imported("a", "b", "c", "d", spec, options={"encodr": {"width": 3}})
