"""Bad data and bad requests: code 2 and one line, never a traceback."""

import h5py
import numpy as np
import pytest

from astrojepa_bench.cli import main


def truncated(path, good):
    path.write_bytes(good.read_bytes()[:5000])


def text(path, good):
    path.write_text("ra,dec\n1,2\n")


def wrong_keys(path, good):
    with h5py.File(path, "w") as file:
        file["pictures"] = np.zeros((9, 8, 8, 3), np.uint8)


def no_rows(path, good):
    with h5py.File(path, "w") as file:
        file["images"], file["ans"] = np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int64)


def missing(path, good):
    """Write nothing."""


def complaint(capsys, words):
    try:
        code = main(words)
    except SystemExit as left:  # argparse ends on its own
        code = left.code
    err = capsys.readouterr().err
    assert code == 2, err
    assert "Traceback" not in err
    return err


def run(tmp_path, path, *words):
    given = {"-o": "untrained", "--budget": "smoke", "-d": "hdf5", "--device": "cpu"}
    given |= {"--out": str(tmp_path / "out"), "--cache": str(tmp_path / "cache")}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    own = given.pop("--set", None)
    options = ["--set", f"dataset.path={path}"] if given["-d"] == "hdf5" else []
    return [
        "run",
        *(part for pair in given.items() for part in pair),
        *options,
        *(["--set", own] if own else []),
    ]


@pytest.mark.parametrize("damage", [truncated, text, wrong_keys, no_rows, missing])
def test_a_bad_file_ends_in_one_line(tmp_path, galaxies, capsys, damage):
    """Damaged, foreign, empty and missing files are named with what was expected."""
    path = tmp_path / "bad.h5"
    damage(path, galaxies)
    err = complaint(capsys, run(tmp_path, path))
    assert err.count("\n") == 1, err
    assert "bad.h5" in err


@pytest.mark.parametrize(
    "words",
    [
        ("--set", "encoder.patch=7"),
        ("--set", "encoder.ptch=8"),
        ("--set", "encoder.patch=wide"),
        ("--set", "nonsense"),
        ("-o", "untraned"),
        ("-m", "rndom"),
        ("-d", "hdf6"),
        ("-e", "vit-nano"),
        ("-E", "linaer"),
        ("--budget", "smal"),
        ("--seeds", "0"),
        ("--seeds", "1,-2"),
        ("--config", "missing.toml"),
    ],
)
def test_a_bad_request_ends_in_one_line(tmp_path, galaxies, capsys, words):
    """Unknown names, options, values and a missing config are refused before any work."""
    err = complaint(capsys, run(tmp_path, galaxies, *words))
    assert err.count("\n") == 1, err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["--seeds", "-3"], ["--seeds=-3"]])
def test_negative_seeds_are_refused(tmp_path, galaxies, capsys, words):
    """A negative count of seeds ends with code 2, however it is written."""
    assert "seeds" in complaint(capsys, [*run(tmp_path, galaxies), *words])


@pytest.mark.parametrize("label", ["blank", "absent"])
def test_an_empty_label_column_is_named(tmp_path, galaxies, capsys, label):
    """A label column that is NaN everywhere, or not there, ends in one line that names it."""
    err = complaint(capsys, run(tmp_path, galaxies, "--set", f"dataset.label={label}"))
    assert err.count("\n") == 1, err
    assert label in err
