"""Anybody's folder: how classes, rows and images are found, and what is said about the rest."""

import numpy as np
import pandas as pd
import pytest

from astrojepa_bench.data.resize import resize
from astrojepa_bench.errors import DataError


def test_words_are_classes_in_sorted_order(files, tmp_path):
    """Classes are the words of the column, sorted; an empty one or NaN is unlabelled and trains."""
    table = files.load(
        files.tabled(tmp_path / "f", label=["spiral", "", "edge on", "round", "nan", "spiral"] * 4)
    )
    assert table.card.class_names == ("edge on", "round", "spiral")
    assert table.label.tolist() == [2, -1, 0, 1, -1, 2] * 4
    assert set(table.split[table.label < 0]) == {"train"}
    assert "8 galaxies are unlabelled" in table.card.notes


def test_notes_name_classes_and_count_in_words(files, tmp_path):
    """A class too small is told by its name; what nobody labelled is not stratified by class."""
    notes = files.load(
        files.tabled(tmp_path / "f", label=["bar", "ring", "", "disc", *["bar", "disc"] * 10])
    ).card.notes
    assert "class 'ring' has a single galaxy; its label is unused" in notes
    assert "2 galaxies are unlabelled" in notes
    assert "1 galaxy is unlabelled" in files.load(
        files.tabled(tmp_path / "g", label=["", "bar", *["bar", "disc"] * 11])
    ).card.notes  # fmt: skip
    bare = files.load(files.tabled(tmp_path / "h", label=[""] * 24)).card.notes
    assert "stratified" not in str(bare)
    assert "24 galaxies are unlabelled" in bare


def test_sizes_on_the_sky_differ_by_more_than_rounding(files, tmp_path):
    """The last digit of a number is no second field of view; a pixel scale is told as the files have it."""
    noisy = np.where(np.arange(24) % 2, 0.4, 0.4 * (1 + 1e-7))
    told = str(files.load(files.tabled(tmp_path / "f", pixel_scale=noisy)).card.notes)
    assert "0.4 arcsec a pixel as stored" in told
    assert "fields of view" not in told
    two = str(files.load(files.tabled(tmp_path / "g", pixel_scale=[0.2, 0.4] * 12)).card.notes)
    assert "images show 2 fields of view" in two
    assert "as stored" not in two


@pytest.mark.parametrize("unlabelled", [255, -1, -99, np.nan])
def test_numbers_are_classes_in_numerical_order(files, tmp_path, unlabelled):
    """Class 10 comes after class 9, keeps its number as its name, and 255, negatives and NaN mean unlabelled."""
    table = files.load(files.tabled(tmp_path / "f", label=[10, 9, unlabelled, 0] * 6))
    assert table.card.class_names == ("0", "9", "10")
    assert table.label.tolist() == [2, 1, -1, 0] * 6


def test_any_column_can_be_the_label(files, tmp_path):
    """Another label column is named by the user; none is read if it is empty; a missing one is refused."""
    folder = files.tabled(tmp_path / "f", label=["a", "b"] * 12, bar=["yes", "no", "no"] * 8)
    assert files.load(folder, label="bar").card.class_names == ("no", "yes")
    assert set(files.load(folder, label="").label) == {-1}
    assert "no column 'bars'; did you mean 'bar'" in files.refusal(folder, label="bars")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.linspace(0, 1, 24), "holds 0.043478"),
        (np.arange(24) * 1e9 + 0.5, "expected class names or whole numbers"),
    ],
)
def test_numbers_that_are_no_classes_are_refused(files, tmp_path, label, message):
    """Vote fractions are attributes, not classes."""
    assert message in files.refusal(files.tabled(tmp_path / "f", label=label))


def test_identifiers_are_no_classes(files, tmp_path):
    """More than a thousand different labels are not classes."""
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.png").write_bytes(files.png(files.pixels(1)[0]))
    rows = {"path": ["a.png"] * 1001, "id": np.arange(1001), "label": np.arange(1001) + 300}
    pd.DataFrame(rows).to_csv(tmp_path / "f" / "table.csv", index=False)
    assert "holds 1001 different values; expected at most 1000 classes" in files.refusal(tmp_path / "f")


def test_class_folders_need_no_table(files, tmp_path):
    """The folder an image lies in is its class; images beside the class folders are unlabelled."""
    names = [f"{kind}/{row}.png" for kind in ("10", "9") for row in range(10)] + [
        f"{row}.png" for row in range(4)
    ]
    table = files.load(files.write(tmp_path / "f", names))
    assert table.card.class_names == ("9", "10")
    by_name = dict(zip(table.ids.tolist(), table.label.tolist(), strict=True))
    assert (by_name["10/3"], by_name["9/3"], by_name["3"]) == (1, 0, -1)


@pytest.mark.parametrize("top", ["", "data/release/"])
def test_split_folders_are_honoured(files, tmp_path, top):
    """Outer folders named for splits are splits, inside any folders that hold everything."""
    names = [
        f"{split}/{kind}/{row}.png"
        for split in ("Train", "valid", "test")
        for kind in "ab"
        for row in range(4)
    ]
    table = files.load(files.write(tmp_path / "f", [top + name for name in names]))
    assert table.card.class_names == ("a", "b")
    for split, folder in (("train", "Train"), ("val", "valid"), ("test", "test")):
        assert {name.removeprefix(top).split("/")[0] for name in table.ids[table.rows(split)]} == {folder}


def test_folders_that_mix_splits_and_others_are_refused(files, tmp_path):
    """Images beside `train` and `test` have no split, and are not guessed one."""
    names = [f"{folder}/{row}.png" for folder in ("train", "test", "extra") for row in range(4)]
    message = files.refusal(files.write(tmp_path / "f", names))
    assert "folders test, train are splits, but 'extra' holds images too" in message


def test_flat_folder_is_unlabelled_and_divided(files, tmp_path):
    """Images alone suffice: no classes, 50 / 15 / 35, in the order of their names."""
    table = files.load(files.write(tmp_path / "f", [f"{row:02}.png" for row in range(24)]))
    assert set(table.label) == {-1}
    assert table.card.class_names == ()
    assert table.ids.tolist() == [f"{row:02}" for row in range(24)]
    assert [len(table.rows(name)) for name in ("train", "val", "test")] == [12, 4, 8]
    np.testing.assert_array_equal(table.images, [resize(image, 6) for image in files.pixels()])


def test_image_is_found_by_the_id(files, tmp_path):
    """Without a column `path` the image named like the id is meant, wherever it lies and whatever its suffix."""
    ids = [f"J{row:02}+0{row}.5" for row in range(24)]
    folder = files.write(
        tmp_path / "f", [f"deep/{name}.png" for name in ids], id=ids[::-1], label=["a", "b"] * 12
    )
    table = files.load(folder)
    assert table.ids.tolist() == ids[::-1]
    np.testing.assert_array_equal(table.images[0], resize(files.pixels()[23], 6))


def test_path_stands_in_for_the_id(files, tmp_path):
    """Without a column `id` a galaxy is called by its path without suffix."""
    assert files.load(files.tabled(tmp_path / "f", ra=np.linspace(0, 90, 24))).ids[3] == "images/03"


def test_large_ids_survive(files, tmp_path):
    """Object ids of 18 digits are texts: no digit is lost, in CSV or in Parquet."""
    ids = 587732578312454276 + np.arange(24)
    folder = files.tabled(tmp_path / "f", id=ids)
    assert files.load(folder).ids[1] == "587732578312454277"
    pd.read_csv(folder / "table.csv").to_parquet(folder / "other.parquet")
    assert files.load(folder, table="other.parquet").ids[1] == "587732578312454277"


def test_id_of_two_images_is_refused_or_takes_the_first(files, tmp_path):
    """An id that fits two images is ambiguous: refused, or the first by name."""
    folder = files.write(
        tmp_path / "f", [*files.numbered(), "more/00.png"], id=[*(f"{row:02}" for row in range(24)), "99"]
    )
    assert "1 ids fit more than one image, first images/00.png and more/00.png" in files.refusal(folder)
    table = files.load(folder, on_bad_image="skip")
    np.testing.assert_array_equal(table.images[0], resize(files.pixels(25)[0], 6))
    assert any(
        "1 images cannot be read and were left out, first 99 (missing)" in note for note in table.card.notes
    )


def test_repeated_ids_are_refused_or_the_first_is_kept(files, tmp_path):
    """Repeated ids are an error, or all but the first are left out and counted."""
    folder = files.tabled(tmp_path / "f", id=[0, 0, 0, *range(1, 22)])
    assert "table.csv has 2 repeated ids, first '0'" in files.refusal(folder)
    table = files.load(folder, on_bad_image="skip")
    assert table.ids.tolist() == [str(row) for row in range(22)]
    assert "2 repeated ids, first '0'; all but the first of each were left out" in table.card.notes


def test_two_formats_of_one_image_are_repeated_ids(files, tmp_path):
    """x.png beside x.npy is the same galaxy twice."""
    folder = files.write(tmp_path / "f", files.numbered())
    np.save(folder / "images" / "00.npy", files.pixels(1)[0])
    assert "the folder has 1 repeated ids, first 'images/00'" in files.refusal(folder)


def test_what_cannot_be_read_is_left_out_on_request(files, tmp_path):
    """Missing, damaged and blank images are counted with the first reason; rows keep their own facts."""
    folder = files.tabled(tmp_path / "f", id=np.arange(24), redshift=np.arange(24) / 100)
    (folder / "images" / "02.png").unlink()
    (folder / "images" / "05.png").write_text("404 not found")
    (folder / "images" / "07.png").write_bytes(files.png(np.full((12, 12, 3), 9, np.uint8)))
    assert "2 of 24 images cannot be read, first images/02.png (missing)" in files.refusal(folder)
    table = files.load(folder, on_bad_image="skip")
    assert table.ids.tolist() == [str(row) for row in range(24) if row not in (2, 5, 7)]
    np.testing.assert_array_equal(table.redshift, table.ids.astype(float) / 100)
    assert "2 images cannot be read and were left out, first images/02.png (missing)" in table.card.notes
    assert "1 images are blank and were left out" in table.card.notes


def test_images_without_a_row_are_counted(files, tmp_path):
    """Images that the table does not name are not used, and the card says how many."""
    folder = files.write(
        tmp_path / "f",
        [*files.numbered(), "x.png", "y.jpg"],
        path=[*files.numbered(), "gone.png", "gone2.png"],
    )
    table = files.load(folder, on_bad_image="skip")
    assert len(table) == 24
    assert "2 images are not in table.csv and were left out" in table.card.notes


def test_grey_among_colour_is_shown_in_every_band(files, tmp_path):
    """One grey image among colour ones has three equal bands, and the card counts it."""
    folder = files.write(tmp_path / "f", files.numbered())
    (folder / "images" / "03.png").write_bytes(files.png(files.pixels(1, bands=1)[0]))
    table = files.load(folder)
    assert table.spec.bands == ("red", "green", "blue")
    assert (table.images[3] == table.images[3, :1]).all()
    assert "1 grey images among 23 in colour show the same in every band" in table.card.notes


def test_what_cannot_be_read_is_neither_grey_nor_in_colour(files, tmp_path):
    """Of one grey and one illegible image among 24, one is grey and 22 are in colour."""
    folder = files.write(tmp_path / "f", files.numbered())
    (folder / "images" / "03.png").write_bytes(files.png(files.pixels(1, bands=1)[0]))
    (folder / "images" / "04.png").write_bytes(b"no picture")
    notes = files.load(folder, on_bad_image="skip").card.notes

    assert "1 grey images among 22 in colour show the same in every band" in notes


def test_grey_folder_has_one_band(files, tmp_path):
    """Only-grey images are one band, not three."""
    folder = tmp_path / "f"
    folder.mkdir()
    for row, image in enumerate(files.pixels(bands=1)):
        (folder / f"{row:02}.png").write_bytes(files.png(image))
    assert files.load(folder).spec.bands == ("gray",)


def test_five_bands_come_from_numpy(files, tmp_path):
    """Arrays of five bands are five bands, bands first or last."""
    folder = tmp_path / "f"
    folder.mkdir()
    for row, image in enumerate(files.pixels(bands=5)):
        np.save(folder / f"{row:02}.npy", image if row % 2 else image.transpose(2, 0, 1))
    table = files.load(folder)
    np.testing.assert_array_equal(table.images, [resize(image, 6) for image in files.pixels(bands=5)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda files, path: None, "cannot be read .No such file"),
        (lambda files, path: path.write_text("hello"), "neither a folder nor a zip of images"),
        (lambda files, path: path.mkdir(), "holds no image; expected JPEG or PNG, FITS or NumPy"),
        (
            lambda files, path: files.write(path, files.numbered(1)),
            "1 galaxies in 1 sky groups cannot be divided",
        ),
    ],
)
def test_what_holds_no_images_is_refused(files, tmp_path, make, message):
    """Nothing, a text, an empty folder and a single image give one line each."""
    make(files, tmp_path / "f")
    with pytest.raises(DataError, match=message):
        files.load(tmp_path / "f")
