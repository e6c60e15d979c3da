"""Data sets of the Hugging Face Hub that cannot be used: one line says why, or what is spoilt is left out."""

import numpy as np
import pytest

from astrojepa_bench.data.sources.hub_rows import HubRows
from astrojepa_bench.errors import DataError
from tests.data.hub_folders import TEXT, cells, load, pixels, rows, save, save_parquet

datasets = pytest.importorskip("datasets")


def spoilt():
    """Make images of which two cannot be read: one cut short, one null."""
    stored = cells(pixels(24, 64))
    stored[3]["bytes"] = stored[3]["bytes"][: len(stored[3]["bytes"]) // 2]
    stored[8] = None
    return rows([], stored=stored)


def test_unreadable_image_ends_everything_or_is_skipped(tmp_path):
    """A bad image is named before anything is trained, or left out and counted."""
    path = save(tmp_path / "hub", train=spoilt())
    with pytest.raises(
        DataError, match=r"2 of 24 images cannot be read, first train/3 \(.*truncated"
    ) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    table = load(path, on_bad_image="skip")
    assert len(table) == 22
    assert "train/8" not in table.ids


@pytest.mark.parametrize(
    ("stored", "feature", "reason"),
    [
        ((pixels() / 255).tolist(), None, "float"),
        ((pixels().astype(int) * 100).tolist(), None, "expected whole numbers from 0 to 255"),
        (pixels(bands=6).tolist(), None, "is not that of one image"),
        (["a.jpg"] * 24, datasets.Value("string"), "it is 'a.jpg', not an image"),
    ],
)
def test_numbers_that_are_no_image_are_refused(tmp_path, stored, feature, reason):
    """Fluxes, deep images, cubes and file names are not guessed at."""
    kind = datasets.Value("float32" if isinstance(np.array(stored).flat[0], np.floating) else "int32")
    feature = feature or datasets.Sequence(datasets.Sequence(datasets.Sequence(kind)))
    path = save(tmp_path / "hub", train=rows([], stored=stored, feature=feature))
    with pytest.raises(DataError, match=f"24 of 24 images cannot be read.*{reason}"):
        load(path)


BAD = {
    "missing": (lambda path: None, {}, "cannot be read .No such file"),
    "empty": (lambda path: path.mkdir(), {}, "hub cannot be loaded .*contain any data files"),
    "no image column": (
        lambda path: save(path, train=rows(pixels(), "rgb_image")), {},
        "no column 'image'; set dataset.image to another: did you mean 'rgb_image'",
    ),
    "no such label": (lambda path: save(path, train=rows(pixels())), {"label": "lable"}, "did you mean 'label'"),
    "named redshift": (lambda path: save(path, train=rows(pixels())), {"redshift": "Z"}, "no column 'Z'"),
    "fractions as labels": (
        lambda path: save(path, train=rows(pixels(), kind=datasets.Value("float64"), labels=[0.5] * 24)), {},
        "hub: label column 'label' holds 0.5; expected class names or whole numbers",
    ),
    "text redshift": (
        lambda path: save(path, train=rows(pixels(), redshift=["low"] * 24)), {}, "'redshift' holds 'low'",
    ),
    "repeated ids": (
        lambda path: save(path, train=rows(pixels(), id=["a"] * 24)), {}, "23 repeated ids, first 'a'",
    ),
    "no rows": (
        lambda path: save_parquet(path, train=rows(pixels()).select([])), {}, "hub cannot be loaded .*no data",
    ),
    "two kinds of label": (
        lambda path: save(path, train=rows(pixels()), test=rows(pixels(), kind=TEXT, labels=["a"] * 24)), {},
        "splits differ in a column",
    ),
    "damaged": (lambda path: damaged(save(path, train=rows(pixels()))), {}, "hub cannot be loaded"),
    "damaged parquet": (
        lambda path: damaged(save_parquet(path, train=rows(pixels()))), {}, "hub cannot be loaded .*arquet",
    ),
}  # fmt: skip


def damaged(folder):
    """Cut every data file of a folder in half, as an interrupted download does."""
    for file in [*folder.rglob("*.arrow"), *folder.rglob("*.parquet")]:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("kind", BAD)
def test_bad_data_set_is_refused_in_one_line(tmp_path, kind):
    """Each way a data set can be wrong gives one line: what was found, what was expected, what to do."""
    spoil, options, message = BAD[kind]
    spoil(tmp_path / "hub")
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "hub", **options)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_split_without_rows_is_none():
    """Rows of the other splits are read as if it were not there; without any row there is nothing to read."""
    some, columns = rows(pixels()), {"image": "image", "label": "label"}
    found = HubRows.opened("hub", {"train": some, "validation": some.select([])}, columns, None)

    assert found.sizes == {"train": 24}
    with pytest.raises(DataError, match="hub has no rows; expected at least one galaxy"):
        HubRows.opened("hub", {"train": some.select([])}, columns, None)
