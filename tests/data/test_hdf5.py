"""HDF5 files of Galaxy10's layout: what is read, what is refused, and how it is split."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from astrojepa_bench.data.hdf5 import Hdf5
from astrojepa_bench.data.resize import resize
from astrojepa_bench.data.sources.hdf5_file import Hdf5File
from astrojepa_bench.errors import DataError

REAL = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real galaxies are not here")


def pixels(count=24, side=12, bands=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, bands), dtype=np.uint8)


def write(path, images=None, compression=None, names=None, **columns):
    """Write a file of Galaxy10's layout; `ans` alternates between two classes unless given."""
    images = pixels() if images is None else images
    columns.setdefault("ans", np.arange(len(images)) % 2)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=images, compression=compression)
        for name, values in columns.items():
            if values is not None:
                file[name] = values
        if names is not None:
            file.attrs["class_names"] = names
    return path


def load(path, size_px=6, **options):
    return Hdf5(path=path, **options).load(size_px, path.parent / "cache")


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize(
    ("bands", "names"),
    [(1, ("gray",)), (3, ("red", "green", "blue")), (5, ("band0", "band1", "band2", "band3", "band4"))],
)
def test_images_arrive_whole_and_in_order(tmp_path, bands, names, compression):
    """Any number of bands, compressed or not, is read in file order, channels first, under its band names."""
    images = pixels(bands=bands)
    table = load(write(tmp_path / "a.h5", images, compression))
    np.testing.assert_array_equal(table.images, [resize(image, 6) for image in images])
    assert table.spec.bands == names
    assert table.ids.tolist() == [str(row) for row in range(24)]


@pytest.mark.parametrize(
    ("stated", "names"), [("i, r, g", ("i", "r", "g")), ("r,g", ("red", "green", "blue"))]
)
def test_a_file_may_name_its_bands(tmp_path, stated, names):
    """SDSS composites are i, r, g; names of other bands than there are name nothing."""
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["bands"] = stated
    assert load(path).spec.bands == names


def test_blocks_follow_the_chunks_of_the_file(tmp_path, monkeypatch):
    """Files whose chunks span many rows and few columns are read whole chunks at a time, to the last row."""
    monkeypatch.setattr("astrojepa_bench.data.sources.hdf5_file.BLOCK_BYTES", 1000)
    images = pixels(25)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(7, 3, 3, 1), compression="gzip")
        file["ans"] = np.arange(25) % 2
    read = [picture.pixels for picture in Hdf5File.opened(tmp_path / "a.h5", "ans").pictures()]
    np.testing.assert_array_equal(read, images)


@pytest.mark.parametrize(
    "ans",
    [
        np.array([0, 1, 255] * 8, dtype=np.uint8),
        np.array([0, 1, np.nan] * 8),
        np.array([0, 1, -1] * 8, dtype=np.int32),
    ],
)
def test_unlabelled_rows_train_without_a_label(tmp_path, ans):
    """255, NaN and negative numbers mean unlabelled; such galaxies train, and the card counts them."""
    table = load(write(tmp_path / "a.h5", ans=ans))
    assert table.label.tolist() == [0, 1, -1] * 8
    assert set(table.split[2::3]) == {"train"}
    assert "8 galaxies are unlabelled" in table.card.notes


def test_other_label_column_has_its_own_names_or_none(tmp_path):
    """The file's class names belong to `ans`; they never name the classes of another column."""
    path = write(tmp_path / "a.h5", names=["round", "spiral"], superclass=np.arange(24) % 3)
    assert load(path).card.class_names == ("round", "spiral")
    assert load(path, label="superclass").card.class_names == ()
    with h5py.File(path, "a") as file:
        file["superclass"].attrs["class_names"] = [b"x", b"y", b"z"]
    table = load(path, label="superclass")
    assert table.card.class_names == ("x", "y", "z")
    assert table.label.tolist() == [0, 1, 2] * 8


def test_labels_in_words_are_classes(tmp_path):
    """Text, as bytes or not; empty cells are unlabelled, in the file itself and where it is a pool."""
    words = np.array(([b"spiral", b"elliptical", b""] * 8), dtype="S10")
    table = load(write(tmp_path / "a.h5", ans=words))
    assert table.card.class_names == ("elliptical", "spiral")
    assert table.label.tolist() == [1, 0, -1] * 8
    pool = write(tmp_path / "b.h5", pixels(seed=5), ans=words)
    assert (load(write(tmp_path / "c.h5"), pool=pool).split == "pool").sum() == 24


def test_one_hot_labels_are_refused_with_the_way_out(tmp_path):
    """The place of the 1 is the class."""
    path = write(tmp_path / "a.h5", ans=np.eye(2, dtype=int)[np.arange(24) % 2])
    with pytest.raises(DataError, match=r"not a one-dimensional column but of shape \(24, 2\); .*argmax"):
        load(path)


def test_names_that_do_not_cover_the_labels_are_not_used(tmp_path):
    """Two names for three classes would misname one; classes then go by number."""
    table = load(write(tmp_path / "a.h5", ans=np.arange(24) % 3, names=["a", "b"]))
    assert table.card.class_names == ()
    assert table.classes == 3


def test_declared_split_and_facts_are_kept(tmp_path):
    """Split, redshift and positions arrive row by row; sentinels become NaN, empty columns None."""
    split = np.array([b"train", b"valid", b"test"] * 8)
    redshift = np.linspace(0.01, 0.2, 24)
    redshift[3] = -99
    ra = np.linspace(0, 300, 24)
    path = write(
        tmp_path / "a.h5", split=split, redshift=redshift, ra=ra, dec=ra / 10, pxscale=np.full(24, 0.5)
    )
    table = load(path)
    assert table.split.tolist() == ["train", "val", "test"] * 8
    np.testing.assert_array_equal(table.redshift, np.where(redshift < 0, np.nan, redshift))
    np.testing.assert_array_equal(table.ra, ra)
    nothing = load(write(tmp_path / "b.h5", ra=np.full(24, np.nan), redshift=np.full(24, np.nan)))
    assert nothing.ra is nothing.dec is nothing.redshift is nothing.pixel_scale is None


def test_numbers_are_found_under_other_names(tmp_path):
    """Redshift as Z and scale as pixscale; a brightness z is left alone; what is not used is named."""
    z, other = np.linspace(0.1, 0.2, 24), np.linspace(16, 18, 24)
    table = load(write(tmp_path / "a.h5", Z=z, pixscale=np.full(24, 0.4), objid=np.arange(24), mass=other))
    np.testing.assert_array_equal(table.redshift, z)
    np.testing.assert_allclose(table.pixel_scale, 0.8)
    assert "columns read under other names: redshift (Z), pxscale (pixscale)" in table.card.notes
    assert "2 columns are not used: mass, objid" in table.card.notes
    bands = load(write(tmp_path / "b.h5", z=other, g=other + 1, r=other))
    assert bands.redshift is None
    told = "column 'z' is not taken for redshift: its median is 17; name it redshift if it is one"
    assert told in bands.card.notes


def test_pixel_scale_follows_the_resampling(tmp_path):
    """Halving the number of pixels doubles the angle each covers, counted on the central square."""
    images = pixels(side=24)[:, :, 6:18]
    table = load(write(tmp_path / "a.h5", images, pxscale=np.full(24, 0.262)), size_px=6)
    np.testing.assert_allclose(table.pixel_scale, 0.262 * 12 / 6)


def test_neighbours_within_a_cut_out_share_a_split(tmp_path):
    """Pairs listed once per member stay together whatever their classes, and the card counts them."""
    ra = np.repeat(np.linspace(0, 300, 12), 2)
    dec = np.tile([10.0, 10.0 + 20 / 3600], 12)
    table = load(write(tmp_path / "a.h5", ra=ra, dec=dec))
    np.testing.assert_array_equal(table.split[::2], table.split[1::2])
    assert "12 groups of overlapping images hold 24 galaxies" in table.card.notes
    apart = load(write(tmp_path / "b.h5", ra=ra, dec=dec, pxscale=np.full(24, 1.0)))  # fields of 12 arcsec
    assert len(np.unique(apart.group)) == 24


def test_contradicting_copies_are_dropped_and_counted(tmp_path):
    """An image under two labels is dropped in all its copies; ids still are row numbers of the file."""
    images = pixels()
    images[5] = images[2]  # labels 1 and 0
    images[8] = images[4]  # labels 0 and 0
    table = load(write(tmp_path / "a.h5", images))
    assert table.ids.tolist() == [str(row) for row in range(24) if row not in (2, 5)]
    np.testing.assert_array_equal(table.images[3], resize(images[4], 6))
    assert table.group[3] == table.group[6]
    assert "2 images occur under more than one label; all their copies were dropped" in table.card.notes


def test_class_of_one_galaxy_loses_its_label(tmp_path):
    """A class that cannot be both learned and tested is said so and not scored."""
    table = load(write(tmp_path / "a.h5", ans=np.append(np.arange(23) % 2, 7)))
    assert table.label[23] == -1
    assert "class 7 has a single galaxy; its label is unused" in table.card.notes


@pytest.mark.parametrize("ans", [np.zeros(24), np.full(24, 255)])
def test_file_without_two_classes_is_split_but_unlabelled(tmp_path, ans):
    """One class or none says nothing about classification; there still is a test set for the rest."""
    table = load(write(tmp_path / "a.h5", ans=ans))
    assert set(table.label) == {-1}
    assert {name: len(table.rows(name)) for name in ("train", "val", "test")} == {
        "train": 12,
        "val": 4,
        "test": 8,
    }


def test_statistics_come_from_training_images_only(tmp_path):
    """A bright test set moves neither mean nor standard deviation."""
    images = pixels()
    split = np.array(["train", "val", "test"] * 8, dtype=object)
    images[1::3] |= 0xE0
    images[2::3] |= 0xE0
    table = load(write(tmp_path / "a.h5", images, split=split))
    seen = table.images[table.rows("train")] / 255
    np.testing.assert_allclose(table.spec.mean, seen.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(table.spec.std, seen.std(axis=(0, 2, 3)))


def test_fingerprint_is_of_the_content(tmp_path):
    """Recompressing or moving the file changes nothing; another label column, size or pixel does."""
    one = load(write(tmp_path / "a.h5", other=np.arange(24) % 3))
    (tmp_path / "elsewhere").mkdir()
    same = load(write(tmp_path / "elsewhere" / "b.h5", compression="gzip", other=np.arange(24) % 3))
    changed = pixels()
    changed[0, 0, 0, 0] ^= 1
    others = [
        load(tmp_path / "a.h5", label="other"),
        load(tmp_path / "a.h5", size_px=4),
        load(write(tmp_path / "c.h5", changed)),
    ]
    assert one.fingerprint == same.fingerprint
    assert len({one.fingerprint, *(table.fingerprint for table in others)}) == 4


def test_mirror_safety_is_passed_on(tmp_path):
    """Where spin is the label, the table says that mirroring changes it."""
    path = write(tmp_path / "a.h5")
    assert load(path).spec.mirror_safe
    assert not load(path, mirror_safe=False).spec.mirror_safe


def truncated(path):
    """Write a good file and cut off its second half, as an interrupted download does."""
    write(path, pixels(400, 24), "gzip")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def damaged(path):
    """Write a good file and overwrite a stretch of its compressed pixels."""
    write(path, pixels(400, 24), "gzip")
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 4000)


BAD_FILES = {
    "missing": (lambda path: None, "cannot be read .No such file"),
    "folder": (lambda path: path.mkdir(), "is a folder; expected an HDF5 file"),
    "text": (lambda path: path.write_text("<html>404"), "is not an HDF5 file .it starts with b'<html>40'"),
    "empty": (lambda path: path.touch(), "is not an HDF5 file"),
    "truncated": (truncated, "cannot be read .*truncated.* fetch it again"),
    "damaged": (damaged, "cannot be read .* fetch it again"),
    "no images": (
        lambda path: h5py.File(path, "w").create_group("pictures").file.close(),
        "holds pictures; expected 'images' and 'ans'",
    ),
    "no rows": (lambda path: write(path, pixels(0)), "'images' is empty"),
    "float pixels": (lambda path: write(path, pixels() / 255), "'images' is float64 .*; expected uint8"),
    "no band axis": (
        lambda path: write(path, pixels()[..., 0]),
        r"\(24, 12, 12\); expected uint8 \(galaxy, height",
    ),
    "channels first": (lambda path: write(path, pixels().transpose(0, 3, 1, 2)), "1 to 5 bands last"),
    "no labels": (
        lambda path: write(path, ans=None, answers=np.arange(24)),
        "no label column 'ans'; did you mean 'answers'",
    ),
    "all NaN": (lambda path: write(path, ans=np.full(24, np.nan)), "'ans' is NaN in all 24 rows"),
    "fractions": (
        lambda path: write(path, ans=np.linspace(0, 1, 24)),
        "'ans' holds 0.0434783; expected class numbers",
    ),
    "ids as labels": (
        lambda path: write(path, ans=np.arange(24) + 5877),
        "'ans' holds 5877; expected class numbers from 0 to 999",
    ),
    "text redshifts": (
        lambda path: write(path, redshift=np.array([b"far"] * 24)),
        "'redshift' holds text; expected numbers",
    ),
    "two-dimensional labels": (
        lambda path: write(path, ans=np.zeros((24, 2))),
        "'ans' is not a one-dimensional",
    ),
    "short labels": (lambda path: write(path, ans=np.arange(23)), "'ans' has 23 rows for 24 images"),
    "short redshift": (lambda path: write(path, redshift=np.zeros(3)), "'redshift' has 3 rows for 24 images"),
    "strange split": (
        lambda path: write(path, split=np.array([b"dev"] * 24)),
        "holds 'dev'; expected train, val",
    ),
    "blank band": (
        lambda path: write(path, pixels() * np.array([1, 0, 1], dtype=np.uint8)),
        "band 1 has the constant",
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_bad_file_is_refused_in_one_line(tmp_path, kind):
    """Each way a file can be wrong gives one line: what was found, what was expected, what to do."""
    spoil, message = BAD_FILES[kind]
    spoil(tmp_path / "bad.h5")
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path / "bad.h5")
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert (
        not list((tmp_path / "cache" / "images").glob("*/images.npy"))
        or kind == "blank band"
        or "split" in kind
    )


@real
def test_galaxy_zoo_2_is_divided_as_the_small_sets_are(tmp_path, uncompared):
    """The 3,010 galaxies of Galaxy Zoo 2 keep their class shares in 50 / 15 / 35."""
    table = Hdf5(path=REAL / "galaxy_zoo2.h5").load(64, tmp_path)
    assert np.bincount(table.label).tolist() == [706, 686, 62, 316, 1240]
    for name, share in (("train", 0.5), ("val", 0.15), ("test", 0.35)):
        counts = np.bincount(table.label[table.rows(name)])
        assert np.abs(counts - share * np.array([706, 686, 62, 316, 1240])).max() <= 1
    with h5py.File(REAL / "galaxy_zoo2.h5") as file:
        np.testing.assert_array_equal(table.images[1234], resize(file["images"][1234], 64))


@real
def test_real_galaxies_are_brightest_in_the_middle(tmp_path):
    """Channel order, centring and resampling are right: centres outshine borders in nearly every image."""
    table = Hdf5(path=REAL / "galaxy10_decals_sample.h5").load(64, tmp_path)
    light = table.images.mean(axis=1)
    centre, border = light[:, 28:36, 28:36].mean(axis=(1, 2)), light[:, 0].mean(axis=1)
    assert (centre > border).mean() > 0.95
    assert len(table.card.class_names) == 10
    red, blue = (table.images[:, band, 28:36, 28:36].mean() for band in (0, 2))
    assert red > blue  # galaxies are redder than they are blue, in z above g


@real
def test_radio_galaxies_keep_their_authors_split(tmp_path, uncompared):
    """One band, four classes, and the 1,758 / 199 / 200 rows that the authors chose."""
    table = Hdf5(path=REAL / "radio_first.h5").load(64, tmp_path)
    assert [len(table.rows(name)) for name in ("train", "val", "test")] == [1758, 199, 200]
    with h5py.File(REAL / "radio_first.h5") as file:
        declared = file["split"].asstr()[:]
    np.testing.assert_array_equal(table.split, np.where(declared == "valid", "val", declared))


@real
def test_galaxy_zoo_1_superclass_leaves_oddities_unlabelled(tmp_path, uncompared):
    """The 136 mergers and artefacts have no superclass (255): they are unlabelled."""
    table = Hdf5(path=REAL / "galaxy_zoo1.h5", label="superclass").load(64, tmp_path)
    assert np.bincount(table.label + 1).tolist() == [136, 2000, 680, 798]
    assert table.card.class_names == ()
