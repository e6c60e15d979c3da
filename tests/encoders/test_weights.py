"""Weights from files: all of them, into the right places, and never by running code."""

import argparse
import pickle
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from astrojepa_bench.encoders.torch_files import read_torch
from astrojepa_bench.encoders.weights import load_weights
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import listening


def small(bands=3, width=4):
    return nn.Sequential(nn.Conv2d(bands, width, 3), nn.BatchNorm2d(width))


def saved(module, path):
    state = module.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth"])
def test_weights_arrive_bit_for_bit(tmp_path, name):
    """Every parameter and buffer of the file is in the module afterwards."""
    source, module = small(), small()
    source[1].running_mean.fill_(3.0)
    load_weights(module, saved(source, tmp_path / name), "encoder 'x'")

    for key, value in source.state_dict().items():
        assert torch.equal(module.state_dict()[key], value)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_checkpoint_around_the_weights_is_opened(tmp_path, key):
    """A training checkpoint keeps its weights below a key, beside numbers that are nobody's weights."""
    source, module = small(), small()
    torch.save({key: source.state_dict(), "epoch": 3}, tmp_path / "w.pt")
    load_weights(module, tmp_path / "w.pt", "encoder 'x'")

    assert torch.equal(module[0].weight, source[0].weight)


def test_safetensors_by_any_other_name_are_read(tmp_path):
    """The content says what a file is."""
    source, module = small(), small()
    saved(source, tmp_path / "w.safetensors").rename(tmp_path / "w.bin")
    load_weights(module, tmp_path / "w.bin", "encoder 'x'")

    assert torch.equal(module[0].weight, source[0].weight)


class Trap:
    """Unpickles by writing a file: the mark of code that ran."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


@pytest.mark.parametrize("write", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap))])
def test_code_in_a_file_is_never_run(tmp_path, write):
    """A pickle that opens a file when read is refused in one line, and has opened nothing."""
    mark = tmp_path / "ran"
    write({"weight": Trap(mark)}, tmp_path / "w.pt")
    with pytest.raises(DataError, match="running code") as refusal:
        load_weights(small(), tmp_path / "w.pt", "encoder 'x'")

    assert not mark.exists()
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
@pytest.mark.parametrize(
    "content", [b"", b"no weights", b"\x80\x02broken", b"PK\x03\x04broken", b"\x00" * 64]
)
def test_other_files_are_refused_in_one_line(tmp_path, name, content):
    """Nothing but weights is taken for weights."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"w\.\w+ is") as refusal:
        load_weights(small(), tmp_path / name, "encoder 'x'")

    assert "\n" not in str(refusal.value)


def test_missing_file_is_a_wrong_request(tmp_path):
    """A path that leads nowhere is said to."""
    with pytest.raises(ConfigError, match="encoder 'x': no file at"):
        load_weights(small(), tmp_path / "none.pt", "encoder 'x'")


def test_missing_and_unknown_names_are_told(tmp_path):
    """Weights of another architecture are refused by name, both ways."""
    source = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(2, 2))
    with pytest.raises(DataError, match=r"lack 1\.running_mean.* and have unknown|lack .*and have unknown"):
        load_weights(nn.Sequential(nn.BatchNorm2d(4)), saved(source, tmp_path / "w.pt"), "encoder 'x'")


def test_other_number_of_bands_is_told(tmp_path):
    """A first convolution for three bands does not read five."""
    with pytest.raises(DataError, match=r"read 3 bands in '0\.weight', the images have 5"):
        load_weights(small(bands=5), saved(small(), tmp_path / "w.pt"), "encoder 'x'")


def test_other_width_is_told_with_both_shapes(tmp_path):
    """A size that differs is shown as it is and as it should be."""
    with pytest.raises(DataError, match=r"'0\.weight' as \(4, 3, 3, 3\), needed is \(8, 3, 3, 3\)"):
        load_weights(small(width=8), saved(small(), tmp_path / "w.pt"), "encoder 'x'")


def test_file_without_names_is_refused(tmp_path):
    """A bare tensor is no state dict."""
    torch.save(torch.zeros(3), tmp_path / "w.pt")
    with pytest.raises(DataError, match="no tensors by name"):
        load_weights(small(), tmp_path / "w.pt", "encoder 'x'")


# --- what checkpoints hold besides --------------------------------------------------------------------------


def loaded(content, path, module=None):
    """Load what a file holds into a fresh module; return it, and the notes that were told."""
    module, told = small() if module is None else module, []
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    with listening(lambda event: told.append(event.fields["text"])):
        load_weights(module, path, "encoder 'x'")
    return module, told


def renamed(state, front):
    return {front + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "front", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model."]
)
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_wrappers_of_training_are_taken_off(tmp_path, front, name):
    """DataParallel and torch.compile put words before every name; nothing is left out by that."""
    source = small()
    module, told = loaded(renamed(source.state_dict(), front), tmp_path / name)

    assert torch.equal(module[0].weight, source[0].weight)
    assert told == []


def test_wrappers_in_the_middle_of_names_are_taken_off(tmp_path):
    """A module of which only one part was compiled."""
    state = {name.replace("0.", "0._orig_mod."): value for name, value in small().state_dict().items()}
    module, _ = loaded({"state_dict": state}, tmp_path / "w.pt")

    assert torch.equal(module[0].weight, state["0._orig_mod.weight"])


def test_the_averaged_part_is_taken_and_the_rest_is_counted(tmp_path):
    """Student and teacher fit alike; optimiser and head are named, and nothing of them is read."""
    student, teacher = small(), small()
    content = {
        "student": renamed(student.state_dict(), "module.backbone."),
        "teacher": {**renamed(teacher.state_dict(), "backbone."), "head.weight": torch.zeros(2, 2)},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 3,
    }
    module, (told,) = loaded(content, tmp_path / "w.pt")

    assert torch.equal(module[0].weight, teacher[0].weight)
    assert "took 'teacher.backbone'" in told
    assert "optimizer (1), student (7), teacher (1)" in told


@pytest.mark.parametrize(
    ("raw", "average"),
    [("model", "model_ema"), ("state_dict", "state_dict_ema"), ("model", "teacher"), ("model", "ema.module")],
)
@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_the_average_is_taken_wherever_it_lies(tmp_path, raw, average, name):
    """Beside the usual key as well; an average that counts its steps is one all the same."""
    trained, averaged = small(), small()
    counted = {**renamed(averaged.state_dict(), "module."), "n_averaged": torch.tensor(9)}
    flat = renamed(trained.state_dict(), f"{raw}.") | renamed(counted, f"{average}.")
    outer, *inner = average.split(".")
    nested = {
        raw: trained.state_dict(),
        outer: {inner[0]: counted} if inner else counted,
        "optimizer": {"lr": 1},
    }
    module, (told,) = loaded(nested if name == "w.pt" else flat, tmp_path / name)

    assert torch.equal(module[0].weight, averaged[0].weight)
    assert f"took '{outer}'" in told
    assert f"{raw} (7)" in told


def test_an_average_of_another_network_does_not_hide_the_weights(tmp_path):
    """A teacher that is larger is left out and counted, as is whatever else lies beside the usual key."""
    source = small()
    teacher, spare = small(width=8).state_dict(), small().state_dict()
    module, (told,) = loaded(
        {"model": source.state_dict(), "teacher": teacher, "spare": spare}, tmp_path / "w.pt"
    )

    assert torch.equal(module[0].weight, source[0].weight)
    assert told.endswith("left out, by the number of tensors: spare (7), teacher (7)")


def test_the_part_that_fits_is_found_beside_the_usual_key(tmp_path):
    """What lies under `model` may be another network."""
    source = small()
    content = {"model": {"a.weight": torch.zeros(2)}, "trunk": source.state_dict()}
    module, (told,) = loaded(content, tmp_path / "w.pt")

    assert torch.equal(module[0].weight, source[0].weight)
    assert "took 'trunk'; left out, by the number of tensors: model (1)" in told


@pytest.mark.parametrize("keys", [("state_dict", "model"), ("model", "ema", "teacher")])
def test_of_two_keys_that_mean_the_same_none_is_guessed(tmp_path, keys):
    """The first would be as good as the second."""
    with pytest.raises(DataError, match="hold 2 parts that fit"):
        loaded({key: small().state_dict() for key in keys}, tmp_path / "w.pt")


def test_a_head_is_left_out_and_named(tmp_path):
    """What stands behind the encoder changes nothing in it."""
    source = small()
    head = {"fc.weight": torch.zeros(2, 4), "fc.bias": torch.zeros(2), "mask_token": torch.zeros(4)}
    module, told = loaded({"model": {**source.state_dict(), **head}}, tmp_path / "w.pt")

    assert torch.equal(module[0].weight, source[0].weight)
    assert told == ["encoder 'x': weights w.pt: left out, by the number of tensors: fc (2), mask_token (1)"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"2.weight": torch.zeros(2)}, r"unknown 2\.weight"),  # a deeper network is another one
        ({"cls_token": torch.zeros(2)}, "unknown cls_token"),
        ({"0.scale": torch.zeros(2)}, r"unknown 0\.scale"),
    ],
)
def test_what_changes_an_encoder_is_not_left_out(tmp_path, more, said):
    """Weights without it would be scored as if they were whole."""
    with pytest.raises(DataError, match=said):
        loaded({**small().state_dict(), **more}, tmp_path / "w.pt")


def test_of_two_parts_that_fit_alike_none_is_guessed(tmp_path):
    """Nothing says which of two is meant."""
    content = renamed(small().state_dict(), "query.") | renamed(small().state_dict(), "key.")
    with pytest.raises(DataError, match=r"hold 2 parts that fit \('key', 'query'\)"):
        loaded(content, tmp_path / "w.pt")


def test_objects_of_scripts_are_read_as_plain_values(tmp_path):
    """Settings, paths, numbers and arrays beside the weights; arrays may also be the weights."""
    source = small()
    around = {
        "args": argparse.Namespace(num_heads=3, out=Path("/data/x")),
        "loss": np.mean([0.25, 0.75]),
        "losses": np.array([1.0, 2.0]),
        "draws": np.random.RandomState(0).get_state(),
        "counts": defaultdict(list, {"a": [1]}),
        "began": datetime(2026, 11, 28, tzinfo=UTC),
        "words": np.array(["a"], dtype=object),
    }
    path = tmp_path / "w.pt"
    module, _ = loaded({"state_dict": source.state_dict(), **around}, path)
    found = read_torch(path)

    assert torch.equal(module[0].weight, source[0].weight)
    assert (found["args"], found["loss"]) == ({"num_heads": 3, "out": "/data/x"}, 0.5)
    assert (found["counts"], found["began"]) == ({"a": [1]}, None)
    assert found["losses"].values.tolist() == [1.0, 2.0]
    assert found["words"].values is None
    arrays = {name: value.numpy() for name, value in source.state_dict().items()}
    assert torch.equal(loaded(arrays, tmp_path / "a.pt")[0][0].weight, source[0].weight)


def test_what_a_file_asks_for_is_named_where_it_is_refused(tmp_path):
    """Who saved a whole object learns which."""
    torch.save({"weight": Trap(tmp_path / "ran")}, tmp_path / "w.pt")
    with pytest.raises(DataError, match=r"running code in it \(it asks for \w*\.?open\)"):
        load_weights(small(), tmp_path / "w.pt", "encoder 'x'")

    assert not (tmp_path / "ran").exists()
