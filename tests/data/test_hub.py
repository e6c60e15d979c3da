"""Data sets of the Hugging Face Hub, on folders written in its formats: what is read."""

import io

import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.hub import HuggingFace
from astrojepa_bench.data.resize import resize
from astrojepa_bench.errors import DataError
from tests.data.hub_folders import (
    NAMES,
    TEXT,
    UNNAMED,
    as_hdf5,
    cells,
    encoded,
    load,
    pixels,
    rows,
    save,
    save_parquet,
)

datasets = pytest.importorskip("datasets")


@pytest.mark.parametrize("write", [save, save_parquet])
def test_published_splits_read_as_the_same_hdf5_file(tmp_path, write):
    """Declared splits with `image` and a named `label` give the pixels, labels, splits, bands of HDF5."""
    images = pixels()
    path = write(
        tmp_path / "hub", train=rows(images[:12]), validation=rows(images[12:16]), test=rows(images[16:])
    )
    table = load(path)
    declared = np.array(["train"] * 12 + ["valid"] * 4 + ["test"] * 8, dtype="S5")
    truth = as_hdf5(tmp_path / "a.h5", images, split=declared)
    for column in ("images", "label", "split"):
        np.testing.assert_array_equal(getattr(table, column), getattr(truth, column))
    assert table.spec == truth.spec
    assert table.card.class_names == tuple(NAMES)
    assert table.ids[[0, 12, 16]].tolist() == ["train/0", "validation/0", "test/0"]


def test_published_galaxy10_keeps_its_test_set(tmp_path):
    """Train and test alone: test stays whole, and validation is taken out of train."""
    images = pixels()
    table = load(save(tmp_path / "hub", Train=rows(images[:16]), TEST=rows(images[16:])))
    assert set(table.split[16:]) == {"test"}
    assert set(table.split[:16]) == {"train", "val"}


def test_single_split_is_divided_by_class(tmp_path):
    """MultimodalUniverse's one split, called train, does not leave the test set empty."""
    images = pixels()
    path = save(
        tmp_path / "hub",
        train=rows(
            images, "rgb_image", "gz10_label", UNNAMED, redshift=np.linspace(0.01, 0.2, 24),
            object_id=[f"g{row}" for row in range(24)], rgb_pixel_scale=[0.262, 0.524] * 12,
        ),
    )  # fmt: skip
    table = load(path, image="rgb_image", label="gz10_label", pixel_scale="rgb_pixel_scale", id="object_id")
    assert {name: len(table.rows(name)) for name in ("train", "val", "test")} == {
        "train": 12,
        "val": 4,
        "test": 8,
    }
    assert table.ids[3] == "g3"
    np.testing.assert_allclose(table.pixel_scale, [0.262 * 2, 0.524 * 2] * 12)  # 12 px became 6
    np.testing.assert_allclose(table.redshift, np.linspace(0.01, 0.2, 24))
    assert table.card.class_names == ("0", "1")


def test_splits_that_do_not_divide_are_said_so(tmp_path):
    """Without train and test all rows are divided anew; beside them, any other split is left out."""
    images = pixels(30)
    two = {"train": rows(images[:20]), "validation": rows(images[20:])}
    table = load(save(tmp_path / "two", **two))
    assert len(table) == 30
    assert (
        "splits 'train', 'validation' are not train and test: all rows were divided anew" in table.card.notes
    )
    three = {"train": rows(images[:14]), "test": rows(images[14:24]), "extra": rows(images[24:])}
    table = load(save(tmp_path / "three", **three))
    assert len(table) == 24
    assert "splits 'extra' are neither train, validation nor test and were left out" in table.card.notes


def test_single_dataset_is_read_like_a_dictionary_of_one(tmp_path):
    """`Dataset.save_to_disk` writes no splits; the rows are there all the same."""
    rows(pixels()).save_to_disk(str(tmp_path / "hub"))
    table = load(tmp_path / "hub")
    assert len(table) == 24
    assert table.ids[0] == "all/0"


@pytest.mark.parametrize(
    ("kind", "labels", "found", "names"),
    [
        (datasets.ClassLabel(names=NAMES), [0, 1, None], [0, 1, -1], NAMES),
        (datasets.ClassLabel(names=NAMES), [0, 1, -1], [0, 1, -1], NAMES),
        (datasets.Value("uint8"), [0, 1, 255], [0, 1, -1], ["0", "1"]),
        (datasets.Value("int32"), [0, 1, None], [0, 1, -1], ["0", "1"]),
        (datasets.Value("float32"), [0, 1, float("nan")], [0, 1, -1], ["0", "1"]),
        (datasets.Value("string"), ["spiral", "merger", ""], [1, 0, -1], ["merger", "spiral"]),
        (datasets.Value("string"), ["spiral", "merger", None], [1, 0, -1], ["merger", "spiral"]),
        (datasets.Value("bool"), [False, True, None], [0, 1, -1], ["False", "True"]),
    ],
)
def test_labels_of_every_kind_become_class_numbers(tmp_path, kind, labels, found, names):
    """Named classes keep their numbers, text is sorted, and what is missing is unlabelled."""
    table = load(save(tmp_path / "hub", train=rows(pixels(), kind=kind, labels=labels * 8)))
    assert table.label.tolist() == found * 8
    assert table.card.class_names == tuple(names)
    assert "8 galaxies are unlabelled" in table.card.notes


def test_galaxies_without_labels_are_read(tmp_path):
    """A set without labels, as Smith42/galaxies is, has a test set too; forgetting to say so is an error."""
    path = save(tmp_path / "hub", train=rows(pixels(), labels=None, mag_g=np.linspace(14, 20, 24)))
    table = load(path, label=None)
    assert set(table.label) == {-1}
    assert len(table.rows("test")) == 8
    with pytest.raises(DataError, match=r"no column 'label'; set dataset.label to another, or to none"):
        load(path)


def test_positions_and_groups_keep_galaxies_together(tmp_path):
    """Overlapping sky, or one declared group, never stands on both sides of a split."""
    ra = np.repeat(np.linspace(0, 300, 12), 2)
    dec = np.tile([10.0, 10.0 + 20 / 3600], 12)
    table = load(save(tmp_path / "sky", train=rows(pixels(), ra=ra, dec=dec)))
    np.testing.assert_array_equal(table.split[::2], table.split[1::2])
    pairs = [f"p{row // 2}" for row in range(24)]
    table = load(save(tmp_path / "group", train=rows(pixels(), tile=pairs)), group="tile")
    np.testing.assert_array_equal(table.split[::2], table.split[1::2])
    assert len(np.unique(table.group)) == 12


def test_missing_redshifts_are_not_numbers(tmp_path):
    """A null and the survey's -99 both mean unknown."""
    redshift = [0.1, None, -99.0, 0.2] * 6
    table = load(save(tmp_path / "hub", train=rows(pixels(), redshift=redshift)))
    np.testing.assert_array_equal(table.redshift, [0.1, np.nan, np.nan, 0.2] * 6)


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("stored", ["PNG", "file bytes", "numbers", "fixed shape"])
def test_images_of_every_kind_have_the_same_pixels(tmp_path, stored, bands):
    """Encoded images, bare bytes, nested lists and fixed arrays all give what HDF5 gives; grey stays grey."""
    images = pixels(bands=bands)
    image_list = datasets.Sequence(datasets.Sequence(datasets.Sequence(datasets.Value("uint8"))))
    kinds = {
        "PNG": (cells(images), datasets.Image()),
        "file bytes": ([encoded(image) for image in images], datasets.Value("binary")),
        "numbers": (images.tolist(), image_list),
        "fixed shape": (list(images), datasets.Array3D((12, 12, bands), "uint8")),
    }
    values, feature = kinds[stored]
    table = load(save(tmp_path / "hub", train=rows(images, stored=values, feature=feature)))
    truth = as_hdf5(tmp_path / "a.h5", images)
    np.testing.assert_array_equal(table.images, truth.images)
    assert table.spec.bands == truth.spec.bands


def test_jpeg_is_decoded_once(tmp_path):
    """Published JPEG bytes give their own pixels, not those of a second compression."""
    images = pixels()
    table = load(save(tmp_path / "hub", train=rows(images, stored=cells(images, "JPEG"))), size_px=12)
    truth = np.asarray(Image.open(io.BytesIO(encoded(images[5], "JPEG"))))
    np.testing.assert_array_equal(table.images[5], truth.transpose(2, 0, 1))


def test_first_galaxies_of_each_split_are_taken(tmp_path):
    """A cap takes from every split, so that a test set remains; another cap is another conversion."""
    images = pixels(40)
    path = save_parquet(tmp_path / "hub", train=rows(images[:24]), test=rows(images[24:]))
    table = load(path, galaxies=10)
    assert table.ids[[0, 9, 10, 19]].tolist() == ["train/0", "train/9", "test/0", "test/9"]
    np.testing.assert_array_equal(table.images[10:], load(path).images[24:34])
    assert len(load(path, galaxies=20)) == 36


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Let the library find a folder where it would ask the hub; count how often it asks."""
    images = pixels(40)
    folder = save_parquet(tmp_path / "hub", train=rows(images[:24]), test=rows(images[24:]))
    asked, really = [], datasets.load_dataset

    def load_dataset(name, *options, **more):
        asked.append(name)
        return really(str(folder), *options, **{"cache_dir": str(tmp_path / "library")} | more)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **options: None)
    return asked


def test_hub_name_gives_what_its_files_give(tmp_path, hub):
    """The library's own cache is read where there is no folder."""
    table = HuggingFace(name="somebody/galaxies").load(6, tmp_path / "cache")
    np.testing.assert_array_equal(table.images, load(tmp_path / "hub").images)
    assert table.card.name == "somebody/galaxies"


def test_streamed_galaxies_are_fetched_once(tmp_path, hub):
    """The first galaxies of a set too large to fetch are those of the whole set, and are not asked for again."""
    few = HuggingFace(name="somebody/galaxies", galaxies=10)
    table = few.load(6, tmp_path / "cache")
    held = dict(zip(table.ids.tolist(), table.images, strict=True))
    whole = load(tmp_path / "hub", galaxies=10)
    np.testing.assert_array_equal([held[name] for name in whole.ids.tolist()], whole.images)
    assert table.card.class_names == tuple(NAMES)
    asked = len(hub)
    few.load(4, tmp_path / "cache")
    assert len(hub) == asked


def test_another_column_or_content_is_another_conversion(tmp_path):
    """What is cached for one image column or one folder's content is never given for another."""
    one, two = pixels(), pixels(seed=1)
    both = rows(one).add_column("crop", [encoded(image) for image in two])
    path = save(tmp_path / "hub", train=both)
    assert load(path).fingerprint != load(path, image="crop").fingerprint
    changed = save(tmp_path / "changed", train=rows(two))
    np.testing.assert_array_equal(load(path, image="crop").images, load(changed).images)


def test_nothing_is_said_and_nothing_stays_changed(tmp_path, capfd):
    """The library's bars and log stay off the screen while we read, and are as they were afterwards."""
    path = save_parquet(tmp_path / "hub", train=rows(pixels()))
    capfd.readouterr()
    load(path)
    assert capfd.readouterr() == ("", "")
    assert not datasets.are_progress_bars_disabled()
    assert not datasets.config.HF_HUB_OFFLINE


def test_columns_are_found_under_other_names_and_ids_keep_their_digits(tmp_path):
    """19-digit ids beside an empty cell, a class NA, a redshift z; what is not used is named."""
    ids = [1237648720693755918 + 7 * row for row in range(23)]
    names = {"objid": datasets.Value("int64"), "class": TEXT, "z": datasets.Value("float64"), "n": UNNAMED}
    values = {"objid": [*ids, None], "class": ["NA", "b"] * 12, "z": [0.25] * 24, "n": [1] * 24}
    one = datasets.Dataset.from_dict(
        {"image": cells(pixels()), **values}, features=datasets.Features({"image": datasets.Image(), **names})
    )
    one.save_to_disk(str(tmp_path / "a"))
    table = load(tmp_path / "a")
    assert table.ids.tolist() == [*map(str, ids), "all/23"]
    assert table.card.class_names == ("NA", "b")
    assert set(table.redshift) == {0.25}
    assert "columns read under other names: label (class), redshift (z), id (objid)" in table.card.notes
    assert "1 columns are not used: n" in table.card.notes


def test_saved_folder_is_a_pool_with_or_without_labels(tmp_path):
    """Another catalogue's data set joins pretraining as it was saved, whatever columns it has."""
    images = pixels(30)
    main = tmp_path / "a.h5"
    as_hdf5(main, images[:24])
    for number, labels in enumerate(([0] * 6, None)):
        pool = save(tmp_path / f"pool{number}", train=rows(images[24:], labels=labels))
        table = Hdf5(path=main, pool=pool).load(6, tmp_path / "cache")
        assert table.ids[24:].tolist() == [f"pool/train/{row}" for row in range(6)]
        np.testing.assert_array_equal(table.images[24:], [resize(image, 6) for image in images[24:]])


def test_infinite_numbers_are_unknown(tmp_path):
    """No infinity reaches the table."""
    redshift = np.where(np.arange(24) % 3, 0.1, np.inf)
    table = load(save(tmp_path / "hub", all=rows(pixels(), redshift=redshift)))
    assert np.isnan(table.redshift).sum() == 8
