"""Weights from files: all of them, into the right places, and never by running code."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from astrojepa_bench.encoders.weights import load_weights
from astrojepa_bench.errors import ConfigError, DataError


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
