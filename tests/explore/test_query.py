"""One galaxy is found by number, id, place on the sky, or as a picture; and told when it is not."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from astrojepa_bench.api.arrays import as_seen
from astrojepa_bench.data.picture import one_picture
from astrojepa_bench.errors import ConfigError, DataError
from astrojepa_bench.events import listening
from astrojepa_bench.explore.neighbours import find_neighbours, neighbours_figure, side_by_side
from astrojepa_bench.explore.query import by_id, by_index, by_picture, by_place, separations
from astrojepa_bench.explore.sample import Sample, own_split


@pytest.fixture
def placed(run, table):
    """Make a sample of galaxies at some places [deg]."""

    def place(ra, dec):
        every = {"ra": np.full(len(table), np.nan), "dec": np.full(len(table), np.nan)}
        every["ra"][: len(ra)], every["dec"][: len(dec)] = ra, dec
        return Sample(run, replace(table, **every), np.arange(len(ra)))

    return place


def test_an_id_is_found_as_it_is_written(sample):
    """A wrong one is told with one that is like it."""
    name = str(sample.table.ids[sample.rows[3]])

    assert by_id(sample, name).index == by_index(sample, 3).index == 3
    with pytest.raises(ConfigError, match="has the id 'nobody'; "):
        by_id(sample, "nobody")
    learnt = str(sample.table.ids[sample.table.rows("train")[0]])
    with pytest.raises(ConfigError, match=f"has the id '{learnt}'; it is one of split train: .* -d DATA"):
        by_id(sample, learnt)


def test_a_place_in_another_split_is_told_with_what_names_all(placed):
    """A larger radius would find another galaxy than the one that is meant."""
    every = placed([150.0, 30.0], [0.0, 0.0])
    sample = Sample(every.run, every.table, every.rows[:1], own=True)
    with pytest.raises(ConfigError, match=f"{every.table.ids[1]} does, of split .* with -d DATA"):
        by_place(sample, 30.0, 0.0, 5.0)


def test_distances_are_those_of_the_sphere():
    """Across the origin of right ascension, beside a pole, and not mirrored: east is not west."""
    found = separations(
        np.array([359.9999, 10.0, 200.0, 10.0, np.nan]), np.array([0.0, 0.0, 89.999, 90.0, 0.0]), 0.0001, 0.0
    )

    assert found[0] == pytest.approx(0.72, abs=1e-6)
    assert found[1] == pytest.approx(9.9999 * 3600, rel=1e-9)
    assert found[3] == pytest.approx(90 * 3600, rel=1e-9)
    assert np.isnan(found[4])
    assert separations(np.array([20.0]), np.array([89.9999]), 200.0, 89.9999)[0] == pytest.approx(
        0.72, abs=1e-4
    )


def test_the_nearest_galaxy_is_meant_and_its_distance_told(placed):
    """Three arcseconds to the west lies another one."""
    sample = placed([150.0, 150.0 - 3 / 3600, 30.0], [0.0, 0.0, 0.0])
    east, west = by_place(sample, 150.0 + 1 / 3600, 0.0, 5), by_place(sample, 150.0 - 2.5 / 3600, 0.0, 5)

    assert (east.index, west.index) == (0, 1)
    assert (east.separation, west.separation) == (pytest.approx(1.0, abs=1e-6), pytest.approx(0.5, abs=1e-6))


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ((30.0, 1.0, 5.0), "lies within 5 arcsec of ra 30, dec 1; the nearest, .*, is 3,600.0 arcsec away"),
        ((30.0, 91.0, 5.0), "no place on the sky"),
        ((30.0, 0.0, 0.0), "a radius of 0 arcsec holds no galaxy"),
        ((float("nan"), 0.0, 5.0), "no place on the sky"),
    ],
)
def test_where_no_galaxy_lies_nothing_is_guessed(placed, place, message):
    """One line says how far the nearest is, or what is wrong with the place."""
    with pytest.raises(ConfigError, match=message):
        by_place(placed([30.0], [0.0]), *place)


def test_galaxies_without_positions_are_told(run, table):
    """Of none of them, or of no column at all."""
    bare = Sample(run, replace(table, ra=None, dec=None), np.arange(3))

    with pytest.raises(ConfigError, match="have no positions; give their table columns ra and dec"):
        by_place(bare, 1.0, 1.0, 5.0)


@pytest.fixture
def picture(table, tmp_path):
    """Write a galaxy of the table as a PNG; its row and the file."""
    row = int(table.rows("test")[4])
    path = tmp_path / "mine.png"
    Image.fromarray(np.moveaxis(np.asarray(table.images[row]), 0, -1)).save(path)
    return row, path


def test_a_picture_is_read_as_a_folder_reads_it(run, table, picture):
    """The same pixels, red where it was red; and nothing beside it is looked at."""
    row, path = picture
    (path.parent / "other.png").write_bytes(b"no picture")
    found = one_picture(path, run.spec)

    np.testing.assert_array_equal(found.images[0], table.images[row])
    assert found.ids.tolist() == ["mine"]


def test_a_picture_of_ones_own_finds_itself(run, table, picture):
    """Among all galaxies, with a cosine of 1; the query itself is no galaxy of the table."""
    row, path = picture
    searched, asked = Sample(run, table, np.arange(len(table))), by_picture(run, path)
    frame = find_neighbours(searched, asked.index, 4, query=asked.sample)

    assert frame["id"].tolist()[:2] == ["mine", str(table.ids[row])]
    assert frame["similarity"].to_numpy()[:2] == pytest.approx([1, 1], abs=1e-4)
    assert frame["rank"].tolist() == [0, 1, 2, 3, 4]
    shown = side_by_side(asked.sample, searched, frame)
    np.testing.assert_array_equal(shown.table.images[1], table.images[row])
    assert neighbours_figure(searched, 0, 4, query=asked.sample) is not None


@pytest.fixture
def named_run(run):
    """A run whose user called the bands of its galaxies g, r and z, in this order."""
    options = {**run.record.options, "dataset": {**run.record.options["dataset"], "bands": ["g", "r", "z"]}}
    facts = replace(run.facts, spec=replace(run.spec, bands=("z", "r", "g")))
    return replace(run, record=run.record.model_copy(update={"options": options}), facts=facts)


@pytest.mark.parametrize("kind", ["npy", "cube of four bands", "cube in another order", "array", "png"])
def test_ones_own_galaxy_has_its_bands_in_the_order_of_the_run(named_run, table, tmp_path, kind):
    """What lies as the run's own galaxies did is turned round as they were; what is ready to be shown is not."""
    seen = np.asarray(table.images[table.rows("test")[4]])  # z, r, g
    told = []
    with listening(told.append):
        if kind == "array":
            found = as_seen(named_run, np.moveaxis(seen[::-1], 0, -1)[None], tmp_path)
        else:
            path = tmp_path / f"x.{'fits' if kind.startswith('cube') else kind}"
            if kind == "npy":
                np.save(path, seen[::-1])
            elif kind == "png":
                Image.fromarray(np.moveaxis(seen, 0, -1)).save(path)
            else:
                planes = [*seen[[1, 0, 2]]] if "order" in kind else [seen[2], seen[1], seen[1] // 2, seen[0]]
                hdu = fits.PrimaryHDU(np.stack(planes)[:, ::-1])
                hdu.header["BANDS"] = "rzg" if "order" in kind else "griz"
                hdu.writeto(path)
            found = by_picture(named_run, path).sample.table

    np.testing.assert_array_equal(found.images[0], seen)
    assert any("taken to be g, r, z" in str(event) for event in told) == (kind == "array")
    assert found.spec.bands == (("red", "green", "blue") if kind == "png" else ("z", "r", "g"))


def test_bands_that_nothing_names_are_told(named_run, table, tmp_path):
    """A run whose files named them chooses those of a file that names more, else says which it takes."""
    record = named_run.record
    options = {**record.options, "dataset": {**record.options["dataset"], "bands": []}}
    learnt = replace(named_run, record=record.model_copy(update={"options": options}))
    seen = np.asarray(table.images[0])
    np.save(tmp_path / "x.npy", seen)
    hdu = fits.PrimaryHDU(np.stack([seen[2], seen[1], seen[1] // 2, seen[0]])[:, ::-1])
    hdu.header["BANDS"] = "griz"
    hdu.writeto(tmp_path / "x.fits")
    told = []
    with listening(told.append):
        plain = by_picture(learnt, tmp_path / "x.npy").sample.table
        assert any(
            "x.npy does not name its bands, which are taken to be z, r, g" in str(each) for each in told
        )
        told.clear()
        chosen = by_picture(learnt, tmp_path / "x.fits").sample.table
        assert not any("does not name" in str(each) for each in told)

    np.testing.assert_array_equal(plain.images, chosen.images)
    np.testing.assert_array_equal(plain.images[0], seen)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: Image.new("L", (40, 40), 7).save(path), "has 1 bands; the run sees 3"),
        (lambda path: path.write_bytes(b"\x89PNG broken"), "cannot be read"),
        (lambda path: path.mkdir(), "is a folder; expected a regular file"),
    ],
)
def test_what_is_no_picture_for_the_run_is_refused(run, tmp_path, write, message):
    """In one line."""
    path = tmp_path / "x.png"
    write(path)

    with pytest.raises(DataError, match=message):
        by_picture(run, path)


def test_what_was_kept_of_any_of_its_galaxies_is_not_encoded_again(run, table, monkeypatch):
    """Whichever way the run's galaxies were named, and in which order."""
    monkeypatch.setattr(Sample, "_encoded", lambda *_: pytest.fail("encoded again"))
    rows = np.concatenate([table.rows("test")[::-1], table.rows("train")])
    every, kept = Sample(run, table, rows), Sample(run, table, rows).kept

    assert set(every.taps) == set(kept.taps)
    for tap, found in every.taps.items():
        expected = np.concatenate([kept.test.features[tap].numpy()[::-1], kept.train.features[tap].numpy()])
        np.testing.assert_array_equal(found.numpy(), expected)


def test_training_galaxies_are_searched_without_encoding_them(sample):
    """What was kept is read."""
    train = own_split(sample, "train")

    assert train.title.startswith(f"{len(train)} train galaxies of")
    assert np.array_equal(train.latents.numpy(), train.kept.train.features["last"].numpy())
    frame = find_neighbours(train, 2, 3, query=sample)
    assert set(frame["split"]) == {"test", "train"}
    assert frame["split"][0] == "test"
