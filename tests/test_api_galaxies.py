"""Galaxies of any kind through the Python face: arrays, tables, paths, and what is seen of them."""

import h5py
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table

import astrojepa_bench as ab
from astrojepa_bench.data.look.sheet import as_rgb
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.explore.sample import in_bands_of

COUNT, SIDE = 24, 16


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def images():
    """Draw noise, and a bright corner at the top left, so that a mirrored or turned galaxy is seen."""
    drawn = np.random.default_rng(0).integers(0, 60, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
    drawn[:, :4, :4] += 150
    return drawn


def test_arrays_keep_ids_facts_and_orientation(images, cache):
    """In the order given; the first row of an array is the top one."""
    table = pd.DataFrame({"redshift": np.linspace(0.01, 0.2, COUNT), "mass": np.arange(COUNT) / 2})
    ids = [f"NGC {number}" for number in range(COUNT)]
    labels = ["disc", "ball"] * (COUNT // 2)
    found = ab.load(images, table, ids=ids, labels=labels, size=SIDE, cache=cache)

    assert found.facts["id"].tolist() == ids
    assert found.facts["class"].tolist() == labels
    np.testing.assert_allclose(found.facts["redshift"], table["redshift"])
    np.testing.assert_allclose(found.facts["mass"], table["mass"])
    np.testing.assert_array_equal(found.images, images.transpose(0, 3, 1, 2))
    assert found.images[0, :, :4, :4].mean() > 100 + found.images[0, :, -4:, -4:].mean()


@pytest.mark.parametrize(("order", "kind"), [("grz", "levels"), ("rzg", "levels"), ("grz", "flux")])
def test_a_red_galaxy_is_red_whatever_the_order_of_its_bands(images, order, kind, cache):
    """A galaxy that shines in z alone, the reddest of them, must not come out blue."""
    drawn = images[..., [0, 1, 2]].copy()
    drawn[:, 6:10, 6:10, order.index("z")] += 150
    given = drawn if kind == "levels" else drawn.astype(np.float32) / 7
    found = ab.load(given, bands=order, size=SIDE, cache=cache)
    red, _, blue = as_rgb(np.asarray(found.images[0]), found.spec.bands)[6:10, 6:10].mean(axis=(0, 1))

    assert found.spec.bands == ("z", "r", "g")
    assert red > blue + 40


@pytest.mark.slow
def test_grey_images_need_no_axis_of_bands(images, cache):
    """One band is one band, with the axis or without."""
    grey = ab.load(images[..., 0], size=SIDE, cache=cache)

    np.testing.assert_array_equal(grey.images[:, 0], images[..., 0])
    np.testing.assert_array_equal(ab.load(images[..., :1], size=SIDE, cache=cache).images, grey.images)


def test_ids_of_19_digits_are_those_of_the_table(images, cache):
    """An astropy table, with text from FITS as bytes."""
    ids = 9_007_199_254_740_993 + np.arange(COUNT)
    table = Table({"id": ids, "label": np.array([b"a", b"b"] * (COUNT // 2))})
    found = ab.load(images, table, size=SIDE, cache=cache)

    assert found.facts["id"].tolist() == [str(number) for number in ids.tolist()]
    assert set(found.card.class_names) == {"a", "b"}


@pytest.mark.slow
def test_equal_arrays_are_kept_once(images, cache):
    """And others beside them; a table that was loaded is read again from there, at any size."""
    first = ab.load(images, size=SIDE, cache=cache)
    again = ab.load(images, size=SIDE, cache=cache)
    other = ab.load(images, ids=np.arange(COUNT) + 100, size=SIDE, cache=cache)
    smaller = ab.load(first, size=8, cache=cache)

    assert first.fingerprint == again.fingerprint
    assert len([*(cache / "arrays").glob("*/arrays.parquet")]) == 2
    assert other.ids.tolist() != first.ids.tolist()
    assert (smaller.spec.size_px, smaller.ids.tolist()) == (8, first.ids.tolist())


@pytest.mark.parametrize(
    ("given", "options", "complaint"),
    [
        (lambda x: x / 255.0, {}, "may be display levels or flux"),
        (lambda x: x.astype(int) * 9, {}, "expected bytes, or floating-point numbers for flux"),
        (lambda x: x[0, 0], {}, r"expected images as numbers, \(galaxy, height, width, band\)"),
        (lambda x: x, {"bands": "gr"}, "as many names as bands"),
        (lambda x: x, {"ids": ["a"]}, "found 1 ids for 24 images"),
        (lambda x: x, {"ids": ["a"] * COUNT}, "23 repeated ids"),
        (lambda x: x, {"table": {"redshift": [0.1]}}, "1 rows for 24 images"),
        (lambda x: x, {"table": Table({"f": np.zeros((COUNT, 2))})}, "'f' holds several values a row"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, given, options, complaint, cache):
    with pytest.raises(DataError, match=complaint):
        ab.load(given(images), size=SIDE, cache=cache, **options)


def test_what_is_given_twice_is_refused(images, cache):
    with pytest.raises(ConfigError, match="a column 'id' and ids= is given"):
        ab.load(images, {"id": np.arange(COUNT)}, ids=np.arange(COUNT), size=SIDE, cache=cache)


@pytest.mark.slow
def test_bands_in_another_order_are_put_in_that_of_a_run(images, cache):
    """Only where they are the same bands; pixels and statistics move with their names."""
    table = ab.load(images, bands="grz", size=SIDE, cache=cache)
    turned = in_bands_of(table, ("g", "z", "r"))

    assert turned.spec.bands == ("g", "z", "r")
    np.testing.assert_array_equal(turned.images, images.transpose(0, 3, 1, 2)[:, [0, 2, 1]])
    assert turned.spec.mean[0] == table.spec.mean[2]
    assert in_bands_of(table, ("u", "g", "r")) is table


def test_a_path_is_read_by_what_lies_there(images, tmp_path, cache):
    """As on the command line; what is shown is short, escapes names, and tells the notes."""
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file["images"], file["ans"] = images, np.arange(COUNT) % 2
        file["ans"].attrs["class_names"] = ["<b>disc", "ball"]
    found = ab.load(tmp_path / "mine.h5", size=SIDE, cache=cache)
    html = found._repr_html_()

    assert (found.dataset, repr(found).count("\n")) == ("hdf5", 0)
    assert "24 galaxies of mine: 16 px, bands red, green, blue" in repr(found)
    assert len(repr(found)) < 150
    assert len(html) < 4_000
    assert "&lt;b&gt;disc" in html
    assert "<b>disc" not in html
    assert found.card.notes[0] in html
