"""Pool and anomalies: where they go, what is left out, and what is refused."""

import csv
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from astrojepa_bench.data.extras import with_extras
from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.resize import resize
from astrojepa_bench.data.sources.archive import ImageFiles
from astrojepa_bench.errors import DataError

REAL = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies are not here")


def pixels(count=20, side=12, bands=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, bands), dtype=np.uint8)


def write_h5(path, images, names=None, **columns):
    with h5py.File(path, "w") as file:
        for name, values in {"images": images, **columns}.items():
            file[name] = values
        if names:
            file.attrs["class_names"] = names
    return path


def encoded(image, kind="PNG"):
    data = io.BytesIO()
    Image.fromarray(image.squeeze()).save(data, kind)
    return data.getvalue()


def write_folder(path, images, table=None):
    """Write PNG images `images/0.png` ... and, given its columns, a `table.csv` beside them."""
    (path / "images").mkdir(parents=True)
    for number, image in enumerate(images):
        (path / "images" / f"{number}.png").write_bytes(encoded(image))
    if table is not None:
        rows = [
            {"id": n, "path": f"images/{n}.png"} | {k: v[n] for k, v in table.items()}
            for n in range(len(images))
        ]
        with (path / "table.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    return path


def zipped(folder):
    """Zip a folder as an archive with a top folder, and remove nothing."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder.parent))
    return path


@pytest.fixture
def table(tmp_path):
    """Twenty galaxies of two classes: 9 train, 4 val and 7 test, or so."""
    path = write_h5(tmp_path / "main.h5", pixels(), ans=np.arange(20) % 2)
    return Hdf5(path=path).load(6, tmp_path / "cache")


def extended(table, tmp_path, pool=None, anomalies=None):
    return with_extras(table, pool=pool, anomalies=anomalies, size_px=6, cache_dir=tmp_path / "cache")


def kinds_of_source(tmp_path, images):
    """Return the same images as HDF5 file, folder, folder with table, and zip."""
    return [
        write_h5(tmp_path / "more.h5", images),
        write_folder(tmp_path / "plain", images),
        write_folder(tmp_path / "listed", images, {}),
        zipped(write_folder(tmp_path / "packed", images, {"label": [""] * len(images)})),
    ]


def test_pool_is_the_same_from_any_container(table, tmp_path):
    """HDF5, folder and zip append the same images, unlabelled, seen by pretraining only."""
    images = pixels(5, seed=1)
    for path in kinds_of_source(tmp_path, images):
        both = extended(table, tmp_path, pool=path)
        np.testing.assert_array_equal(both.images[:20], table.images)
        np.testing.assert_array_equal(both.images[20:], [resize(image, 6) for image in images])
        assert both.split[20:].tolist() == ["pool"] * 5
        assert set(both.label[20:]) == {-1}
        np.testing.assert_array_equal(both.label[:20], table.label)
        assert len(both.pretraining_rows) == len(table.pretraining_rows) + 5
        assert all(name.startswith("pool/") for name in both.ids[20:])


def test_pool_ids_are_those_of_its_table(table, tmp_path):
    """A galaxy named in `table.csv` can be found again by that name."""
    path = zipped(
        write_folder(tmp_path / "packed", pixels(3, seed=1), {"ra": ["", "10.5", ""], "dec": ["", "1", ""]})
    )
    both = extended(table, tmp_path, pool=path)
    assert both.ids[20:].tolist() == ["pool/0", "pool/1", "pool/2"]
    assert both.ra[21] == 10.5
    assert np.isnan(both.ra).sum() == len(both) - 1


def test_labels_of_a_pool_are_ignored(table, tmp_path):
    """Labels in a pool's file reach nobody."""
    both = extended(table, tmp_path, pool=write_h5(tmp_path / "p.h5", pixels(4, seed=1), ans=np.arange(4)))
    assert set(both.label[20:]) == {-1}
    assert both.classes == table.classes


def test_anomalies_join_the_test_set_under_their_names(table, tmp_path):
    """Anomalies are physical, unlabelled, in test, and named by their file's classes."""
    path = write_h5(tmp_path / "odd.h5", pixels(4, seed=2), names=["lens", "ring"], ans=[0, 1, 2, 255])
    both = extended(table, tmp_path, anomalies=path)
    assert both.split[20:].tolist() == ["test"] * 4
    assert both.anomaly.tolist() == [0] * 20 + [1] * 4
    assert both.anomaly_type.tolist() == [""] * 20 + ["lens", "ring", "class 2", "anomaly"]
    assert both.spec == table.spec  # nothing was added that is learned from
    folder = write_folder(tmp_path / "odd", pixels(2, seed=3), {"label": ["arc", ""]})
    assert extended(table, tmp_path, anomalies=folder).anomaly_type[20:].tolist() == ["arc", "anomaly"]


def test_statistics_cover_train_and_pool(table, tmp_path):
    """The encoder is normalised for all that it is pretrained on, and for nothing else."""
    both = extended(
        table,
        tmp_path,
        pool=write_h5(tmp_path / "p.h5", pixels(9, seed=1) // 2),
        anomalies=write_h5(tmp_path / "o.h5", pixels(9, seed=2) // 7),
    )
    seen = both.images[both.rows("train", "pool")] / 255
    np.testing.assert_allclose(both.spec.mean, seen.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(both.spec.std, seen.std(axis=(0, 2, 3)))


def test_pool_never_holds_what_is_judged(table, tmp_path):
    """Pool images with the pixels of a val or test galaxy or of an anomaly are left out and counted."""
    odd, fresh = pixels(2, seed=2), pixels(3, seed=3)
    images = np.concatenate([pixels(), odd, fresh])
    pool = write_h5(tmp_path / "p.h5", images)
    both = extended(table, tmp_path, pool=pool, anomalies=write_h5(tmp_path / "o.h5", odd))
    held = {image.tobytes() for image in both.images[both.rows("val", "test")]}
    assert not held & {image.tobytes() for image in both.images[both.rows("pool")]}
    judged = len(table.rows("val", "test"))
    assert len(both.rows("pool")) == 25 - judged - 2
    assert any(
        f"{judged + 2} left out for showing galaxies of the dataset" in note for note in both.card.notes
    )


def test_pool_never_shows_the_sky_of_a_test_galaxy(tmp_path):
    """A pool image centred 30 arcsec from a test galaxy is left out though no pixel is equal."""
    ra = np.linspace(10, 200, 20)
    main = write_h5(tmp_path / "m.h5", pixels(), ans=np.arange(20) % 2, ra=ra, dec=np.zeros(20))
    pool = write_h5(tmp_path / "p.h5", pixels(20, seed=1), ra=ra + 30 / 3600, dec=np.zeros(20))
    table = Hdf5(path=main, pool=pool).load(6, tmp_path / "cache")
    assert {name.removeprefix("pool/") for name in table.ids[20:]} == set(table.ids[table.rows("train")])


def test_galaxy_cannot_be_ordinary_and_anomalous(table, tmp_path):
    """Anomalies that are galaxies of the table are left out; if that is all of them, it is an error."""
    mixed = write_h5(tmp_path / "o.h5", np.concatenate([pixels()[:4], pixels(3, seed=1)]))
    assert extended(table, tmp_path, anomalies=mixed).ids[20:].tolist() == [
        "anomaly/4",
        "anomaly/5",
        "anomaly/6",
    ]
    same = write_h5(tmp_path / "s.h5", pixels())
    with pytest.raises(DataError, match=r"all 20 images of s\.h5 show galaxies of the dataset itself"):
        extended(table, tmp_path, anomalies=same)


def test_physical_truth_is_unknown_for_extras(table, tmp_path):
    """Factors of simulated galaxies stay aligned: NaN for what was appended."""
    factors = {"radius": np.arange(20.0)}
    both = extended(
        replace(table, factors=factors, group=None),
        tmp_path,
        pool=write_h5(tmp_path / "p.h5", pixels(2, seed=1)),
    )
    np.testing.assert_array_equal(both.factors["radius"], np.append(np.arange(20.0), [np.nan, np.nan]))
    assert both.group is None


def test_fingerprint_tells_what_was_added(table, tmp_path):
    """A pool, the same images as anomalies, and another pool differ; a copy of the file does not."""
    first = write_h5(tmp_path / "a.h5", pixels(3, seed=1))
    copy = tmp_path / "b.h5"
    copy.write_bytes(first.read_bytes())
    other = write_h5(tmp_path / "c.h5", pixels(3, seed=2))
    prints = [
        extended(table, tmp_path, pool=first).fingerprint,
        extended(table, tmp_path, anomalies=first).fingerprint,
        extended(table, tmp_path, pool=other).fingerprint,
        table.fingerprint,
    ]
    assert len(set(prints)) == 4
    assert extended(table, tmp_path, pool=copy).fingerprint == prints[0]


def test_grey_palette_and_transparent_images_become_colour(tmp_path):
    """Among colour images, grey ones are grey in every band, palettes are looked up, alpha is dropped."""
    folder = write_folder(tmp_path / "mixed", pixels(1))
    grey = Image.fromarray(pixels(1, bands=1)[0, ..., 0])
    grey.save(folder / "images" / "1.png")
    palette = Image.fromarray(pixels(1)[0]).quantize(16)
    palette.save(folder / "images" / "2.png", transparency=b"\x00\xff")
    Image.fromarray(pixels(1)[0]).convert("RGBA").save(folder / "images" / "3.png")
    found = [picture.pixels for picture in ImageFiles.opened(folder).pictures()]
    np.testing.assert_array_equal(found[1], np.repeat(np.asarray(grey)[..., None], 3, axis=2))
    np.testing.assert_array_equal(found[2], np.asarray(palette.convert("RGB")))
    np.testing.assert_array_equal(found[3], pixels(1)[0])


def test_grey_folder_has_one_band(table, tmp_path):
    """Only-grey images are one band, and are refused beside colour with both numbers."""
    folder = write_folder(tmp_path / "grey", pixels(3, bands=1, seed=1))
    assert ImageFiles.opened(folder).bands == 1
    with pytest.raises(DataError, match="pool grey has 1 bands, the dataset 3; give images of 3 bands"):
        extended(table, tmp_path, pool=folder)


def spoilt(folder):
    """A folder where one image is cut short, one is text, one is a GIF and one is listed but absent."""
    write_folder(folder, pixels(6, 24, seed=1), {})
    whole = (folder / "images" / "1.png").read_bytes()
    (folder / "images" / "1.png").write_bytes(whole[: len(whole) // 2])
    (folder / "images" / "2.png").write_text("404 not found")
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(folder / "images" / "3.png", "GIF")
    (folder / "images" / "4.png").unlink()
    return folder


@pytest.mark.parametrize("container", [lambda folder: folder, zipped], ids=["folder", "zip"])
def test_unreadable_images_are_named_and_counted(table, tmp_path, container):
    """One line names the first unreadable image and says how many there are; nothing is kept."""
    path = container(spoilt(tmp_path / "bad"))
    with pytest.raises(
        DataError, match=r"4 of 6 images cannot be read, first (bad/)?images/1\.png"
    ) as caught:
        extended(table, tmp_path, pool=path)
    assert "\n" not in str(caught.value)


BAD_SOURCES = {
    "missing": (lambda path: path, "cannot be read .No such file"),
    "text": (
        lambda path: path.write_text("hello, world"),
        "is neither an HDF5 file nor a zip nor a folder of images",
    ),
    "empty folder": (lambda path: path.mkdir(), "holds no image; expected JPEG or PNG"),
    "no path column": (
        lambda path: (path.mkdir(), (path / "table.csv").write_text("id,file\n1,a.png\n")),
        "no column 'path'; found id, file",
    ),
    "repeated ids": (
        lambda path: (path.mkdir(), (path / "table.csv").write_text("id,path\n1,a.png\n1,b.png\n")),
        "1 repeated ids, first '1'",
    ),
    "empty table": (lambda path: (path.mkdir(), (path / "table.csv").write_text("")), "is not a CSV table"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
@pytest.mark.parametrize("role", ["pool", "anomalies"])
def test_bad_source_is_refused_in_one_line(table, tmp_path, kind, role):
    """Whatever is wrong with a pool or a set of anomalies, one line says so."""
    spoil, message = BAD_SOURCES[kind]
    spoil(tmp_path / "bad")
    with pytest.raises(DataError, match=message) as caught:
        extended(table, tmp_path, **{role: tmp_path / "bad"})
    assert "\n" not in str(caught.value)


def test_damaged_zip_is_refused(table, tmp_path):
    """A zip whose directory is overwritten is refused in one line."""
    path = zipped(write_folder(tmp_path / "packed", pixels(3, seed=1)))
    data = bytearray(path.read_bytes())
    data[-60:-40] = b"\xff" * 20
    path.write_bytes(bytes(data))
    with pytest.raises(DataError) as caught:
        extended(table, tmp_path, pool=path)
    assert "\n" not in str(caught.value)


def test_changed_folder_is_converted_again(table, tmp_path):
    """Replacing one image of a folder gives another pool."""
    folder = write_folder(tmp_path / "f", pixels(3, seed=1))
    before = extended(table, tmp_path, pool=folder)
    (folder / "images" / "1.png").write_bytes(encoded(pixels(1, seed=9)[0]))
    after = extended(table, tmp_path, pool=folder)
    assert after.fingerprint != before.fingerprint
    np.testing.assert_array_equal(after.images[21], resize(pixels(1, seed=9)[0], 6))


def banded(path, bands, images, **columns):
    """Write an HDF5 file that names its bands."""
    write_h5(path, images, **columns)
    with h5py.File(path, "a") as file:
        file.attrs["bands"] = bands
    return path


def test_bands_are_put_in_the_order_of_the_table(tmp_path):
    """The pool's z joins the table's z, and a file in that order gives the same images; the card says so."""
    main = banded(tmp_path / "m.h5", "z,r,g", pixels(), ans=np.arange(20) % 2)
    swapped = banded(tmp_path / "p.h5", "g,r,z", pixels(4, seed=1))
    ordered = banded(tmp_path / "q.h5", "z,r,g", pixels(4, seed=1)[..., ::-1])
    for role in ("pool", "anomalies"):
        tables = [Hdf5(path=main, **{role: path}).load(6, tmp_path / "cache") for path in (swapped, ordered)]
        np.testing.assert_array_equal(tables[0].images, tables[1].images)
        assert tables[0].spec == tables[1].spec
        assert any("bands g, r, z were put in the order z, r, g" in note for note in tables[0].card.notes)
        assert not any("in the order" in note for note in tables[1].card.notes)


def test_other_bands_are_refused(tmp_path):
    """An i band is no z band, though both files have three."""
    main = banded(tmp_path / "m.h5", "z,r,g", pixels(), ans=np.arange(20) % 2)
    with pytest.raises(DataError, match=r"pool p\.h5 has bands i, r, g, the dataset z, r, g"):
        Hdf5(path=main, pool=banded(tmp_path / "p.h5", "i,r,g", pixels(4, seed=1))).load(
            6, tmp_path / "cache"
        )


def test_bands_that_only_one_names_stay_as_they_are(tmp_path):
    """Nothing is known of their order."""
    main = write_h5(tmp_path / "m.h5", pixels(), ans=np.arange(20) % 2)
    pool = banded(tmp_path / "p.h5", "g,r,z", pixels(4, seed=1))
    both = Hdf5(path=main, pool=pool).load(6, tmp_path / "cache")
    np.testing.assert_array_equal(both.images[20:], [resize(image, 6) for image in pixels(4, seed=1)])


def test_cut_off_zip_is_called_a_damaged_zip(table, tmp_path):
    """Its beginning tells what it was to be: the advice is to fetch it again."""
    path = zipped(write_folder(tmp_path / "packed", pixels(3, seed=1)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="is a damaged zip"):
        extended(table, tmp_path, pool=path)


def test_labels_of_a_pool_may_be_anything(table, tmp_path):
    """Nobody reads them, so text in them is no error, not even in a file of Galaxy10's size."""
    for side in (8, 256):
        images = pixels(3, side, seed=1)
        path = write_h5(tmp_path / f"{side}.h5", images, ans=np.array([b"round"] * 3))
        assert (extended(table, tmp_path, pool=path).split == "pool").sum() == 3


def test_what_was_wrong_with_a_pool_is_on_the_card(table, tmp_path):
    """Repeated ids that were skipped are counted there too."""
    folder = write_folder(tmp_path / "f", pixels(4, seed=1), {"id": ["a", "a", "b", "c"]})
    both = with_extras(
        table, pool=folder, anomalies=None, size_px=6, cache_dir=tmp_path / "cache", on_bad_image="skip"
    )
    assert any(note.startswith("pool: 1 repeated ids") for note in both.card.notes)
    assert "pool: 3 galaxies of f" in both.card.notes


@real
@pytest.mark.slow
def test_galaxy_zoo_2_with_pool_and_oddities(tmp_path, uncompared):
    """All 4,766 unlabelled galaxies pretrain, and the 189 odd ones, in seven kinds, are in test."""
    table = Hdf5(
        path=REAL / "galaxy_zoo2.h5",
        pool=REAL / "galaxy_zoo2_unlabelled.zip",
        anomalies=REAL / "galaxy_zoo2_odd.h5",
    ).load(32, tmp_path)
    assert len(table) == 3010 + 189 + 4766
    assert len(table.rows("pool")) == 4766
    kinds, counts = np.unique(table.anomaly_type[table.anomaly == 1], return_counts=True)
    assert dict(zip(kinds.tolist(), counts.tolist(), strict=True))["Merger"] == 126
    assert len(kinds) == 7
    assert "pool/100008" in table.ids
    # Same survey, crop and stretch: pool and labelled galaxies have the same mean light.
    light = [table.images[table.rows(name)].mean() for name in ("train", "pool")]
    assert abs(light[0] - light[1]) < 0.25 * light[0]
