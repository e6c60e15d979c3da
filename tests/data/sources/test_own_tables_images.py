"""Which image a row of somebody's table means: by path or id, however loosely it is written."""

import pandas as pd
import pytest

from astrojepa_bench.data.sources.matching import matched_images
from astrojepa_bench.errors import DataError


def matched(table, images, **columns):
    return matched_images(table, pd.DataFrame(columns), images, "fail")


def test_ids_and_files_that_differ_in_case_stay_apart():
    """g1 and G1 are two galaxies with two images; of g2, which has none of its case, the only other is meant."""
    images = ["images/G1.png", "images/g1.png", "images/G2.png", "images/g3.png"]
    found = matched("table.csv", images, id=["g1", "G1", "g2", "g3", "G3"])
    assert found.ids.tolist() == ["g1", "G1", "g2", "g3", "G3"]
    assert found.names == ("images/g1.png", "images/G1.png", "images/G2.png", "images/g3.png", "")
    paths = matched("table.csv", images, path=["images/g3.png", "images/G3.png"])
    assert paths.names == ("images/g3.png", "images/G3.png")  # which is missing, and said to be
    assert found.notes == (
        "1 images were found under another name than the table's, first images/G2.png for 'g2'",
    )


@pytest.mark.parametrize(
    ("column", "words", "images"),
    [
        ("path", ["/x/test/1.jpg", "/x/train/1.jpg", "2.jpg"], ["1.jpg", "2.jpg"]),
        ("id", ["01", "1", "2"], ["0001.jpg", "2.jpg"]),
        ("id", ["G1", "g1", "2"], ["G1.jpg", "2.jpg"]),  # of these one is exact
    ],
)
def test_an_image_that_is_named_loosely_serves_one_row(column, words, images):
    """Where several fit and none exactly, nobody guesses: it is refused with the names, or they go without."""
    frame = pd.DataFrame({column: words})
    if words[0] == "G1":
        assert matched_images("t.csv", frame, images, "fail").names == ("G1.jpg", "", "2.jpg")
        return
    first = f"2 names fit an image that others fit too, first {words[0]} and {words[1]} the image {images[0]}"
    with pytest.raises(DataError, match=f"{first}; name the image of each in a column 'path'"):
        matched_images("t.csv", frame, images, "fail")
    found = matched_images("t.csv", frame, images, "skip")
    assert not {*found.names[:2]} & {*images}
    assert found.names[2] == "2.jpg"
    assert f"{first}; none of them has an image" in found.notes
    twice = matched_images("t.csv", pd.DataFrame({column: [words[0]] * 2}), images, "fail")
    assert twice.names == (images[0],) * 2  # a row each of one galaxy, which repeats its name


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("path", ["IMAGES/01.PNG", "images\\02.png"]),  # other case, and as Windows writes it
        ("filename", ["01.png", "02"]),
        ("objid", [1, 2]),  # zeros that a spreadsheet dropped
    ],
)
def test_images_are_found_where_the_table_is_not_exact(column, words):
    """If there is only one that can be meant; it is counted, and never one outside the folder."""
    images = ["data/images/01.png", "data/images/02.png"]
    found = matched("data/table.csv", images, **{column: words})
    assert found.names == tuple(images)
    assert found.notes[0].startswith(
        "2 images were found under another name than the table's, first data/images/01"
    )
    outside = matched("data/table.csv", images, path=["../../images/01.png", "01.jpg"])
    assert outside.names == ("../../images/01.png", "data/01.jpg")


def test_paths_of_another_machine_mean_the_image_that_ends_alike(files, tmp_path):
    """Absolute, of any system; the longest end decides, and what fits two images or climbs out is none."""
    images = ["images/a/g0.jpg", "images/b/g0.jpg", "images/b/g1.jpg"]
    paths = ["/home/ana/images/a/g0.jpg", "C:\\data\\images\\b\\g0.jpg", "/mnt/g1.jpg"]
    found = matched_images("t.csv", pd.DataFrame({"path": paths}), images, "fail")

    assert found.names == tuple(images)
    assert "3 images were found under another name" in found.notes[-1]
    for lost in ("/home/ana/g0.jpg", "/home/../g1.jpg", "/etc/passwd"):
        assert matched_images("t.csv", pd.DataFrame({"path": [lost]}), images, "fail").names == (lost,)
